//! Files that must agree with the code.

use std::{fs, path::Path};

use mdatp_forward::testing::advice::{CODES, Reason, Service};
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
    let files = [
        "src/config.rs",
        "src/config/identity.rs",
        "src/config/parts.rs",
        "src/config/sink.rs",
        "src/telemetry.rs",
        "MdatpForward/function.json",
    ];
    let code: String = files.map(file).concat();
    assert_eq!(names(&file("README.md")), names(&code));
}

/// Whatever the code gives advice about is in the tables that people search, under the words of its message.
#[test]
fn every_message_with_advice_is_in_readme_and_in_troubleshooting() {
    let advice = file("src/advice.rs");
    let mut messages: Vec<Vec<String>> = advice
        .match_indices("\"AADSTS")
        .map(|(at, _)| advice[at + 1..].split('"').next().unwrap_or_default())
        .map(|code| vec![format!("`{code}`")])
        .collect();
    assert!(messages.len() >= 9, "{messages:?}");
    messages.extend(CODES.map(|(_, code, _)| vec![format!("`{code}`")]));
    let reason = Reason::default();
    for service in [Service::Defender, Service::DataCollector, Service::LogsIngestion] {
        let known = (100..600).filter(|status| !service.advice(*status, &reason).is_empty());
        // Said once for all services, or once for all redirects, is as good.
        messages.extend(known.map(|status| {
            let name = service.name();
            vec![
                format!("`{name} answered {status}"),
                format!("`answered {status}`"),
                format!("`answered {}…`", status / 100),
            ]
        }));
    }
    for document in ["README.md", "docs/troubleshooting.md"] {
        let text = file(document);
        let rows: String = text.lines().filter(|line| line.starts_with("| `")).collect();
        for message in &messages {
            assert!(message.iter().any(|words| rows.contains(words)), "{document} lacks {message:?}");
        }
    }
}

#[test]
fn every_file_that_a_document_links_to_is_there() {
    let mut found = 0;
    for document in
        ["README.md", "ARCHITECTURE.md", "SECURITY.md", "docs/troubleshooting.md", "docs/logic-app-parity.md"]
    {
        let text = file(document);
        let links = text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap_or_default());
        for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document).with_file_name(link);
            assert!(path.exists(), "{document} links to {link}");
            found += 1;
        }
    }
    assert!(found >= 8, "{found} links");
}

/// `cargo test` prints each ignored test with its reason. What is not compiled, nobody would hear of.
#[test]
fn what_is_left_to_tests_run_is_told() {
    let own = format!("[cfg(feature = {:?})]", "external-tools");
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")];
    let mut ignored = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.extension() {
                None if path.is_dir() && !path.ends_with("node_modules") => folders.push(path),
                Some(extension) if extension == "rs" => {
                    let text = fs::read_to_string(&path).expect("text");
                    let file = path.display();
                    assert!(!text.contains(&own), "{file}: use cfg_attr(not(…), ignore = \"needs …\")");
                    ignored += text.matches("ignore = \"needs ").count();
                }
                _ => {}
            }
        }
    }
    assert!(ignored > 30, "{ignored}");
}
