//! The walk through the alert list: which page to ask for next, which of its alerts are new to the
//! walk, and how far everything has been seen. Pure.
//!
//! The list moves while it is read, so the walk goes by time rather than by offset: the next page
//! starts at the last time of this one (`ge`, since many alerts can share a time) and skips what was
//! seen. `$skip` serves for pages that share one time, and for a server that does not keep the order
//! asked for.

use std::collections::HashSet;

use azure_core::time::OffsetDateTime;

use crate::alert::Identity;

/// How many times the time must have risen, and never fallen, before a list is believed to be in
/// order. A shorter run could be chance: a server that orders by id (as the real one does when not
/// asked otherwise) passes for ordered once in twelve factorial, about 500 million.
const RISES_TO_BELIEVE: u32 = 12;

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
    /// The page was full, and nothing on it was new: the server repeats itself. The window's rest has
    /// not been seen.
    Stalled,
}

/// The state of a walk.
#[derive(Debug)]
pub struct Walk {
    window: Window,
    page_size: usize,
    /// Where the present page range starts.
    cursor: OffsetDateTime,
    skip: usize,
    latest: OffsetDateTime,
    rises: u32,
    /// False once a page was out of order; from then on only `$skip` is trusted.
    in_order: bool,
    /// What was seen at the cursor or after it, and what has no time.
    seen: HashSet<Identity>,
}

impl Walk {
    /// A walk through `window` in pages of `page_size`.
    pub fn new(window: Window, page_size: u32) -> Self {
        Self {
            window,
            page_size: page_size as usize,
            cursor: window.from,
            skip: 0,
            latest: window.from,
            rises: 0,
            in_order: true,
            seen: HashSet::new(),
        }
    }

    /// The page to ask for now.
    pub fn query(&self) -> Query {
        Query { window: Window { from: self.cursor, ..self.window }, skip: self.skip }
    }

    /// True when every alert before one that was handed out has been handed out too.
    pub fn is_in_order(&self) -> bool {
        self.in_order && self.rises >= RISES_TO_BELIEVE
    }

    /// Takes in a page: the time (where it has one) and identity of each element in the server's order.
    pub fn step(&mut self, page: &[(Option<OffsetDateTime>, Identity)], has_more: bool) -> Step {
        let at_end = page.len() < self.page_size && !has_more;
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
        let next = if !self.in_order && self.cursor > self.window.from {
            // The order broke after the walk had moved on by it: what lies before the cursor may not
            // all have been seen. Begin again, by offset this time; alerts may be handed out twice.
            self.seen.clear();
            (self.cursor, self.skip) = (self.window.from, 0);
            Next::Page
        } else if at_end {
            Next::End
        } else if fresh.is_empty() && self.skip >= self.seen.len() {
            Next::Stalled
        } else {
            self.turn(page);
            Next::Page
        };
        Step { fresh, next }
    }

    /// Turns to the next page: it starts at the latest time once the order is believed and that time is a
    /// new one, and after what has been read otherwise.
    fn turn(&mut self, page: &[(Option<OffsetDateTime>, Identity)]) {
        if self.is_in_order() && self.latest > self.cursor && self.latest < self.window.to {
            self.cursor = self.latest;
            self.skip = 0;
            let at_cursor = page.iter().filter(|(time, _)| time.is_none_or(|time| time == self.cursor));
            self.seen = at_cursor.map(|(_, identity)| *identity).collect();
        } else {
            self.skip += page.len();
        }
    }
}

#[cfg(test)]
mod tests;
