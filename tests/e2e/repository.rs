//! Files that must agree with the code.

use std::{fs, path::Path};

use mdatp_forward::testing::{
    ErrorDetail,
    advice::{Advice, CODES},
    service::Service,
};
use serde_json::{Value, json};

use crate::readme::document::{Document, documents, files};

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

/// The host passes requests on in the same envelope as the timer's, and finds the function only in a package that was
/// made with `--now`: of a clone it reads the folders of the root.
#[test]
fn the_function_for_requests_is_in_the_same_envelope_and_in_no_plain_clone() {
    let function: Value = serde_json::from_str(&file("deploy/MdatpNow/function.json")).expect("JSON");
    let trigger = json!({
        "type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "function", "methods": ["post"],
        "route": "alerts/now"
    });
    let reply = json!({ "type": "http", "direction": "out", "name": "res" });
    assert_eq!(function, json!({ "bindings": [trigger, reply] }));

    let host: Value = serde_json::from_str(&file("host.json")).expect("JSON");
    let handler: Vec<_> = host["customHandler"].as_object().expect("settings").keys().collect();
    assert_eq!(handler, ["description"], "requests are neither forwarded nor proxied");
    let root = fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("the repository");
    let functions =
        root.map(|entry| entry.expect("an entry")).filter(|it| it.path().join("function.json").exists());
    let functions: Vec<_> = functions.map(|folder| folder.file_name()).collect();
    assert_eq!(functions, ["MdatpForward"]);
}

/// The package for many tenants: the timer's output is the queue whose trigger runs for one tenant. Of an invocation the
/// program recognises the package by the name of the timer's binding.
#[test]
fn the_functions_for_many_tenants_share_a_queue_and_are_in_no_plain_clone() {
    let read = |name: &str| -> Value {
        serde_json::from_str(&file(&format!("deploy/tenants/{name}"))).expect("JSON")
    };
    let plain: Value = serde_json::from_str(&file("MdatpForward/function.json")).expect("JSON");
    let mut timer = plain["bindings"][0].clone();
    timer["name"] = json!("mdatpTenantsTimer");
    let queue = |kind: &str, direction: &str, name: &str| {
        json!({"type": kind, "direction": direction, "name": name, "queueName": "mdatp-tenants",
            "connection": "AzureWebJobsStorage"})
    };
    let output = queue("queue", "out", "tenants");
    assert_eq!(read("MdatpForward/function.json"), json!({"bindings": [timer, output]}));
    let message = queue("queueTrigger", "in", "message");
    assert_eq!(read("MdatpTenant/function.json"), json!({"bindings": [message]}));

    let (host, single): (_, Value) =
        (read("host.json"), serde_json::from_str(&file("host.json")).expect("JSON"));
    for same in ["version", "functionTimeout", "customHandler"] {
        assert_eq!(host[same], single[same], "{same}");
    }
    // Queues come with the bundle. At most 128 messages are in work at once, which the memory is made for.
    assert_eq!(host["extensionBundle"]["id"], "Microsoft.Azure.Functions.ExtensionBundle");
    let queues = &host["extensions"]["queues"];
    let at_once = queues["batchSize"].as_u64().zip(queues["newBatchThreshold"].as_u64());
    assert_eq!(at_once.map(|(batch, threshold)| batch + threshold), Some(128));
    // The log of the storage clients, the host's two lines about each invocation, and a record of each would cost more
    // than all runs together.
    let levels = &host["logging"]["logLevel"];
    assert_eq!(
        (&levels["Azure.Core"], &levels["Function.MdatpTenant"]),
        (&json!("Warning"), &json!("Warning"))
    );
    assert_eq!(levels["Function.MdatpTenant.User"], "Information");
    let sampling = &host["logging"]["applicationInsights"]["samplingSettings"];
    assert_eq!(
        (&sampling["isEnabled"], &sampling["excludedTypes"]),
        (&json!(true), &json!("Trace;Exception"))
    );
}

#[test]
fn every_setting_the_code_reads_is_in_the_documents_and_the_other_way_round() {
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
        "src/config/partial.rs",
        "src/config/reader.rs",
        "src/config/sink.rs",
        "src/config/state.rs",
        "src/telemetry.rs",
        "MdatpForward/function.json",
    ];
    let code: String = files.map(file).concat();
    let all = names(&code);
    assert_eq!(names(&file("docs/settings.md")), all);
    let readme = names(&file("README.md"));
    assert!(!readme.is_empty() && readme.iter().all(|name| all.contains(name)), "{readme:?}");
}

/// Whatever the code gives advice about is in the table that people search, under the words of its message.
#[test]
fn every_message_with_advice_is_in_troubleshooting() {
    let sign_in = file("src/http/credential/sign_in.rs");
    let codes = sign_in.split("impl SignIn").next().unwrap_or_default();
    let mut messages: Vec<Vec<String>> = codes
        .match_indices("\"AADSTS")
        .map(|(at, _)| codes[at + 1..].split('"').next().unwrap_or_default())
        .map(|code| vec![format!("`{code}`")])
        .collect();
    assert!(messages.len() >= 9, "{messages:?}");
    messages.extend(CODES.map(|(_, code, _)| vec![format!("`{code}`")]));
    let detail = ErrorDetail::default();
    for service in [Service::Defender, Service::Graph, Service::DataCollector, Service::LogsIngestion] {
        let known = (100..600).filter(|status| Advice::of(service, *status, &detail).is_some());
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
    let text = file("docs/troubleshooting.md");
    let rows: String = text.lines().filter(|line| line.starts_with("| `")).collect();
    for message in &messages {
        assert!(message.iter().any(|words| rows.contains(words)), "{message:?} is missing");
    }
}

/// The place that a link leads to from the file `from`, unless it is there.
fn broken(from: &str, link: &str) -> Option<String> {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = if file.is_empty() { root.join(from) } else { root.join(from).with_file_name(file) };
    let is_there = path.canonicalize().is_ok_and(|path| {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        anchor.is_empty() || Document::named(&name).anchors().contains(anchor)
    });
    (!is_there).then(|| format!("{from} links to {link}"))
}

#[test]
fn every_file_and_section_that_a_document_links_to_is_there() {
    let documents = documents();
    let links =
        documents.iter().flat_map(|document| document.links().into_iter().map(|link| (&document.name, link)));
    let links: Vec<_> = links.filter(|(_, link)| !link.contains("://")).collect();
    let broken: Vec<_> = links.iter().filter_map(|(name, link)| broken(name, link)).collect();
    assert_eq!(broken, [""; 0]);
    assert!(links.len() >= 60, "{} links", links.len());
}

/// Scripts, templates and messages name documents by their path in the repository.
#[test]
fn every_document_and_section_that_a_file_names_is_there() {
    let named = |folder| files(folder, &["bicep", "json", "kql", "py", "rs", "sh", "toml"]);
    let mut found = 0;
    for (name, text) in ["deploy", "queries", "src"].into_iter().flat_map(named) {
        for (at, _) in text.match_indices("docs/") {
            let is_part = |c: &char| c.is_ascii_alphanumeric() || ['/', '-', '_', '.', '#'].contains(c);
            let link: String = text[at..].chars().take_while(is_part).collect();
            // A full stop may be the sentence's.
            let link = link.trim_end_matches('.');
            if link.contains(".md") {
                assert_eq!(broken("README.md", link), None, "{name}");
                found += 1;
            }
        }
    }
    assert!(found >= 3, "{found} documents");
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
