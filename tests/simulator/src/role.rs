//! The rights the forwarder's identity may hold.

/// An app role in Defender's tokens, or the role assignment on the data collection rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `Alert.Read.All` on Defender: lists and reads alerts.
    AlertRead,
    /// `Machine.Read.All` on Defender: lists and reads machines.
    MachineRead,
    /// Monitoring Metrics Publisher on the data collection rule: ingests records.
    MetricsPublisher,
}

impl Role {
    /// The name in a token's `roles` claim; a role assignment is not in the token.
    pub(crate) fn claim(self) -> Option<&'static str> {
        match self {
            Role::AlertRead => Some("Alert.Read.All"),
            Role::MachineRead => Some("Machine.Read.All"),
            Role::MetricsPublisher => None,
        }
    }
}
