//! Pagination of the alert list: which page to ask for next, which of its alerts are new to this run, and how far
//! everything has been seen. Pure.
//!
//! The list moves while it is read, so pages go by time rather than by offset: the next page starts at the last
//! time of this one (`ge`, since many alerts can share a time) and skips what was seen. `$skip` serves for pages
//! that share one time, and for a server that does not keep the order asked for; such pages overlap by one alert,
//! which shows whether any has gone from before them. A larger `$top` serves for a server that does not skip either.
//!
//! **A short page is no proof of the end.** Servers cap pages below `$top` and say nothing, so reading ends only when
//! asking for more brings nothing more. Three things spare that last call without guessing. Within a run, a page
//! shorter than an earlier one is the last: the server has shown that it gives more when there is more. The first page
//! of a run is also the last when it has nothing new, all that earlier runs delivered, and fewer alerts than the
//! longest page ever, which the checkpoint keeps ([`PageSizes`]). And when exactly that many are remembered, so that a
//! quiet list would fill such a page, the first page leaves out the first alert: only a new one could fill it then.
//!
//! A page is asked for a few alerts more than make it full: room for what it repeats of the page before, and a server
//! that gives no more than a round number is not taken to be at its end. A page that fails again and again is asked
//! for in a smaller size, which the checkpoint keeps too, and which grows again while full pages arrive.

use std::collections::HashSet;

use azure_core::time::OffsetDateTime;

use crate::{
    config::LARGEST_PAGE,
    record::{alert::Fingerprint, timestamp::TICK},
    record::{page::PageSizes, window::Window},
};

/// How many times the time must have risen, and never fallen, before a list is believed to be in
/// order. A shorter run could be chance: a shuffled list passes for ordered once in twelve factorial,
/// about 500 million.
const RISES_TO_BELIEVE: u32 = 12;

/// A page is asked for a hundredth more than makes it full.
const SPARE_PART: u32 = 100;

/// How often a pagination begins a range again because alerts went from it while it was read.
const RESTARTS: u32 = 8;

/// After so many full pages of a reduced size, one of twice the size is tried; after twice as many each time that
/// this has failed.
const PAGES_TO_GROW: u32 = 4;

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

/// What earlier runs delivered of the window.
#[derive(Debug, Clone, Copy)]
pub struct Delivered<'a> {
    /// The fingerprints.
    pub fingerprints: &'a HashSet<Fingerprint>,
    /// How many of them have a time inside the window.
    pub count: usize,
    /// Those with the earliest times.
    pub earliest: &'a [Fingerprint],
    /// True when the list still shows each of them, because an alert's time never changes.
    pub are_listed: bool,
}

/// What a page brought.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The places on the page of the elements that are inside the window and new to the pagination.
    pub fresh: Vec<usize>,
    /// How many alerts that were delivered before were not asked for.
    pub left_out: usize,
    /// How the pagination goes on.
    pub next: Next,
}

/// How the pagination goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask for the next page.
    Page,
    /// The window is read to its end.
    End,
    /// The server repeated itself, and some of the window has not been seen.
    Stalled,
}

/// How far a pagination has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before a first page that leaves out the first alert.
    Peek,
    /// Before the first page.
    First,
    /// After it.
    Begun,
}

/// The state of a pagination.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing seen of the server, independent of the others"
)]
pub struct Pagination<'a> {
    window: Window,
    delivered: Delivered<'a>,
    pages: PageSizes,
    phase: Phase,
    /// How many elements make a page full by the settings.
    configured: u32,
    /// How many elements make a page full.
    page_size: u32,
    /// Full pages since the page size was changed.
    full_pages: u32,
    /// How many of them it takes to try a larger size.
    pages_to_grow: u32,
    /// What worked before the page size was doubled, while no full page of twice the size has come.
    before_growth: Option<(u32, bool)>,
    /// The length of the longest page of this pagination.
    longest: usize,
    /// True while nothing has been read after an alert that cannot be.
    has_passed_over: bool,
    /// True while pages have one element and none is repeated: no more are given, or the one before cannot be read.
    is_single: bool,
    /// Where the present page range starts.
    cursor: OffsetDateTime,
    /// How many alerts of this range have been read; the next page begins with the last of them.
    skip: usize,
    last: Option<Fingerprint>,
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
    seen: HashSet<Fingerprint>,
}

impl<'a> Pagination<'a> {
    /// A pagination through `window` in pages of `page_size`, at most [`LARGEST_PAGE`].
    pub fn new(window: Window, page_size: u32, delivered: Delivered<'a>, pages: PageSizes) -> Self {
        // Not where an alert may have moved, and with a single one nothing on the page would tell that it is still there.
        let is_quiet_page_full =
            delivered.are_listed && delivered.count > 1 && delivered.count == pages.longest;
        Self {
            window,
            delivered,
            pages,
            phase: if is_quiet_page_full { Phase::Peek } else { Phase::First },
            configured: page_size,
            page_size: pages.reduced.map_or(page_size, |reduced| reduced.clamp(1, page_size)),
            full_pages: 0,
            pages_to_grow: PAGES_TO_GROW,
            before_growth: None,
            longest: 0,
            has_passed_over: false,
            is_single: false,
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
            skip: self.skip - usize::from(overlap) + usize::from(self.phase == Phase::Peek),
            top: (self.page_size + spare).min(LARGEST_PAGE),
        }
    }

