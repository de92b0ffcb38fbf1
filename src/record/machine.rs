//! A machine, prepared once for all the alerts it is merged into.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    record::{
        json::{Member, Object, OwnedObject, repaired, text_of},
        odata,
    },
    schema::{ID, MACHINE_ID},
};

/// A machine of `GET /api/machines/{id}`: the members that a record gets from it.
#[derive(Debug, Clone, Default)]
pub struct Machine(OwnedObject);

impl Machine {
    /// Reads one machine. Errors inside its strings are repaired.
    ///
    /// # Errors
    ///
    /// `body` is not a JSON object even so.
    pub fn parse(body: &Bytes) -> Result<Self, serde_json::Error> {
        let read = |body: &[u8]| Object::parse(body).map(|object| Self::of(&object));
        read(body).or_else(|error| read(repaired(body).as_bytes()).map_err(|_| error))
    }

    /// Reads a list of machines, by id. An element without an id is left out. Errors inside strings are repaired.
    ///
    /// # Errors
    ///
    /// `body` is not a list even so.
    pub fn parse_list(body: &Bytes) -> Result<Vec<(String, Self)>, serde_json::Error> {
        Self::list(body).or_else(|error| Self::list(repaired(body).as_bytes()).map_err(|_| error))
    }

    fn list(body: &[u8]) -> Result<Vec<(String, Self)>, serde_json::Error> {
        #[derive(Deserialize)]
        struct MachineList<'a> {
            #[serde(borrow)]
            value: Vec<&'a RawValue>,
        }
        let list: MachineList<'_> = serde_json::from_slice(body)?;
        let named = list.value.iter().filter_map(|element| {
            let object = Object::parse(element.get().as_bytes()).ok()?;
            let id = object.get(ID).and_then(text_of)?;
            Some((id.into_owned(), Self::of(&object)))
        });
        Ok(named.collect())
    }

    /// Makes a machine of members that have the names that they have in a record, and valid JSON as values.
    pub fn from_members<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        Self(OwnedObject::new(members))
    }

    /// Returns the members in the service's order, without OData's annotations. Its `id` has the name that it has in an
    /// alert, `machineId`.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'_>> {
        self.0.members()
    }

    /// Returns this machine with those members of `other` that it lacks.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let own: Vec<Member<'_>> = self.members().collect();
        let is_own = |member: &Member<'_>| own.iter().any(|known| known.name == member.name);
        let others: Vec<Member<'_>> = other.members().filter(|member| !is_own(member)).collect();
        Self::from_members(own.iter().chain(&others).map(|member| (&*member.name, member.value)))
    }

    /// The compact text that the members are slices of.
    pub fn text(&self) -> &str {
        self.0.text()
    }

    /// The memory that it takes, in bytes.
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    fn of(object: &Object<'_>) -> Self {
        let members = object.members.iter().filter(|member| !odata::is_annotation(&member.name));
        Self(OwnedObject::new(members.map(|Member { name, value }| {
            let name = if name == ID { MACHINE_ID } else { name };
            (name, *value)
        })))
    }
}
