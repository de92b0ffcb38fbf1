//! The settings of each part of the program for itself: what is wrong with one leaves the others readable.

use super::{
    Cloud, Endpoint, Identity, Settings, SettingsReader, Shape, SinkConfig, SourceIdentity, StateConfig,
};

/// The parts that could be read.
#[derive(Debug)]
pub struct PartialConfig {
    /// `MDATP_CLOUD`
    pub cloud: Option<Cloud>,
    /// The app's own identity.
    pub identity: Option<Identity>,
    /// Who asks Defender.
    pub source: Option<SourceIdentity>,
    /// `AZURE_AUTHORITY_HOST`
    pub authority: Option<Endpoint>,
    /// `MDATP_API_URL`
    pub api_url: Option<Endpoint>,
    /// `MDATP_API_SCOPE`
    pub api_scope: String,
    /// `MDATP_SINK` and the settings of the sink chosen.
    pub sink: Option<SinkConfig>,
    /// `MDATP_RECORD_SHAPE`
    pub shape: Option<Shape>,
    /// `MDATP_STATE`
    pub state: Option<StateConfig>,
}

impl PartialConfig {
    /// Reads what can be read. In a cloud that is not known, nothing is where it is by default, so nothing is
    /// taken to be anywhere but on this disk.
    pub fn read(settings: &Settings) -> Self {
        let parts = Self::of(&mut SettingsReader::of(settings));
        if parts.cloud.is_some() {
            return parts;
        }
        let state = parts.state.filter(|state| matches!(state, StateConfig::Folder(_)));
        Self { authority: None, api_url: None, sink: None, state, ..parts }
    }

    pub(super) fn of(read: &mut SettingsReader<'_>) -> Self {
        let known = read.one_of("MDATP_CLOUD", "public", &Cloud::ALL.map(|cloud| (cloud.name, cloud)));
        let cloud = known.unwrap_or(Cloud::ALL[0]);
        let identity = read.identity();
        let authority = read.endpoint("AZURE_AUTHORITY_HOST", cloud.authority);
        let source = read.source(identity.as_ref(), authority.as_ref(), &cloud);
        let api_url = read.endpoint("MDATP_API_URL", cloud.api_url);
        let api_scope = read.text("MDATP_API_SCOPE", cloud.api_scope);
        let sink = read.sink(&cloud);
        let shape = read.shape(sink.as_ref());
        let state = read.state(&cloud);
        Self { cloud: known, identity, source, authority, api_url, api_scope, sink, shape, state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_one_part_leaves_the_others() {
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
