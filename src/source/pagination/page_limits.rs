//! How far the lists of the sources can be paged. Pure.

use crate::config::LARGEST_PAGE;

/// How far a server's list can be paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// The largest page size, in alerts.
    pub page_size: u32,
    /// The largest `$top`.
    pub top: u32,
    /// The most that `$top` and `$skip` may be together; `None`: no limit.
    pub reach: Option<usize>,
}

impl PageLimits {
    /// Defender's own API (documentation page "List alerts API").
    pub const DEFENDER: Self = Self { page_size: LARGEST_PAGE, top: LARGEST_PAGE, reach: None };

    /// Microsoft Graph: a larger `$top` is taken for 1,000 without an error (elastic/integrations#20348), which leaves
    /// room for a hundredth more than a page; `$top` and `$skip` reach 6,000 (page "Microsoft Graph security API error
    /// codes").
    pub const GRAPH: Self = Self { page_size: 990, top: 1_000, reach: Some(6_000) };
}
