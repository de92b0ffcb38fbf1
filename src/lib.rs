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

pub mod advice;
pub mod alert;
pub mod app;
pub mod backfill;
pub mod batch;
pub mod call;
pub mod cause;
pub mod check;
pub mod checkpoint;
pub mod claims;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credential;
pub mod deadline;
pub mod defender;
pub mod enrich;
pub mod fingerprints;
pub mod history;
pub mod http;
pub mod invocation;
pub mod machine;
pub mod object;
pub mod page;
pub mod pipeline;
pub mod plain;
pub mod quota;
pub mod record_writer;
pub mod repair;
pub mod report;
pub mod retry;
pub mod scan;
pub mod schema;
pub mod server;
pub mod services;
pub mod set_aside;
pub mod shape;
pub mod shrink;
pub mod sink;
pub mod spare;
pub mod state;
pub mod status;
pub mod stop;
pub mod telemetry;
pub mod timestamp;
pub mod union;
pub mod walk;
