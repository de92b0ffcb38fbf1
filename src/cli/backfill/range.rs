//! The range of a backfill: from a given time up to where the timer began, without times that another backfill has sent or is
//! going to send. Pure.
//!
//! Every time belongs to one of them. The timer lists alerts from its `start` on, a backfill those before its `until`, and
//! `until` is never after `start`; so neither needs to know what the other has sent.

use std::fmt;

use azure_core::time::{OffsetDateTime, to_rfc3339};

use crate::{
    config,
    record::{
        timestamp::{self, floor},
        window::Window,
    },
    state::{backfills::FOLDER, checkpoint::Checkpoint},
};

/// The range that the operator requests.
#[derive(Debug, Clone, Copy)]
pub struct BackfillRequest {
    /// The start of the range.
    pub from: OffsetDateTime,
    /// The end of the range, exclusive; `None`: where the timer began.
    pub to: Option<OffsetDateTime>,
}

/// What a backfill is going to send.
#[derive(Debug, PartialEq, Eq)]
pub struct BackfillPlan {
    /// The range to send.
    pub range: Window,
    /// How far it has been sent already.
    pub checkpoint: Checkpoint,
    /// True if the requested end was later, in the timer's range.
    pub is_cut: bool,
}

/// A backfill that was started before, finished or not.
#[derive(Debug, Clone)]
pub struct EarlierBackfill {
    /// The name of its checkpoint, without `.json`.
    pub name: String,
    /// Its checkpoint.
    pub checkpoint: Checkpoint,
}

impl EarlierBackfill {
    fn range(&self) -> Window {
        let Checkpoint { start, until, known_from, watermark, .. } = &self.checkpoint;
        Window { from: start.unwrap_or(*known_from), to: until.unwrap_or(*watermark) }
    }
}

/// Parses a time, or a day in UTC. A duration is not accepted, because the same command must mean the same range when it is
/// run again.
///
/// # Errors
/// Returns what is wrong with `text`.
pub fn time(text: &str) -> Result<OffsetDateTime, String> {
    let read = timestamp::parse(text).or_else(|| timestamp::parse(&format!("{text}T00:00:00Z")));
    let time = read.ok_or("must be an RFC 3339 time (2026-11-01T00:00:00Z) or a day (2026-11-01)")?;
    // As Defender writes times: in UTC, in multiples of 100 nanoseconds.
    Ok(floor(config::time::not_too_early(time)?))
}

/// Parses a share of Defender's quotas.
///
/// # Errors
/// Returns what is wrong with `text`.
pub fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "must be a number above 0, at most 1".to_owned())
}

/// Returns the share of the quotas that the timer leaves, at least 0.05.
pub fn share_beside(timer: f64) -> f64 {
    // Rounded, because the error of the subtraction would cost a call.
    (((1.0 - timer) * 1e6).round() / 1e6).max(0.05)
}

/// Returns the name of the checkpoint of the backfill that begins at `from`, without `.json`.
pub fn name(from: OffsetDateTime) -> String {
    format!("{FOLDER}/{}", to_rfc3339(&from).replace(['-', ':', '.'], ""))
}

