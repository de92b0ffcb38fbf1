//! The bodies a timer invocation can have.
//!
//! The timer's value is an object, but `ScheduleStatus` may be missing, its dates may be of year 1 with or
//! without an offset, and hosts add members as they please. Texts are written as Newtonsoft.Json does:
//! compact, members in the order of declaration, dates with up to seven decimals and a numeric offset.

use azure_core::time::{Duration, OffsetDateTime, to_rfc3339};
use bytes::Bytes;

/// One form of invocation body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// An occurrence at its time: `Next` is this occurrence, `Last` the start of the run before.
    Regular,
    /// The first run ever: `Last` is year 1.
    FirstRun,
    /// The same, with the year-1 date lacking its offset, as some hosts write it.
    FirstRunWithoutOffset,
    /// The one run at the start of a host that had missed an occurrence.
    PastDue,
    /// Schedule monitoring is off: `ScheduleStatus` is null.
    NoStatus,
    /// The run at the start of a host whose function.json says runOnStartup: `Next` still lies ahead.
    RunOnStartup,
    /// A schedule that is a time span, which has no daylight saving time and no whole seconds.
    TimeSpan,
    /// Called by hand through /admin before the timer has ever fired, with `{"input":""}`: one more member in
    /// `Metadata`, `Next` still lies ahead, and only `LastUpdated` has a time.
    Admin,
    /// The same without `input`.
    AdminNoInput,
    /// The same with a text, after a first run.
    AdminInput,
    /// The first try under a retry policy.
    FirstTry,
    /// The second try under a retry policy, with the exception of the first as an object.
    Retry,
    /// A host whose clock runs nine hours ahead of UTC.
    LocalZone,
    /// A later host, with unknown members, some of them not ASCII.
    UnknownMembers,
    /// Bytes as they are, for bodies no host sends.
    Raw(Bytes),
}

/// The times and names in a body.
#[derive(Clone, Debug)]
pub(super) struct Tick<'a> {
    pub(super) function: &'a str,
    pub(super) binding: &'a str,
    pub(super) previous: OffsetDateTime,
    pub(super) due: OffsetDateTime,
    pub(super) every: Duration,
    pub(super) now: OffsetDateTime,
    pub(super) guid: &'a str,
}

impl Payload {
    /// Every form a host may send.
    pub const ALL: [Self; 14] = [
        Self::RunOnStartup,
        Self::TimeSpan,
        Self::AdminNoInput,
        Self::AdminInput,
        Self::FirstTry,
        Self::Regular,
        Self::FirstRun,
        Self::FirstRunWithoutOffset,
        Self::PastDue,
        Self::NoStatus,
        Self::Admin,
        Self::Retry,
        Self::LocalZone,
        Self::UnknownMembers,
    ];

    /// An occurrence at its time.
    pub fn regular() -> Self {
        Self::Regular
    }

