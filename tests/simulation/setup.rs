//! How the forwarder of one life is set up.

use std::{path::Path, time::Duration};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use fastrand::Rng;
use mdatp_forward::testing::{AlertFetch, AlertSource, Config, MachineSource, Mode, Settings};
use simulator::{Endpoints, Quirk, Route, Service, Sink};

/// A patience that no life outlasts.
pub const NEVER: Duration = Duration::from_secs(1_000_000);

/// Where alerts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Defender,
    Graph,
    /// Now from the one, now from the other: each process draws it anew.
    Changing,
}

impl Source {
    /// Draws the source of a process.
    pub fn draw(self, rng: &mut Rng) -> AlertSource {
        match self {
            Self::Defender => AlertSource::Defender,
            Self::Changing if rng.bool() => AlertSource::Defender,
            Self::Graph | Self::Changing => AlertSource::Graph,
        }
    }
}

/// The settings that make a difference.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub sink: Sink,
    pub source: Source,
    /// Where the machines of Graph's alerts are read.
    pub machines: MachineSource,
    pub mode: Mode,
    pub fetch: AlertFetch,
    pub page_size: u32,
    pub lookback: Duration,
    pub start: OffsetDateTime,
    pub enrich_patience: Duration,
    pub quota_share: f32,
    /// Where Defender strays from its documents.
    pub quirk: Option<Quirk>,
    pub has_rate_limits: bool,
}

impl Setup {
    /// Draws one; `earliest` is the creation of the first alert and `birth` the first moment of the life.
    pub fn draw(rng: &mut Rng, earliest: OffsetDateTime, birth: OffsetDateTime) -> Self {
        let start = match rng.u8(0..3) {
            0 => earliest + (birth - earliest) * rng.f64(),
            _ => earliest,
        };
        let quirks = [Quirk::IgnoreOrderBy, Quirk::IgnoreTop, Quirk::IgnoreSkip];
        Self {
            source: [Source::Defender, Source::Defender, Source::Graph, Source::Changing][rng.usize(0..4)],
            machines: [
                MachineSource::Evidence,
                MachineSource::Hunting,
                MachineSource::Api,
                MachineSource::None,
            ][rng.usize(0..4)],
            sink: if rng.bool() { Sink::LogsIngestion } else { Sink::DataCollector },
            mode: if rng.bool() { Mode::Created } else { Mode::Updated },
            fetch: if rng.u8(0..4) == 0 { AlertFetch::ById } else { AlertFetch::List },
            page_size: [1, rng.u32(2..8), rng.u32(8..20), 50][rng.usize(0..4)],
            lookback: Duration::from_secs([0, rng.u64(1..60), 600, 3_600][rng.usize(0..4)]),
            start: start.replace_nanosecond(start.nanosecond() / 100 * 100).unwrap_or(start),
            enrich_patience: Duration::from_secs([0, 1_800, NEVER.as_secs()][rng.usize(0..3)]),
            quota_share: [0.8, 1.0][rng.usize(0..2)],
            quirk: quirks.get(rng.usize(0..20)).copied(),
            has_rate_limits: rng.bool(),
        }
    }

    /// The configuration of a process that reads from `source`, as it would be read from the environment.
    pub fn config(&self, source: AlertSource) -> Config {
        let machines = match (source, self.machines) {
            (AlertSource::Defender, _) | (_, MachineSource::Api) => "api",
            (_, MachineSource::Evidence) => "evidence",
            (_, MachineSource::Hunting) => "hunting",
            (_, MachineSource::None) => "none",
        };
        let mut settings = endpoints().settings(self.sink, Route::ManagedIdentity, Path::new(""));
        for (name, value) in [
            ("MDATP_STATE", "file:unused".to_owned()),
            // Records are compared with alerts member by member; the other shapes have tests of their own.
            ("MDATP_RECORD_SHAPE", "union".to_owned()),
            ("MDATP_MODE", if self.mode == Mode::Created { "created" } else { "updated" }.to_owned()),
            ("MDATP_ALERT_FETCH", if self.fetch == AlertFetch::List { "list" } else { "by-id" }.to_owned()),
            ("MDATP_PAGE_SIZE", self.page_size.to_string()),
            ("MDATP_LOOKBACK", format!("{}s", self.lookback.as_secs())),
            ("MDATP_START", to_rfc3339(&self.start)),
            ("MDATP_ENRICH_PATIENCE", format!("{}s", self.enrich_patience.as_secs())),
            ("MDATP_SOURCE", if source == AlertSource::Graph { "graph" } else { "defender" }.to_owned()),
            ("MDATP_MACHINES", machines.to_owned()),
            ("MDATP_QUOTA_SHARE", self.quota_share.to_string()),
        ] {
            settings.push((name.to_owned(), value));
        }
        Config::parse(&settings.into_iter().collect::<Settings>()).expect("good settings")
    }

    /// The sink as a service.
    pub fn sink_service(&self) -> Service {
        match self.sink {
            Sink::DataCollector => Service::DataCollector,
            Sink::LogsIngestion => Service::LogsIngestion,
        }
    }
}

/// The service that `url` points to, and the rest of the URL. The addresses are those of the simulator's
/// servers, but nothing listens there.
pub fn service_of(url: &str) -> (Service, &str) {
    let found = Service::ALL.into_iter().find_map(|service| {
        let rest = url.strip_prefix(&endpoints().url(service))?;
        Some((service, rest))
    });
    found.unwrap_or_else(|| panic!("{url} leads to no service"))
}

/// Where tokens come from.
pub fn identity_url() -> String {
    format!("{}/msi/token", endpoints().url(Service::Identity))
}

fn endpoints() -> Endpoints {
    Endpoints::from_port(17070)
}
