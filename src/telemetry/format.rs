//! The two forms of a log line (`MDATP_LOG_FORMAT`).

use azure_core::time::to_rfc3339;
use serde_json::{Map, Value};
use tracing::Level;

use crate::{clock::Clock, error_chain::one_line};

/// The longest message of a line, in characters. The host splits longer lines.
const LONGEST_MESSAGE: usize = 8_000;

/// What a line is about, kept in the span of the work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LineOrigin {
    /// The host's id of the invocation.
    pub invocation: Option<String>,
    /// The tenant, where the process forwards for many.
    pub tenant: Option<String>,
}

/// The form of log lines, and the clock that dates them.
///
/// The members of the JSON form are part of the contract with those who query the log: `timestamp`, `level`,
/// `invocationId` and `tenant` if there is one, `message`, and the fields of the event.
#[derive(Debug, Clone, Copy)]
pub struct LineFormat {
    pub(super) is_json: bool,
    pub(super) clock: Clock,
}

impl LineFormat {
    /// Returns a line for the console.
    pub(super) fn console_line(
        self,
        level: Level,
        origin: &LineOrigin,
        message: &str,
        mut members: Map<String, Value>,
    ) -> String {
        let message = one_line(message, LONGEST_MESSAGE);
        let LineOrigin { invocation, tenant } = origin;
        if self.is_json {
            members.extend(tenant.iter().map(|tenant| ("tenant".to_owned(), tenant.as_str().into())));
            return self.json_line(level, invocation.as_deref(), &message, members);
        }
        let (time, level) = (to_rfc3339(&self.clock.now()), name(level));
        match (invocation, tenant) {
            (Some(id), Some(tenant)) => format!("{time} {level} [{id} tenant {tenant}] {message}"),
            (Some(id), None) => format!("{time} {level} [{id}] {message}"),
            (None, Some(tenant)) => format!("{time} {level} [tenant {tenant}] {message}"),
            (None, None) => format!("{time} {level} {message}"),
        }
    }

    /// Returns an information line for `Logs` of a reply to the host, which adds time, level and invocation itself: in
    /// text form the line is the message alone. `members` is a JSON object.
    pub fn reply_line(self, invocation_id: &str, message: &str, members: Value) -> String {
        match members {
            Value::Object(members) if self.is_json => {
                self.json_line(Level::INFO, Some(invocation_id), message, members)
            }
            _ => message.to_owned(),
        }
    }

    fn json_line(
        self,
        level: Level,
        invocation_id: Option<&str>,
        message: &str,
        members: Map<String, Value>,
    ) -> String {
        let mut line = members;
        line.insert("timestamp".to_owned(), to_rfc3339(&self.clock.now()).into());
        line.insert("level".to_owned(), name(level).into());
        line.extend(invocation_id.map(|id| ("invocationId".to_owned(), id.into())));
        line.insert("message".to_owned(), message.into());
        Value::Object(line).to_string()
    }
}

/// The name of a level. The host takes a line of stderr for a warning if it contains "warn".
fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        _ => "debug",
    }
}
