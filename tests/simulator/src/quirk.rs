//! Ways in which a real service has been seen to differ from its documents, each a switch.

/// A switch of the cloud; all but [`Quirk::DeflateReplies`] are off at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// Defender takes `$orderby` and sorts by id all the same.
    IgnoreOrderBy,
    /// Defender takes `$top` and sends as many rows as it holds.
    IgnoreTop,
    /// Defender takes `$skip` and starts with the first row.
    IgnoreSkip,
    /// Defender answers every alerts list with the first one it sent since the switch was thrown.
    RepeatPage,
    /// Defender compresses with deflate whenever the caller takes it, as the real one does.
    DeflateReplies,
    /// The Logs Ingestion API refuses posts whose records span more than 30 minutes.
    LimitTimeRange,
    /// Entra words its errors in one line, not separated by CRLF.
    OneLineErrors,
}
