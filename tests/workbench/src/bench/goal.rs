//! The goals beside what was measured.

use simulator::Sink;

use super::candidate::{Program, way};
use super::empty_tick::EmptyTick;
use super::growth::Grown;
use super::readiness::Readiness;
use super::run::{Run, Runs};
use crate::figure::{as_f64, grouped, megabytes};

/// All that was measured.
pub(super) struct Measured<'a> {
    pub(super) runs: &'a [Runs],
    /// The time of a run with latency over that of its critical path, for each sink.
    pub(super) ratios: &'a [(Sink, f64)],
    pub(super) empty: EmptyTick,
    pub(super) start: Readiness,
    pub(super) grown: &'a [Grown],
    pub(super) binary_bytes: f64,
}

/// A goal and whether it is reached.
pub(super) struct Goal {
    figure: String,
    bound: String,
    measured: String,
    is_reached: bool,
}

impl Goal {
    fn at_least(figure: String, bound: f64, measured: f64, show: impl Fn(f64) -> String) -> Self {
        let is_reached = measured >= bound;
        Self { figure, bound: format!("at least {}", show(bound)), measured: show(measured), is_reached }
    }

    pub(super) fn at_most(
        figure: impl Into<String>,
        bound: f64,
        measured: f64,
        show: impl Fn(f64) -> String,
    ) -> Self {
        let is_reached = measured <= bound;
        Self {
            figure: figure.into(),
            bound: format!("at most {}", show(bound)),
            measured: show(measured),
            is_reached,
        }
    }

    /// Prints the table of all that was measured; returns true if all goals are reached.
    pub(super) fn print_all(measured: &Measured) -> bool {
        Self::print(&all(measured))
    }

    /// Prints a table of goals; returns true if all are reached.
    pub(super) fn print(goals: &[Self]) -> bool {
        println!("\n{:46} {:24} {:16}", "figure", "goal", "measured");
        for Self { figure, bound, measured, is_reached } in goals {
            println!("{figure:46} {bound:24} {measured:16} {}", if *is_reached { "ok" } else { "MISSED" });
        }
        goals.iter().all(|goal| goal.is_reached)
    }
}

fn all(measured: &Measured) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (sink, rate, processor) in
        [(Sink::DataCollector, 50_000.0, 12.0), (Sink::LogsIngestion, 30_000.0, 25.0)]
    {
        goals.extend(of_sink(measured.runs, sink, rate, processor));
    }
    goals.extend(memory(measured));
    if let Some(ours) = measured.runs.first() {
        goals.push(Goal::at_most("list calls to Defender", 10.0, ours.pages(), grouped));
        goals.push(Goal::at_most("machine calls to Defender", 17.0, ours.machine_calls(), grouped));
    }
    for (sink, ratio) in measured.ratios {
        let figure = format!("with latency, time over critical path, {}", way(*sink));
        goals.push(Goal::at_most(figure, 1.3, *ratio, times));
    }
    let Readiness { ours, bare } = measured.start;
    goals.extend([
        Goal::at_most("start to first response", 8.0, ours.milliseconds, milliseconds),
        Goal::at_most("start, over a bare server's", 1.5, ours.milliseconds / bare.milliseconds, times),
        Goal::at_most("idle memory", 10e6, ours.bytes, megabytes),
        Goal::at_most("idle memory, over a bare server's", 1.5, ours.bytes / bare.bytes, times),
    ]);
    let empty = measured.empty;
    let ticks = f64::from(empty.ticks);
    goals.extend([
        Goal::at_most("empty tick, calls", 1.0, as_f64(empty.lists + empty.others) / ticks, two_digits),
        Goal::at_most("empty tick, processor", 1.0, empty.processor.as_secs_f64() * 1e3, milliseconds),
        Goal::at_most("empty tick, state writes", 0.0, f64::from(empty.writes) / ticks, two_digits),
        Goal::at_most("release binary", 8e6, measured.binary_bytes, megabytes),
    ]);
    goals
}

/// Throughput and processor time, alone and beside the peers.
fn of_sink(runs: &[Runs], sink: Sink, rate: f64, processor: f64) -> Vec<Goal> {
    let of = |program| {
        runs.iter().find(move |runs| runs.candidate.sink == sink && runs.candidate.program == program)
    };
    let Some(ours) = of(Program::Forwarder) else { return Vec::new() };
    let way = way(sink);
    let peers: Vec<_> = [Program::Python, Program::JavaScript].into_iter().filter_map(of).collect();
    let mut goals = vec![Goal::at_least(format!("alerts/s, {way}"), rate, ours.alerts_a_second(), grouped)];
    let ratios = peers.iter().map(|peer| ours.over(peer, Run::alerts_a_second));
    if let Some(ratio) = ratios.min_by(f64::total_cmp) {
        goals.push(Goal::at_least(format!("alerts/s over the fastest peer's, {way}"), 5.0, ratio, times));
    }
    goals.push(Goal::at_most(
        format!("processor an alert, {way}"),
        processor,
        ours.processor_an_alert(),
        microseconds,
    ));
    if let Some(from_graph) = of(Program::FromGraph) {
        let ratio = from_graph.over(ours, Run::processor_an_alert);
        goals.push(Goal::at_most(format!("processor from Graph over Defender, {way}"), 2.0, ratio, times));
    }
    for peer in peers {
        let ratio = peer.over(ours, Run::processor_an_alert);
        let figure = format!("processor of {} over ours, {way}", peer.candidate.program.name());
        goals.push(Goal::at_least(figure, 10.0, ratio, times));
    }
    goals
}

fn memory(measured: &Measured) -> Vec<Goal> {
    let ours = measured.runs.iter().filter(|runs| runs.candidate.program == Program::Forwarder);
    let mut goals: Vec<_> = ours
        .map(|runs| {
            let figure = format!("peak memory, {}", way(runs.candidate.sink));
            Goal::at_most(figure, 32e6, runs.peak_bytes(), megabytes)
        })
        .collect();
    let grown = |alerts: f64| measured.grown.iter().find(|grown| grown.alerts >= alerts);
    if let (Some(some), Some(many)) = (grown(10_000.0), grown(200_000.0)) {
        goals.push(Goal::at_most("peak memory, 200,000 alerts", 32e6, many.peak_bytes, megabytes));
        let figure = "peak memory, 200,000 over 10,000 alerts";
        goals.push(Goal::at_most(figure, 1.15, many.peak_bytes / some.peak_bytes, times));
        let figure = "processor an alert, 200,000 over 10,000";
        goals.push(Goal::at_most(figure, 1.15, many.processor_an_alert / some.processor_an_alert, times));
    }
    goals
}

pub(super) fn times(ratio: f64) -> String {
    format!("{ratio:.2} times")
}

fn two_digits(number: f64) -> String {
    format!("{number:.2}")
}

pub(super) fn milliseconds(number: f64) -> String {
    format!("{number:.2} ms")
}

fn microseconds(number: f64) -> String {
    format!("{number:.1} µs")
}