    pub(super) fn body(&self, tick: &Tick) -> Bytes {
        if let Self::Raw(bytes) = self {
            return bytes.clone();
        }
        let Tick { function, binding, guid, .. } = tick;
        let (timer, now) = (self.timer(tick), to_rfc3339(&ticks(tick.now)));
        let (before, after) = match self {
            Self::Admin => (format!(r#""{binding}":"\"\"","#), ""),
            Self::AdminInput => (format!(r#""{binding}":"\"test\"","#), ""),
            Self::FirstTry => (String::new(), FIRST_TRY),
            Self::Retry => (String::new(), RETRY_CONTEXT),
            Self::UnknownMembers => (String::new(), r#","Wächter":"見張り 🛡""#),
            _ => (String::new(), ""),
        };
        let sys = format!(r#"{{"MethodName":"{function}","UtcNow":"{now}","RandGuid":"{guid}"}}"#);
        format!(r#"{{"Data":{{"{binding}":{timer}}},"Metadata":{{{before}"sys":{sys}{after}}}}}"#).into()
    }

    fn timer(&self, tick: &Tick) -> String {
        let (previous, due) = match self {
            Self::PastDue => (tick.previous - tick.every, tick.due - tick.every),
            Self::Admin | Self::AdminNoInput | Self::AdminInput | Self::RunOnStartup => {
                (tick.previous, tick.due + tick.every)
            }
            Self::TimeSpan => (tick.previous, tick.previous + tick.every),
            _ => (tick.previous, tick.due),
        };
        let (ahead, zone) = if *self == Self::LocalZone {
            (Duration::hours(9), "+09:00")
        } else {
            (Duration::ZERO, "+00:00")
        };
        let local = |at: OffsetDateTime| to_rfc3339(&ticks(at + ahead)).replace('Z', zone);
        let last = match self {
            Self::FirstRun | Self::RunOnStartup | Self::Admin | Self::AdminNoInput => {
                "0001-01-01T00:00:00+00:00".to_owned()
            }
            Self::FirstRunWithoutOffset => "0001-01-01T00:00:00".to_owned(),
            _ => local(previous),
        };
        let updated = match self {
            Self::Admin | Self::AdminNoInput => local(previous),
            _ => last.clone(),
        };
        let status = match self {
            Self::NoStatus => "null".to_owned(),
            _ => format!(r#"{{"Last":"{last}","Next":"{}","LastUpdated":"{updated}"}}"#, local(due)),
        };
        let more =
            if *self == Self::UnknownMembers { r#","Anlaß":{"grüße":["ä",1e3,null]}"# } else { "" };
        let (past_due, adjusts) = (*self == Self::PastDue, *self != Self::TimeSpan);
        format!(
            r#"{{"Schedule":{{"AdjustForDST":{adjusts}}},"ScheduleStatus":{status},"IsPastDue":{past_due}{more}}}"#
        )
    }
}

const FIRST_TRY: &str = concat!(
    r#","RetryContext":{"RetryCount":0,"MaxRetryCount":2,"Exception":null,"#,
    r#""Instance":null,"State":{}}"#,
);

const RETRY_CONTEXT: &str = concat!(
    r#","RetryContext":{"RetryCount":1,"MaxRetryCount":2,"Exception":"#,
    r#"{"InstanceId":"0f4d1c0b-6a52-4a3e-9d57-7d1f5c2b8e90","MethodName":"Host.Functions.MdatpForward","#,
    r#""Handled":false,"ClassName":"Microsoft.Azure.WebJobs.Host.FunctionInvocationException","#,
    r#""Message":"Exception while executing function: Functions.MdatpForward","Data":null,"InnerException":"#,
    r#"{"HttpRequestError":0,"StatusCode":500,"#,
    r#""Message":"Response status code does not indicate success: 500 (Internal Server Error).","#,
    r#""Data":{},"InnerException":null,"HelpLink":null,"Source":"System.Net.Http","HResult":-2146233088,"#,
    r#""StackTrace":"   at Some.Method()"},"HelpURL":null,"StackTraceString":"   at Some.Method()","#,
    r#""RemoteStackTraceString":null,"RemoteStackIndex":0,"ExceptionMethod":null,"HResult":-2146233088,"#,
    r#""Source":"System.Private.CoreLib","WatsonBuckets":null},"Instance":null,"State":{}}"#,
);

/// .NET counts time in steps of 100 ns.
fn ticks(at: OffsetDateTime) -> OffsetDateTime {
    at - Duration::nanoseconds(i64::from(at.nanosecond() % 100))
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;

    use super::*;

    fn text(payload: &Payload) -> String {
        let time = |text| parse_rfc3339(text).expect("written by hand");
        let tick = Tick {
            function: "MdatpForward",
            binding: "mdatpTimer",
            previous: time("2026-11-24T05:50:00.00712345Z"),
            due: time("2026-11-24T05:55:00Z"),
            every: Duration::minutes(5),
            now: time("2026-11-24T05:55:00.0231467Z"),
            guid: "24ad4c06-24ad-4e5b-8294-3da9714877e9",
        };
        String::from_utf8(payload.body(&tick).into()).expect("a host writes UTF-8")
    }

    const SYS: &str = concat!(
        r#""sys":{"MethodName":"MdatpForward","UtcNow":"2026-11-24T05:55:00.0231467Z","#,
        r#""RandGuid":"24ad4c06-24ad-4e5b-8294-3da9714877e9"}"#
    );

    fn status_and_metadata(status: &str, past_due: bool, metadata: &str) -> String {
        format!(
            r#"{{"Data":{{"mdatpTimer":{{"Schedule":{{"AdjustForDST":true}},"ScheduleStatus":{status},"IsPastDue":{past_due}}}}},"Metadata":{{{metadata}}}}}"#
        )
    }

    #[test]
    fn the_regular_body_is_what_a_host_sends() {
        let expected = concat!(
            r#"{"Data":{"mdatpTimer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":"#,
            r#"{"Last":"2026-11-24T05:50:00.0071234+00:00","Next":"2026-11-24T05:55:00+00:00","LastUpdated":"2026-11-24T05:50:00.0071234+00:00"},"#,
            r#""IsPastDue":false}},"Metadata":{"sys":{"MethodName":"MdatpForward","UtcNow":"2026-11-24T05:55:00.0231467Z","#,
            r#""RandGuid":"24ad4c06-24ad-4e5b-8294-3da9714877e9"}}}"#,
        );
        assert_eq!(text(&Payload::regular()), expected);
    }

    #[test]
    fn every_other_form_differs_where_it_should() {
        let year_1 = r#"{"Last":"0001-01-01T00:00:00+00:00","Next":"2026-11-24T05:55:00+00:00","LastUpdated":"0001-01-01T00:00:00+00:00"}"#;
        let bare_year_1 = r#"{"Last":"0001-01-01T00:00:00","Next":"2026-11-24T05:55:00+00:00","LastUpdated":"0001-01-01T00:00:00"}"#;
        let missed = r#"{"Last":"2026-11-24T05:45:00.0071234+00:00","Next":"2026-11-24T05:50:00+00:00","LastUpdated":"2026-11-24T05:45:00.0071234+00:00"}"#;
        let ahead = r#"{"Last":"0001-01-01T00:00:00+00:00","Next":"2026-11-24T06:00:00+00:00","LastUpdated":"2026-11-24T05:50:00.0071234+00:00"}"#;
        let tokyo = r#"{"Last":"2026-11-24T14:50:00.0071234+09:00","Next":"2026-11-24T14:55:00+09:00","LastUpdated":"2026-11-24T14:50:00.0071234+09:00"}"#;
        for (payload, status, past_due, metadata) in [
            (Payload::FirstRun, year_1, false, SYS.to_owned()),
            (Payload::FirstRunWithoutOffset, bare_year_1, false, SYS.to_owned()),
            (Payload::PastDue, missed, true, SYS.to_owned()),
            (Payload::NoStatus, "null", false, SYS.to_owned()),
            (Payload::Admin, ahead, false, format!(r#""mdatpTimer":"\"\"",{SYS}"#)),
            (Payload::LocalZone, tokyo, false, SYS.to_owned()),
        ] {
            assert_eq!(text(&payload), status_and_metadata(status, past_due, &metadata), "{payload:?}");
        }
    }

    /// A body with what differs from run to run replaced by what it is: members, their order and all that is constant
    /// stay.
    fn form(body: &str) -> String {
        let mut form = String::new();
        let mut rest = body;
        while let Some(at) = rest.find(['"', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '-']) {
            form += &rest[..at];
            rest = &rest[at..];
            let end = match rest.strip_prefix('"') {
                None => rest.find(|c: char| !c.is_ascii_digit() && c != '-').expect("JSON goes on"),
                Some(text) => {
                    let mut is_escaped = false;
                    let closing = |c: char| {
                        let is_end = c == '"' && !is_escaped;
                        is_escaped = c == '\\' && !is_escaped;
                        is_end
                    };
                    text.find(closing).expect("it ends") + 2
                }
            };
            let (token, after) = rest.split_at(end);
            let text = token.trim_matches('"');
            let replaced = match after.starts_with(':') {
                true if matches!(text, "t" | "mdatpTimer") => "(binding)".to_owned(),
                true => token.to_owned(),
                false if text == "0001-01-01T00:00:00+00:00" => "(never)".to_owned(),
                false if parse_rfc3339(text).is_ok() => {
                    let zone = if text.ends_with('Z') { "Z" } else { "offset" };
                    format!("(time, {zone})")
                }
                false if text.starts_with("\\\"") && text.ends_with("\\\"") => {
                    format!("(text in text, empty: {})", text.len() == 4)
                }
                false if text.len() == 36 && text.matches('-').count() == 4 => "(guid)".to_owned(),
                false if token.starts_with('"') => "(text)".to_owned(),
                false => "(number)".to_owned(),
            };
            form.push_str(&replaced);
            rest = after;
        }
        form + rest
    }

    #[test]
    fn every_form_that_was_recorded_is_sent_as_it_was() {
        macro_rules! recorded {
            ($name:literal) => {
                include_str!(concat!("../../../fixtures/host/timer-", $name, ".json"))
            };
        }
        for (payload, recorded) in [
            (Payload::FirstRun, recorded!("first-ever")),
            (Payload::Regular, recorded!("regular")),
            (Payload::PastDue, recorded!("past-due")),
            (Payload::NoStatus, recorded!("sub-minute")),
            (Payload::RunOnStartup, recorded!("run-on-startup")),
            (Payload::TimeSpan, recorded!("timespan")),
            (Payload::Admin, recorded!("admin-empty-input")),
            (Payload::AdminNoInput, recorded!("admin-no-input")),
            (Payload::AdminInput, recorded!("admin-input")),
            (Payload::FirstTry, recorded!("retry-0")),
            (Payload::Retry, recorded!("retry-1")),
        ] {
            assert_eq!(form(&text(&payload)), form(recorded.trim_end()), "{payload:?}");
        }
    }

    #[test]
    fn a_retry_and_a_later_host_bring_more_members() {
        let retry: serde_json::Value = serde_json::from_str(&text(&Payload::Retry)).expect("JSON");
        assert_eq!(retry["Metadata"]["RetryContext"]["RetryCount"], 1);
        assert_eq!(retry["Metadata"]["RetryContext"]["State"], serde_json::json!({}));
        let later: serde_json::Value = serde_json::from_str(&text(&Payload::UnknownMembers)).expect("JSON");
        assert_eq!(later["Data"]["mdatpTimer"]["Anlaß"]["grüße"][0], "ä");
        assert_eq!(later["Metadata"]["Wächter"], "見張り 🛡");
    }

    #[test]
    fn raw_bytes_stay_what_they_are() {
        assert_eq!(text(&Payload::Raw("{\"Data\":".into())), "{\"Data\":");
    }
}
