//! The services that issue tokens. Pure.

/// A service that issues tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// Entra ID.
    Entra,
    /// The endpoint that the platform provides for managed identities.
    ManagedIdentity {
        /// The setting that names a user-assigned identity.
        setting: &'static str,
    },
}

impl Issuer {
    /// Returns the name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Entra => "Entra ID",
            Self::ManagedIdentity { .. } => "the managed identity's endpoint",
        }
    }
}
