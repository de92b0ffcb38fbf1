//! When to kill. The steps of the exchanges are numbered by a run that nothing disturbs. A save into a folder
//! is no exchange: there the points lie in the pause after a post, in the middle of the write, and where the
//! checkpoint has just been replaced.

use std::{fmt, time::Duration};

use simulator::{Event, Sink, Step, Target};

use crate::{
    crash::Rehearsal,
    stage::{Setting, Store},
};

/// What comes after the reply to a post is a save of some hundred microseconds.
const PAUSES: [u64; 6] = [100, 200, 400, 800, 1_600, 5_000];

/// A point of a run.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    pub setting: Setting<'a>,
    pub when: When,
}

#[derive(Clone, Copy, Debug)]
pub enum When {
    /// So long after the step of this number.
    Step(usize, Duration),
    /// At the step of this number, and half of the new checkpoint has been written. That write is too short
    /// to be hit, so its half is put there after the death.
    HalfWritten(usize),
    /// When the checkpoint's file has been replaced so often.
    Replaced(usize),
}

impl fmt::Display for Point<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.setting, self.when)
    }
}

/// All points of a setting.
pub fn all<'a>(setting: Setting<'a>, Rehearsal { steps, saves }: &Rehearsal) -> Vec<Point<'a>> {
    let mut times: Vec<_> = steps.iter().map(|step| When::Step(step.number, Duration::ZERO)).collect();
    if matches!(setting.store, Store::Folder) {
        let posts = |step| steps.iter().filter(move |event| is_post(setting.sink, event, step));
        for post in posts(Step::Replied) {
            let pauses = PAUSES.map(Duration::from_micros);
            times.extend(pauses.map(|pause| When::Step(post.number, pause)));
        }
        times.extend(posts(Step::Done).map(|post| When::HalfWritten(post.number)));
        times.extend((1..=*saves).map(When::Replaced));
    }
    times.into_iter().map(|when| Point { setting, when }).collect()
}

/// Whether this is a step of a post to the sink.
pub fn is_post(sink: Sink, event: &Event, step: Step) -> bool {
    event.target == Target::Service(sink.service()) && event.step == step
}
