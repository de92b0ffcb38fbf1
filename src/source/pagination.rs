//! Pagination of the alert list: which page to request next, which of its alerts are new to this run, and up to which
//! time everything has been seen. Pure.
//!
//! The list changes while it is read, so pages go by time rather than by offset: the next page starts at the last time
//! of this one (`ge`, since many alerts can have the same time) and skips what was seen. `$skip` is used for pages
//! whose alerts all have the same time, and for a server that does not keep the requested order; such pages overlap by
//! one alert, which shows whether any alert has disappeared before them. A larger `$top` is used for a server that does
//! not skip either.
//!
//! **A short page does not prove the end.** Servers silently cap pages below `$top`, so reading ends only when another
//! request returns nothing more. That last request is saved, without guessing, in three cases. Within a run, a page
//! shorter than an earlier one is the last: the server has shown that it returns more when there is more. The first
//! page of a run is also the last if it contains nothing new, everything that earlier runs delivered, and fewer alerts
//! than the longest page ever, which the checkpoint keeps ([`PageSizes`]). And if exactly that many were delivered, so
//! that a list without new alerts would fill such a page, the first request leaves out the first alert: only a new one
//! could fill the page then.
//!
//! Some servers reach only so far by `$skip` ([`PageLimits`]). Before a page that is beyond that, the range is split in
//! halves by time, and each half is read from its beginning.
//!
//! A request asks for a few alerts more than make a page full: there has to be room for those that are repeated from
//! the page before, and a server that returns no more than a round number must not seem to be at its end. A page that
//! fails repeatedly is requested in a smaller size, which the checkpoint keeps too, and which grows again while full
//! pages arrive.

mod order;
mod page_limits;
mod page_size;

use std::collections::HashSet;

use azure_core::time::OffsetDateTime;

use crate::record::{
    alert::Fingerprint,
    page::PageSizes,
    timestamp::{TICK, floor},
    window::Window,
};
use order::Order;
pub use page_limits::PageLimits;
use page_size::PageSize;

/// A request asks for a hundredth more alerts than make a page full.
const MARGIN_DIVISOR: u32 = 100;

/// How often a range is read again because alerts disappeared from it meanwhile.
const MAX_RESTARTS: u32 = 8;

/// A page to request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The requested times.
    pub window: Window,
    /// `$skip`
    pub skip: usize,
    /// `$top`
    pub top: u32,
}

/// The alerts of the window that earlier runs delivered.
#[derive(Debug, Clone, Copy)]
pub struct Delivered<'a> {
    /// Their fingerprints, and perhaps those of earlier ones.
    pub fingerprints: &'a HashSet<Fingerprint>,
    /// How many of the fingerprints have a time inside the window.
    pub count: usize,
    /// The fingerprints with the earliest times.
    pub earliest: &'a [Fingerprint],
    /// True if the list still contains each of them, because an alert's time never changes.
    pub are_listed: bool,
}

/// The result of taking in a page.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The places on the page of the elements that are inside the window and new to the pagination.
    pub fresh: Vec<usize>,
    /// How many alerts were not requested because they have been delivered.
    pub left_out: usize,
    /// How the pagination continues.
    pub next: Next,
}

/// How a pagination continues.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// With another page.
    Page,
    /// Not at all: the window has been read to its end.
    End,
    /// Not at all: the server repeats itself, and part of the window has not been seen.
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

/// A pass through the alert list, page by page.
#[derive(Debug)]
pub struct Pagination<'a> {
    window: Window,
    limits: PageLimits,
    delivered: Delivered<'a>,
    pages: PageSizes,
    phase: Phase,
    page_size: PageSize,
    /// The length of the longest page of this pagination.
    longest: usize,
    /// True until a page has been read after an alert that cannot be read.
    has_skipped_unreadable: bool,
    /// Where the present range starts.
    cursor: OffsetDateTime,
    /// Where it ends. What follows is in `later`.
    end: OffsetDateTime,
    /// The ends of the ranges after the present one, the next one last. Each starts where the one before ends.
    later: Vec<OffsetDateTime>,
    /// How many alerts of this range have been read; the next page begins with the last of them.
    skip: usize,
    last: Option<Fingerprint>,
    restarts: u32,
    order: Order,
    /// True while larger pages are tried because the server does not skip.
    is_growing: bool,
    /// True once the pagination has gone past alerts that the server does not return.
    has_gap: bool,
    /// What was seen at the cursor or after it, and what has no time.
    seen: HashSet<Fingerprint>,
}

