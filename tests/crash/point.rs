//! When to kill. The steps of the exchanges are numbered by a run that nothing disturbs; a save into a
//! folder is no exchange, so there the points lie in the pause after a post, and where the folder changes.

use std::{fmt, time::Duration};

use simulator::{Moment, Peer, Service, Sink, Step};

use crate::stage::{Setting, Store};

/// What comes after the reply to a post is a save of some hundred microseconds.
const PAUSES: [u64; 6] = [100, 200, 400, 800, 1_600, 5_000];

/// A point of a run.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub setting: Setting,
    pub when: When,
}

#[derive(Clone, Copy, Debug)]
pub enum When {
    /// So long after the step of this number.
    Step(usize, Duration),
    /// At this change of the folder's, counted from 1.
    Folder(Change, usize),
}

/// A change that shows in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file beside the checkpoint appears, to replace it.
    Staged,
    /// The checkpoint is another file.
    Replaced,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.setting, self.when)
    }
}

/// All points of a setting, by the steps of its undisturbed run.
pub fn all(setting: Setting, steps: &[Moment]) -> Vec<Point> {
    let mut times: Vec<_> = steps.iter().map(|step| When::Step(step.number, Duration::ZERO)).collect();
    if setting.store == Store::Folder {
        let posts: Vec<_> = steps.iter().filter(|moment| is_post(setting.sink, moment, Step::Replied)).collect();
        for post in &posts {
            let pauses = PAUSES.map(Duration::from_micros);
            times.extend(pauses.map(|pause| When::Step(post.number, pause)));
        }
        // One save for each post, and the one that pins the start.
        for number in 1..=posts.len() + 1 {
            times.extend([Change::Staged, Change::Replaced].map(|change| When::Folder(change, number)));
        }
    }
    times.into_iter().map(|when| Point { setting, when }).collect()
}

/// Whether this is a step of a post to the sink.
pub fn is_post(sink: Sink, moment: &Moment, step: Step) -> bool {
    let service = match sink {
        Sink::DataCollector => Service::DataCollector,
        Sink::LogsIngestion => Service::LogsIngestion,
    };
    moment.peer == Peer::Service(service) && moment.step == step
}
