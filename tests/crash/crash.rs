//! One crash: run up to the point, die there, start again, and go on until all is delivered.

use std::{pin::pin, time::Duration};

use serde_json::Value;
use simulator::{
    Moment, Steps,
    azurite::Azurite,
    functions_host::{FunctionsHost, Payload},
};

use crate::{
    folder::Watch,
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
    /// The change of the folder came and went between two looks, so nobody was killed.
    Missed,
}

/// The steps of a run that nothing disturbs.
pub async fn rehearse(setting: Setting, azurite: &Azurite) -> Result<Vec<Moment>, String> {
    let steps = Steps::default();
    let stage = Stage::set(setting, steps.clone(), azurite).await?;
    let mut run = Run { host: stage.host().await?, stage, pause: Duration::ZERO, death: None };
    for arrival in run.stage.arrivals() {
        run.stage.arrive(arrival);
        run.deliver().await?;
    }
    let moments = steps.moments();
    match run.judge().await? {
        End::Missed => Ok(moments),
        other => Err(format!("nobody was to be killed: {other:?}")),
    }
}

/// Crashes at `point`.
pub async fn at(point: Point, azurite: &Azurite) -> Result<End, String> {
    let (number, pause) = match point.when {
        When::Step(number, pause) => (Some(number), pause),
        When::Folder(..) => (None, Duration::ZERO),
    };
    let steps = Steps::new(move |moment| number == Some(moment.number));
    let stage = Stage::set(point.setting, steps.clone(), azurite).await?;
    let _watch = match (point.when, stage.checkpoint_file()) {
        (When::Folder(change, times), Some(file)) => Some(Watch::over(file, change, times, steps)),
        _ => None,
    };
    let mut run = Run { host: stage.host().await?, stage, pause, death: None };
    for arrival in run.stage.arrivals() {
        run.stage.arrive(arrival);
        run.deliver().await?;
    }
    match run.judge().await? {
        End::Missed if number.is_some() => Err("the run never came to this step".to_owned()),
        end => Ok(end),
    }
}

struct Run {
    stage: Stage,
    host: FunctionsHost,
    /// From the halt of the world to the kill.
    pause: Duration,
    death: Option<Death>,
}

impl Run {
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
        let Self { stage, host, .. } = &*self;
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
        tokio::time::sleep(self.pause).await;
        host.kill().await;
        let death = Death::of(&stage.cloud, &stage.steps.moments());
        stage.steps.go_on();
        if invocation.is_none() {
            firing.await;
        }
        host.restart().await?;
        self.death = Some(death);
        Ok(Value::Null)
    }

    /// What came of it, once all is delivered. One more tick of one more process finds nothing to do.
    async fn judge(mut self) -> Result<End, String> {
        self.host.restart().await?;
        let report = self.deliver().await?;
        if report["alertsSent"] != 0 {
            return Err(format!("all was delivered, and then: {report}"));
        }
        promise::judge(&self.stage, self.death.as_ref())
    }
}