/// Plans the backfill for `request`, beside the timer with the checkpoint `timer` and the earlier `backfills`.
///
/// # Errors
/// Returns why the range cannot be sent.
pub fn plan(
    request: BackfillRequest,
    timer: Option<&Checkpoint>,
    backfills: &[EarlierBackfill],
) -> Result<BackfillPlan, InvalidRange> {
    let timer = timer.ok_or(InvalidRange::NoTimer)?;
    // A checkpoint without `start` is known only to have begun no later than this.
    let limit = timer.start.unwrap_or(timer.known_from);
    let to = request.to.or(timer.start).ok_or(InvalidRange::UnknownStart(limit))?;
    let own = backfills.iter().find(|earlier| earlier.range().from == request.from);
    if let Some(until) = own.map(|own| own.range().to).filter(|until| to < *until && *until <= limit) {
        return Err(InvalidRange::Shorter { from: request.from, until });
    }
    // What has been sent stays part of the range, even if the timer was reset to an earlier time.
    let end = to.min(limit).max(own.map_or(request.from, |own| own.checkpoint.watermark));
    let range = Window { from: request.from, to: end };
    if range.from == range.to {
        return Err(InvalidRange::Empty { limit, is_limit: to >= limit });
    }
    let is_other = |earlier: &&EarlierBackfill| earlier.range().from != request.from;
    let overlaps =
        |earlier: &&EarlierBackfill| earlier.range().from < range.to && range.from < earlier.range().to;
    if let Some(earlier) = backfills.iter().filter(is_other).find(overlaps) {
        return Err(InvalidRange::Overlap { earlier: Box::new(earlier.clone()), range });
    }
    let mut checkpoint =
        own.map_or_else(|| Checkpoint::starting_at(range.from), |own| own.checkpoint.clone());
    checkpoint.until = Some(range.to);
    Ok(BackfillPlan { range, checkpoint, is_cut: request.to.is_some_and(|to| to > limit) })
}

/// Why a range cannot be sent.
#[derive(Debug)]
pub enum InvalidRange {
    /// There is no checkpoint of the timer, so its alerts cannot be distinguished from older ones.
    NoTimer,
    /// The timer's checkpoint does not say where it began, only that it was not after this time.
    UnknownStart(OffsetDateTime),
    /// The range is empty.
    Empty {
        /// Where the timer's range begins.
        limit: OffsetDateTime,
        /// True if that is the end of the range.
        is_limit: bool,
    },
    /// A backfill with the same start ends later.
    Shorter {
        /// The start of the earlier backfill.
        from: OffsetDateTime,
        /// Its end.
        until: OffsetDateTime,
    },
    /// Another backfill has sent a part of the range, or is going to.
    Overlap {
        /// The other backfill.
        earlier: Box<EarlierBackfill>,
        /// The requested range.
        range: Window,
    },
}

impl fmt::Display for InvalidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing is sent: ")?;
        match self {
            Self::NoTimer => f.write_str(
                "the timer has not run yet, so its alerts cannot be distinguished from older ones. Fix: let it run once, \
                 or use mdatp-forward run",
            ),
            Self::UnknownStart(limit) => write!(
                f,
                "the timer's checkpoint does not say where the timer began. Fix: give --to TIME, the time from which \
                 the timer has sent; it is not after {}",
                to_rfc3339(limit)
            ),
            Self::Empty { limit, is_limit: true } => {
                write!(f, "the timer sends everything from {} on", to_rfc3339(limit))
            }
            Self::Empty { .. } => f.write_str("--to is not after --from"),
            Self::Shorter { from, until } => write!(
                f,
                "the backfill from {} was started with the end {}, and cannot be made shorter",
                to_rfc3339(from),
                to_rfc3339(until)
            ),
            Self::Overlap { earlier, range } => overlap(f, earlier, *range),
        }
    }
}

fn overlap(f: &mut fmt::Formatter<'_>, earlier: &EarlierBackfill, range: Window) -> fmt::Result {
    let command = |window: Window| {
        let (from, to) = (to_rfc3339(&window.from), to_rfc3339(&window.to));
        format!("mdatp-forward backfill --from {from} --to {to}")
    };
    let other = earlier.range();
    let (from, to) = (to_rfc3339(&other.from), to_rfc3339(&other.to));
    if earlier.checkpoint.watermark < other.to {
        write!(f, "another backfill of {from} to {to} is not done. Fix: finish it with {}", command(other))?;
    } else {
        write!(f, "a backfill has sent {from} to {to} already")?;
        let before = Window { to: other.from, ..range };
        let after = Window { from: other.to, ..range };
        for left in [before, after].into_iter().filter(|left| left.from < left.to) {
            write!(f, ". Not sent yet: {}", command(left))?;
        }
    }
    write!(f, ". To send it again anyway, remove {}.json from the state store", earlier.name)
}

#[cfg(test)]
mod tests;
