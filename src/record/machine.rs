//! A machine, prepared once for all the alerts it is merged into.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::record::json::{Border, Member, Object, append_compact, append_name, repair::repaired, text_of};

/// A machine of `GET /api/machines/{id}`: its members as the record takes them.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Its members as they are written into a record, side by side. Behind them, names that are written with
    /// escapes stand once more without.
    text: String,
    borders: Vec<Border>,
}

impl Machine {
    /// Reads one machine. What is wrong inside of its texts is put right.
    pub fn parse(body: &Bytes) -> Result<Self, serde_json::Error> {
        let read = |body: &[u8]| Object::parse(body).map(|object| Self::of(&object));
        read(body).or_else(|json_error| read(repaired(body).as_bytes()).map_err(|_| json_error))
    }

    /// Reads a list of machines, by id. An element without one is left out. What is wrong inside of texts is put
    /// right.
    pub fn parse_list(body: &Bytes) -> Result<Vec<(String, Self)>, serde_json::Error> {
        Self::list(body).or_else(|json_error| Self::list(repaired(body).as_bytes()).map_err(|_| json_error))
    }

    fn list(body: &[u8]) -> Result<Vec<(String, Self)>, serde_json::Error> {
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

    /// Its members in the service's order, without `@odata.*`. Its `id` is what an alert calls `machineId`.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'_>> {
        self.borders.iter().map(|border| border.member(&self.text))
    }

    /// The text that the members are slices of.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// About the memory it takes.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.borders.len() * size_of::<Border>()
    }

    fn of(object: &Object<'_>) -> Self {
        let mut text = vec![b'{'];
        let mut escaped = Vec::new();
        let mut places = Vec::with_capacity(object.members.len());
        for Member { name, value } in object.members.iter().filter(|m| !m.name.starts_with("@odata.")) {
            let name = if name == "id" { "machineId" } else { name };
            append_name(&mut text, name);
            // A quote and a colon come after the name.
            let end = text.len() - 2;
            append_compact(&mut text, value);
            let start = end.saturating_sub(name.len());
            if text[start - 1..end] != *format!("\"{name}").as_bytes() {
                escaped.push((places.len(), name));
            }
            places.push((start..end, end + 2..text.len()));
        }
        for (member, name) in escaped {
            places[member].0 = text.len()..text.len() + name.len();
            text.extend_from_slice(name.as_bytes());
        }
        let borders = places.into_iter().map(|(name, value)| Border::new(name, value)).collect();
        // The bytes are those of texts, less some blanks.
        Self { text: String::from_utf8_lossy(&text).into_owned(), borders }
    }
}
