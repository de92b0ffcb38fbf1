//! Whether the list is in the order that was requested. Pure.

use azure_core::time::OffsetDateTime;

/// How many times the time must have risen, and never fallen, before a list is considered ordered. A shorter run could
/// be chance: a shuffled list passes for ordered once in twelve factorial, about 500 million.
const RISES_TO_TRUST: u32 = 12;

/// What has been seen of the list's order.
#[derive(Debug)]
pub(super) struct Order {
    /// The latest time so far.
    pub(super) latest: OffsetDateTime,
    /// False once a time was earlier than the one before; from then on, pages go by `$skip` only.
    pub(super) is_kept: bool,
    /// True once a page has started at the latest time instead of behind the alerts of the one before.
    pub(super) is_relied_on: bool,
    rises: u32,
}

impl Order {
    /// A list from `start` on, of which nothing has been seen.
    pub(super) fn new(start: OffsetDateTime) -> Self {
        Self { latest: start, is_kept: true, is_relied_on: false, rises: 0 }
    }

    /// Takes in the time of an alert that follows one of the time `before`.
    pub(super) fn observe(&mut self, time: OffsetDateTime, before: OffsetDateTime) {
        self.is_kept &= time >= before;
        self.rises += u32::from(time > self.latest);
        self.latest = self.latest.max(time);
    }

    /// True if enough has been seen to rely on the order.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_kept && self.rises >= RISES_TO_TRUST
    }
}
