//! Known ways in which the real services differ from their documents, each a switch.

/// A switch of the cloud; all but [`Quirk::DeflateReplies`] are off at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// Defender takes `$orderby` and sorts by id all the same.
    IgnoreOrderBy,
    /// Defender takes `$top` and sends as many rows as it holds.
    IgnoreTop,
    /// Defender takes `$skip` and starts with the first row.
    IgnoreSkip,
    /// Defender answers every alerts list with the first one it sent since this was switched on.
    RepeatPage,
    /// Defender compresses with deflate whenever the caller takes it, as the real one does.
    DeflateReplies,
    /// The Logs Ingestion API rejects posts whose records span more than 30 minutes.
    LimitTimeRange,
    /// Entra writes the parts of an error's description in one line, not separated by CRLF.
    OneLineErrors,
    /// The managed identity's endpoint returns the expiry as a number instead of a text
    /// (AzureAD/microsoft-authentication-library-for-dotnet#4963 has the forms that were seen).
    NumericExpiry,
    /// The managed identity's endpoint returns the expiry as a date, as App Service's version 2017-09-01 does on
    /// Windows:
    /// `1/16/2020 5:24:12 AM +00:00` (Azure/azure-sdk-for-python#9480, Azure/azure-sdk-for-net#12869).
    DatedExpiry,
    /// Entra returns `expires_in` as a text, as its endpoint of version 1 does.
    TextExpiry,
}
