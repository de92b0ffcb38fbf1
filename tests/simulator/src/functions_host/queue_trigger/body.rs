//! The invocation of a function with a queue trigger.

use azure_core::time::{OffsetDateTime, to_rfc3339};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::json;

use crate::functions_host::binding_data::{metadata, with_offset};
use crate::queue::Message;

/// A message and what its text says.
#[derive(Clone, Debug)]
pub(in crate::functions_host) struct Received {
    pub(in crate::functions_host) message: Message,
    pub(in crate::functions_host) bytes: Vec<u8>,
}

/// A member of that name is the host's own and never handed on.
const OWN: &str = "myTrigger";

impl Received {
    /// The body. The members of a message that is a JSON object are part of the metadata, and take the place of what the
    /// host itself has to say; `is_binary` is the binding's `dataType`.
    pub(in crate::functions_host) fn invocation(
        &self,
        function: &str,
        binding: &str,
        is_binary: bool,
        guid: &str,
        now: OffsetDateTime,
    ) -> Bytes {
        let Self { message, bytes } = self;
        let text = String::from_utf8_lossy(bytes);
        let quoted = |text: &str| json!(json!(text).to_string()).to_string();
        let data = if is_binary { json!(STANDARD.encode(bytes)).to_string() } else { quoted(&text) };
        let time = |time| json!(with_offset(time)).to_string();
        let now = to_rfc3339(&now);
        let sys = format!(r#"{{"MethodName":"{function}","UtcNow":"{now}","RandGuid":"{guid}"}}"#);
        let mut members = [
            ("DequeueCount", json!(message.dequeue_count.to_string()).to_string()),
            ("ExpirationTime", time(message.expires)),
            ("Id", quoted(&message.id)),
            ("InsertionTime", time(message.inserted)),
            ("NextVisibleTime", time(message.next_visible)),
            ("PopReceipt", quoted(&message.receipt)),
            ("sys", sys),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        let own = if is_binary { Vec::new() } else { metadata(&text) };
        for (name, value) in own.into_iter().filter(|(name, _)| name != OWN) {
            match members.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
                Some(known) => known.1 = value,
                None => members.push((name, value)),
            }
        }
        let members: Vec<_> =
            members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        format!(r#"{{"Data":{{"{binding}":{data}}},"Metadata":{{{}}}}}"#, members.join(",")).into()
    }
}

#[cfg(test)]
mod tests {
    use azure_core::time::parse_rfc3339;
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_body_that_was_recorded_is_sent_as_it_was() {
        macro_rules! recorded {
            ($name:literal) => {
                include_str!(concat!("../../../../fixtures/host/queue-", $name, ".json"))
            };
        }
        for (recorded, bytes) in [
            (recorded!("array"), &b"[1,2]"[..]),
            (recorded!("binary-bytes"), &[0xff, 0, 1]),
            (recorded!("binary-json"), br#"{"a":1}"#),
            (recorded!("empty"), b""),
            (
                recorded!("json"),
                br#"{"tenant":"a839b112-1253-6432-9bf6-94542403f21c","attempt":1,"at":"2026-11-27T10:00:00.000Z","list":[1],"o":{"k":"v"}}"#,
            ),
            (recorded!("number"), b"42"),
            (recorded!("overwrites"), br#"{"Id":"mine","DequeueCount":99,"sys":"x"}"#),
            (recorded!("quoted"), br#""q""#),
            (recorded!("second-try"), br#"{"a":1}"#),
            (recorded!("text"), b"plain text"),
            (recorded!("trigger-key"), br#"{"myTrigger":"x","nul":null}"#),
            (recorded!("unicode"), "ä😀".as_bytes()),
        ] {
            let json: Value = serde_json::from_str(recorded).expect("JSON");
            let member = |name: &str| json["Metadata"][name].as_str().unwrap_or_default().trim_matches('"');
            let time = |text: &str| parse_rfc3339(text).expect("a time");
            let sys = |name: &str| json["Metadata"]["sys"][name].as_str();
            let message = Message {
                id: member("Id").to_owned(),
                text: String::new(),
                dequeue_count: member("DequeueCount").parse().expect("a number"),
                inserted: time(member("InsertionTime")),
                expires: time(member("ExpirationTime")),
                next_visible: time(member("NextVisibleTime")),
                receipt: member("PopReceipt").to_owned(),
            };
            let function = sys("MethodName").unwrap_or_default();
            let (guid, now) = (sys("RandGuid").unwrap_or_default(), sys("UtcNow").map_or(message.inserted, time));
            let received = Received { message, bytes: bytes.to_owned() };
            let sent = received.invocation(function, "item", function == "QBin", guid, now);
            assert_eq!(String::from_utf8(sent.into()).expect("UTF-8"), recorded.trim_end());
        }
    }
}
