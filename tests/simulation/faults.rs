//! What goes wrong around the forwarder, drawn anew for each tick of the timer.

use std::time::Duration;

use azure_core::time::{Duration as Span, to_rfc7231};
use fastrand::Rng;
use simulator::{Fault, Role, Service};

use crate::{
    process::{End, Fate},
    scene::Scene,
    setup::Source,
};

/// The roles that the forwarder may lose for a while.
const ROLES: [Role; 5] = [
    Role::AlertRead,
    Role::MachineRead,
    Role::SecurityAlertRead,
    Role::ThreatHuntingRead,
    Role::MetricsPublisher,
];

impl Scene {
    /// Draws the troubles of one tick.
    pub fn trouble(&mut self) {
        if self.rng.bool() {
            self.calm();
        }
        for _ in 0..self.rng.u8(0..4) {
            let fault = self.fault();
            self.cloud.fault(fault);
        }
        if self.rng.u8(0..4) == 0 {
            self.store_trouble = self.rng.u8(1..60);
        }
        if self.rng.u8(0..8) == 0 {
            self.cloud.deny_role(ROLES[self.rng.usize(0..ROLES.len())]);
        }
        if self.rng.u8(0..5) == 0 {
            let at = self.now() + Span::milliseconds(self.rng.i64(0..30_000));
            self.world.revoke_at(at);
        }
    }

    /// Takes all troubles away.
    pub fn calm(&mut self) {
        self.store_trouble = 0;
        self.cloud.clear_faults();
        for role in ROLES {
            self.cloud.grant_role(role);
        }
    }

    fn fault(&mut self) -> Fault {
        let sink = self.setup.sink_service();
        let by_graph = self.setup.source != Source::Defender && self.rng.bool();
        let (alerts, machines) = match by_graph {
            true => ((Service::Graph, "alerts_v2"), (Service::Graph, "runHuntingQuery")),
            false => ((Service::Defender, "/api/alerts"), (Service::Defender, "/api/machines")),
        };
        let (service, fragment) =
            [(Service::Identity, ""), alerts, machines, (sink, ""), (sink, "")][self.rng.usize(0..5)];
        let fault = match self.rng.u8(0..13) {
            12 if service == sink => Fault::status([400, 413][self.rng.usize(0..2)]),
            0 => Fault::status(429),
            1 => Fault::status(503),
            2 => Fault::status([408, 500, 502, 504][self.rng.usize(0..4)]),
            3 => Fault::body(503, "<html><body>Service Unavailable</body></html>"),
            4 => Fault::reset(),
            5 | 6 => Fault::lost_reply(),
            7 => Fault::cut_body(self.rng.usize(0..300)),
            8 => Fault::bad_json(),
            9 => Fault::html(),
            10 => Fault::slow(Span::seconds(self.rng.i64(1..150))),
            _ => Fault::hang(),
        };
        let fault = match self.rng.u8(0..6) {
            0 => fault.retry_after(&self.rng.u32(0..120).to_string()),
            1 => fault.retry_after(&to_rfc7231(&(self.now() + Span::seconds(self.rng.i64(-60..120))))),
            2 => fault.retry_after("86400"),
            _ => fault,
        };
        let fault = fault.on(service).matching(fragment).after(self.rng.usize(0..12));
        match self.rng.u8(0..10) {
            0 => fault.always(),
            _ => fault.times(self.rng.usize(1..8)),
        }
    }
}

impl Fate {
    /// A run in which nothing happens to the process.
    pub const GOOD: Self = Self { skew: Span::ZERO, budget: Duration::from_secs(480), end: None };

    /// The same among other processes: with a clock that differs from theirs by a minute at most.
    pub fn near(self) -> Self {
        let half_a_minute = Span::seconds(30);
        Self { skew: self.skew.clamp(-half_a_minute, half_a_minute), ..self }
    }

    /// Draws what happens to a run's process.
    pub fn draw(rng: &mut Rng) -> Self {
        let skew = match rng.u8(0..4) {
            0 => Span::seconds(rng.i64(1..60)),
            1 => Span::minutes(rng.i64(1..240)),
            _ => Span::ZERO,
        };
        let skew = if rng.bool() { skew } else { -skew };
        let end = (rng.u8(0..3) == 0).then(|| {
            let end = [End::KilledBefore, End::KilledAfter, End::KilledAfter, End::Asked, End::CutOff]
                [rng.usize(0..5)];
            // Small numbers are the more interesting ones.
            let most = [6, 20, 80][rng.usize(0..3)];
            (rng.u32(1..most), end)
        });
        Self { skew, budget: Duration::from_secs([20, 60, 120, 480][rng.usize(0..4)]), end }
    }
}