    /// What is known of the server's pages now.
    pub fn pages(&self) -> PageSizes {
        let worked = self.before_growth.map_or(self.page_size, |(page_size, _)| page_size);
        let reduced = (worked < self.configured).then_some(worked);
        PageSizes { reduced, ..self.pages }
    }

    /// From how many elements on a page may have more behind it, though it has fewer than were asked for.
    /// The alert that it repeats is not enough.
    fn full(&self) -> usize {
        self.page_size.max(1 + u32::from(self.overlap())) as usize
    }

    fn overlap(&self) -> bool {
        self.skip > 0 && !self.is_single
    }

    /// True when every alert before one that was handed out has been handed out too.
    pub fn is_in_order(&self) -> bool {
        self.in_order && !self.has_gap && self.rises >= RISES_TO_BELIEVE
    }

    /// True when a page can be asked for with fewer alerts on it.
    pub fn can_reduce(&self) -> bool {
        self.page_size > 1 || self.overlap()
    }

    /// Asks for a fraction of as many alerts from now on, or for as many as last worked; false when a page has only
    /// one already.
    pub fn reduce(&mut self, by: u32) -> bool {
        if !self.can_reduce() {
            return false;
        }
        self.full_pages = 0;
        match self.before_growth.take() {
            Some(what_worked) => {
                (self.page_size, self.is_single) = what_worked;
                self.pages_to_grow = self.pages_to_grow.saturating_mul(2);
            }
            None => (self.page_size, self.is_single) = ((self.page_size / by).max(1), self.page_size == 1),
        }
        true
    }

    /// Asks for as many alerts as before [`Pagination::reduce`]: it was not their number.
    pub fn restore(&mut self) {
        self.before_growth = None;
        self.page_size =
            self.pages.reduced.map_or(self.configured, |reduced| reduced.clamp(1, self.configured));
        self.is_single = false;
    }

    /// Goes on after the one element of a page that cannot be read: alone with the next one, and then as before.
    pub fn skip_unreadable(&mut self) {
        self.skip += 1;
        (self.phase, self.last) = (Phase::Begun, None);
        (self.is_single, self.has_passed_over) = (true, true);
    }

    /// Takes in a page: the time (where it has one) and fingerprint of each element in the server's order.
    pub fn step(&mut self, page: &[(Option<OffsetDateTime>, Fingerprint)], has_more: bool) -> Step {
        let (longest_before, asked) = (self.pages.longest, self.query().top);
        self.pages.longest = longest_before.max(page.len());
        self.longest = self.longest.max(page.len());
        if self.phase == Phase::Peek {
            self.phase = Phase::First;
            let is_short = page.len() < longest_before.min(asked as usize);
            let is_quiet = !has_more && is_short && self.lacks_only_the_first(page);
            return match is_quiet {
                true => Step { fresh: (0..page.len()).collect(), left_out: 1, next: Next::End },
                false => Step { fresh: Vec::new(), left_out: 0, next: Next::Page },
            };
        }
        let overlap = self.overlap();
        let is_full = page.len() >= self.full();
        let first = page.first().map(|(_, fingerprint)| *fingerprint);
        let has_shifted = overlap && first.is_none_or(|first| !self.seen.contains(&first));
        // Without a repeated alert, one that moved away from before this page goes unnoticed, and another took its place
        // unseen. (After one that cannot be read that is a single page: better so than never to come past it.)
        let may_have_shifted = self.is_single && self.skip > 0 && !page.is_empty() && !self.has_passed_over;
        self.has_gap |= may_have_shifted && !self.delivered.are_listed;
        // A page that begins elsewhere has an order of its own.
        let follows_on = self.skip > 0 && (!overlap || first == self.last);
        let mut before = if follows_on { self.latest } else { self.cursor };
        let (mut fresh, mut has_news) = (Vec::with_capacity(page.len()), false);
        for (place, (time, fingerprint)) in page.iter().enumerate() {
            if let Some(time) = *time {
                self.in_order &= time >= before;
                before = time;
                self.rises += u32::from(time > self.latest);
                self.latest = self.latest.max(time);
            }
            let inside = time.is_none_or(|time| (self.window.from..self.window.to).contains(&time));
            if inside && self.seen.insert(*fingerprint) {
                has_news |= !self.delivered.fingerprints.contains(fingerprint);
                fresh.push(place);
            }
        }
        let goes_on = self.skip == 0 || (follows_on && (overlap || !fresh.is_empty()));
        let is_last = match self.phase {
            Phase::Begun => page.len() < self.longest.max(1 + usize::from(overlap)),
            Phase::First | Phase::Peek => {
                let expected = if self.delivered.are_listed { self.delivered.count } else { 0 };
                let is_short = page.is_empty() || page.len() < longest_before;
                !has_news && is_short && page.len() >= expected
            }
        };
        let may_have_more = has_more || is_full || !is_last;
        self.phase = Phase::Begun;
        self.learn(page.len(), asked, is_full);
        let next = if has_shifted && self.restarts < RESTARTS {
            // Alerts have gone from before this page, and others took their places unseen.
            self.restarts += 1;
            self.skip = 0;
            Next::Page
        } else if !self.in_order && self.cursor > self.window.from {
            // The order broke after the pagination had moved on by it: what lies before the cursor may not
            // all have been seen. Begin again, by offset this time; alerts may be handed out twice.
            self.seen.clear();
            (self.cursor, self.skip) = (self.window.from, 0);
            Next::Page
        } else if fresh.is_empty() && !page.is_empty() && (self.is_growing || !goes_on) {
            self.go_round(is_full, page)
        } else if may_have_more {
            self.is_growing = false;
            self.turn(page, overlap);
            Next::Page
        } else if self.has_gap || has_shifted {
            Next::Stalled
        } else {
            Next::End
        };
        Step { fresh, left_out: 0, next }
    }

