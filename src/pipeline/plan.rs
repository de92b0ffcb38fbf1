//! What a run does: the timer's plan comes from the settings; a backfill makes one for each slice of the past.

use std::{sync::Arc, time::Duration};

use azure_core::time::OffsetDateTime;

use super::watch::Watch;
use crate::{
    config::{Config, Start},
    state::StateStore,
    tenants::TenantId,
};

/// What a run does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The store of the checkpoint that the run goes on from, and of what it sets aside.
    pub store: StateStore,
    /// The time at which the very first run begins: `MDATP_START`.
    pub start: Start,
    /// The end of the window; `None`, the timer's plan, means the time of each run.
    pub until: Option<OffsetDateTime>,
    /// How far before the watermark the run lists again: `MDATP_LOOKBACK`.
    pub lookback: Duration,
    /// The share of Defender's quotas that may be used, from 0 to 1: `MDATP_QUOTA_SHARE`.
    pub quota_share: f64,
    /// The age up to which an alert waits for a machine that cannot be read: `MDATP_ENRICH_PATIENCE`.
    pub enrichment_timeout: Duration,
    /// The alerts that a caller waits for; `None` if nobody asks.
    pub watch: Option<Arc<Watch>>,
    /// The tenant whose alerts these are; `None` where the process forwards for one alone.
    pub tenant: Option<TenantId>,
    /// When the timer asked for the run of a tenant, which is skipped if it is not due (see `due.rs`); `None`: it is due.
    pub tick: Option<OffsetDateTime>,
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
            enrichment_timeout: config.enrichment_timeout,
            watch: None,
            tenant: None,
            tick: None,
        }
    }

    /// True for the timer's plan, whose runs are recorded in the history and in the health table (`MDATP_HEALTH`).
    pub fn is_timer(&self) -> bool {
        self.until.is_none()
    }
}
