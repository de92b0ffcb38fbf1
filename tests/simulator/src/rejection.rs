//! Why a service turns a request down. Each service words it in a body of its own form.

/// A rejection: the status and the error's code and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    /// Whole seconds to wait, when waiting helps.
    pub retry_after: Option<i64>,
}

impl Rejection {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }
}
