//! What a run is to do. The timer's plan comes from the settings; a backfill makes one for each slice of the past.

use std::time::Duration;

use azure_core::time::OffsetDateTime;

use crate::{
    config::{Config, Start},
    state::StateStore,
};

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the checkpoint is that the run goes on from, and where it keeps what it sets aside.
    pub store: StateStore,
    /// Where the very first run begins: `MDATP_START`.
    pub start: Start,
    /// Where the window ends; `None`: now, whenever that is, which is the timer's plan.
    pub until: Option<OffsetDateTime>,
    /// How far behind the watermark the run looks again: `MDATP_LOOKBACK`.
    pub lookback: Duration,
    /// How much of Defender's quotas may be used, from 0 to 1: `MDATP_QUOTA_SHARE`.
    pub quota_share: f64,
    /// How old an alert may get while its machine cannot be read: `MDATP_ENRICH_PATIENCE`.
    pub enrich_patience: Duration,
}

impl Plan {
    /// The timer's plan.
    pub fn timer(config: &Config, store: StateStore) -> Self {
        Self {
            store,
            start: config.start,
            until: None,
            lookback: config.lookback,
            quota_share: config.quota_share,
            enrich_patience: config.enrich_patience,
        }
    }

    /// True for the timer's plan, whose runs are kept in the history and told to the sink (`MDATP_HEALTH`).
    pub fn is_timer(&self) -> bool {
        self.until.is_none()
    }
}
