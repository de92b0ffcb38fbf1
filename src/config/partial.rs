//! The settings of each part of the program by itself: a problem with one part leaves the others readable. Pure.

use super::{
    AlertSource, Endpoint, Identity, MachineSource, Owner, Settings, SettingsReader, Shape, SinkConfig,
    SourceIdentity, StateConfig, cloud::Cloud,
};

/// The settings of the parts that could be read; `None` for a part with a problem.
#[derive(Debug)]
pub struct PartialConfig {
    /// `MDATP_CLOUD`
    pub cloud: Option<Cloud>,
    /// The app's own identity.
    pub identity: Option<Identity>,
    /// The identity that calls Defender.
    pub source: Option<SourceIdentity>,
    /// `AZURE_AUTHORITY_HOST`
    pub authority: Option<Endpoint>,
    /// `MDATP_SOURCE` and `MDATP_MACHINES`
    pub alerts_and_machines: Option<(AlertSource, MachineSource)>,
    /// `MDATP_API_URL`
    pub api_url: Option<Endpoint>,
    /// `MDATP_API_SCOPE`
    pub api_scope: String,
    /// `MDATP_GRAPH_URL`
    pub graph_url: Option<Endpoint>,
    /// `MDATP_GRAPH_SCOPE`
    pub graph_scope: String,
    /// `MDATP_SINK` and the settings of the chosen sink.
    pub sink: Option<SinkConfig>,
    /// `MDATP_SINK_IDENTITY`
    pub sink_identity: Option<Owner>,
    /// `MDATP_RECORD_SHAPE`
    pub shape: Option<Shape>,
    /// `MDATP_STATE`
    pub state: Option<StateConfig>,
}

impl PartialConfig {
    /// Reads the parts. If the cloud is unknown, so are the addresses of its services, and only a state folder on the
    /// local disk is left.
    pub fn read(settings: &Settings) -> Self {
        let parts = Self::read_with(&mut SettingsReader::new(settings));
        if parts.cloud.is_some() {
            return parts;
        }
        let state = parts.state.filter(|state| matches!(state, StateConfig::Folder(_)));
        Self { authority: None, api_url: None, graph_url: None, sink: None, state, ..parts }
    }

    /// Reads the parts and leaves the problems with `reader`.
    pub(super) fn read_with(reader: &mut SettingsReader<'_>) -> Self {
        let known = reader.cloud();
        let cloud = known.unwrap_or(Cloud::ALL[0]);
        let identity = reader.identity();
        let authority = reader.endpoint("AZURE_AUTHORITY_HOST", cloud.authority);
        let source = reader.source(identity.as_ref(), authority.as_ref(), &cloud);
        let api_url = reader.endpoint("MDATP_API_URL", cloud.api_url);
        let api_scope = reader.text("MDATP_API_SCOPE", cloud.api_scope);
        let alerts_and_machines = reader.alert_and_machine_source();
        let graph_url = reader.endpoint("MDATP_GRAPH_URL", cloud.graph_url);
        let graph_scope = reader.text("MDATP_GRAPH_SCOPE", cloud.graph_scope);
        let sink = reader.sink(&cloud);
        let sink_identity =
            reader.one_of("MDATP_SINK_IDENTITY", "app", &[("app", Owner::App), ("source", Owner::Source)]);
        let shape = reader.shape(sink.as_ref());
        let state = reader.state(&cloud);
        Self {
            cloud: known,
            identity,
            source,
            authority,
            alerts_and_machines,
            api_url,
            api_scope,
            graph_url,
            graph_scope,
            sink,
            sink_identity,
            shape,
            state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_with_one_part_leaves_the_others_readable() {
        const GOOD: [(&str, &str); 3] = [
            ("MDATP_WORKSPACE_ID", "97ce69d9-b4be-4241-8dbd-d265edcf06c4"),
            ("MDATP_WORKSPACE_KEY", "c2VjcmV0IGtleQ=="),
            ("MDATP_STATE", "file:state"),
        ];
        let readable = |name: &str, value: &str| {
            let values = GOOD.into_iter().filter(|(good, _)| *good != name).chain([(name, value)]);
            let parts = PartialConfig::read(&values.collect());
            [
                parts.identity.is_some(),
                parts.source.is_some(),
                parts.api_url.is_some(),
                parts.sink.is_some(),
                parts.state.is_some(),
            ]
        };
        for (name, value, wanted) in [
            ("MDATP_MODE", "sideways", [true, true, true, true, true]),
            ("AZURE_CLIENT_SECRET", "s", [false, true, true, true, true]),
            ("MDATP_API_URL", "http://api.example", [true, true, false, true, true]),
            ("MDATP_WORKSPACE_KEY", "no base64!", [true, true, true, false, true]),
            ("MDATP_STATE", "blob:No", [true, true, true, true, false]),
            ("MDATP_CLOUD", "mars", [true, true, false, false, true]),
            ("MDATP_CLIENT_ID", "c", [true, false, true, true, true]),
        ] {
            assert_eq!(readable(name, value), wanted, "{name}");
        }
    }
}
