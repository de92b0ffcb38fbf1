//! How the forwarder is doing, as far as the state store tells: how far delivery has come, what the last runs
//! came to, and what is set aside. Pure.
//!
//! The watermark alone tells too little. While nothing happens it is not saved, and stays behind; but the newest
//! complete run has seen that there was nothing, so the lag is counted from there if that is later. A run is
//! written down with the next save, at the latest an hour after (`pipeline/ledger.rs`), so while nothing happens the
//! lag told here can be an hour although there is none.

pub mod page;
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
        history::{Entry, History},
    },
};

/// Without a success in so long a time something is wrong: twice as long as a run that finds nothing may wait until
/// it is written down.
const PATIENCE: Duration = Duration::from_secs(2 * 3_600);

/// What there is to say.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What somebody should look at; empty when all is well.
    pub problems: Vec<String>,
    /// When this was found.
    #[serde(serialize_with = "rfc3339")]
    pub now: Option<OffsetDateTime>,
    /// The checkpoint's place, in words.
    pub place: String,
    /// Why the checkpoint cannot be used.
    pub damage: Option<String>,
    /// Up to where everything is delivered or set aside, as saved.
    #[serde(serialize_with = "rfc3339")]
    pub watermark: Option<OffsetDateTime>,
    /// How long ago the time lies before which everything is dealt with, by the watermark or the newest complete
    /// run.
    pub lag_seconds: Option<u64>,
    /// Nothing before is looked at again.
    #[serde(serialize_with = "rfc3339")]
    pub known_from: Option<OffsetDateTime>,
    /// How many alerts are remembered as delivered.
    pub remembered: Option<usize>,
    /// When the newest run began.
    #[serde(serialize_with = "rfc3339")]
    pub last_run: Option<OffsetDateTime>,
    /// When the newest run without an error began.
    #[serde(serialize_with = "rfc3339")]
    pub last_success: Option<OffsetDateTime>,
    /// The calls that count against the quotas.
    pub quota: BTreeMap<Api, CallCounts>,
    /// What is set aside.
    pub set_aside: SetAsideSummary,
    /// The last runs, the oldest first.
    pub runs: History,
}

/// CallCounts of an API.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallCounts {
    /// In the last minute.
    pub last_minute: u64,
    /// In the last hour.
    pub last_hour: u64,
}

/// What is set aside.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SetAsideSummary {
    /// How many documents.
    pub count: usize,
    /// The newest of them, the newest first, as far as they were read.
    pub newest: Vec<SetAsideRow>,
}

/// A document that is set aside.
#[derive(Debug, Clone, Serialize)]
pub struct SetAsideRow {
    /// Its name, as `set-aside show` takes it.
    pub name: String,
    /// The alert's id, as far as it has one.
    pub id: Option<String>,
    /// When it was written.
    pub when: String,
    /// Its length.
    pub bytes: u64,
    /// Why it is there.
    pub reason: String,
}

impl Status {
    /// What the checkpoint's document says at `now`; there is none before the first run.
    pub fn of(place: String, text: Option<&[u8]>, set_aside: SetAsideSummary, now: OffsetDateTime) -> Self {
        let read = text.map(|text| Checkpoint::from_json(text, now)).transpose();
        let checkpoint = read.as_ref().ok().and_then(Option::as_ref);
        let runs = checkpoint.map(|checkpoint| checkpoint.history.clone()).unwrap_or_default();
        let newest = |is_meant: fn(&Entry) -> bool| runs.entries().iter().rfind(|entry| is_meant(entry));
        let last_run = newest(|entry| entry.result != RunResult::Skipped);
        let last_success = newest(Entry::is_success);
        let reached = checkpoint.map(|checkpoint| {
            let seen = newest(|entry| entry.result == RunResult::Ok).and_then(reached);
            seen.map_or(checkpoint.watermark, |seen| seen.max(checkpoint.watermark))
        });
        let calls = |(api, last_minute, last_hour)| (api, CallCounts { last_minute, last_hour });
        Self {
            problems: problems(&read, last_run, last_success, now),
            now: Some(now),
            place,
            damage: read.as_ref().err().map(|damage| chain(damage)),
            watermark: checkpoint.map(|checkpoint| checkpoint.watermark),
            lag_seconds: reached.map(|reached| (now - reached).whole_seconds().max(0).unsigned_abs()),
            known_from: checkpoint.map(|checkpoint| checkpoint.known_from),
            remembered: checkpoint.map(|checkpoint| checkpoint.delivered().len()),
            last_run: last_run.map(Entry::last_start),
            last_success: last_success.map(Entry::last_start),
            quota: checkpoint.iter().flat_map(|checkpoint| checkpoint.quota.used(now)).map(calls).collect(),
            set_aside,
            runs,
        }
    }
}

/// The time before which a complete run had dealt with everything. Its lag is cut to whole seconds, so it is one
/// more here: too early a time is true as well.
fn reached(entry: &Entry) -> Option<OffsetDateTime> {
    let lag = Duration::from_secs(entry.lag_seconds?.checked_add(1)?);
    let end = entry.last_start().checked_add(Duration::from_millis(entry.ms).try_into().ok()?)?;
    end.checked_sub(lag.try_into().ok()?)
}

fn problems(
    read: &Result<Option<Checkpoint>, Damage>,
    last_run: Option<&Entry>,
    last_success: Option<&Entry>,
    now: OffsetDateTime,
) -> Vec<String> {
    match read {
        Err(damage) => return vec![format!("the checkpoint cannot be used: {}", chain(damage))],
        Ok(None) => return vec!["there has been no run yet: the first begins at MDATP_START".to_owned()],
        Ok(Some(_)) => {}
    }
    let mut problems = Vec::new();
    if let Some(Entry { result: RunResult::Failed, error, .. }) = last_run {
        problems.push(format!("the last run failed: {}", error.as_deref().unwrap_or("nobody knows why")));
    }
    match (last_run, last_success) {
        (None, _) => problems.push("no run is written down yet".to_owned()),
        (Some(_), None) => problems.push("none of the runs that are written down has succeeded".to_owned()),
        (_, Some(success)) if now - success.last_start() > PATIENCE => {
            problems.push("no run has succeeded within the last 2 hours".to_owned());
        }
        _ => {}
    }
    problems
}

/// A whole number of seconds, to read.
fn span(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// How long ago `time` is, to read.
fn ago(time: OffsetDateTime, now: OffsetDateTime) -> String {
    format!("{} ago", span((now - time).whole_seconds().max(0).unsigned_abs()))
}

#[cfg(test)]
mod tests;
