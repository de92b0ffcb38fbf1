//! The promises, against what the sink has accepted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use simulator::{Cloud, Event, Step, Target, shape::alert_id};

use crate::{
    crash::End,
    point::{When, is_post},
    stage::{Stage, Store},
};

/// How things stood when the process died.
pub struct Death {
    /// Posts accepted.
    posts: usize,
    /// Whether the last of them had been saved; none when nobody can know.
    is_saved: Option<bool>,
}

impl Death {
    /// The process has just died in this way.
    pub fn of(stage: &Stage<'_>, when: When) -> Self {
        let posts = stage.cloud.received().len();
        let events = stage.steps.events();
        let is_done = |event: &Event| is_post(stage.setting.sink, event, Step::Done);
        let last = events.iter().rposition(is_done);
        // A step of another call, made while the post was under way, can be the one at which it died.
        let has_unanswered = posts > events.iter().filter(|event| is_done(event)).count();
        let is_saved = match (last, stage.setting.store, when) {
            _ if has_unanswered => Some(false),
            (None, ..) => Some(true),
            (Some(last), Store::Blob(_), _) => Some(events[last..].iter().any(is_save)),
            (_, Store::Folder, When::HalfWritten(_)) => Some(false),
            (_, Store::Folder, _) => None,
        };
        Self { posts, is_saved }
    }
}

/// The ids of the alerts that the sink has.
pub fn delivered(cloud: &Cloud) -> BTreeSet<String> {
    cloud.received().iter().flat_map(|post| &post.records).map(|record| id(record)).collect()
}

/// Judges what a run with this death in it has brought to the sink.
pub fn judge(stage: &Stage<'_>, death: Option<&Death>) -> Result<End, String> {
    let posts = stage.cloud.received();
    let mut texts: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for record in posts.iter().flat_map(|post| &post.records) {
        texts.entry(id(record)).or_default().push(record);
    }
    let wanted = stage.cloud.alert_ids();
    if !texts.keys().eq(&wanted) {
        return Err(format!("{:?} were delivered of {wanted:?}", texts.keys()));
    }
    if let Some(text) = texts.values().find(|texts| texts.windows(2).any(|two| two[0] != two[1])) {
        return Err(format!("a repeat is not the same record: {text:?}"));
    }
    if !stage.cloud.rejected().is_empty() {
        return Err(format!("rejected: {:?}", stage.cloud.rejected()));
    }

    let repeated: BTreeSet<_> = texts.iter().filter(|(_, texts)| texts.len() > 1).map(|(id, _)| id).collect();
    if texts.values().any(|texts| texts.len() > 2) {
        return Err("one death, and a record came three times".to_owned());
    }
    let last = death.and_then(|death| posts[..death.posts].last());
    let in_flight: BTreeSet<String> =
        last.iter().flat_map(|post| &post.records).map(|text| id(text)).collect();
    let is_in_flight = repeated.iter().copied().eq(&in_flight);
    let as_promised = match death.map_or(Some(true), |death| death.is_saved) {
        Some(true) => repeated.is_empty(),
        Some(false) => is_in_flight,
        None => repeated.is_empty() || is_in_flight,
    };
    match (as_promised, death.is_some(), repeated.is_empty()) {
        (false, ..) => Err(format!("{repeated:?} were repeated, and in flight were {in_flight:?}")),
        (true, false, _) => Ok(End::Missed),
        (true, true, true) => Ok(End::NothingRepeated),
        (true, true, false) => Ok(End::OneBatchRepeated),
    }
}

fn is_save(event: &Event) -> bool {
    let Event { target, step, call, .. } = event;
    *target == Target::Storage
        && *step == Step::Done
        && call.starts_with("PUT ")
        && call.ends_with("/checkpoint.json")
}

fn id(record: &str) -> String {
    let record: Value = serde_json::from_str(record).expect("only JSON is accepted");
    alert_id(&record).expect("an alert has an id").to_owned()
}
