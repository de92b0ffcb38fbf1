//! The demo's result as text.

use simulator::functions_host::{FunctionsHost, Level};
use simulator::{Cloud, shape};

use super::check::Check;
use super::indent::indent;
use super::measured::Measured;
use crate::figure::{grouped, megabytes, of_bytes};

/// Prints the warnings and errors in the host's log.
pub(super) fn warnings(host: &FunctionsHost) {
    let mut log = host.log();
    log.retain(|log| log.level > Level::Information);
    // A warning of every start is printed once: only its time differs.
    log.dedup_by_key(|log| log.line.split_once(' ').map(|(_, text)| text.to_owned()));
    if !log.is_empty() {
        println!("\nWarnings and errors in the host's log");
    }
    for log in log {
        println!("  {:?}: {}", log.level, log.line);
    }
}

/// Prints the shortest record that has a machine in it.
pub(super) fn record(cloud: &Cloud) {
    let posts = cloud.received();
    let records = posts.iter().flat_map(|post| &post.records);
    let merged = records.filter(|record| {
        let record = serde_json::from_str(record).expect("only JSON is accepted");
        shape::member(&record, "osPlatform").is_some()
    });
    if let Some(record) = merged.min_by_key(|record| record.len()) {
        println!("\nOne record: an alert with its machine\n{}", indent(record));
    }
}

/// Prints the run reports of both ticks beside what the services counted.
pub(super) fn counts(measured: &Measured) {
    let counts = &measured.counts;
    let rows = [
        (
            "alerts read",
            "alertsRead",
            format!("{} lists, {} single alerts", counts.alert_lists, counts.alert_gets),
        ),
        ("sent before", "alertsAlreadySent", String::new()),
        (
            "alerts sent",
            "alertsSent",
            format!("{} records in {} posts", grouped(counts.records), counts.posts),
        ),
        ("set aside", "alertsSetAside", format!("{} posts rejected", counts.rejected)),
        (
            "machines read",
            "machinesRead",
            format!("{} calls for machines", counts.machine_gets + counts.machine_lists),
        ),
        ("not found", "machinesNotFound", String::new()),
        (
            "requests",
            "requests",
            format!("{} to Defender and sink; {} faults struck", measured.requests, counts.faults),
        ),
        (
            "bytes sent",
            "bytesSent",
            format!("{} on the wire, {} unpacked", grouped(counts.wire_bytes), grouped(counts.bytes)),
        ),
    ];
    println!("\n{:16}{:>12}{:>12}{:>12}   the services counted", "report", "tick 1", "tick 2", "together");
    for (label, member, services) in rows {
        let [first, second] = measured.ticks.each_ref().map(|tick| tick.reported(member));
        let numbers = [first, second, first + second].map(grouped);
        println!("{label:16}{:>12}{:>12}{:>12}   {services}", numbers[0], numbers[1], numbers[2]);
    }
    let tokens = counts.tokens + counts.identity_tokens;
    println!("{:16}{:>36}   {tokens} issued", "tokens", "");
    let [first, second] = measured.ticks.each_ref().map(|tick| {
        tick.to_last_post.map_or("no post".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()))
    });
    println!("{:16}{first:>12}{second:>12}", "to the last post");
    if let Some(bytes) = measured.peak_bytes {
        println!("{:16}{:>12}", "peak memory", megabytes(of_bytes(bytes)));
    }
    println!("(Time and memory are this quick build's; `workbench bench` measures the release binary.)");
}

/// Prints the checks; returns true if all pass.
pub(super) fn checks(checks: &[Check]) -> bool {
    println!();
    for Check { what, found, kept } in checks {
        println!("{:7}{what}: {found}", if *kept { "ok" } else { "MISSED" });
    }
    checks.iter().all(|check| check.kept)
}
