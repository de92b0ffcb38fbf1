//! The real binary is killed with SIGKILL at every step of its work with the outside, started again, and
//! held to its promises: nothing is lost, and at most the batch in flight repeats, byte for byte.
//!
//! Every run of the tests takes a sample of ten points for each sink and store, chosen by `SEED`. All of them:
//! `CRASH_POINTS=all tests/run --test crash -- --nocapture`. Any other value picks the points whose name
//! contains it.

mod crash;
mod folder;
mod point;
mod promise;
mod stage;

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use simulator::{Sink, azurite::Azurite};

use crate::{
    point::Point,
    stage::{Setting, Store},
};

/// Points in the sample of each setting.
const SAMPLE: usize = 10;

/// Crashes that a test tries at the same time.
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_at_any_step_loses_nothing_and_repeats_at_most_one_batch() {
    crash(Store::Folder).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn with_its_checkpoint_in_blob_storage_it_is_the_same() {
    crash(Store::Blob(&Azurite::start().await)).await;
}

/// Kills at the points that are asked for, with both sinks.
async fn crash(store: Store<'_>) {
    let seed = variable("SEED").and_then(|text| text.parse().ok()).unwrap_or(1);
    let wish = variable("CRASH_POINTS");

    let mut points = Vec::new();
    for (sink, from_graph) in
        [(Sink::DataCollector, false), (Sink::LogsIngestion, false), (Sink::LogsIngestion, true)]
    {
        let setting = Setting { sink, from_graph, store };
        let rehearsal = crash::rehearse(setting).await.expect("undisturbed, all is well");
        points.extend(chosen(point::all(setting, &rehearsal), wish.as_deref(), seed));
    }

    let crash = async |point| (point, crash::at(point).await);
    let crashes = points.iter().copied().map(crash);
    let crashes: Vec<_> = stream::iter(crashes).buffer_unordered(AT_ONCE).collect().await;
    let mut counts = BTreeMap::new();
    let mut broken = Vec::new();
    for (point, outcome) in crashes {
        match outcome {
            Ok(end) => *counts.entry(format!("{}: {end:?}", point.setting)).or_insert(0) += 1,
            Err(problem) => broken.push(format!("{point}: {problem}")),
        }
    }
    println!("{} points: {counts:#?}", points.len());
    let broken = broken.join("\n");
    assert!(broken.is_empty(), "SEED={seed} CRASH_POINTS={}\n{broken}", wish.unwrap_or_default());
}

/// Those of a setting's points that are asked for: a sample, unless there is a wish.
fn chosen<'a>(mut points: Vec<Point<'a>>, wish: Option<&str>, seed: u64) -> Vec<Point<'a>> {
    match wish {
        Some("all") => {}
        Some(part) => points.retain(|point| point.to_string().contains(part)),
        None => {
            fastrand::Rng::with_seed(seed).shuffle(&mut points);
            points.truncate(SAMPLE);
        }
    }
    points
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok()
}
