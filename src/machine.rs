//! A machine, prepared once for all the alerts it is merged into.

use bytes::Bytes;

use crate::object::{Object, append_compact};

/// A machine of `GET /api/machines/{id}`: its members as the record takes them.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Name and compact text of each member, in the service's order, without `@odata.*`.
    pub members: Vec<(String, String)>,
}

impl Machine {
    /// Reads one machine.
    pub fn parse(body: &Bytes) -> Result<Self, serde_json::Error> {
        let object = Object::parse(body)?;
        let members = object.0.iter().filter(|member| !member.name.starts_with("@odata.")).map(|member| {
            let mut value = Vec::new();
            append_compact(&mut value, member.value.get());
            // The bytes are those of a str, less some blanks.
            (member.name.clone().into_owned(), String::from_utf8_lossy(&value).into_owned())
        });
        Ok(Self { members: members.collect() })
    }
}
