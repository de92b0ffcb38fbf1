//! One life from its birth to the day when nothing is left to do.

use std::time::Duration;

use futures::future::join_all;
use simulator::Quirk;
use tokio::{runtime, time::sleep};

use crate::{
    process::{Fate, Process},
    promises,
    scene::{Stage, Tally},
};

/// So many good runs must be enough to come to rest.
const RUNS_TO_SETTLE: u32 = 40;

/// What a life left behind.
pub struct Life {
    /// Everything that happened.
    pub trace: String,
    /// How often what happened.
    pub tally: Tally,
    /// The promise that was broken.
    pub broken: Option<String>,
}

impl Life {
    /// Plays the life of `seed`.
    pub fn play(seed: u64) -> Self {
        // The program draws from its thread's own generator how long it waits before it tries again.
        fastrand::seed(seed);
        let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime without I/O").block_on(async {
            let stage = Stage::draw(seed);
            let broken = live(&stage).await.err();
            let mut scene = stage.lock();
            let (trace, tally) = (std::mem::take(&mut scene.trace), std::mem::take(&mut scene.tally));
            Self { trace, tally, broken }
        })
    }
}

async fn live(stage: &Stage) -> Result<(), String> {
    let mut process = None;
    let ticks = stage.lock().rng.u8(1..8);
    for _ in 0..ticks {
        let (fates, gap) = {
            let mut scene = stage.lock();
            scene.trouble();
            let processes = [1, 1, 1, 1, 1, 1, 1, 2, 2, 3][scene.rng.usize(0..10)];
            let fates: Vec<_> = (0..processes).map(|_| Fate::draw(&mut scene.rng)).collect();
            let fates = if processes > 1 { fates.into_iter().map(Fate::near).collect() } else { fates };
            (fates, scene.rng.u64(10..900))
        };
        let mut first = process.take();
        let ticks = fates.into_iter().enumerate().map(|(place, fate)| {
            let delay = if place == 0 { 0 } else { stage.lock().rng.u64(0..20_000) };
            let process = first.take();
            async move {
                sleep(Duration::from_millis(delay)).await;
                tick(stage, process.unwrap_or_else(|| Process::start(stage)), fate).await
            }
        });
        let ended: Result<Vec<_>, String> = join_all(ticks.collect::<Vec<_>>()).await.into_iter().collect();
        process = ended?.into_iter().next().flatten();
        process = process.filter(|_| stage.lock().rng.bool());
        sleep(Duration::from_secs(gap)).await;
    }
    settle(stage).await?;
    let aside = promises::set_aside(stage).await;
    let mut scene = stage.lock();
    let records = scene.ledger.acceptances.len();
    scene.tally.insert("alerts set aside", aside.len());
    let states = scene.ledger.by_state().len();
    scene.tally.insert("records", records);
    scene.tally.insert("repeats", records - states);
    promises::at_the_end(&scene, &aside)
}

/// One run and the checks after it. Returns the process if it lives on.
async fn tick(stage: &Stage, mut process: Process, fate: Fate) -> Result<Option<Process>, String> {
    let listed = {
        let mut scene = stage.lock();
        scene.catch_up();
        scene.world.listed(scene.now())
    };
    let (run, outcome) = process.run(fate).await;
    let Some(outcome) = outcome else { return Ok(None) };
    let aside = promises::set_aside(stage).await;
    promises::after_run(&stage.lock(), &aside, &listed, run, &outcome)?;
    Ok((!process.is_stopping()).then_some(process))
}

/// All troubles are over. Everything comes to rest within some runs.
async fn settle(stage: &Stage) -> Result<(), String> {
    stage.lock().calm();
    let rest = stage.lock().rest();
    sleep(rest).await;
    for run in 0..RUNS_TO_SETTLE {
        if run == RUNS_TO_SETTLE / 2 {
            // A record that the sink refuses is set aside only once the sink has taken another.
            stage.lock().one_more();
        }
        sleep(Duration::from_secs(300)).await;
        let mut process = Process::start(stage);
        let (_, outcome) = process.run(Fate::GOOD).await;
        let (report, result) = outcome.expect("nobody kills it");
        // Where Defender does not skip, nobody can say for certain that the list is complete.
        let is_complete = report.complete || stage.lock().setup.quirk == Some(Quirk::IgnoreSkip);
        // A run that another process's lease made it skip has looked at nothing.
        if result.is_ok() && report.skipped.is_none() && is_complete && report.alerts_sent == 0 {
            return Ok(());
        }
    }
    Err(format!("it does not settle within {RUNS_TO_SETTLE} runs"))
}