impl<'a> Pagination<'a> {
    /// Begins a pagination through `window` in pages of `page_size` alerts, or as many as `limits` allow.
    pub fn new(
        window: Window,
        page_size: u32,
        limits: PageLimits,
        delivered: Delivered<'a>,
        pages: PageSizes,
    ) -> Self {
        // Another source may have returned longer pages than this one ever does.
        let pages = PageSizes { longest: pages.longest.min(limits.top as usize), ..pages };
        // Not if an alert may have moved. And with a single alert, nothing on the page would show that it is still
        // listed.
        let may_fill_page = delivered.are_listed && delivered.count > 1 && delivered.count == pages.longest;
        Self {
            window,
            limits,
            delivered,
            pages,
            phase: if may_fill_page { Phase::Peek } else { Phase::First },
            page_size: PageSize::new(page_size.min(limits.page_size), pages.reduced),
            longest: 0,
            has_skipped_unreadable: false,
            cursor: window.from,
            end: window.to,
            later: Vec::new(),
            skip: 0,
            last: None,
            restarts: 0,
            order: Order::new(window.from),
            is_growing: false,
            has_gap: false,
            seen: HashSet::new(),
        }
    }

    /// Returns the page to request now.
    pub fn query(&self) -> Query {
        let overlap = self.overlaps();
        let margin = (self.page_size.now / MARGIN_DIVISOR).max(u32::from(overlap));
        Query {
            window: Window { from: self.cursor, to: self.end },
            skip: self.skip - usize::from(overlap) + usize::from(self.phase == Phase::Peek),
            top: (self.page_size.now + margin).min(self.limits.top),
        }
    }

    /// Returns what is known of the server's pages now.
    pub fn pages(&self) -> PageSizes {
        PageSizes { reduced: self.page_size.reduced(), ..self.pages }
    }

    /// The number of alerts from which on a page may be followed by another, though it has fewer than requested. The
    /// alert that it repeats is not enough.
    fn full(&self) -> usize {
        self.page_size.now.max(1 + u32::from(self.overlaps())) as usize
    }

    /// True if the next page begins with the last alert of the one before.
    fn overlaps(&self) -> bool {
        self.skip > 0 && !self.page_size.is_single
    }

    /// True if every alert before one that was returned as fresh has been returned too.
    pub fn is_in_order(&self) -> bool {
        self.order.is_trusted() && !self.has_gap
    }

    /// True if a page can be requested with fewer alerts.
    pub fn can_reduce(&self) -> bool {
        self.page_size.now > 1 || self.overlaps()
    }

    /// Divides the page size by `factor`, or returns to the last size that worked. Returns false if a page has only one
    /// alert already.
    pub fn reduce(&mut self, factor: u32) -> bool {
        let can_reduce = self.can_reduce();
        if can_reduce {
            self.page_size.reduce(factor);
        }
        can_reduce
    }

    /// Returns to the page size before [`Pagination::reduce`]: it was not the cause of the failure.
    pub fn restore(&mut self) {
        self.page_size.restore();
    }

    /// Continues after the one element of a page that cannot be read: with the next one alone, and then as before.
    pub fn skip_unreadable(&mut self) {
        self.skip += 1;
        (self.phase, self.last) = (Phase::Begun, None);
        (self.page_size.is_single, self.has_skipped_unreadable) = (true, true);
    }

