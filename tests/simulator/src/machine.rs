//! A machine as Defender keeps it.

use crate::members::members;
use crate::odata::{Kind, Row, Schema, Value};

/// What the machines list can be filtered and sorted by.
pub(crate) const MACHINE_FIELDS: Schema = Schema(&[
    ("id", Kind::Text),
    ("computerDnsName", Kind::Text),
    ("lastSeen", Kind::Time),
    ("version", Kind::Text),
    ("deviceValue", Kind::Text),
    ("aadDeviceId", Kind::Text),
    ("exposureLevel", Kind::Text),
    ("onboardingStatus", Kind::Text),
    ("lastIpAddress", Kind::Text),
    ("healthStatus", Kind::Text),
    ("osPlatform", Kind::Text),
    ("riskScore", Kind::Text),
    ("rbacGroupId", Kind::Number),
]);

/// A stored machine.
pub(crate) struct Machine {
    text: String,
    values: Vec<Value>,
}

impl Machine {
    pub fn new(text: String) -> Result<Self, String> {
        let members = members(&text).map_err(|error| format!("a machine is an object: {error}"))?;
        let values = MACHINE_FIELDS.read(&members);
        Ok(Self { text, values })
    }

    pub fn id(&self) -> Option<&str> {
        match &self.values[0] {
            Value::Text(id) => Some(id),
            _ => None,
        }
    }

    /// Whether this is the machine's name; case does not matter in a name.
    pub fn is_called(&self, name: &str) -> bool {
        matches!(&self.values[1], Value::Text(own) if own.eq_ignore_ascii_case(name))
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Row for Machine {
    fn value(&self, field: usize) -> &Value {
        &self.values[field]
    }
}
