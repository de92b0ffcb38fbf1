//! Defender's alert and its machine as Microsoft Graph has them: one alert, whose evidence includes the device.
//!
//! This is the inverse of what the forwarder does, and shares nothing with it. What Graph has no place for is left out:
//! `investigationId`, `domains`, `relatedUser`, the other name and group that a machine may have by now, and of the
//! machine what only its own API has.

use std::fmt::Write;

use crate::members::members;

/// The members of Defender's alert with the member of Graph's, and how the value differs.
const MEMBERS: [(&str, &str, Form); 23] = [
    ("id", "id", Form::Same),
    ("incidentId", "incidentId", Form::Text),
    ("assignedTo", "assignedTo", Form::Same),
    ("severity", "severity", Form::Word),
    ("status", "status", Form::Word),
    ("classification", "classification", Form::Word),
    ("determination", "determination", Form::Word),
    ("investigationState", "investigationState", Form::Word),
    ("detectionSource", "detectionSource", Form::Word),
    ("detectorId", "detectorId", Form::Same),
    ("category", "category", Form::Same),
    ("threatFamilyName", "threatFamilyName", Form::Same),
    ("title", "title", Form::Same),
    ("description", "description", Form::Same),
    ("alertCreationTime", "createdDateTime", Form::Same),
    ("firstEventTime", "firstActivityDateTime", Form::Same),
    ("lastEventTime", "lastActivityDateTime", Form::Same),
    ("lastUpdateTime", "lastUpdateDateTime", Form::Same),
    ("resolvedTime", "resolvedDateTime", Form::Same),
    ("aadTenantId", "tenantId", Form::Same),
    ("threatName", "threatDisplayName", Form::Same),
    ("mitreTechniques", "mitreTechniques", Form::Same),
    ("comments", "comments", Form::Comments),
];

/// The members of Defender's alert that are elsewhere at Graph, or nowhere.
const MOVED: [&str; 8] = [
    "investigationId",
    "domains",
    "relatedUser",
    "machineId",
    "computerDnsName",
    "rbacGroupName",
    "loggedOnUsers",
    "evidence",
];

/// The members of Defender's machine with the member of Graph's device evidence.
const DEVICE: [(&str, &str, Form); 13] = [
    ("firstSeen", "firstSeenDateTime", Form::Same),
    ("osPlatform", "osPlatform", Form::Same),
    ("osBuild", "osBuild", Form::Same),
    ("version", "version", Form::Same),
    ("lastIpAddress", "lastIpAddress", Form::Same),
    ("lastExternalIpAddress", "lastExternalIpAddress", Form::Same),
    ("healthStatus", "healthStatus", Form::Word),
    ("rbacGroupId", "rbacGroupId", Form::Same),
    ("riskScore", "riskScore", Form::Word),
    ("onboardingStatus", "onboardingStatus", Form::Word),
    ("defenderAvStatus", "defenderAvStatus", Form::Word),
    ("aadDeviceId", "azureAdDeviceId", Form::Same),
    ("machineTags", "tags", Form::Same),
];

#[derive(Clone, Copy)]
enum Form {
    Same,
    /// A number there, a text here.
    Text,
    /// A member of an enumeration.
    Word,
    Comments,
}

/// Returns the alert as Graph has it. Members that Defender does not have stay.
///
/// # Panics
///
/// When one of the texts is not a JSON object.
pub fn in_graph_form(alert: &str, machine: Option<&str>) -> String {
    let alert = Object::of(alert);
    let machine = machine.map(Object::of);
    let mut graph = Writer::default();
    for (defender, name, form) in MEMBERS {
        if let Some(value) = alert.get(defender) {
            graph.put(name, &converted(name, value, form));
        }
    }
    let id = text(alert.get("id").unwrap_or("null")).unwrap_or_default();
    let category = alert.get("category").filter(|category| *category != "null").unwrap_or_default();
    for (name, value) in [
        ("providerAlertId", quoted(id.strip_prefix("da").unwrap_or(&id))),
        ("serviceSource", quoted("microsoftDefenderForEndpoint")),
        ("productName", quoted("Microsoft Defender for Endpoint")),
        ("recommendedActions", quoted("Isolate the machine.")),
        ("alertWebUrl", quoted(&format!("https://security.microsoft.com/alerts/{id}"))),
        ("actorDisplayName", "null".to_owned()),
        ("categories", format!("[{category}]")),
        ("systemTags", "[]".to_owned()),
        ("alertPolicyId", "null".to_owned()),
        ("customDetails", "{}".to_owned()),
        ("additionalData", "null".to_owned()),
    ] {
        graph.put(name, &value);
    }
    let is_known = |name: &str| MEMBERS.iter().any(|(known, ..)| *known == name) || MOVED.contains(&name);
    for (name, value) in alert.0.iter().filter(|(name, _)| !is_known(name)) {
        graph.put(name, value);
    }
    graph.put("evidence", &evidence(&alert, machine.as_ref()));
    graph.end()
}

