//! JSON as slices of the text it was received in, so that unknown members and the digits of numbers pass through
//! untouched.
//!
//! The rest of the program reads and writes JSON text by what this module exports, and by nothing below it:
//!
//! | to | use |
//! | --- | --- |
//! | read and check an object in any form | [`Object::parse`], which asks `serde_json` |
//! | read and check compact JSON in one pass | [`CompactReader`]; where it returns `None`, callers fall back to `serde_json` |
//! | take apart what is known to be valid | [`elements`], [`members`], [`Object::from_valid`], [`text_of`], [`character_len`] |
//! | read what is not quite JSON | [`repaired`], [`is_one_container`] |
//! | write | [`Object::append_to`], [`append_name`], [`append_compact`], [`append_string`] |
//!
//! All of it finds the ends of strings, escapes and containers with `token`. The fuzz target `page_union` compares
//! [`CompactReader`] with `serde_json`.

mod compact;
mod compact_reader;
mod member;
mod member_map;
mod object;
mod owned_object;
mod repair;
mod slices;
mod string;
mod token;

pub use compact::append_compact;
pub use compact_reader::CompactReader;
pub use member::{Member, MemberSpan, append_name};
pub use member_map::MemberMap;
pub use object::Object;
pub use owned_object::OwnedObject;
pub use repair::repaired;
pub use slices::{elements, is_one_container, members};
pub use string::{append_string, text_of};
pub use token::character_len;
