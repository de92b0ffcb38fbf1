//! Why a checkpoint cannot be used. Pure.

use std::{error::Error, fmt};

use super::FORMAT_VERSION;

/// Why a checkpoint cannot be used. To start over instead would send alerts again, or lose them, unnoticed.
#[derive(Debug)]
pub enum Damage {
    /// It is not the expected JSON.
    InvalidJson(serde_json::Error),
    /// It was written by another version of this program.
    UnknownVersion(u32),
    /// A time in it is not one.
    InvalidTime(String),
    /// The fingerprints of a minute cannot be decoded.
    InvalidFingerprints(String),
    /// The watermark is before the beginning.
    Inverted,
    /// It begins before there were alerts.
    TooEarly(String),
    /// The watermark is later than now.
    InFuture(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidJson(_) => f.write_str("it is not the expected JSON"),
            Self::UnknownVersion(version) => {
                write!(f, "its version is {version}, and this program knows version {FORMAT_VERSION}")
            }
            Self::InvalidTime(text) => write!(f, "{text:?} is not a valid time"),
            Self::InvalidFingerprints(minute) => write!(f, "the fingerprints of {minute:?} cannot be read"),
            Self::Inverted => f.write_str("its watermark is before its beginning"),
            Self::TooEarly(time) => {
                write!(f, "it begins at {time:?}, before Defender for Endpoint had alerts")
            }
            Self::InFuture(time) => {
                write!(f, "its watermark {time:?} is later than now: it is wrong, or this machine's clock is")
            }
        }
    }
}

impl Error for Damage {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InvalidJson(error) => Some(error),
            _ => None,
        }
    }
}
