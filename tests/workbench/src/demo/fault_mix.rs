//! Named mixes of faults for the demo. All are transient, and none loses the reply to an accepted post, so that every
//! alert still arrives exactly once.

use clap::ValueEnum;
use simulator::{Cloud, Fault, Service, Sink};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FaultMix {
    /// No faults
    None,
    /// Each service fails a few times and recovers
    #[value(alias = "passing")]
    Transient,
}

impl FaultMix {
    pub(super) fn set(self, cloud: &Cloud, sink: Sink) {
        if self == Self::None {
            return;
        }
        let sink = match sink {
            Sink::DataCollector => Service::DataCollector,
            Sink::LogsIngestion => Service::LogsIngestion,
        };
        for fault in [
            Fault::status(503).on(Service::Entra),
            Fault::status(503).on(Service::Defender).matching("/api/alerts"),
            Fault::cut_body(1000).on(Service::Defender).matching("/api/alerts"),
            Fault::status(429).on(Service::Defender).matching("/api/machines/").retry_after("1"),
            Fault::lost_reply().on(Service::Defender).matching("/api/machines/").after(20),
            Fault::reset().on(sink),
            Fault::status(503).on(sink).retry_after("1"),
        ] {
            cloud.fault(fault);
        }
    }
}
