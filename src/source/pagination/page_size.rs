//! How many alerts make a page full. Pure.

/// After so many full pages of a reduced size, one of twice the size is tried; after twice as many each time that this
/// has failed.
const PAGES_TO_GROW: u32 = 4;

/// The page size: the configured one, a smaller one while the server fails at that, or a larger one for a server that
/// does not skip. In alerts.
#[derive(Debug)]
pub(super) struct PageSize {
    /// The size by the settings.
    configured: u32,
    /// The size that earlier runs had to reduce it to.
    initial: u32,
    /// The size now.
    pub(super) now: u32,
    /// True while pages have one alert and none is repeated: the server returns no more, or the one before cannot be
    /// read.
    pub(super) is_single: bool,
    /// The number of full pages since the size was changed.
    full_pages: u32,
    /// The number of full pages after which a larger size is tried.
    pages_to_grow: u32,
    /// Size and `is_single` before the size was doubled, until a full page of twice the size has been read.
    before_growth: Option<(u32, bool)>,
}

impl PageSize {
    /// The size that is configured, or `reduced` if earlier runs had to reduce it.
    pub(super) fn new(configured: u32, reduced: Option<u32>) -> Self {
        let initial = reduced.map_or(configured, |reduced| reduced.clamp(1, configured));
        Self {
            configured,
            initial,
            now: initial,
            is_single: false,
            full_pages: 0,
            pages_to_grow: PAGES_TO_GROW,
            before_growth: None,
        }
    }

    /// Returns the size that has worked, if it is smaller than the configured one.
    pub(super) fn reduced(&self) -> Option<u32> {
        let worked = self.before_growth.map_or(self.now, |(size, _)| size);
        (worked < self.configured).then_some(worked)
    }

    /// Returns to the size before it was doubled, or divides it by `factor`.
    pub(super) fn reduce(&mut self, factor: u32) {
        self.full_pages = 0;
        match self.before_growth.take() {
            Some(worked) => {
                (self.now, self.is_single) = worked;
                self.pages_to_grow = self.pages_to_grow.saturating_mul(2);
            }
            None => (self.now, self.is_single) = ((self.now / factor).max(1), self.now == 1),
        }
    }

    /// Returns to the initial size.
    pub(super) fn restore(&mut self) {
        self.before_growth = None;
        self.now = self.initial;
        self.is_single = false;
    }

    /// Counts a full page. After enough of them, a reduced size is doubled.
    pub(super) fn count_full_page(&mut self) {
        self.full_pages += 1;
        self.before_growth = None;
        if self.now < self.configured && self.full_pages >= self.pages_to_grow {
            self.before_growth = Some((self.now, self.is_single));
            (self.now, self.full_pages) = ((self.now * 2).min(self.configured), 0);
            self.is_single = false;
        }
    }
}
