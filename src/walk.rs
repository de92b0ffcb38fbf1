//! The walk through the alert list: which page to ask for next, which of its alerts are new to the
//! walk, and how far everything has been seen. Pure.
//!
//! The list moves while it is read, so the walk goes by time rather than by offset: the next page
//! starts at the last time of this one (`ge`, since many alerts can share a time) and skips what was
//! seen. `$skip` serves for pages that share one time, and for a server that does not keep the order
//! asked for; such pages overlap by one alert, which shows whether any has gone from before them. A
//! larger `$top` serves for a server that does not skip either.
//!
//! A page is asked for a few alerts more than make it full: room for what it repeats of the page before,
//! and a server that gives no more than a round number is not taken to be at its end.

use std::collections::HashSet;

use azure_core::time::{Duration, OffsetDateTime};

use crate::alert::Identity;

/// How many times the time must have risen, and never fallen, before a list is believed to be in
/// order. A shorter run could be chance: a shuffled list passes for ordered once in twelve factorial,
/// about 500 million.
const RISES_TO_BELIEVE: u32 = 12;

/// The most alerts a page can have (List alerts API: the maximum value of `$top` is 10,000).
pub const LARGEST_PAGE: u32 = 10_000;

/// A page is asked for a hundredth more than makes it full.
const SPARE_PART: u32 = 100;

/// How often a walk begins a range again because alerts went from it while it was read.
const RESTARTS: u32 = 8;

/// The step between two times that Defender can tell apart.
const TICK: Duration = Duration::nanoseconds(100);

/// Times from `from` (included) to `to` (excluded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first time inside.
    pub from: OffsetDateTime,
    /// The first time after.
    pub to: OffsetDateTime,
}

/// The page to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The times asked for.
    pub window: Window,
    /// `$skip`
    pub skip: usize,
    /// `$top`
    pub top: u32,
}

/// What a page brought.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The places on the page of the elements that are inside the window and new to the walk.
    pub fresh: Vec<usize>,
    /// How the walk goes on.
    pub next: Next,
}

/// How the walk goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask for the next page.
    Page,
    /// The window is read to its end.
    End,
    /// The server repeated itself, and some of the window has not been seen.
    Stalled,
}

/// The state of a walk.
#[derive(Debug)]
pub struct Walk {
    window: Window,
    /// How many elements make a page full.
    page_size: u32,
    /// Where the present page range starts.
    cursor: OffsetDateTime,
    /// How many alerts of this range have been read; the next page begins with the last of them.
    skip: usize,
    last: Option<Identity>,
    restarts: u32,
    latest: OffsetDateTime,
    rises: u32,
    /// False once a page was out of order; from then on only `$skip` is trusted.
    in_order: bool,
    /// True while larger pages are tried because the server does not skip.
    is_growing: bool,
    /// True once alerts were passed over that the server would not show.
    has_gap: bool,
    /// What was seen at the cursor or after it, and what has no time.
    seen: HashSet<Identity>,
}

impl Walk {
    /// A walk through `window` in pages of `page_size`, at most [`LARGEST_PAGE`].
    pub fn new(window: Window, page_size: u32) -> Self {
        Self {
            window,
            page_size,
            cursor: window.from,
            skip: 0,
            last: None,
            restarts: 0,
            latest: window.from,
            rises: 0,
            in_order: true,
            is_growing: false,
            has_gap: false,
            seen: HashSet::new(),
        }
    }

    /// The page to ask for now.
    pub fn query(&self) -> Query {
        let overlap = self.overlap();
        let spare = (self.page_size / SPARE_PART).max(u32::from(overlap));
        Query {
            window: Window { from: self.cursor, ..self.window },
            skip: self.skip - usize::from(overlap),
            top: (self.page_size + spare).min(LARGEST_PAGE),
        }
    }

    /// From how many elements on a page may have more behind it, though it has fewer than were asked for.
    /// The alert that it repeats is not enough.
    fn full(&self) -> usize {
        self.page_size.max(1 + u32::from(self.overlap())) as usize
    }

