//! The promises, as checks of what was seen from outside.
//!
//! Repeats are bounded in this way: a post that was accepted is either remembered by a checkpoint in the
//! store, or has an excuse, one for each lost reply, killed process or save that failed. What is
//! remembered is never remembered a second time. So there are at most as many repeats as there were
//! records in posts with an excuse.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use mdatp_forward::testing::{Mode, Outcome};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use serde_json::Value;

use crate::{
    alert::State,
    ledger::{Acceptance, Ledger, Post, find},
    scene::{Scene, Stage},
};

/// An alert and its state, by number.
pub type Key = (usize, usize);

/// What is set aside in the store.
pub async fn set_aside(stage: &Stage) -> BTreeSet<Key> {
    let store = stage.lock().store.clone();
    let found: Vec<_> =
        store.list(Some(&Path::from("set-aside"))).try_collect().await.expect("memory can be listed");
    let mut keys = BTreeSet::new();
    for meta in found {
        let text = store.get(&meta.location).await.expect("memory can be read").bytes().await;
        let document: Value = serde_json::from_slice(&text.expect("memory")).expect("a document");
        let mut scene = stage.lock();
        match find(&scene.world.alerts, &document["record"].to_string()) {
            Ok((number, shown, _)) => drop(keys.insert((number, shown))),
            Err(wrong) => scene.ledger.wrong.push(wrong),
        }
    }
    keys
}

/// Checks a run that is over. `listed` is what Defender listed when it began.
pub fn after_run(
    scene: &Scene,
    aside: &BTreeSet<Key>,
    listed: &[Key],
    run: u32,
    outcome: &Outcome,
) -> Result<(), String> {
    sound(&scene.ledger, |post| post.run == run)?;
    let (report, result) = outcome;
    if report.error.is_some() != result.is_err() {
        return Err(format!("run {run} failed, but its report has no error, or the other way round"));
    }
    let (true, Ok(()), Some(from), Some(to)) = (report.complete, result, report.from, report.to) else {
        return Ok(());
    };
    let done: BTreeSet<Key> = scene.ledger.by_state().into_keys().chain(aside.iter().copied()).collect();
    let missed = listed.iter().find(|key| {
        let alert = &scene.world.alerts[key.0];
        let is_inside = (from..to).contains(&alert.time(key.1, scene.setup.mode));
        is_inside && !is_done(scene, &done, **key)
    });
    match missed {
        None => Ok(()),
        Some(key) => Err(format!("run {run} is complete without {}", scene.world.alerts[key.0].id)),
    }
}

/// Checks a life that is over.
pub fn at_the_end(scene: &Scene, aside: &BTreeSet<Key>) -> Result<(), String> {
    let Scene { setup, world, ledger, .. } = scene;
    sound(ledger, |_| true)?;
    let by_state = ledger.by_state();
    let done: BTreeSet<Key> = by_state.keys().chain(aside).copied().collect();
    let is_wanted = |key: Key| world.alerts[key.0].time(key.1, setup.mode) >= setup.start;

    for (number, alert) in world.alerts.iter().enumerate() {
        let last = (number, alert.states.len() - 1);
        if is_wanted(last) && !is_done(scene, &done, last) {
            let State { updated, visible, .. } = &alert.states[last.1];
            return Err(format!("{} of {updated}, listed since {visible}, is lost", alert.id));
        }
    }
    if let Some(key) = done.iter().find(|key| !is_wanted(**key)) {
        return Err(format!("{} was sent although it is older than the start", world.alerts[key.0].id));
    }
    let mut remembered = BTreeSet::new();
    for (key, acceptances) in by_state {
        let id = &world.alerts[key.0].id;
        // Where a machine could be read one time and not the other, there are two records, and where the source has
        // changed. What a hunting query adds are tags here.
        let has = |one: &Acceptance, name: &str| one.text.contains(&format!("\"{name}\":"));
        let kind = |one: &&Acceptance| (one.has_machine, has(one, "serviceSource"), has(one, "machineTags"));
        let kinds: BTreeSet<_> = acceptances.iter().map(kind).collect();
        let texts: BTreeSet<_> = acceptances.iter().map(|one| &one.text).collect();
        if texts.len() > kinds.len() {
            return Err(format!("the records of {id} differ though its state is the same"));
        }
        for acceptance in acceptances.iter().filter(|acceptance| ledger.posts[acceptance.post].remembered) {
            let one = if setup.mode == Mode::Created { (key.0, 0) } else { key };
            if !remembered.insert(one) {
                return Err(format!("{id} was sent in post {} although it was remembered", acceptance.post));
            }
        }
    }
    Ok(())
}

/// Delivered or set aside; in updated mode a state that is no more needs neither.
fn is_done(scene: &Scene, done: &BTreeSet<Key>, (alert, state): Key) -> bool {
    match scene.setup.mode {
        Mode::Created => done.range((alert, 0)..(alert + 1, 0)).next().is_some(),
        Mode::Updated => done.contains(&(alert, state)) || scene.world.alerts[alert].states.len() > state + 1,
    }
}

/// Every record is what it should be, and every post that `concerns` us is remembered or excused.
fn sound(ledger: &Ledger, concerns: impl Fn(&Post) -> bool) -> Result<(), String> {
    if let Some(wrong) = ledger.wrong.first() {
        return Err(wrong.clone());
    }
    let lacks = |post: &Post| concerns(post) && !post.remembered && post.excuse.is_none();
    match ledger.posts.iter().position(lacks) {
        None => Ok(()),
        Some(post) => Err(format!("post {post} was accepted and not saved, for no reason")),
    }
}
