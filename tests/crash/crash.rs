//! One crash: run up to the point, die there, start again, and go on until all is delivered.

use std::pin::pin;

use serde_json::Value;
use simulator::{
    Event, Steps,
    functions_host::{FunctionsHost, Payload},
};

use crate::{
    folder::{self, SkewProbe},
    point::{Point, When},
    promise::{self, Death},
    stage::{Setting, Stage},
};

/// Ticks after which a run that is still not complete never will be.
const TICKS: usize = 5;

/// How a crash ended, when no promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    NothingRepeated,
    OneBatchRepeated,
    /// Nobody was killed: the watch over a folder had missed a change.
    Missed,
}

/// What a run that nothing disturbs looks like from outside.
pub struct Rehearsal {
    pub steps: Vec<Event>,
    /// How often the checkpoint's file was replaced, where it is one.
    pub saves: usize,
}

/// Runs without a crash.
pub async fn rehearse(setting: Setting<'_>) -> Result<Rehearsal, String> {
    let never = When::Replaced(usize::MAX);
    let steps = Steps::default();
    let stage = Stage::set(setting, steps.clone()).await?;
    let watch = watch(&stage, never);
    match Run::begin(stage, never).await?.finish().await? {
        End::Missed => Ok(Rehearsal { steps: steps.events(), saves: watch.map_or(0, |watch| watch.seen()) }),
        other => Err(format!("nobody was to be killed: {other:?}")),
    }
}

/// Crashes at `point`.
pub async fn at(point: Point<'_>) -> Result<End, String> {
    let number = match point.when {
        When::Step(number, _) | When::HalfWritten(number) => Some(number),
        When::Replaced(_) => None,
    };
    let steps = Steps::new(move |event| number == Some(event.number));
    let stage = Stage::set(point.setting, steps).await?;
    let _watch = watch(&stage, point.when);
    match Run::begin(stage, point.when).await?.finish().await? {
        End::Missed if number.is_some() => Err("the run never came to this step".to_owned()),
        end => Ok(end),
    }
}

fn watch(stage: &Stage<'_>, when: When) -> Option<SkewProbe> {
    match (when, stage.checkpoint_file()) {
        (When::Replaced(times), Some(file)) => Some(SkewProbe::over(file, times, stage.steps.clone())),
        _ => None,
    }
}

struct Run<'a> {
    stage: Stage<'a>,
    host: FunctionsHost,
    when: When,
    death: Option<Death>,
}

impl<'a> Run<'a> {
    async fn begin(stage: Stage<'a>, when: When) -> Result<Self, String> {
        Ok(Self { host: stage.host().await?, stage, when, death: None })
    }

    /// Everything arrives and is delivered, whatever dies. One more tick of one more process finds nothing
    /// left to do.
    async fn finish(mut self) -> Result<End, String> {
        for arrival in self.stage.arrivals() {
            self.stage.arrive(arrival);
            self.deliver().await?;
        }
        self.host.restart().await?;
        let report = self.deliver().await?;
        if report["alertsSent"] != 0 {
            return Err(format!("all was delivered, and then: {report}"));
        }
        promise::judge(&self.stage, self.death.as_ref())
    }

    /// Fires until a run says that it is complete.
    async fn deliver(&mut self) -> Result<Value, String> {
        let mut last = Value::Null;
        for _ in 0..TICKS {
            last = self.tick().await?;
            if last["complete"] == true {
                let delivered = promise::delivered(&self.stage.cloud);
                let missing: Vec<_> =
                    self.stage.cloud.alert_ids().into_iter().filter(|id| !delivered.contains(id)).collect();
                return match missing.is_empty() {
                    true => Ok(last),
                    false => Err(format!("complete, and these are not delivered: {missing:?}")),
                };
            }
        }
        Err(format!("not complete after {TICKS} ticks: {last}; {:?}", self.host.stderr()))
    }

    /// One tick, in which the process may be killed and started again.
    async fn tick(&mut self) -> Result<Value, String> {
        let Self { stage, host, when, death } = self;
        let mut firing = pin!(host.fire(Payload::Regular));
        let invocation = tokio::select! {
            invocation = &mut firing => Some(invocation),
            () = stage.steps.halted() => None,
        };
        if !stage.steps.is_halted() {
            return match invocation {
                Some(invocation) if invocation.succeeded() => Ok(invocation.report),
                other => Err(format!("a run failed although all is well: {other:?}")),
            };
        }
        if let When::Step(_, pause) = when {
            // Tokio's timer counts whole milliseconds only.
            std::thread::sleep(*pause);
        }
        host.kill().await;
        if let (When::HalfWritten(_), Some(file)) = (&*when, stage.checkpoint_file()) {
            folder::half_write(&file).map_err(|problem| format!("{}: {problem}", file.display()))?;
        }
        *death = Some(Death::of(stage, *when));
        stage.steps.resume();
        if invocation.is_none() {
            firing.await;
        }
        host.restart().await?;
        Ok(Value::Null)
    }
}
