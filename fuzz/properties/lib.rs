//! What must be true for whatever bytes come in: one module for each function of the program that reads
//! what others wrote. The fuzz targets try them on bytes they make up, `tests/fuzz_cases.rs` on those that
//! are kept in `seeds/`.

pub mod checkpoint;
pub mod connection_string;
pub mod invocation;
mod json;
pub mod page_union;
pub mod retry_after;
pub mod signing_key;
pub mod truncate;
