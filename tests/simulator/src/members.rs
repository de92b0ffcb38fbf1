//! The members of a JSON object in their order, each value as the text it was written in. Real
//! services pass numbers and escapes on as they are, and so a record can be compared byte for byte.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One member: its name and its raw value.
pub(crate) struct Member<'a> {
    pub name: String,
    pub value: &'a RawValue,
}

impl Member<'_> {
    /// Where the value stands in the text it was read from.
    pub fn span(&self, text: &str) -> Range<usize> {
        let start = self.value.get().as_ptr().addr() - text.as_ptr().addr();
        start..start + self.value.get().len()
    }
}

/// Reads an object; a name that occurs twice is an error.
pub(crate) fn members(object: &str) -> serde_json::Result<Vec<Member<'_>>> {
    serde_json::from_str::<Members>(object).map(|members| members.0)
}

struct Members<'a>(Vec<Member<'a>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<Member> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, _>()? {
                    if members.iter().any(|member| member.name == name) {
                        return Err(A::Error::custom(format!("the member {name} occurs twice")));
                    }
                    members.push(Member { name, value });
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_digits_survive_and_spans_point_into_the_text() {
        let text = r#" {"b": 1.50, "a": [ 1 ], "\u00e9": null}"#;
        let members = members(text).expect("an object");
        let names: Vec<_> = members.iter().map(|member| &member.name).collect();
        assert_eq!(names, ["b", "a", "é"]);
        assert_eq!(members[0].value.get(), "1.50");
        assert_eq!(&text[members[1].span(text)], "[ 1 ]");
    }

    #[test]
    fn a_name_that_occurs_twice_is_an_error() {
        let error = members(r#"{"a":1,"a":2}"#).err().expect("rejected");
        assert!(error.to_string().contains("a occurs twice"), "{error}");
    }
}
