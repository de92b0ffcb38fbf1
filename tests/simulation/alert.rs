//! An alert in all its states, as Defender holds it and as a sink should get it.

use azure_core::time::{OffsetDateTime, to_rfc3339};
use mdatp_forward::testing::Mode;
use serde_json::{Map, Value};

/// An alert.
#[derive(Debug)]
pub struct Alert {
    pub id: String,
    pub created: OffsetDateTime,
    /// The name of its machine, where Defender knows the machine.
    pub machine_name: Option<String>,
    /// Its states so far, the latest last.
    pub states: Vec<State>,
}

/// A state of an alert.
#[derive(Debug)]
pub struct State {
    /// `lastUpdateTime`
    pub updated: OffsetDateTime,
    /// The alert's members.
    pub members: Map<String, Value>,
    /// Since when Defender lists the alert in this state.
    pub visible: OffsetDateTime,
}

impl Alert {
    /// The time by which the list is walked.
    pub fn time(&self, state: usize, mode: Mode) -> OffsetDateTime {
        match mode {
            Mode::Created => self.created,
            Mode::Updated => self.states[state].updated,
        }
    }

    /// The state that `record` shows and whether its machine is in it, or what is wrong with the record.
    pub fn state_of(&self, record: &Map<String, Value>) -> Result<(usize, bool), String> {
        let updated = |members: &Map<String, Value>| members.get("lastUpdateTime").cloned();
        let state = self.states.iter().position(|state| updated(&state.members) == updated(record));
        let state = state.ok_or_else(|| format!("{} was never in the state of {record:?}", self.id))?;
        let is_on_no_machine =
            |name: &str, value: &Value| name == "machineId" && value.as_str().unwrap_or_default().is_empty();
        for (name, value) in &self.states[state].members {
            // Graph has no machine's id there, not even an empty one.
            let is_left_out = is_by_graph(record) && is_on_no_machine(name, value);
            if record.get(name) != Some(value) && !is_left_out {
                return Err(format!("the record of {} has another {name}: {record:?}", self.id));
            }
        }
        match record.get("computerDnsName").and_then(Value::as_str) {
            None => Ok((state, false)),
            name if name == self.machine_name.as_deref() => Ok((state, true)),
            name => Err(format!("the record of {} has the machine {name:?}", self.id)),
        }
    }
}

/// True for a record that was read from Graph.
pub fn is_by_graph(record: &Map<String, Value>) -> bool {
    record.contains_key("serviceSource")
}

/// `time` cut to so many fraction digits, and its text with exactly those.
pub fn with_digits(time: OffsetDateTime, digits: u32) -> (OffsetDateTime, String) {
    let unit = 10_u32.pow(9 - digits);
    let fraction = time.nanosecond() / unit;
    let cut = time.replace_nanosecond(fraction * unit).expect("a fraction of a second");
    let second = to_rfc3339(&time.replace_nanosecond(0).expect("no fraction"));
    let text = match digits {
        0 => second,
        _ => second.replace('Z', &format!(".{fraction:0width$}Z", width = digits as usize)),
    };
    (cut, text)
}

#[test]
fn a_time_is_cut_and_written_with_the_digits_asked_for() {
    let time = azure_core::time::parse_rfc3339("2026-11-24T06:00:01.0203456Z").expect("a time");
    for (digits, text) in
        [(0, "2026-11-24T06:00:01Z"), (1, "2026-11-24T06:00:01.0Z"), (7, "2026-11-24T06:00:01.0203456Z")]
    {
        assert_eq!(with_digits(time, digits).1, text);
    }
    assert_eq!(with_digits(time, 3).0, time - azure_core::time::Duration::nanoseconds(345_600));
}
