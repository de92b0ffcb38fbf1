//! JSON text as slices of what was received: unknown members and the digits of numbers pass through untouched.

mod object;
pub mod plain;
pub mod repair;
pub mod scan;

pub use object::*;
