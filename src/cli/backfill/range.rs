//! What a backfill may send: the past from a given time on, up to where the timer began, and nothing that
//! another backfill has sent or is to send. Pure.
//!
//! Every time belongs to one of them. The timer lists what is not before its `start`, a backfill what is
//! before its `until`, and `until` is never after `start`; so neither has to know what the other does.

use std::fmt;

use azure_core::time::{OffsetDateTime, to_rfc3339};

use crate::{
    config,
    record::{
        timestamp::{self, floor},
        window::Window,
    },
    state::backfills::FOLDER,
    state::checkpoint::Checkpoint,
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct BackfillRequest {
    /// Where to begin.
    pub from: OffsetDateTime,
    /// Where to end; none for where the timer began.
    pub to: Option<OffsetDateTime>,
}

/// What is going to be done.
#[derive(Debug, PartialEq, Eq)]
pub struct BackfillPlan {
    /// The times to send.
    pub range: Window,
    /// How far that has come.
    pub checkpoint: Checkpoint,
    /// True when the end asked for was later, in the timer's time.
    pub is_cut: bool,
}

/// A backfill there has been, finished or not.
#[derive(Debug, Clone)]
pub struct EarlierBackfill {
    /// The name of its checkpoint's document.
    pub name: String,
    /// How far it has come.
    pub checkpoint: Checkpoint,
}

impl EarlierBackfill {
    fn range(&self) -> Window {
        let Checkpoint { start, until, known_from, watermark, .. } = &self.checkpoint;
        Window { from: start.unwrap_or(*known_from), to: until.unwrap_or(*watermark) }
    }
}

/// A time, or a day in UTC. No duration: the same command has to mean the same when it is given again.
pub fn time(text: &str) -> Result<OffsetDateTime, String> {
    let read = timestamp::read(text).or_else(|| timestamp::read(&format!("{text}T00:00:00Z")));
    let time = read.ok_or("must be an RFC 3339 time (2026-11-01T00:00:00Z) or a day (2026-11-01)")?;
    // As Defender writes times: in UTC, and no finer.
    Ok(floor(config::time::not_too_early(time)?))
}

/// A share of the quotas.
pub fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "must be a number above 0, at most 1".to_owned())
}

/// What the timer leaves of the quotas, but something in any case.
pub fn share_beside(timer: f64) -> f64 {
    // Without the noise of the subtraction: a call less would be the consequence.
    (((1.0 - timer) * 1e6).round() / 1e6).max(0.05)
}

/// The name of the checkpoint of the backfill that begins at `from`.
pub fn name(from: OffsetDateTime) -> String {
    format!("{FOLDER}/{}", to_rfc3339(&from).replace(['-', ':', '.'], ""))
}

/// Decides what to do for a wish beside the timer, whose checkpoint is `timer`, and after `backfills`.
pub fn plan(
    wish: BackfillRequest,
    timer: Option<&Checkpoint>,
    backfills: &[EarlierBackfill],
) -> Result<BackfillPlan, InvalidRange> {
    let timer = timer.ok_or(InvalidRange::NoTimer)?;
    // Before `start` was noted nobody knows where the timer began, except that it was not after this.
    let limit = timer.start.unwrap_or(timer.known_from);
    let to = wish.to.or(timer.start).ok_or(InvalidRange::UnknownStart(limit))?;
    let own = backfills.iter().find(|past| past.range().from == wish.from);
    if let Some(until) = own.map(|own| own.range().to).filter(|until| to < *until && *until <= limit) {
        return Err(InvalidRange::Shorter { from: wish.from, until });
    }
    // What has been sent stays sent, wherever the timer is told to begin.
    let end = to.min(limit).max(own.map_or(wish.from, |own| own.checkpoint.watermark));
    let range = Window { from: wish.from, to: end };
    if range.from == range.to {
        return Err(InvalidRange::Nothing { limit, is_limit: to >= limit });
    }
    let is_other = |past: &&EarlierBackfill| past.range().from != wish.from;
    let overlaps = |past: &&EarlierBackfill| past.range().from < range.to && range.from < past.range().to;
    if let Some(past) = backfills.iter().filter(is_other).find(overlaps) {
        return Err(InvalidRange::Overlap { past: Box::new(past.clone()), range });
    }
    let mut checkpoint =
        own.map_or_else(|| Checkpoint::starting_at(range.from), |own| own.checkpoint.clone());
    checkpoint.until = Some(range.to);
    Ok(BackfillPlan { range, checkpoint, is_cut: wish.to.is_some_and(|to| to > limit) })
}

/// Why nothing is sent.
#[derive(Debug)]
pub enum InvalidRange {
    /// Without the timer's checkpoint nobody can tell its alerts from those of the past.
    NoTimer,
    /// The timer's checkpoint does not say where it began, only that it was not after this.
    UnknownStart(OffsetDateTime),
    /// There is no time between the beginning and the end.
    Nothing {
        /// Where the timer's time begins.
        limit: OffsetDateTime,
        /// True when that is the end.
        is_limit: bool,
    },
    /// A backfill of the same beginning is to go further.
    Shorter {
        /// Where it begins.
        from: OffsetDateTime,
        /// Where it ends.
        until: OffsetDateTime,
    },
    /// Another backfill has sent some of it, or is to send it.
    Overlap {
        /// The other one.
        past: Box<EarlierBackfill>,
        /// What was asked for.
        range: Window,
    },
}

impl fmt::Display for InvalidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing is sent: ")?;
        match self {
            Self::NoTimer => f.write_str(
                "the timer has not run yet, so nobody knows which alerts are its own. Let it run once, or \
                 mdatp-forward run",
            ),
            Self::UnknownStart(limit) => write!(
                f,
                "the timer's checkpoint is from before it noted where it began. Give --to TIME, the time from \
                 which on the timer has sent; it is not after {}",
                to_rfc3339(limit)
            ),
            Self::Nothing { limit, is_limit: true } => {
                write!(f, "from {} on everything is the timer's", to_rfc3339(limit))
            }
            Self::Nothing { .. } => f.write_str("--to is not after --from"),
            Self::Shorter { from, until } => write!(
                f,
                "the backfill from {} is to go to {}, and cannot be made shorter",
                to_rfc3339(from),
                to_rfc3339(until)
            ),
            Self::Overlap { past, range } => overlap(f, past, *range),
        }
    }
}

fn overlap(f: &mut fmt::Formatter<'_>, past: &EarlierBackfill, range: Window) -> fmt::Result {
    let command = |window: Window| {
        let (from, to) = (to_rfc3339(&window.from), to_rfc3339(&window.to));
        format!("mdatp-forward backfill --from {from} --to {to}")
    };
    let other = past.range();
    let (from, to) = (to_rfc3339(&other.from), to_rfc3339(&other.to));
    if past.checkpoint.watermark < other.to {
        write!(f, "another backfill of {from} to {to} is not done. Finish it with: {}", command(other))?;
    } else {
        write!(f, "a backfill has sent {from} to {to} already")?;
        let before = Window { to: other.from, ..range };
        let after = Window { from: other.to, ..range };
        for left in [before, after].into_iter().filter(|left| left.from < left.to) {
            write!(f, ". What is left: {}", command(left))?;
        }
    }
    write!(f, ". To send it again all the same, remove {}.json from the state store", past.name)
}

#[cfg(test)]
mod tests;
