use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use simulator::Endpoints;

use super::*;

/// What local.settings.json says beside where the services are.
const OWN: [(&str, &str); 4] = [
    ("FUNCTIONS_WORKER_RUNTIME", "custom"),
    ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
    ("MDATP_SCHEDULE", "0 * * * * *"),
    ("MDATP_STATE", "file:.state"),
];

#[test]
fn local_settings_point_at_the_fixed_ports() {
    let text = include_str!("../../../../local.settings.json");
    let settings: Value = serde_json::from_str(text).expect("it is JSON");
    let written: BTreeMap<String, String> =
        serde_json::from_value(settings["Values"].clone()).expect("all values are texts");
    let served =
        Endpoints::from_port(FIRST_PORT).settings(Sink::LogsIngestion, Route::ManagedIdentity, Path::new(""));
    let own = OWN.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(written, served.into_iter().chain(own).collect());
    assert_eq!(settings["IsEncrypted"], false);
}
