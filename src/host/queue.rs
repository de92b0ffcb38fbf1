//! The protocol of the queue trigger: which tenant a message is about, and the reply about its run. Pure.
//!
//! The host adds the members of a message to the metadata, where they replace the host's own, so only `Data` is read. A reply
//! with an error has the host send the message again, and after five times put it aside as poison. That is right for a
//! failure of the process or its store, and no help for a failure of the tenant's own, which is answered as a success.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::invocation::Reply;
use crate::{
    report::{RunReport, RunResult, Skip},
    tenants::TenantMessage,
};

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueInvocation {
    /// A run of a tenant.
    Run(TenantMessage),
    /// Nothing that is known: somebody else has written it.
    Foreign {
        /// The bytes of its text, as the host sent it.
        length: usize,
    },
}

impl QueueInvocation {
    /// Reads the body of `POST /MdatpTenant`. The name of the trigger's binding does not matter.
    ///
    /// # Errors
    ///
    /// The reason why this is no invocation of a queue trigger. It holds nothing of the body.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(rename = "Data")]
            data: Map<String, Value>,
        }
        let not_queue = || "this is not an invocation of a queue trigger".to_owned();
        let body: Body = serde_json::from_slice(body).map_err(|_| not_queue())?;
        let (_, trigger) = body.data.into_iter().next().ok_or_else(not_queue)?;
        let Value::String(text) = trigger else { return Err(not_queue()) };
        // The host sends the message's text as a JSON string, itself in a JSON string.
        let message = serde_json::from_str(&text).and_then(|message| match message {
            Value::String(message) => serde_json::from_str(&message),
            message => Ok(message),
        });
        let message = message.ok().as_ref().and_then(TenantMessage::of);
        Ok(message.map_or(Self::Foreign { length: text.len() }, Self::Run))
    }
}

/// Returns the reply about a tenant's run, with the run's log line. `is_tenants_own` says whose a failure is.
pub fn reply(report: &RunReport, is_tenants_own: bool, log_line: String) -> Reply {
    match report.error.is_none() || is_tenants_own {
        true => {
            let line = Some(log_line).filter(|_| has_news(report));
            Reply::success(&Map::new(), line.as_slice(), report)
        }
        false => Reply::failure(report),
    }
}

/// Returns the reply about a message that asks for nothing that is known. It would only fail again.
pub fn foreign() -> Reply {
    Reply::success(&Map::new(), &[], &Value::Null)
}

