//! `mdatp-forward run`, without a host.

use serde_json::Value;
use simulator::{Fault, Service, Sink};

use crate::stage::{BOTH_SINKS, Stage};

#[tokio::test]
async fn run_forwards_what_is_new_and_prints_the_report() {
    for sink in BOTH_SINKS {
        let stage = Stage::with_alerts(sink, 40, 3).await;
        for sent in [40, 0] {
            let output = stage.command(&["run", "--once", "--json"]).await;
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let report: Value =
                serde_json::from_slice(&output.stdout).expect("the report is all there is on stdout");
            assert_eq!(report["alertsSent"], sent);
        }
        stage.assert_all_sent_once();
    }
}

#[tokio::test]
async fn a_dry_run_prints_the_records_as_lines_and_sends_and_saves_nothing() {
    let stage = Stage::with_alerts(Sink::DataCollector, 40, 3).await;
    let output = stage.command(&["run", "--dry-run"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines: Vec<Value> = output
        .stdout
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).expect("a record"))
        .collect();
    assert_eq!(lines.len(), 40);
    assert_eq!(stage.cloud.counts().posts, 0);
    assert!(!stage.state_file("checkpoint.json").exists());

    stage.command(&["run"]).await;
    assert_eq!(lines, stage.cloud.records());
}

#[tokio::test]
async fn exit_codes_tell_a_failed_run_from_bad_settings() {
    let mut stage = Stage::with_alerts(Sink::DataCollector, 4, 1).await;
    stage.cloud.fault(Fault::status(403).on(Service::DataCollector));
    let failed = stage.command(&["run", "--json"]).await;
    assert_eq!(failed.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&failed.stdout).expect("a report");
    assert!(report["error"].is_string());

    stage.set("MDATP_MODE", "sideways");
    let bad = stage.command(&["run"]).await;
    assert_eq!(bad.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("MDATP_MODE"));
    assert_eq!(stage.command(&["fly"]).await.status.code(), Some(64));
}

#[tokio::test]
async fn help_and_version_are_as_usual() {
    let stage = Stage::new(Sink::DataCollector).await;
    let version = stage.command(&["--version"]).await;
    assert_eq!(
        String::from_utf8_lossy(&version.stdout).trim(),
        concat!("mdatp-forward ", env!("CARGO_PKG_VERSION"))
    );
    let help = stage.command(&["--help"]).await;
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("run"));
}
