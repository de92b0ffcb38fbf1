//! The timer trigger by the clock, for use by hand.

use super::{Framing, FunctionsHost, Invocation, Payload, Schedule};
use crate::clock::now;

impl FunctionsHost {
    /// When the timer fires: what function.json says, with `%NAME%` taken from the settings.
    pub fn schedule(&self) -> Result<Schedule, String> {
        let (.., written) = self.job.worker.app.timer().ok_or("no function has a timer")?;
        let name = written.strip_prefix('%').and_then(|rest| rest.strip_suffix('%'));
        let setting = |name| self.job.worker.start.settings.iter().find(|(known, _)| known == name);
        match name.map(|name| (name, setting(name))) {
            None => Schedule::parse(written),
            Some((_, Some((_, text)))) => Schedule::parse(text),
            Some((name, None)) => Err(format!("the setting {name}, the timer's schedule, is missing")),
        }
    }

    /// Fires by `schedule` until `until` ends or the host has stopped, and passes each invocation to `tell`.
    /// Runs never overlap: one that lasts past its next times is followed by a single run at once.
    pub async fn run_timer(
        &self,
        schedule: &Schedule,
        until: impl Future<Output = ()>,
        mut tell: impl FnMut(&Invocation),
    ) {
        let ticking = async {
            let mut payload =
                if schedule.is_monitored(now()) { Payload::FirstRun } else { Payload::NoStatus };
            let mut previous = now();
            let mut next = schedule.after(previous);
            while let Some(due) = next {
                let wait = (due - now()).try_into().unwrap_or_default();
                tokio::time::sleep(wait).await;
                let started = now();
                tell(&self.invoke(&payload, Framing::Chunked, previous, due, due - previous).await);
                if payload == Payload::FirstRun {
                    payload = Payload::Regular;
                }
                previous = started;
                // Not before the one just fired, whatever the clock does.
                next = schedule.after(started.max(due));
            }
        };
        tokio::select! {
            () = ticking => {}
            () = until => {}
            () = self.stopped() => {}
        }
    }
}
