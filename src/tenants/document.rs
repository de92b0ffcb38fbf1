//! The text of the list of tenants. Pure.

use std::{collections::HashSet, error::Error, fmt};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{TenantCredential, TenantEntry, TenantId, TenantList, TenantSink, TokenFrom};

/// The version of the document's format.
const FORMAT_VERSION: u64 = 1;

/// Why a list of tenants cannot be used. One damaged entry is enough: no tenant may be left out unnoticed.
#[derive(Debug)]
pub enum ListDamage {
    /// It is not JSON.
    InvalidJson(serde_json::Error),
    /// It was written by another version of this program.
    UnknownVersion(Value),
    /// A member of it is missing or has a value that cannot be used.
    Member {
        /// The entry and the member, in words.
        place: String,
        /// What is wrong. Follows the place.
        what: String,
    },
    /// Two entries are of this tenant.
    Duplicate(TenantId),
}

#[derive(Serialize)]
struct Document<'a> {
    version: u64,
    tenants: &'a [TenantEntry],
    #[serde(flatten)]
    other_members: &'a Map<String, Value>,
}

impl TenantList {
    /// Reads the document.
    pub fn from_json(text: &[u8]) -> Result<Self, ListDamage> {
        let document = serde_json::from_slice(text).map_err(ListDamage::InvalidJson)?;
        let mut members = Members::of("the list".to_owned(), String::new(), document)?;
        match members.take("version") {
            Some(version) if version == FORMAT_VERSION => {}
            version => return Err(ListDamage::UnknownVersion(version.unwrap_or_default())),
        }
        let Some(Value::Array(tenants)) = members.take("tenants") else {
            return Err(members.damage("tenants", "must be an array"));
        };
        let entry = |(place, value): (usize, Value)| TenantEntry::read(place + 1, value);
        let entries: Vec<_> = tenants.into_iter().enumerate().map(entry).collect::<Result<_, _>>()?;
        let mut known = HashSet::new();
        match entries.iter().find(|entry| !known.insert(&entry.id)) {
            Some(entry) => Err(ListDamage::Duplicate(entry.id.clone())),
            None => Ok(Self { entries, other_members: members.rest }),
        }
    }

    /// Returns the document's text.
    pub fn to_json(&self) -> Vec<u8> {
        let Self { entries, other_members } = self;
        let document = Document { version: FORMAT_VERSION, tenants: entries, other_members };
        serde_json::to_vec_pretty(&document).expect("texts and numbers can be written as JSON")
    }
}

impl TenantEntry {
    /// Reads the entry at a place of the list, from 1.
    fn read(place: usize, value: Value) -> Result<Self, ListDamage> {
        let mut members = Members::of(format!("tenant {place}"), String::new(), value)?;
        let id = members.parsed("id", TenantId::parse)?;
        let id = id.ok_or_else(|| members.damage("id", "is missing"))?;
        let name = members.text("name")?.unwrap_or_else(|| id.to_string());
        members.owner = format!("tenant {place} ({name})");
        let sink = members.take("sink").ok_or_else(|| members.damage("sink", "is missing"))?;
        let sink = Members::of(members.owner.clone(), "sink".to_owned(), sink)?;
        Ok(Self {
            id,
            name,
            enabled: members.flag("enabled")?.unwrap_or(true),
            credential: members
                .parsed("credential", TenantCredential::parse)?
                .unwrap_or(TenantCredential::Federated),
            client_id: members.text("clientId")?,
            sink: TenantSink::read(sink)?,
            start: members.text("start")?,
            other_members: members.rest,
        })
    }
}

impl TenantSink {
    fn read(mut members: Members) -> Result<Self, ListDamage> {
        Ok(Self {
            endpoint: members.required("endpoint")?,
            rule: members.required("dcr")?,
            stream: members.text("stream")?,
            token_from: members.parsed("tokenFrom", TokenFrom::parse)?.unwrap_or(TokenFrom::Home),
            other_members: members.rest,
        })
    }
}

/// The members of an object that are not read yet.
struct Members {
    /// Whose they are, for messages.
    owner: String,
    /// The member of the owner that is the object; empty for the owner itself.
    path: String,
    rest: Map<String, Value>,
}

impl Members {
    fn of(owner: String, path: String, value: Value) -> Result<Self, ListDamage> {
        let mut members = Self { owner, path, rest: Map::new() };
        match value {
            Value::Object(rest) => members.rest = rest,
            _ => return Err(members.damage("", "must be an object")),
        }
        Ok(members)
    }

    fn damage(&self, member: &str, what: impl Into<String>) -> ListDamage {
        let path: Vec<&str> = [&self.path, member].into_iter().filter(|part| !part.is_empty()).collect();
        let place = match path.is_empty() {
            true => self.owner.clone(),
            false => format!("{}: {}", self.owner, path.join(".")),
        };
        ListDamage::Member { place, what: what.into() }
    }

    /// Takes a member; null counts as missing.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.rest.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a text without surrounding blanks; an empty one counts as missing.
    fn text(&mut self, name: &str) -> Result<Option<String>, ListDamage> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.damage(name, "must be a text")),
        }
    }

    fn required(&mut self, name: &str) -> Result<String, ListDamage> {
        self.text(name)?.ok_or_else(|| self.damage(name, "is missing"))
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ListDamage> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        parse(&text).map(Some).map_err(|what| self.damage(name, what))
    }

    fn flag(&mut self, name: &str) -> Result<Option<bool>, ListDamage> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(self.damage(name, "must be true or false")),
        }
    }
}

impl fmt::Display for ListDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidJson(_) => f.write_str("it is not JSON"),
            Self::UnknownVersion(version) => {
                write!(f, "its version is {version}, and this program knows version {FORMAT_VERSION}")
            }
            Self::Member { place, what } => write!(f, "{place} {what}"),
            Self::Duplicate(id) => write!(f, "two entries are of the tenant {id}"),
        }
    }
}

impl Error for ListDamage {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InvalidJson(error) => Some(error),
            Self::UnknownVersion(_) | Self::Member { .. } | Self::Duplicate(_) => None,
        }
    }
}
