//! Files that must agree with the code.

use std::{fs, path::Path};

use serde_json::{Value, json};

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn host_json_and_function_json_are_what_the_host_needs() {
    let host: Value = serde_json::from_str(&file("host.json")).expect("JSON");
    assert_eq!(host["version"], "2.0");
    assert_eq!(host["functionTimeout"], "00:10:00");
    assert_eq!(host["customHandler"]["description"]["defaultExecutablePath"], "mdatp-forward");
    assert_eq!(host.get("extensionBundle"), None, "a timer needs no bundle");

    let function: Value = serde_json::from_str(&file("MdatpForward/function.json")).expect("JSON");
    let trigger = json!({
        "type": "timerTrigger", "direction": "in", "name": "mdatpTimer", "schedule": "%MDATP_SCHEDULE%",
        "useMonitor": true, "runOnStartup": false
    });
    assert_eq!(function, json!({ "bindings": [trigger] }));
}

/// Pure files decide; they wait for nothing and ask nobody.
#[test]
fn pure_files_touch_no_clock_environment_or_network() {
    for name in [
        "alert",
        "backfill",
        "backfill/notice",
        "backfill/progress",
        "backfill/report",
        "backfill/slices",
        "batch",
        "check/defender",
        "check/finding",
        "check/mend",
        "check/schedule",
        "check/settings",
        "check/sink",
        "check/state",
        "check/support",
        "check/token",
        "check/trouble",
        "checkpoint",
        "claims",
        "config/health",
        "config/local_settings",
        "history",
        "invocation",
        "machine",
        "object",
        "quota",
        "report",
        "retry",
        "scan",
        "schema",
        "schema/check",
        "schema/functions",
        "schema/health",
        "schema/migration",
        "schema/rule",
        "schema/table",
        "set_aside",
        "shape",
        "shape/value",
        "shrink",
        "sink/signature",
        "status",
        "status/page",
        "status/page/axis",
        "status/page/charts",
        "status/page/escaped",
        "status/page/plot",
        "status/page/tables",
        "status/text",
        "union",
        "walk",
    ] {
        let text = file(&format!("src/{name}.rs"));
        for word in ["tokio", "reqwest", "std::env", "Clock", "async fn", ".await"] {
            assert!(!text.contains(word), "src/{name}.rs names {word}");
        }
    }
}

#[test]
fn every_setting_the_code_reads_is_in_the_readme_and_the_other_way_round() {
    let names = |text: &str| {
        let mut names: Vec<String> = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.starts_with("MDATP_") && word.len() > 6)
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        names
    };
    let files = ["src/config.rs", "src/config/parts.rs", "src/telemetry.rs", "MdatpForward/function.json"];
    let code: String = files.map(file).concat();
    assert_eq!(names(&file("README.md")), names(&code));
}
