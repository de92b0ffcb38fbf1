//! Where alerts and machines are read. Pure.

use super::reader::SettingsReader;

/// Where alerts are read, `MDATP_SOURCE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertSource {
    /// Defender for Endpoint's own API.
    Defender,
    /// Microsoft Graph's security API.
    Graph,
}

/// Where an alert's machine is read, `MDATP_MACHINES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineSource {
    /// Defender for Endpoint's own API.
    Api,
    /// The device evidence of Graph's alert.
    Evidence,
    /// A hunting query of Graph's; for what that does not have, the device evidence.
    Hunting,
    /// Nowhere.
    None,
}

impl SettingsReader<'_> {
    /// Reads where alerts and machines are read.
    pub(super) fn alert_and_machine_source(&mut self) -> Option<(AlertSource, MachineSource)> {
        let alerts = self.one_of(
            "MDATP_SOURCE",
            "defender",
            &[("defender", AlertSource::Defender), ("graph", AlertSource::Graph)],
        )?;
        let default = match alerts {
            AlertSource::Defender => "api",
            AlertSource::Graph => "evidence",
        };
        let machines = self.one_of(
            "MDATP_MACHINES",
            default,
            &[
                ("api", MachineSource::Api),
                ("evidence", MachineSource::Evidence),
                ("hunting", MachineSource::Hunting),
                ("none", MachineSource::None),
            ],
        )?;
        if (alerts, machines) == (AlertSource::Defender, MachineSource::Evidence) {
            return self.problem(
                "MDATP_MACHINES",
                "must be api, hunting or none with MDATP_SOURCE=defender: only Graph's alerts have device evidence",
            );
        }
        Some((alerts, machines))
    }
}
