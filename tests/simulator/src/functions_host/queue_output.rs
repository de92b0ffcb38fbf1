//! The queue output binding: what the host writes into a queue of a handler's reply.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use serde_json::value::RawValue;

use super::app::QueueBinding;
use super::binding_data::{american, indented};
use super::invocation::{Invocation, Outcome};
use super::job_host::JobHost;

impl JobHost {
    /// Writes the outputs that are bound to queues, message after message. The first that cannot be written fails the
    /// invocation; those before it stay written.
    pub(super) async fn write_outputs(&self, function: &str, invocation: &mut Invocation) {
        let bindings = self.worker.app.function(function).map_or(&[][..], |function| &function.outputs);
        for QueueBinding { name, queue, is_binary } in bindings {
            let Some(raw) = invocation.output(name) else { continue };
            if let Err(problem) = self.write(queue, messages(&raw, *is_binary)).await {
                let failed =
                    format!("Error while handling parameter {name} after function returned: {problem}");
                invocation.outcome = Outcome::Failed(failed);
                return;
            }
        }
    }

    async fn write(&self, queue: &str, messages: Vec<Vec<u8>>) -> Result<(), String> {
        if messages.is_empty() {
            return Ok(());
        }
        let queues = self.worker.start.queues.as_ref().ok_or("the host has no storage account")?;
        queues.create(queue).await.map_err(|problem| problem.to_string())?;
        for message in messages {
            queues.put(queue, &STANDARD.encode(message)).await.map_err(|problem| problem.to_string())?;
            if let Some(wake) = self.wakes.get(queue) {
                wake.notify_one();
            }
        }
        Ok(())
    }
}

/// The messages of one output, in order. `raw` is its value under `Outputs`, `is_binary` the binding's `dataType`.
///
/// Only a string in an array is certain to arrive as it is: a string alone may be base64 or JSON to the host, and an
/// object is written anew.
fn messages(raw: &str, is_binary: bool) -> Vec<Vec<u8>> {
    match serde_json::from_str(raw) {
        Ok(Value::Null) | Err(_) => Vec::new(),
        Ok(Value::Array(_)) => elements(raw),
        Ok(Value::String(text)) => alone(text, is_binary),
        Ok(_) => vec![element(raw)],
    }
}

fn elements(raw: &str) -> Vec<Vec<u8>> {
    let items: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
    items.into_iter().map(|item| element(item.get())).collect()
}

fn element(raw: &str) -> Vec<u8> {
    match serde_json::from_str(raw) {
        Ok(Value::String(text)) => american(&text).unwrap_or(text).into_bytes(),
        Ok(Value::Bool(true)) => b"True".to_vec(),
        Ok(Value::Bool(false)) => b"False".to_vec(),
        Ok(Value::Null) => Vec::new(),
        _ => indented(raw).into_bytes(),
    }
}

fn alone(text: String, is_binary: bool) -> Vec<Vec<u8>> {
    if let Some(time) = american(&text) {
        return vec![time.into_bytes()];
    }
    // .NET's decoder skips blanks.
    let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    match STANDARD.decode(&dense) {
        Ok(bytes) if !is_binary && !dense.is_empty() => return vec![bytes],
        _ => {}
    }
    match serde_json::from_str(&text) {
        Ok(Value::Object(_)) => vec![indented(&text).into_bytes()],
        Ok(Value::Array(_)) => elements(&text),
        _ => vec![text.into_bytes()],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Recorded<'a> {
        /// `None`: the reply had no such output, but the queue got an empty message.
        #[serde(borrow)]
        sent: Option<&'a RawValue>,
        messages_decoded: Vec<String>,
    }

    /// A case's name says after the colon which binding it was, one of text or one of bytes. Bytes that are no text were
    /// recorded as U+FFFD.
    #[test]
    fn every_output_that_was_recorded_makes_the_messages_that_were_recorded() {
        let recorded = include_str!("../../../fixtures/host/queue-outputs.json");
        let recorded: BTreeMap<String, Recorded> = serde_json::from_str(recorded).expect("JSON");
        assert!(recorded.len() > 30);
        for (name, Recorded { sent, messages_decoded }) in recorded {
            let sent = match sent {
                None if name.starts_with("empty") => r#""""#,
                None => "null",
                Some(sent) => sent.get(),
            };
            let messages = messages(sent, name.ends_with(":outbin")).into_iter();
            let messages: Vec<_> =
                messages.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
            assert_eq!(messages, messages_decoded, "{name}: {sent}");
        }
    }
}
