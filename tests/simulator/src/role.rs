//! The rights the forwarder's identity may hold.

use crate::token::Resource;

/// An app role in the tokens for Defender or Microsoft Graph, or the role assignment on the data collection rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `Alert.Read.All` on Defender: lists and reads alerts.
    AlertRead,
    /// `Machine.Read.All` on Defender: lists and reads machines.
    MachineRead,
    /// `SecurityAlert.Read.All` on Microsoft Graph: lists and reads alerts there.
    SecurityAlertRead,
    /// `ThreatHunting.Read.All` on Microsoft Graph: runs hunting queries.
    ThreatHuntingRead,
    /// Monitoring Metrics Publisher on the data collection rule: ingests records.
    MetricsPublisher,
}

impl Role {
    /// The name in a token's `roles` claim; a role assignment is not in the token.
    pub(crate) fn claim(self) -> Option<&'static str> {
        match self {
            Role::AlertRead => Some("Alert.Read.All"),
            Role::MachineRead => Some("Machine.Read.All"),
            Role::SecurityAlertRead => Some("SecurityAlert.Read.All"),
            Role::ThreatHuntingRead => Some("ThreatHunting.Read.All"),
            Role::MetricsPublisher => None,
        }
    }

    /// The resource in whose tokens it is.
    pub(crate) fn resource(self) -> Option<Resource> {
        match self {
            Role::AlertRead | Role::MachineRead => Some(Resource::Defender),
            Role::SecurityAlertRead | Role::ThreatHuntingRead => Some(Resource::Graph),
            Role::MetricsPublisher => None,
        }
    }
}