    /// Takes in a page: the time (if it has one) and fingerprint of each element, in the server's order. `has_more` is
    /// true if the server says that another page follows.
    pub fn step(&mut self, page: &[(Option<OffsetDateTime>, Fingerprint)], has_more: bool) -> Step {
        let (longest_before, requested) = (self.pages.longest, self.query().top);
        self.pages.longest = longest_before.max(page.len());
        self.longest = self.longest.max(page.len());
        if self.phase == Phase::Peek {
            self.phase = Phase::First;
            let is_short = page.len() < longest_before.min(requested as usize);
            let has_nothing_new = !has_more && is_short && self.lacks_only_the_first(page);
            return match has_nothing_new {
                true => Step { fresh: (0..page.len()).collect(), left_out: 1, next: Next::End },
                false => Step { fresh: Vec::new(), left_out: 0, next: Next::Page },
            };
        }
        let overlap = self.overlaps();
        let is_full = page.len() >= self.full();
        let first = page.first().map(|(_, fingerprint)| *fingerprint);
        let has_shifted = overlap && first.is_none_or(|first| !self.seen.contains(&first));
        // Without a repeated alert, it goes unnoticed if an alert disappears from before this page and another moves up
        // to its place unseen. (After one that cannot be read that is a single page: the alternative is never to get
        // past it.)
        let may_have_shifted =
            self.page_size.is_single && self.skip > 0 && !page.is_empty() && !self.has_skipped_unreadable;
        self.has_gap |= may_have_shifted && !self.delivered.are_listed;
        // A page that begins elsewhere has an order of its own.
        let follows_on = self.skip > 0 && (!overlap || first == self.last);
        let mut before = if follows_on { self.order.latest } else { self.cursor };
        let (mut fresh, mut has_news) = (Vec::with_capacity(page.len()), false);
        for (place, (time, fingerprint)) in page.iter().enumerate() {
            if let Some(time) = *time {
                self.order.observe(time, before);
                before = time;
            }
            let is_inside = time.is_none_or(|time| (self.window.from..self.window.to).contains(&time));
            if is_inside && self.seen.insert(*fingerprint) {
                has_news |= !self.delivered.fingerprints.contains(fingerprint);
                fresh.push(place);
            }
        }
        let makes_progress = self.skip == 0 || (follows_on && (overlap || !fresh.is_empty()));
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
        self.adapt_page_size(page.len(), requested, is_full);
        let next = if has_shifted && self.restarts < MAX_RESTARTS {
            // Alerts have disappeared from before this page, and others have moved up to their places unseen.
            self.restarts += 1;
            self.skip = 0;
            Next::Page
        } else if !self.order.is_kept && std::mem::take(&mut self.order.is_relied_on) {
            // The order broke after the pagination had relied on it: alerts before the cursor may not have been seen.
            // It begins again, by offset this time, and may return alerts twice.
            self.seen.clear();
            self.later.clear();
            (self.cursor, self.end, self.skip) = (self.window.from, self.window.to, 0);
            Next::Page
        } else if fresh.is_empty() && !page.is_empty() && (self.is_growing || !makes_progress) {
            self.get_past_repeated_page(is_full, page)
        } else if may_have_more {
            self.is_growing = false;
            self.advance(page, overlap);
            Next::Page
        } else if has_shifted {
            Next::Stalled
        } else {
            self.end_range()
        };
        let next = if next == Next::Page && self.is_beyond_reach() { self.come_within_reach() } else { next };
        Step { fresh, left_out: 0, next }
    }

    /// Ends the present range, and begins the next one, if there is one.
    fn end_range(&mut self) -> Next {
        match self.later.pop() {
            Some(end) => {
                (self.cursor, self.end) = (self.end, end);
                (self.skip, self.last) = (0, None);
                Next::Page
            }
            None if self.has_gap => Next::Stalled,
            None => Next::End,
        }
    }

    /// True if the server would not return the next page, because it is too far from the start of its range.
    fn is_beyond_reach(&self) -> bool {
        let Query { skip, top, .. } = self.query();
        self.limits.reach.is_some_and(|reach| skip + top as usize > reach)
    }

