//! How the columns of a record begin: `,"severity_s":`. Put together once.

use std::sync::LazyLock;

use crate::schema::{FIELDS, Kind, Shape, TIME_GENERATED, classic_name};

/// The columns of one member.
#[derive(Debug)]
pub struct Keys {
    /// The column for its value.
    pub column: String,
    /// The one for a value that is a GUID, where that is another.
    pub guid: String,
    /// Those of its parts, when each has its own, in the order of the schema.
    pub parts: Vec<Keys>,
}

/// The columns of all members of the schema, in its order.
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

/// How a column called `name`, which needs no escapes, begins.
pub fn key(name: &str) -> String {
    format!(",\"{name}\":")
}

impl Keys {
    fn named(name: &str) -> Self {
        Self { column: key(name), guid: key(name), parts: Vec::new() }
    }

    fn classic(path: &str, kind: Kind) -> Self {
        let suffix = match kind {
            Kind::Text | Kind::Guid | Kind::List | Kind::Object(_) => "s",
            Kind::Whole => "d",
            Kind::Boolean => "b",
            Kind::Time => "t",
        };
        let parts = match kind {
            Kind::Object(parts) => parts,
            _ => &[],
        };
        let part = |part: &crate::schema::Part| Self::classic(&format!("{path}_{}", part.name), part.kind);
        Self {
            column: key(&classic_name(path, suffix)),
            guid: key(&classic_name(path, "g")),
            parts: parts.iter().map(part).collect(),
        }
    }
}