    fn overlap(&self) -> bool {
        self.skip > 0
    }

    /// True when every alert before one that was handed out has been handed out too.
    pub fn is_in_order(&self) -> bool {
        self.in_order && !self.has_gap && self.rises >= RISES_TO_BELIEVE
    }

    /// Asks for half as many alerts from now on; false when a page has only one already.
    pub fn halve_page(&mut self) -> bool {
        self.page_size /= 2;
        self.page_size > 0
    }

    /// Takes in a page: the time (where it has one) and identity of each element in the server's order.
    pub fn step(&mut self, page: &[(Option<OffsetDateTime>, Identity)], has_more: bool) -> Step {
        let is_full = has_more || page.len() >= self.full();
        let first = page.first().map(|(_, identity)| *identity);
        let has_shifted = self.overlap() && first.is_none_or(|first| !self.seen.contains(&first));
        let goes_on = !self.overlap() || first == self.last;
        let mut fresh = Vec::with_capacity(page.len());
        for (place, (time, identity)) in page.iter().enumerate() {
            if let Some(time) = *time {
                if time < self.latest {
                    self.in_order = false;
                }
                self.rises += u32::from(time > self.latest);
                self.latest = self.latest.max(time);
            }
            let inside = time.is_none_or(|time| (self.window.from..self.window.to).contains(&time));
            if inside && self.seen.insert(*identity) {
                fresh.push(place);
            }
        }
        let next = if has_shifted && self.restarts < RESTARTS {
            // Alerts have gone from before this page, and others took their places unseen.
            self.restarts += 1;
            self.skip = 0;
            Next::Page
        } else if !self.in_order && self.cursor > self.window.from {
            // The order broke after the walk had moved on by it: what lies before the cursor may not
            // all have been seen. Begin again, by offset this time; alerts may be handed out twice.
            self.seen.clear();
            (self.cursor, self.skip) = (self.window.from, 0);
            Next::Page
        } else if fresh.is_empty() && (self.is_growing || !goes_on) {
            self.go_round(is_full)
        } else if is_full {
            self.is_growing = false;
            self.turn(page);
            Next::Page
        } else if self.has_gap || has_shifted {
            Next::Stalled
        } else {
            Next::End
        };
        Step { fresh, next }
    }

    /// Turns to the next page: it starts at the latest time once the order is believed and that time is a
    /// new one, and after what has been read otherwise.
    fn turn(&mut self, page: &[(Option<OffsetDateTime>, Identity)]) {
        if self.in_order
            && self.rises >= RISES_TO_BELIEVE
            && self.latest > self.cursor
            && self.latest < self.window.to
        {
            self.move_to(self.latest, page);
        } else {
            self.skip += page.len() - usize::from(self.overlap());
            self.last = page.last().map(|(_, identity)| *identity);
        }
    }

    fn move_to(&mut self, cursor: OffsetDateTime, page: &[(Option<OffsetDateTime>, Identity)]) {
        (self.cursor, self.skip) = (cursor, 0);
        let at_cursor = page.iter().filter(|(time, _)| time.is_none_or(|time| time >= cursor));
        self.seen = at_cursor.map(|(_, identity)| *identity).collect();
    }

    /// A page of things seen before, where there should have been new ones or none: the server does not
    /// skip. A larger page may hold what lies behind; failing that, the walk goes on after this time.
    fn go_round(&mut self, is_full: bool) -> Next {
        if is_full && self.page_size < LARGEST_PAGE {
            let larger = (self.page_size * 4).min(LARGEST_PAGE);
            (self.page_size, self.skip, self.is_growing) = (larger, 0, true);
            Next::Page
        } else if is_full
            && self.in_order
            && self.latest >= self.cursor
            && self.latest + TICK < self.window.to
        {
            (self.has_gap, self.is_growing) = (true, false);
            self.move_to(self.latest + TICK, &[]);
            self.latest = self.cursor;
            Next::Page
        } else {
            Next::Stalled
        }
    }
}

#[cfg(test)]
mod tests;
