//! A machine, prepared once for all the alerts it is merged into.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::object::{Object, append_compact, text_of};

/// A machine of `GET /api/machines/{id}`: its members as the record takes them.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Name and compact text of each member, in the service's order, without `@odata.*`.
    pub members: Vec<(String, String)>,
}

impl Machine {
    /// Reads one machine.
    pub fn parse(body: &Bytes) -> Result<Self, serde_json::Error> {
        Object::parse(body).map(|object| Self::of(&object))
    }

    /// Reads a list of machines, by id. An element without one is left out.
    pub fn parse_list(body: &Bytes) -> Result<Vec<(String, Self)>, serde_json::Error> {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(borrow)]
            value: Vec<&'a RawValue>,
        }
        let list: List<'_> = serde_json::from_slice(body)?;
        let named = list.value.iter().filter_map(|element| {
            let object = Object::parse(element.get().as_bytes()).ok()?;
            let id = object.get("id").and_then(text_of)?;
            Some((id.into_owned(), Self::of(&object)))
        });
        Ok(named.collect())
    }

    /// About the memory it takes.
    pub fn bytes(&self) -> usize {
        const A_MEMBER: usize = 2 * size_of::<String>();
        self.members.iter().map(|(name, value)| name.len() + value.len() + A_MEMBER).sum()
    }

    fn of(object: &Object<'_>) -> Self {
        let members = object.0.iter().filter(|member| !member.name.starts_with("@odata.")).map(|member| {
            let mut value = Vec::new();
            append_compact(&mut value, member.value);
            // The bytes are those of a str, less some blanks.
            (member.name.clone().into_owned(), String::from_utf8_lossy(&value).into_owned())
        });
        Self { members: members.collect() }
    }
}
