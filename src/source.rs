//! The source of alerts and machines: Defender's API, the pagination of its alert list, and a cache of machines. Uses
//! [`http`](crate::http) and [`record`](crate::record); [`pipeline`](crate::pipeline) uses it.

pub mod defender;
pub mod machines;
pub mod pagination;
