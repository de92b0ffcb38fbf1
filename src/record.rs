//! The data of a run: alerts and machines as Defender sends them, the records they are merged into, and the batches
//! that records are packed into.
//!
//! Everything in this folder is pure: no clock, no environment, no network and no await. It uses
//! [`schema`](crate::schema) and [`buffers`](crate::buffers), and may be used from anywhere above them.

pub mod alert;
pub mod batch;
pub mod fingerprints;
pub mod json;
pub mod machine;
pub mod merge;
pub mod odata;
pub mod page;
pub mod shape;
pub mod timestamp;
pub mod truncate;
pub mod window;
pub mod writer;