/// True when the log is to have the line of a run under its invocation. Lines about thousands of tenants that have nothing
/// new would cost more than their runs. A failure's line is on stderr already.
fn has_news(report: &RunReport) -> bool {
    match report.result() {
        RunResult::Failed => false,
        RunResult::Skipped => {
            matches!(report.skipped, Some(Skip::UnknownTenant | Skip::DisabledTenant))
        }
        RunResult::Incomplete => true,
        RunResult::Ok => report.alerts_sent > 0 || report.alerts_set_aside > 0,
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;
    use serde_json::json;

    use super::*;
    use crate::tenants::TenantId;

    /// What the real host sent (tests/fixtures/README.md).
    macro_rules! recorded {
        ($name:literal) => {
            include_str!(concat!("../../tests/fixtures/host/queue-", $name, ".json"))
        };
    }

    const TENANT: &str = "a839b112-1253-6432-9bf6-94542403f21c";

    /// The recorded invocation of a JSON message, with this text as the message's.
    fn invocation(message: &str) -> String {
        let mut recorded: Value = serde_json::from_str(recorded!("json")).expect("JSON");
        recorded["Data"]["item"] = json!(json!(message).to_string());
        recorded.to_string()
    }

    fn parse(body: &str) -> Result<QueueInvocation, String> {
        QueueInvocation::parse(body.as_bytes())
    }

    #[test]
    fn a_message_is_read_from_the_data_whatever_the_metadata_say() {
        let message = json!({
            "tenant": TENANT, "tick": "2026-11-27T10:00:00Z", "Id": "mine", "DequeueCount": 99, "sys": "x",
            "sink": { "endpoint": "https://elsewhere.example" },
        });
        let tick = parse_rfc3339("2026-11-27T10:00:00Z").expect("a time");
        let expected =
            QueueInvocation::Run(TenantMessage { tenant: TenantId::parse(TENANT).expect("a GUID"), tick });
        assert_eq!(parse(&invocation(&message.to_string())), Ok(expected.clone()));
        // The metadata of the recording name another tick, and these another tenant.
        let mut body: Value = serde_json::from_str(&invocation(&message.to_string())).expect("JSON");
        body["Metadata"]["tenant"] = json!("\"5f3a1c9e-0b1d-4f7e-9a55-2d6c8e4b7f10\"");
        assert_eq!(parse(&body.to_string()), Ok(expected.clone()));
        body["Data"] = json!({ "message": message.to_string() });
        assert_eq!(parse(&body.to_string()), Ok(expected), "encoded once, and with another name");
    }

    #[test]
    fn recorded_messages_that_are_not_ours_are_foreign_and_nothing_of_them_is_kept() {
        for (recorded, length) in [
            (recorded!("json"), 138),
            (recorded!("array"), 7),
            (recorded!("empty"), 2),
            (recorded!("number"), 4),
            (recorded!("overwrites"), 53),
            (recorded!("quoted"), 7),
            (recorded!("second-try"), 11),
            (recorded!("text"), 12),
            (recorded!("trigger-key"), 36),
            (recorded!("unicode"), 8),
            (recorded!("binary-json"), 12),
            (recorded!("binary-bytes"), 4),
        ] {
            assert_eq!(parse(recorded), Ok(QueueInvocation::Foreign { length }), "{recorded}");
        }
    }

    #[test]
    fn what_is_no_invocation_of_a_queue_trigger_is_rejected_without_a_word_of_it() {
        for body in [
            "",
            "secret",
            "{}",
            r#"{"Data":{}}"#,
            r#"{"Data":"secret"}"#,
            r#"{"Data":{"mdatpTimer":{"secret":1}}}"#,
            include_str!("../../tests/fixtures/host/timer-regular.json"),
        ] {
            let reason = parse(body).expect_err(body);
            assert_eq!(reason, "this is not an invocation of a queue trigger");
        }
    }

    #[test]
    fn only_a_failure_of_the_process_has_the_message_sent_again() {
        let failed = RunReport { error: Some("no".to_owned()), ..RunReport::default() };
        let own = reply(&failed, true, "line".to_owned());
        let body: Value = serde_json::from_str(&own.body).expect("JSON");
        assert_eq!(
            (own.status.as_u16(), &body["ReturnValue"]["error"], &body["Logs"]),
            (200, &json!("no"), &json!([]))
        );
        let of_process = reply(&failed, false, "line".to_owned());
        assert_eq!((of_process.status.as_u16(), of_process.phrase.as_deref()), (500, Some("no")));
    }

    #[test]
    fn a_run_that_found_nothing_has_no_line() {
        let ok = RunReport { complete: true, ..RunReport::default() };
        let skipped = |reason| RunReport { skipped: Some(reason), ..RunReport::default() };
        for (report, has_line) in [
            (ok.clone(), false),
            (RunReport { alerts_sent: 1, ..ok.clone() }, true),
            (RunReport { alerts_set_aside: 1, ..ok }, true),
            (RunReport::default(), true),
            (skipped(Skip::StaleMessage), false),
            (skipped(Skip::BackingOff), false),
            (skipped(Skip::AlreadyRunning), false),
            (skipped(Skip::UnknownTenant), true),
        ] {
            let reply = reply(&report, false, "line".to_owned());
            let body: Value = serde_json::from_str(&reply.body).expect("JSON");
            let lines = if has_line { json!(["line"]) } else { json!([]) };
            assert_eq!((&body["Logs"], reply.status.as_u16()), (&lines, 200), "{report:?}");
        }
    }
}
