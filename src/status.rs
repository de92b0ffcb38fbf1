//! The status of the forwarder, from the state store alone: how far delivery has come, how the last runs ended, and what
//! is set aside. Pure.
//!
//! The watermark alone would overstate the lag. While there is nothing new it is not saved; but the newest complete run
//! has seen that there was nothing, so the lag is counted from that run if it is later. A run is recorded with the next
//! save, an hour later at most (`pipeline/ledger.rs`), so while there is nothing new the lag shown here can be up to an
//! hour although there is none.

pub mod page;
pub mod tenants;
mod text;

use std::{collections::BTreeMap, time::Duration};

use azure_core::time::OffsetDateTime;
use serde::Serialize;

use crate::{
    error_chain::chain,
    http::quota::Api,
    report::{RunResult, rfc3339},
    state::{
        checkpoint::{Checkpoint, Damage},
        history::{History, HistoryEntry},
        lease::Lease,
    },
};

/// The longest time without a successful run that is not a problem: twice as long as a run that found nothing may wait to
/// be recorded.
const SUCCESS_TIMEOUT: Duration = Duration::from_secs(2 * 3_600);

/// The status. The names of its members are part of the contract with the readers of `status --json`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What needs attention; empty if all is well.
    pub problems: Vec<String>,
    /// The time of the status.
    #[serde(serialize_with = "rfc3339")]
    pub now: Option<OffsetDateTime>,
    /// The location of the checkpoint, for messages.
    pub place: String,
    /// Why the checkpoint cannot be used.
    pub damage: Option<String>,
    /// The time before which everything is delivered or set aside, as saved.
    #[serde(serialize_with = "rfc3339")]
    pub watermark: Option<OffsetDateTime>,
    /// The age of the time before which everything is delivered or set aside, by the watermark or the newest complete
    /// run.
    pub lag_seconds: Option<u64>,
    /// The time before which nothing is listed again.
    #[serde(serialize_with = "rfc3339")]
    pub known_from: Option<OffsetDateTime>,
    /// The number of alerts since then that the checkpoint knows to be delivered.
    pub remembered: Option<usize>,
    /// The start of the newest run.
    #[serde(serialize_with = "rfc3339")]
    pub last_run: Option<OffsetDateTime>,
    /// The start of the newest run without an error.
    #[serde(serialize_with = "rfc3339")]
    pub last_success: Option<OffsetDateTime>,
    /// The process at work on the checkpoint, whose lease may have ended.
    pub lease: Option<Lease>,
    /// The calls that count against Defender's quotas.
    pub quota: BTreeMap<Api, CallCounts>,
    /// What is set aside.
    pub set_aside: SetAsideSummary,
    /// The last runs, oldest first.
    pub runs: History,
}

/// The number of calls of an API.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallCounts {
    /// In the last minute.
    pub last_minute: u64,
    /// In the last hour.
    pub last_hour: u64,
}

/// The documents that are set aside.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SetAsideSummary {
    /// The number of documents.
    pub count: usize,
    /// Those documents that were read, newest first.
    pub newest: Vec<SetAsideRow>,
}

/// A document that is set aside, as a row of a list.
#[derive(Debug, Clone, Serialize)]
pub struct SetAsideRow {
    /// The name of the document, which `set-aside show` accepts.
    pub name: String,
    /// The alert's id; `None` if it has none.
    pub id: Option<String>,
    /// When the document was written.
    pub when: String,
    /// The size of the document, in bytes.
    pub bytes: u64,
    /// Why the record is set aside.
    pub reason: String,
}

impl Status {
    /// Creates the status at `now` from the text of the checkpoint, which does not exist before the first run.
    pub fn new(place: String, text: Option<&[u8]>, set_aside: SetAsideSummary, now: OffsetDateTime) -> Self {
        let read = text.map(|text| Checkpoint::from_json(text, now)).transpose();
        let checkpoint = read.as_ref().ok().and_then(Option::as_ref);
        let runs = checkpoint.map(|checkpoint| checkpoint.history.clone()).unwrap_or_default();
        let newest =
            |is_wanted: fn(&HistoryEntry) -> bool| runs.entries().iter().rfind(|entry| is_wanted(entry));
        let last_run = newest(|entry| entry.result != RunResult::Skipped);
        let last_success = newest(HistoryEntry::is_success);
        let delivered_until = checkpoint.map(|checkpoint| {
            let seen = newest(|entry| entry.result == RunResult::Ok).and_then(delivered_until);
            seen.map_or(checkpoint.watermark, |seen| seen.max(checkpoint.watermark))
        });
        let calls = |(api, last_minute, last_hour)| (api, CallCounts { last_minute, last_hour });
        Self {
            problems: problems(&read, last_run, last_success, now),
            now: Some(now),
            place,
            damage: read.as_ref().err().map(|damage| chain(damage)),
            watermark: checkpoint.map(|checkpoint| checkpoint.watermark),
            lag_seconds: delivered_until.map(|time| (now - time).whole_seconds().max(0).unsigned_abs()),
            known_from: checkpoint.map(|checkpoint| checkpoint.known_from),
            remembered: checkpoint.map(|checkpoint| checkpoint.delivered().len()),
            last_run: last_run.map(HistoryEntry::last_start),
            last_success: last_success.map(HistoryEntry::last_start),
            lease: checkpoint.and_then(|checkpoint| checkpoint.lease.clone()),
            quota: checkpoint.iter().flat_map(|checkpoint| checkpoint.quota.used(now)).map(calls).collect(),
            set_aside,
            runs,
        }
    }
}

/// Returns the time before which everything was delivered or set aside when a complete run ended. Its lag is cut to whole
/// seconds, so one second is added: an earlier time is still correct.
fn delivered_until(entry: &HistoryEntry) -> Option<OffsetDateTime> {
    let lag = Duration::from_secs(entry.lag_seconds?.checked_add(1)?);
    let end = entry.last_start().checked_add(Duration::from_millis(entry.ms).try_into().ok()?)?;
    end.checked_sub(lag.try_into().ok()?)
}

fn problems(
    read: &Result<Option<Checkpoint>, Damage>,
    last_run: Option<&HistoryEntry>,
    last_success: Option<&HistoryEntry>,
    now: OffsetDateTime,
) -> Vec<String> {
    match read {
        Err(damage) => return vec![format!("the checkpoint cannot be used: {}", chain(damage))],
        Ok(None) => return vec!["there has been no run yet: the first begins at MDATP_START".to_owned()],
        Ok(Some(_)) => {}
    }
    let mut problems = Vec::new();
    if let Some(HistoryEntry { result: RunResult::Failed, error, .. }) = last_run {
        problems.push(format!("the last run failed: {}", error.as_deref().unwrap_or("no reason recorded")));
    }
    match (last_run, last_success) {
        (None, _) => problems.push("no run is recorded yet".to_owned()),
        (Some(_), None) => problems.push("none of the recorded runs has succeeded".to_owned()),
        (_, Some(success)) if now - success.last_start() > SUCCESS_TIMEOUT => {
            problems.push("no run has succeeded within the last 2 hours".to_owned());
        }
        _ => {}
    }
    problems
}

/// Returns a whole number of seconds as text.
fn span(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// Returns how long ago `time` is as text.
pub fn ago(time: OffsetDateTime, now: OffsetDateTime) -> String {
    format!("{} ago", span((now - time).whole_seconds().max(0).unsigned_abs()))
}

#[cfg(test)]
mod tests;
