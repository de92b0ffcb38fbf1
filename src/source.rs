//! Where alerts and their machines come from: Defender's API, which page of its list to ask for next, and the machines
//! that are known. Uses [`http`](crate::http) and [`record`](crate::record); [`pipeline`](crate::pipeline) uses it.

pub mod defender;
pub mod machines;
pub mod pagination;
