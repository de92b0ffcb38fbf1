//! The demo's checks: what is promised, and what was found.

use std::collections::BTreeSet;

use serde_json::Value;
use simulator::functions_host::Outcome;
use simulator::shape;

use super::measured::Measured;

/// A promise and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) what: &'static str,
    pub(super) found: String,
    pub(super) kept: bool,
}

pub(super) fn all(measured: &Measured) -> Vec<Check> {
    let mut checks: Vec<_> = ["the first tick succeeds", "the second tick succeeds"]
        .into_iter()
        .zip(&measured.ticks)
        .map(|(what, tick)| {
            let complete = tick.invocation.report["complete"] == true;
            let found = match &tick.invocation.outcome {
                Outcome::Succeeded if complete => "succeeded, complete".to_owned(),
                Outcome::Succeeded => "succeeded, but not complete".to_owned(),
                Outcome::Failed(exception) => format!("failed: {exception}"),
            };
            Check { what, found, kept: tick.invocation.succeeded() && complete }
        })
        .collect();
    checks.push(once(&measured.expected, &measured.records));
    checks.push(Check {
        what: "no post is rejected",
        found: format!("{} rejected", measured.rejected),
        kept: measured.rejected == 0,
    });
    checks.push(Check {
        what: "the table gets every value",
        found: format!("{} values lost", measured.counts.values_lost),
        kept: measured.counts.values_lost == 0,
    });
    let (sent, bytes) = (measured.reported("alertsSent"), measured.reported("bytesSent"));
    checks.push(Check {
        what: "both sides count the same",
        found: format!(
            "{sent} and {} records, {bytes} and {} bytes",
            measured.counts.records, measured.counts.wire_bytes
        ),
        kept: (sent, bytes) == (measured.counts.records, measured.counts.wire_bytes),
    });
    checks
}

/// Every alert is accepted once, and nothing else is.
fn once(expected: &[String], records: &[Value]) -> Check {
    let expected: BTreeSet<_> = expected.iter().map(String::as_str).collect();
    let accepted: BTreeSet<_> = records.iter().filter_map(shape::alert_id).collect();
    let distinct = accepted.intersection(&expected).count();
    let (duplicates, lost) = (records.len() - distinct, expected.len() - distinct);
    Check {
        what: "every alert arrives once",
        found: format!("{distinct} distinct alerts, duplicates {duplicates}, lost {lost}"),
        kept: duplicates == 0 && lost == 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lost_alert_and_a_second_copy_are_told_apart() {
        let expected = ["a", "b", "c"].map(str::to_owned);
        for (records, found, kept) in [
            (
                vec![json!({"id": "a"}), json!({"id": "b"}), json!({"id": "c"})],
                "3 distinct alerts, duplicates 0, lost 0",
                true,
            ),
            (
                vec![json!({"AlertId": "a"}), json!({"id_s": "b"})],
                "2 distinct alerts, duplicates 0, lost 1",
                false,
            ),
            (
                vec![json!({"id": "a"}), json!({"id": "a"}), json!({"id": "b"}), json!({"id": "c"})],
                "3 distinct alerts, duplicates 1, lost 0",
                false,
            ),
        ] {
            assert_eq!(
                once(&expected, &records),
                Check { what: "every alert arrives once", found: found.into(), kept }
            );
        }
    }
}