    /// Moves past alerts of one time that are more than the server returns, if the order shows that they are, and
    /// otherwise continues with the first half of the range.
    fn come_within_reach(&mut self) -> Next {
        let (latest, half) = (self.order.latest, floor(self.cursor + (self.end - self.cursor) / 2));
        if self.order.is_trusted() && latest + TICK < self.end {
            self.has_gap = true;
            self.move_to(latest + TICK, &[]);
            self.order.latest = self.cursor;
            Next::Page
        } else if half > self.cursor {
            self.later.push(self.end);
            (self.end, self.skip, self.last) = (half, 0, None);
            Next::Page
        } else {
            // A moment with too many alerts. What follows it is read, and the next run begins at it again.
            self.has_gap = true;
            self.end_range()
        }
    }

    /// True if the page contains all delivered alerts but one of the earliest, and nothing else: nothing is new, and
    /// nothing has been inserted before the alert that was left out.
    fn lacks_only_the_first(&self, page: &[(Option<OffsetDateTime>, Fingerprint)]) -> bool {
        let Delivered { fingerprints, count, earliest, .. } = self.delivered;
        let is_on_page = |fingerprint: &&Fingerprint| page.iter().any(|(_, other)| other == *fingerprint);
        page.len() + 1 == count
            && page.iter().all(|(_, fingerprint)| fingerprints.contains(fingerprint))
            && earliest.iter().filter(is_on_page).count() + 1 == earliest.len()
    }

    /// Adapts the page size to the length of a page.
    fn adapt_page_size(&mut self, length: usize, requested: u32, is_full: bool) {
        match length {
            0 => {}
            // A server that never returns a second alert, though there was room for it, returns none after a repeated
            // one.
            1 => self.page_size.is_single |= self.pages.longest == 1 && requested > 1,
            _ => self.page_size.is_single = false,
        }
        if std::mem::take(&mut self.has_skipped_unreadable) {
            self.page_size.restore();
        } else if is_full {
            self.page_size.count_full_page();
        }
    }

    /// Moves on to the next page: to the latest time if the order is trusted and that time is a new one, and otherwise
    /// behind what has been read.
    fn advance(&mut self, page: &[(Option<OffsetDateTime>, Fingerprint)], overlap: bool) {
        let latest = self.order.latest;
        if self.order.is_trusted() && latest > self.cursor && latest < self.end {
            self.move_to(latest, page);
        } else {
            self.skip += page.len() - usize::from(overlap);
            self.last = page.last().map(|(_, fingerprint)| *fingerprint);
        }
    }

    fn move_to(&mut self, cursor: OffsetDateTime, page: &[(Option<OffsetDateTime>, Fingerprint)]) {
        (self.cursor, self.skip, self.order.is_relied_on) = (cursor, 0, true);
        let at_cursor = page.iter().filter(|(time, _)| time.is_none_or(|time| time >= cursor));
        self.seen = at_cursor.map(|(_, fingerprint)| *fingerprint).collect();
    }

    /// Handles a page of alerts that have been seen, where there should have been new ones or none: the server does not
    /// skip. A larger page may contain what follows; if the server returns no larger one, a page from the latest time
    /// on; failing that, the pagination continues after that time.
    fn get_past_repeated_page(
        &mut self,
        is_full: bool,
        page: &[(Option<OffsetDateTime>, Fingerprint)],
    ) -> Next {
        let latest = self.order.latest;
        if is_full && self.page_size.now < self.limits.page_size {
            self.page_size.now = (self.page_size.now * 4).min(self.limits.page_size);
            (self.skip, self.is_growing) = (0, true);
            Next::Page
        } else if !self.order.is_kept {
            Next::Stalled
        } else if !is_full && latest > self.cursor && latest < self.end {
            self.is_growing = false;
            self.move_to(latest, page);
            Next::Page
        } else if page.len() > 1 && latest >= self.cursor && latest + TICK < self.end {
            (self.has_gap, self.is_growing) = (true, false);
            self.move_to(latest + TICK, &[]);
            self.order.latest = self.cursor;
            Next::Page
        } else if page.len() == 1 && !self.has_gap {
            // It is the only alert of its time, however it is requested.
            self.end_range()
        } else {
            Next::Stalled
        }
    }
}

#[cfg(test)]
mod tests;
