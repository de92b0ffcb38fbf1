//! JSON text as slices of what was received: unknown members and the digits of numbers pass through untouched.

pub mod object;
pub mod plain;
pub mod repair;
pub mod scan;
