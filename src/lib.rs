//! Microsoft Defender for Endpoint alerts, joined with their machines, into Azure Log Analytics.
//!
//! The data's path, which is also the order to read in:
//!
//! ```text
//! the host's timer   POST /MdatpForward      server, invocation
//! one run            the whole story         app, pipeline
//! fetch              GET /api/alerts         walk (which page), defender, page, alert
//! enrich             GET /api/machines       enrich, machine
//! merge              one record an alert     union, object
//! sign, send         one post a batch        batch, sink
//! remember           only what was accepted  checkpoint, state, set_aside
//! answer             the report              report, invocation
//! ```
//!
//! Under all calls lie `call` (token, retries, errors with advice), `retry`, `credential` and `http`.

#![forbid(unsafe_code)]

pub mod app;
pub mod buffers;
pub mod cli;
pub mod clock;
pub mod config;
pub mod error_chain;
pub mod host;
pub mod http;
pub mod pipeline;
pub mod record;
pub mod report;
pub mod schema;
pub mod services;
pub mod shutdown;
pub mod sink;
pub mod source;
pub mod state;
pub mod status;
pub mod telemetry;
