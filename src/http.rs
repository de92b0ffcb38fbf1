//! Every request to a service: its limits, its token, its retries and quota, and errors that say what to fix. Used by
//! what talks to services (`source`, `sink`, `state`); nothing else reaches the network.
//!
//! [`client`] sends one request and reads its response. [`call`] makes a whole call out of that: quota, token, retries,
//! deadline. [`credential`] gets the tokens.

pub mod advice;
pub mod call;
pub mod claims;
mod client;
pub mod credential;
pub mod deadline;
mod encoding;
pub mod error_detail;
mod exchange;
mod exchange_error;
mod local;
pub mod quota;
pub mod retry;
pub mod service;

use std::time::Duration;

pub use client::Http;
pub use encoding::ACCEPTED;
pub use exchange::{Exchange, Request, Response};
pub use exchange_error::ExchangeError;

/// The time limit of one request, to the last byte of its response. Defender takes tens of seconds for a full page of
/// 10,000 alerts with evidence.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(100);

/// The largest body of a response that is read, in bytes after decompression. A page of 1,000 alerts is about 4 MB; a
/// larger body than this is a fault of the service, or a page size set too high.
pub const RESPONSE_LIMIT: usize = 64 * 1024 * 1024;
