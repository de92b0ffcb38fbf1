//! Why a service rejects a request. Each service has its own form of body for it.

/// A rejection: the status and the error's code and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    /// The `Retry-After`, in seconds, if waiting helps.
    pub retry_after: Option<i64>,
}

impl Rejection {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }
}
