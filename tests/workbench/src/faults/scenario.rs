//! The scenarios of the table, as plain values.

use simulator::{Fault, Service};

/// Something that goes wrong.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// How many accepted posts may be sent again, because their replies were lost or the process was killed.
    pub(super) resends: usize,
    /// The number of alerts, in place of the option's.
    pub(super) alerts: Option<usize>,
}

/// What happens.
pub(super) enum Kind {
    /// Faults of the services.
    Faults(Vec<Fault>),
    /// All tokens are revoked once the first alerts have been listed.
    RevokedTokens,
    /// The process is killed when the sink has accepted its first post.
    Kill,
    /// Defender enforces its quotas.
    Quotas,
    /// Defender returns at most this many alerts per page, without a link to the next.
    CappedPages(usize),
}

impl Scenario {
    /// The scenarios for a source and a sink, mildest first. With Graph there are no calls for machines.
    pub(super) fn all(source: Service, sink: Service) -> Vec<Scenario> {
        let mut all = Self::with(source, sink);
        all.retain(|scenario| source == Service::Defender || !scenario.name.starts_with("machines:"));
        all
    }

    fn with(source: Service, sink: Service) -> Vec<Scenario> {
        let alerts = |fault: Fault| fault.on(source).matching("alerts");
        // In each alert.
        let text =
            if source == Service::Graph { "microsoftDefenderForEndpoint" } else { "WindowsDefenderAtp" };
        let machines = |fault: Fault| fault.on(Service::Defender).matching("/api/machines");
        let faults = |name, faults: &[Fault]| of(name, Kind::Faults(faults.to_vec()));
        vec![
            faults("none", &[]),
            faults("sink: one 503", &[Fault::status(503).on(sink)]),
            faults(
                "sink: 429 twice, Retry-After 1",
                &[Fault::status(429).on(sink).times(2).retry_after("1")],
            ),
            faults("sink: five resets", &[Fault::reset().on(sink).times(5)]),
            Scenario {
                resends: 5,
                ..faults(
                    "sink: reply lost after acceptance, five times",
                    &[Fault::lost_reply().on(sink).times(5)],
                )
            },
            faults("sink: 500 for a while", &[Fault::status(500).on(sink).times(8)]),
            faults("sink: 413 once", &[Fault::status(413).on(sink)]),
            faults("sink: 400 once", &[Fault::status(400).on(sink)]),
            faults("sink: a web page with status 200", &[Fault::html().on(sink)]),
            faults("alerts: a page cut off", &[alerts(Fault::cut_body(100_000))]),
            faults("alerts: a web page, twice", &[alerts(Fault::html()).times(2)]),
            faults("machines: 503 three times", &[machines(Fault::status(503)).times(3)]),
            of("tokens revoked in the middle", Kind::RevokedTokens),
            faults("Entra down for a while", &[Fault::status(503).on(Service::Entra).times(8)]),
            Scenario { resends: 1, ..of("killed while sending", Kind::Kill) },
            of("the source's quotas enforced", Kind::Quotas),
            of("alerts: pages capped at 500 in silence", Kind::CappedPages(500)),
            faults(
                "alerts: 504 to pages above 300",
                &[alerts(Fault::status(504)).when_top_is_above(300).always()],
            ),
            faults(
                "alerts: bytes that are not UTF-8",
                &[alerts(Fault::garbled(text, b"Windows\xff\x01")).always()],
            ),
            faults("the source: a byte order mark", &[Fault::byte_order_mark().on(source).always()]),
            faults("the source: gzip of two members", &[Fault::encoded(&["GZIP+"]).on(source).always()]),
            faults(
                "machines: a firewall rejects the bulk question",
                &[Fault::body(403, "<html>Blocked</html>")
                    .on(Service::Defender)
                    .matching("/api/machines?")
                    .always()],
            ),
            faults(
                "sink: accepts with {}",
                &[Fault::unexpected_body("application/json", "{}").on(sink).always()],
            ),
            Scenario { alerts: Some(10_000), ..faults("10,000 alerts, size limits enforced", &[]) },
        ]
    }
}

fn of(name: &'static str, kind: Kind) -> Scenario {
    Scenario { name, kind, resends: 0, alerts: None }
}