fn converted(name: &str, value: &str, form: Form) -> String {
    match form {
        Form::Text if value.starts_with(|first: char| first.is_ascii_digit()) => quoted(value),
        Form::Same | Form::Text => value.to_owned(),
        Form::Word => word(name, value),
        Form::Comments => list(value, |comment| {
            let mut graph = Writer::default();
            for (name, value) in Object::of(comment).0 {
                let name = match name.as_str() {
                    "createdBy" => "createdByDisplayName",
                    "createdTime" => "createdDateTime",
                    name => name,
                };
                graph.put(name, value);
            }
            graph.end()
        }),
    }
}

/// A member of an enumeration as Graph spells it.
fn word(name: &str, value: &str) -> String {
    let known = match (name, value) {
        ("classification" | "determination", "null") | ("severity", r#""UnSpecified""#) => "unknown",
        ("determination", r#""CompromisedUser""#) => "compromisedAccount",
        ("determination", r#""Clean""#) => "notMalicious",
        ("determination", r#""InsufficientData""#) => "notEnoughDataToValidate",
        ("determination", r#""ConfirmedUserActivity""#) => "confirmedActivity",
        ("detectionSource", r#""WindowsDefenderAtp""#) => "microsoftDefenderForEndpoint",
        ("detectionSource", r#""WindowsDefenderAv""#) => "antivirus",
        ("detectionSource", r#""WindowsDefenderSmartScreen""#) => "smartScreen",
        ("detectionSource", r#""CustomerTI""#) => "customTi",
        ("detectionSource", r#""MTE""#) => "microsoftThreatExperts",
        _ => "",
    };
    match text(value) {
        _ if !known.is_empty() => quoted(known),
        Some(word) if !word.is_empty() => quoted(&(word[..1].to_lowercase() + &word[1..])),
        _ => value.to_owned(),
    }
}

fn evidence(alert: &Object<'_>, machine: Option<&Object<'_>>) -> String {
    let mut entries = Vec::new();
    let device = alert.get("machineId").filter(|id| text(id).is_some_and(|id| !id.is_empty()));
    if let Some(id) = device {
        entries.push(self::device(id, alert, machine));
    }
    let listed: Vec<&serde_json::value::RawValue> =
        alert.get("evidence").and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
    entries.extend(listed.iter().map(|entry| self::entry(entry.get(), device)));
    format!("[{}]", entries.join(","))
}

fn device(id: &str, alert: &Object<'_>, machine: Option<&Object<'_>>) -> String {
    let mut graph = Writer::default();
    graph.put("@odata.type", r##""#microsoft.graph.security.deviceEvidence""##);
    if let Some(created) = alert.get("alertCreationTime") {
        graph.put("createdDateTime", created);
    }
    graph.put("verdict", r#""unknown""#);
    graph.put("remediationStatus", r#""none""#);
    graph.put("remediationStatusDetails", "null");
    graph.put("roles", "[]");
    graph.put("detailedRoles", r#"["PrimaryDevice"]"#);
    graph.put("mdeDeviceId", id);
    // As they were when the alert was raised.
    for (name, graph_name) in [("computerDnsName", "deviceDnsName"), ("rbacGroupName", "rbacGroupName")] {
        let value = alert.get(name).or_else(|| machine?.get(name));
        graph.put(graph_name, value.unwrap_or("null"));
    }
    for (defender, name, form) in DEVICE {
        if let Some(value) = machine.and_then(|machine| machine.get(defender)) {
            graph.put(name, &converted(name, value, form));
        }
    }
    let address = |interface: &str| Object::of(interface).get("ipAddress").unwrap_or("null").to_owned();
    if let Some(interfaces) = machine.and_then(|machine| machine.get("ipAddresses")) {
        graph.put("ipInterfaces", &list(interfaces, address));
    }
    if let Some(metadata) = machine.and_then(|machine| machine.get("vmMetadata")) {
        graph.put("vmMetadata", &virtual_machine(metadata));
    }
    if let Some(users) = alert.get("loggedOnUsers") {
        graph.put("loggedOnUsers", users);
    }
    graph.end()
}

fn virtual_machine(metadata: &str) -> String {
    if metadata == "null" {
        return metadata.to_owned();
    }
    let mut graph = Writer::default();
    for (name, value) in Object::of(metadata).0 {
        let value = if name == "cloudProvider" { word(&name, value) } else { value.to_owned() };
        graph.put(&name, &value);
    }
    graph.end()
}

/// An entry of the evidence, in the type that Graph has for it.
fn entry(entry: &str, device: Option<&str>) -> String {
    let entry = Object::of(entry);
    let has = |name: &str| entry.get(name).is_some_and(|value| value != "null");
    let (kind, names): (&str, &[&str]) = match text(entry.get("entityType").unwrap_or("null")).as_deref() {
        Some("Process") => (
            "process",
            &[
                "processId",
                "processCommandLine",
                "processCreationTime",
                "parentProcessId",
                "parentProcessCreationTime",
                "detectionStatus",
            ],
        ),
        Some("File") => ("file", &["detectionStatus"]),
        Some("User") => ("user", &[]),
        Some("Ip") => ("ip", &["ipAddress"]),
        Some("Url") => ("url", &["url"]),
        Some("Registry") if has("registryValue") || has("registryValueName") => (
            "registryValue",
            &["registryKey", "registryHive", "registryValueType", "registryValue", "registryValueName"],
        ),
        Some("Registry") => ("registryKey", &["registryKey", "registryHive"]),
        // Not of a documented form.
        _ => return entry.written(),
    };
    let mut graph = Writer::default();
    graph.put("@odata.type", &format!(r##""#microsoft.graph.security.{kind}Evidence""##));
    graph.put("createdDateTime", entry.get("evidenceCreationTime").unwrap_or("null"));
    graph.put("verdict", r#""unknown""#);
    graph.put("remediationStatus", r#""none""#);
    graph.put("remediationStatusDetails", "null");
    for name in ["roles", "detailedRoles", "tags"] {
        graph.put(name, "[]");
    }
    for defender in names {
        let name = defender.replace("CreationTime", "CreationDateTime");
        let value = entry.get(defender).unwrap_or("null");
        let value = if *defender == "detectionStatus" { word(&name, value) } else { value.to_owned() };
        graph.put(&name, &value);
    }
    let file = [("sha1", "sha1"), ("sha256", "sha256"), ("fileName", "fileName"), ("filePath", "filePath")];
    let parent = [("parentProcessFileName", "fileName"), ("parentProcessFilePath", "filePath")];
    match kind {
        "process" => {
            graph.put("imageFile", &entry.nested(&file));
            graph.put("parentProcessImageFile", &entry.nested(&parent));
        }
        "file" => graph.put("fileDetails", &entry.nested(&file)),
        _ => {}
    }
    if ["process", "user"].contains(&kind) {
        graph.put(
            "userAccount",
            &entry.nested(&[
                ("accountName", "accountName"),
                ("domainName", "domainName"),
                ("userSid", "userSid"),
                ("aadUserId", "azureAdUserId"),
                ("userPrincipalName", "userPrincipalName"),
            ]),
        );
    }
    if let Some(id) = device.filter(|_| ["process", "file"].contains(&kind)) {
        graph.put("mdeDeviceId", id);
    }
    graph.end()
}

/// Each element of a list converted; anything else as it is.
fn list(value: &str, convert: impl Fn(&str) -> String) -> String {
    match serde_json::from_str::<Vec<&serde_json::value::RawValue>>(value) {
        Ok(elements) => {
            let converted: Vec<_> = elements.iter().map(|element| convert(element.get())).collect();
            format!("[{}]", converted.join(","))
        }
        Err(_) => value.to_owned(),
    }
}

/// The members of an object, each value as its text.
struct Object<'a>(Vec<(String, &'a str)>);

impl<'a> Object<'a> {
    fn of(text: &'a str) -> Self {
        let members = members(text).unwrap_or_else(|error| panic!("{text} is no object: {error}"));
        Self(members.into_iter().map(|member| (member.name, member.value.get())).collect())
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// An object of some of the members, under other names.
    fn nested(&self, names: &[(&str, &str)]) -> String {
        let mut nested = Writer::default();
        for (own, name) in names {
            nested.put(name, self.get(own).unwrap_or("null"));
        }
        nested.end()
    }

    fn written(&self) -> String {
        let mut text = Writer::default();
        self.0.iter().for_each(|(name, value)| text.put(name, value));
        text.end()
    }
}

/// Writes an object.
#[derive(Default)]
struct Writer(String);

impl Writer {
    fn put(&mut self, name: &str, value: &str) {
        let before = if self.0.is_empty() { '{' } else { ',' };
        write!(self.0, "{before}{}:{value}", quoted(name)).expect("writing to a String cannot fail");
    }

    fn end(self) -> String {
        if self.0.is_empty() { "{}".to_owned() } else { self.0 + "}" }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn text(value: &str) -> Option<String> {
    serde_json::from_str(value).ok()
}
