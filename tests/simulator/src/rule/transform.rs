//! The transformation of a data flow. Kusto is not spoken here: two sentences of it are known by heart.

/// What happens to each row before it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    /// Nothing.
    Source,
    /// A row without a time gets the time at which it arrived.
    FillTime,
}

const SOURCE: &str = "source";
const FILL_TIME: &str = "source | extend TimeGenerated = iif(isnull(TimeGenerated), now(), TimeGenerated)";

impl Transform {
    /// Reads `transformKql`; without it, nothing happens to a row.
    pub fn parse(kql: Option<&str>) -> Result<Self, String> {
        let words: Vec<_> = kql.unwrap_or(SOURCE).split_whitespace().collect();
        match words.join(" ").as_str() {
            SOURCE => Ok(Self::Source),
            FILL_TIME => Ok(Self::FillTime),
            other => Err(format!(
                "InvalidTransformQuery: the simulator knows only '{SOURCE}' and '{FILL_TIME}', not '{other}'"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_transformations_are_known_however_they_are_spaced() {
        for (kql, transform) in [
            (None, Ok(Transform::Source)),
            (Some(" source\n"), Ok(Transform::Source)),
            (
                Some("source\n| extend TimeGenerated = iif(isnull(TimeGenerated), now(), TimeGenerated)"),
                Ok(Transform::FillTime),
            ),
        ] {
            assert_eq!(Transform::parse(kql), transform, "{kql:?}");
        }
        for kql in ["", "source | where true", "source | extend TimeGenerated = now()", "Source"] {
            let refusal = Transform::parse(Some(kql)).expect_err(kql);
            assert!(refusal.contains("the simulator knows only 'source' and"), "{refusal}");
        }
    }
}