    /// True when the page has all that is remembered but one of the earliest, and nothing else: nothing is new, and
    /// nothing has come before what was left out.
    fn lacks_only_the_first(&self, page: &[(Option<OffsetDateTime>, Fingerprint)]) -> bool {
        let Delivered { fingerprints, count, earliest, .. } = self.delivered;
        let are_on_page = |fingerprint: &&Fingerprint| page.iter().any(|(_, other)| other == *fingerprint);
        page.len() + 1 == count
            && page.iter().all(|(_, fingerprint)| fingerprints.contains(fingerprint))
            && earliest.iter().filter(are_on_page).count() + 1 == earliest.len()
    }

    /// Takes in how long a page is, as far as that decides about the ones after it.
    fn learn(&mut self, length: usize, asked: u32, is_full: bool) {
        match length {
            0 => {}
            // A server that never gives a second one, where there was room for it, gives none behind a repeated one.
            1 => self.is_single |= self.pages.longest == 1 && asked > 1,
            _ => self.is_single = false,
        }
        if std::mem::take(&mut self.has_passed_over) {
            return self.restore();
        }
        if !is_full {
            return;
        }
        self.full_pages += 1;
        self.before_growth = None;
        if self.page_size < self.configured && self.full_pages >= self.pages_to_grow {
            self.before_growth = Some((self.page_size, self.is_single));
            (self.page_size, self.full_pages) = ((self.page_size * 2).min(self.configured), 0);
            self.is_single = false;
        }
    }

    /// Turns to the next page: it starts at the latest time once the order is believed and that time is a
    /// new one, and after what has been read otherwise.
    fn turn(&mut self, page: &[(Option<OffsetDateTime>, Fingerprint)], overlap: bool) {
        if self.in_order
            && self.rises >= RISES_TO_BELIEVE
            && self.latest > self.cursor
            && self.latest < self.window.to
        {
            self.move_to(self.latest, page);
        } else {
            self.skip += page.len() - usize::from(overlap);
            self.last = page.last().map(|(_, fingerprint)| *fingerprint);
        }
    }

    fn move_to(&mut self, cursor: OffsetDateTime, page: &[(Option<OffsetDateTime>, Fingerprint)]) {
        (self.cursor, self.skip) = (cursor, 0);
        let at_cursor = page.iter().filter(|(time, _)| time.is_none_or(|time| time >= cursor));
        self.seen = at_cursor.map(|(_, fingerprint)| *fingerprint).collect();
    }

    /// A page of things seen before, where there should have been new ones or none: the server does not
    /// skip. A larger page may hold what lies behind; where the server gives no larger one, what starts at the
    /// latest time; failing that, the pagination goes on after this time.
    fn go_round(&mut self, is_full: bool, page: &[(Option<OffsetDateTime>, Fingerprint)]) -> Next {
        if is_full && self.page_size < LARGEST_PAGE {
            let larger = (self.page_size * 4).min(LARGEST_PAGE);
            (self.page_size, self.skip, self.is_growing) = (larger, 0, true);
            Next::Page
        } else if !self.in_order {
            Next::Stalled
        } else if !is_full && self.latest > self.cursor && self.latest < self.window.to {
            self.is_growing = false;
            self.move_to(self.latest, page);
            Next::Page
        } else if page.len() > 1 && self.latest >= self.cursor && self.latest + TICK < self.window.to {
            (self.has_gap, self.is_growing) = (true, false);
            self.move_to(self.latest + TICK, &[]);
            self.latest = self.cursor;
            Next::Page
        } else if page.len() == 1 && !self.has_gap {
            // Alone at its time, however it is asked for.
            Next::End
        } else {
            Next::Stalled
        }
    }
}

#[cfg(test)]
mod tests;
