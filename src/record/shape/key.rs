//! How the columns of a record begin, such as `,"severity_s":`. The texts are made once per process.

use std::sync::LazyLock;

use crate::schema::{FIELDS, GUID_SUFFIX, ObjectPart, Shape, TIME_GENERATED, ValueType, classic_name};

/// The columns of one member.
#[derive(Debug)]
pub struct Keys {
    /// The column for its value.
    pub column: String,
    /// The column for a value that is a GUID; the same one where the shape does not distinguish them.
    pub guid: String,
    /// Those of its parts if each has its own, in the order of the schema.
    pub parts: Vec<Keys>,
}

/// Returns the columns of all members of the schema, in its order.
pub fn keys(shape: Shape) -> &'static [Keys] {
    static NATIVE: LazyLock<Vec<Keys>> =
        LazyLock::new(|| FIELDS.iter().map(|field| Keys::named(field.native)).collect());
    static CLASSIC: LazyLock<Vec<Keys>> = LazyLock::new(|| {
        let classic = |name, kind| match name {
            TIME_GENERATED => Keys::named(TIME_GENERATED),
            _ => Keys::classic(name, kind),
        };
        FIELDS.iter().map(|field| classic(field.name, field.kind)).collect()
    });
    match shape {
        Shape::Union => &[],
        Shape::Native => &NATIVE,
        Shape::Classic => &CLASSIC,
    }
}

/// Returns how a column called `name`, which needs no escapes, begins.
pub fn key(name: &str) -> String {
    format!(",\"{name}\":")
}

impl Keys {
    fn named(name: &str) -> Self {
        Self { column: key(name), guid: key(name), parts: Vec::new() }
    }

    fn classic(path: &str, kind: ValueType) -> Self {
        let parts = match kind {
            ValueType::Object(parts) => parts,
            _ => &[],
        };
        let part = |part: &ObjectPart| Self::classic(&format!("{path}_{}", part.name), part.kind);
        Self {
            column: key(&classic_name(path, kind.classic_suffix())),
            guid: key(&classic_name(path, GUID_SUFFIX)),
            parts: parts.iter().map(part).collect(),
        }
    }
}
