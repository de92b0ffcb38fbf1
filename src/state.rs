//! What outlives a process: the checkpoint with the history of runs, what is set aside, and the list of tenants. It is kept
//! in a container of the host's storage account, or in a folder.
//!
//! [`StateStore`] reads and writes documents; what they say is in [`checkpoint`], [`history`] and [`set_aside`], which
//! are pure.

pub mod backfills;
mod blob;
pub mod blob_error;
pub mod checkpoint;
mod error;
pub mod history;
pub mod holder;
pub mod lease;
mod probe;
pub mod set_aside;
pub mod set_asides;
mod store;
mod tenants;

pub use error::{StateError, StateErrorKind};
pub use store::{ETag, StateStore};
