//! The ASIM parsers that `schema --format asim` prints: their columns have the schema's names and types in every
//! workspace, and rows that the real binary has sent come out as the values written down here by hand. The KQL is
//! run by tests/kql/evaluate.mjs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use simulator::Sink;

use super::{
    NEWER, OLDER, query,
    workspace::{Workspace, columns, functions, schema},
    workspaces,
};
use crate::stage::{Stage, WORKSPACE, now};
use azure_core::time::{Duration, to_rfc3339};

const FILTERING: &str = "vimAlertEventMdatpForward";
const PARAMETERLESS: &str = "ASimAlertEventMdatpForward";

/// The fields that are no texts, with their types by the schema's documents.
const TYPED: [(&str, &str); 5] = [
    ("TimeGenerated", "datetime"),
    ("EventStartTime", "datetime"),
    ("EventEndTime", "datetime"),
    ("EventCount", "int"),
    ("AdditionalFields", "dynamic"),
];

/// Fields of the page "ASIM Alert Schema Reference" that a parser must have, mandatory ones and their aliases.
const MANDATORY: [&str; 11] = [
    "EventCount",
    "EventStartTime",
    "EventEndTime",
    "EventType",
    "EventUid",
    "EventProduct",
    "EventVendor",
    "EventSchema",
    "EventSchemaVersion",
    "AlertId",
    "TimeGenerated",
];

/// Those that it should have.
const RECOMMENDED: [&str; 21] = [
    "EventSubType",
    "EventSeverity",
    "DvcIpAddr",
    "DvcHostname",
    "DvcDomain",
    "DvcDomainType",
    "DvcFQDN",
    "DvcId",
    "DvcIdType",
    "AlertName",
    "AlertDescription",
    "ThreatCategory",
    "IndicatorType",
    "AttackTactics",
    "AttackTechniques",
    "AttackRemediationSteps",
    "Username",
    "UsernameType",
    "IpAddr",
    "Hostname",
    "User",
];

/// Every other field that Microsoft's schema has and the parsers fill.
const OPTIONAL: [&str; 35] = [
    "Type",
    "EventMessage",
    "EventOriginalSubType",
    "EventOriginalSeverity",
    "EventOriginalUid",
    "EventProductVersion",
    "EventReportUrl",
    "EventResult",
    "Dvc",
    "DvcOs",
    "DvcOsVersion",
    "DvcScopeId",
    "AlertVerdict",
    "AlertStatus",
    "AlertOriginalStatus",
    "DetectionMethod",
    "ThreatName",
    "ThreatOriginalCategory",
    "IndicatorAssociation",
    "UserId",
    "UserIdType",
    "UserScopeId",
    "ProcessId",
    "ProcessCommandLine",
    "ProcessName",
    "FileName",
    "FilePath",
    "FileSHA1",
    "FileSHA256",
    "Url",
    "RegistryKey",
    "RegistryValue",
    "RegistryValueData",
    "RegistryValueType",
    "AdditionalFields",
];

/// The values that the schema allows; the empty text is for what an alert does not have.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("EventType", &["Alert"]),
    ("EventSubType", &["Threat", "Suspicious Activity", "Anomaly", "Compliance Violation"]),
    ("EventResult", &["Success", "Partial", "Failure", "NA"]),
    ("EventSeverity", &["Informational", "Low", "Medium", "High"]),
    ("EventSchema", &["AlertEvent"]),
    ("AlertVerdict", &["True Positive", "False Positive", "Benign Positive", "Unknown"]),
    ("AlertStatus", &["Active", "Closed"]),
    (
        "DetectionMethod",
        &[
            "EDR",
            "Behavioral Analytics",
            "Reputation",
            "Threat Intelligence",
            "Intrusion Detection",
            "Automated Investigation",
            "Antivirus",
            "Data Loss Prevention",
            "User Defined Blocked List",
            "Cloud Security Posture Management",
            "Cloud Application Security",
            "Scheduled Alerts",
            "Other",
        ],
    ),
    (
        "ThreatCategory",
        &[
            "Malware",
            "Ransomware",
            "Trojan",
            "Virus",
            "Worm",
            "Adware",
            "Spyware",
            "Rootkit",
            "Cryptominor",
            "Phishing",
            "Spam",
            "MaliciousUrl",
            "Spoofing",
            "Security Policy Violation",
            "Unknown",
        ],
    ),
    (
        "IndicatorType",
        &[
            "",
            "Ip",
            "User",
            "Process",
            "Registry",
            "Url",
            "Host",
            "Cloud Resource",
            "Application",
            "File",
            "Email",
            "Mailbox",
            "Logon Session",
        ],
    ),
    ("IndicatorAssociation", &["", "Associated", "Targeted"]),
    ("DvcIdType", &["", "MDEid"]),
    ("UserIdType", &["", "GUID", "SID", "Email", "Username", "Phone", "Other"]),
    ("UsernameType", &["", "UPN", "Windows", "DN", "Simple"]),
];

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn the_parsers_are_right_in_every_workspace_and_have_the_fields_of_the_schema() {
    let fields: BTreeSet<_> = [&MANDATORY[..], &RECOMMENDED, &OPTIONAL].concat().into_iter().collect();
    for (name, workspace) in workspaces() {
        let functions = workspace.check(&[]).functions;
        for wanted in [FILTERING, PARAMETERLESS] {
            let parser = functions.iter().find(|function| function.name == wanted).expect(wanted);
            assert!(parser.diagnostics.is_empty(), "{name}: {:#?}", parser.diagnostics);
            assert!(!parser.open, "{name}: {wanted} may have other columns too");
            let found: BTreeSet<_> = parser.columns.iter().map(|column| column.name.as_str()).collect();
            assert_eq!(found, fields, "{name}: {wanted}");
            for column in &parser.columns {
                let typed = TYPED.iter().find(|(field, _)| *field == column.name);
                assert_eq!(column.kind, typed.map_or("string", |(_, kind)| kind), "{name}: {}", column.name);
            }
        }
    }
}

/// What the parsers in the Azure-Sentinel repository declare, so that the unifying parser can hand all of it on.
const DECLARED: &str = "starttime:datetime=datetime(null),endtime:datetime=datetime(null),\
    ipaddr_has_any_prefix:dynamic=dynamic([]),hostname_has_any:dynamic=dynamic([]),username_has_any:dynamic=dynamic([]),\
    attacktactics_has_any:dynamic=dynamic([]),attacktechniques_has_any:dynamic=dynamic([]),\
    threatcategory_has_any:dynamic=dynamic([]),alertverdict_has_any:dynamic=dynamic([]),\
    eventseverity_has_any:dynamic=dynamic([]),disabled:bool=false,pack:bool=false";

/// As the documentation page "Manage ASIM parsers" has them called.
#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn the_parsers_take_the_parameters_of_the_schema_and_no_others() {
    let declared: Vec<_> = functions(&schema(&["--format", "asim"]))
        .into_iter()
        .map(|function| (function.name, function.parameters))
        .collect();
    let wanted = [(FILTERING, DECLARED), (PARAMETERLESS, "disabled:bool=false,pack:bool=false")];
    assert_eq!(declared, wanted.map(|(name, parameters)| (name.to_owned(), parameters.to_owned())));
    let [(_, native), ..] = workspaces();
    let call = "vimAlertEventMdatpForward(starttime=ago(1d), endtime=now(), ipaddr_has_any_prefix=dynamic([\"10.\"]), \
                hostname_has_any=dynamic([\"ws\"]), username_has_any=dynamic([\"u\"]), attacktactics_has_any=dynamic([\"Execution\"]), \
                attacktechniques_has_any=dynamic([\"T1059\"]), threatcategory_has_any=dynamic([\"Malware\"]), \
                alertverdict_has_any=dynamic([\"Unknown\"]), eventseverity_has_any=dynamic([\"High\"]), disabled=false, pack=true)";
    let plain = "ASimAlertEventMdatpForward(disabled=false, pack=true)";
    let answers = native.check(&[query(call), query(plain)]).queries;
    for answer in &answers {
        assert!(answer.diagnostics.is_empty() && !answer.columns.is_empty(), "{:#?}", answer.diagnostics);
    }
    for wrong in
        [call.replace("hostname_has_any=", "host_has_any="), plain.replace("pack=true", "starttime=ago(1d)")]
    {
        let answer = native.check(&[query(&wrong)]).queries.remove(0);
        assert!(answer.diagnostics.iter().any(|found| found.severity == "Error"), "{wrong}");
    }
}

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn the_parsers_read_the_function_of_the_log_that_is_asked_for() {
    let text = schema(&["--format", "asim", "--log-name", "Mine", "--also", "MDATPAlertsOld_CL"]);
    assert!(text.contains("\nMine\n| where not(disabled)\n"), "{text}");
    assert!(text.contains("Type = \"Mine_CL\"") && !text.contains("MDATPAlerts"), "{text}");
}

/// An alert with what is particular about it, its machine, and the fields that are particular for that.
struct Case {
    alert: Value,
    machine: Value,
    fields: Value,
}

fn case(alert: Value, machine: Value, fields: Value) -> Case {
    Case { alert, machine, fields }
}

/// A case for each value of one member, with the member's own field as it came and the one made of it.
fn each(member: &str, original: &str, field: &str, values: &[(Value, &str)]) -> Vec<Case> {
    let one = |(value, wanted): &(Value, &str)| {
        let came = value.as_str().unwrap_or_default();
        case(json!({ member: value }), json!({}), json!({ original: came, field: wanted }))
    };
    values.iter().map(one).collect()
}

fn category(value: &str, tactics: &str, threat: &str) -> Case {
    let fields = json!({
        "EventOriginalSubType": value, "ThreatOriginalCategory": value,
        "AttackTactics": tactics, "ThreatCategory": threat,
    });
    case(json!({"category": value}), json!({}), fields)
}

fn threat(name: &str, category: &str) -> Case {
    case(json!({"threatName": name}), json!({}), json!({"ThreatName": name, "ThreatCategory": category}))
}

fn evidence(entries: Value, fields: Value) -> Case {
    let alert = [("evidence".to_owned(), entries)].into_iter().collect();
    case(Value::Object(alert), json!({}), fields)
}

fn indicator(entity_type: &str, indicator: &str) -> Case {
    let association = if indicator.is_empty() { "" } else { "Associated" };
    evidence(
        json!([{"entityType": entity_type, "detectionStatus": "Detected"}]),
        json!({"IndicatorType": indicator, "IndicatorAssociation": association}),
    )
}

fn value_type(given: Option<&str>, wanted: &str) -> Case {
    evidence(
        json!([{"entityType": "Registry", "registryValueType": given}]),
        json!({"IndicatorType": "Registry", "IndicatorAssociation": "Associated", "RegistryValueType": wanted}),
    )
}

fn cases() -> Vec<Case> {
    let null = || Value::Null;
    let mut cases = vec![case(json!({}), json!({}), json!({}))];
    cases.extend(each(
        "severity",
        "EventOriginalSeverity",
        "EventSeverity",
        &[
            (json!("High"), "High"),
            (json!("Medium"), "Medium"),
            (json!("Low"), "Low"),
            (json!("Informational"), "Informational"),
            (json!("UnSpecified"), "Informational"),
            (json!("Critical"), "Informational"),
            (json!("high"), "High"),
            (null(), "Informational"),
        ],
    ));
    cases.extend(each(
        "status",
        "AlertOriginalStatus",
        "AlertStatus",
        &[
            (json!("New"), "Active"),
            (json!("InProgress"), "Active"),
            (json!("Resolved"), "Closed"),
            (json!("Unknown"), "Active"),
            (null(), "Active"),
        ],
    ));
    for (value, wanted) in [
        (json!("TruePositive"), "True Positive"),
        (json!("FalsePositive"), "False Positive"),
        (json!("InformationalExpectedActivity"), "Benign Positive"),
        (json!("Unknown"), "Unknown"),
        (json!("Undecided"), "Unknown"),
        (null(), "Unknown"),
    ] {
        cases.push(case(json!({"classification": value}), json!({}), json!({"AlertVerdict": wanted})));
    }
    for (value, wanted) in [
        (json!("WindowsDefenderAtp"), "EDR"),
        (json!("WindowsDefenderAv"), "Antivirus"),
        (json!("WindowsDefenderSmartScreen"), "Reputation"),
        (json!("CustomerTI"), "Threat Intelligence"),
        (json!("AutomatedInvestigation"), "Automated Investigation"),
        (json!("CustomDetection"), "Scheduled Alerts"),
        (json!("MCAS"), "Cloud Application Security"),
        (json!("MTP"), "Other"),
        (json!("ThreatExperts"), "Other"),
        (json!("Bitdefender,Ziften,SentinelOne,Lookout"), "Other"),
        (null(), "Other"),
    ] {
        cases.push(case(json!({"detectionSource": value}), json!({}), json!({"DetectionMethod": wanted})));
    }
    cases.extend(categories());
    cases.extend(threats());
    cases.extend(indicators());
    cases.extend(machines());
    cases.extend(users());
    cases.extend(things());
    cases
}

fn categories() -> Vec<Case> {
    let suspicious = json!({
        "EventSubType": "Suspicious Activity", "EventOriginalSubType": "SuspiciousActivity",
        "ThreatOriginalCategory": "SuspiciousActivity", "AttackTactics": "", "ThreatCategory": "Unknown",
    });
    let none = json!({
        "EventOriginalSubType": "", "ThreatOriginalCategory": "", "AttackTactics": "", "ThreatCategory": "Unknown",
    });
    vec![
        category("Reconnaissance", "Reconnaissance", "Unknown"),
        category("ResourceDevelopment", "Resource Development", "Unknown"),
        category("InitialAccess", "Initial Access", "Unknown"),
        category("Persistence", "Persistence", "Unknown"),
        category("PrivilegeEscalation", "Privilege Escalation", "Unknown"),
        category("DefenseEvasion", "Defense Evasion", "Unknown"),
        category("CredentialAccess", "Credential Access", "Unknown"),
        category("Discovery", "Discovery", "Unknown"),
        category("LateralMovement", "Lateral Movement", "Unknown"),
        category("Collection", "Collection", "Unknown"),
        category("CommandAndControl", "Command and Control", "Unknown"),
        category("Exfiltration", "Exfiltration", "Unknown"),
        category("Impact", "Impact", "Unknown"),
        category("Malware", "", "Malware"),
        category("Ransomware", "", "Ransomware"),
        category("Trojan", "", "Trojan"),
        category("Virus", "", "Virus"),
        category("Worm", "", "Worm"),
        category("Adware", "", "Adware"),
        category("Spyware", "", "Spyware"),
        category("Rootkit", "", "Rootkit"),
        category("Cryptominer", "", "Cryptominor"),
        category("Phishing", "", "Phishing"),
        category("Spam", "", "Spam"),
        category("MaliciousUrl", "", "MaliciousUrl"),
        category("Spoofing", "", "Spoofing"),
        category("UnwantedSoftware", "", "Unknown"),
        category("Exploit", "", "Unknown"),
        category("SomethingNew", "", "Unknown"),
        case(json!({"category": "SuspiciousActivity"}), json!({}), suspicious),
        case(json!({"category": null}), json!({}), none),
        case(json!({"mitreTechniques": []}), json!({}), json!({"AttackTechniques": ""})),
        case(json!({"mitreTechniques": null}), json!({}), json!({"AttackTechniques": ""})),
        case(json!({"mitreTechniques": ["T1571"]}), json!({}), json!({"AttackTechniques": "T1571"})),
        case(
            json!({"recommendedActions": "1. Isolate.\n2. Call."}),
            json!({}),
            json!({"AttackRemediationSteps": "1. Isolate.\n2. Call."}),
        ),
    ]
}

/// The category says nothing of the kind of threat here, so the name does.
fn threats() -> Vec<Case> {
    let of_a_category = json!({
        "EventOriginalSubType": "Ransomware", "ThreatOriginalCategory": "Ransomware", "AttackTactics": "",
        "ThreatName": "Trojan:Win32/Mockbot.A!ml", "ThreatCategory": "Ransomware",
    });
    vec![
        threat("Ransom:Win32/Mockcrypt", "Ransomware"),
        threat("Trojan:Win32/Mockbot.A!ml", "Trojan"),
        threat("TrojanDownloader:JS/Mock", "Trojan"),
        threat("TrojanSpy:MSIL/Mock", "Trojan"),
        threat("Virus:DOS/EICAR_Test_File", "Virus"),
        threat("Worm:VBS/Mock", "Worm"),
        threat("Adware:Win32/Mock", "Adware"),
        threat("MonitoringTool:AndroidOS/Mock", "Spyware"),
        threat("Backdoor:Linux/Mock", "Malware"),
        threat("HackTool:Win32/Mock", "Malware"),
        threat("PUA:Win32/Mock", "Unknown"),
        threat("Mockbot", "Unknown"),
        case(
            json!({"category": "Ransomware", "threatName": "Trojan:Win32/Mockbot.A!ml"}),
            json!({}),
            of_a_category,
        ),
    ]
}

fn indicators() -> Vec<Case> {
    let all = [
        ("Ip", "Ip"),
        ("Url", "Url"),
        ("Process", "Process"),
        ("File", "File"),
        ("User", "User"),
        ("Registry", "Registry"),
        ("RegistryKey", "Registry"),
        ("RegistryValue", "Registry"),
        ("Machine", "Host"),
        ("MailMessage", "Email"),
        ("Mailbox", "Mailbox"),
        ("CloudApplication", "Application"),
        ("OAuthApplication", "Application"),
        ("CloudResource", "Cloud Resource"),
        ("CloudLogonSession", "Logon Session"),
        ("Hologram", ""),
    ];
    let mut cases: Vec<_> = all.map(|(entity_type, wanted)| indicator(entity_type, wanted)).into();
    // The first that the schema has a name for.
    cases.push(evidence(
        json!([{"entityType": "Hologram"}, {"entityType": null}, {"entityType": "Ip", "ipAddress": "203.0.113.9"}, {"entityType": "File", "fileName": "a"}]),
        json!({"IndicatorType": "Ip", "IndicatorAssociation": "Associated", "FileName": "a", "FilePath": "a"}),
    ));
    cases.push(evidence(json!(null), json!({})));
    cases
}

fn machines() -> Vec<Case> {
    let no_device = json!({
        "DvcId": "", "DvcIdType": "", "DvcHostname": "", "DvcDomain": "", "DvcDomainType": "", "DvcFQDN": "",
        "DvcIpAddr": "", "DvcOs": "", "DvcOsVersion": "", "DvcScopeId": "", "EventProductVersion": "",
        "Hostname": "", "IpAddr": "", "Dvc": "Microsoft Defender for Endpoint",
    });
    let unknown_machine = json!({
        "DvcIpAddr": "", "DvcOs": "", "DvcOsVersion": "", "DvcScopeId": "", "EventProductVersion": "", "IpAddr": "",
    });
    let bare = json!({
        "DvcIpAddr": "", "DvcOs": "", "DvcOsVersion": "10.0", "DvcScopeId": "", "EventProductVersion": "", "IpAddr": "",
    });
    vec![
        case(json!({"machineId": null, "computerDnsName": null}), Value::Null, no_device),
        // Defender has forgotten the machine; the alert still names it.
        case(json!({}), Value::Null, unknown_machine),
        case(
            json!({}),
            json!({"osPlatform": null, "osVersion": "10.0", "version": null, "lastIpAddress": null, "agentVersion": null, "vmMetadata": null}),
            bare,
        ),
        case(
            json!({"computerDnsName": "ws-0417"}),
            json!({"computerDnsName": "ws-0417"}),
            json!({"DvcDomain": "", "DvcDomainType": "", "DvcFQDN": "", "Dvc": "ws-0417"}),
        ),
        // Only the machine knows its name.
        case(json!({"computerDnsName": null}), json!({}), json!({})),
    ]
}

fn users() -> Vec<Case> {
    let alice = json!({
        "entityType": "User", "accountName": "alice", "domainName": "FABRIKAM", "userSid": "S-1-5-21-1-2-3-1001",
        "aadUserId": "8c2f5a77-0d6b-4f0e-9f6f-3ad1b2c4d5e6", "userPrincipalName": "alice@fabrikam.example",
    });
    let bob = json!({"entityType": "User", "accountName": "bob", "domainName": "FABRIKAM", "userSid": "S-1-5-21-1-2-3-1002"});
    let run_by_alice = json!({
        "entityType": "Process", "processId": 1, "accountName": "ALICE", "domainName": "fabrikam", "userSid": "S-1-5-21-1-2-3-1001",
    });
    let run_by_the_system = json!({
        "entityType": "Process", "processId": 4, "accountName": "SYSTEM", "domainName": "NT AUTHORITY", "userSid": "S-1-5-18",
    });
    let about = |name: Value, domain: Value| json!({"userName": name, "domainName": domain});
    let tenant = "5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10";
    let user = |name: &str, name_type: &str, id: &str, id_type: &str| {
        json!({
            "Username": name, "User": name, "UsernameType": name_type, "UserId": id, "UserIdType": id_type,
            "UserScopeId": tenant,
        })
    };
    let with = |fields: Value, indicator: &str, process: &str| {
        merged(
            fields,
            &json!({"IndicatorType": indicator, "IndicatorAssociation": "Associated", "ProcessId": process}),
        )
    };
    let entra = "8c2f5a77-0d6b-4f0e-9f6f-3ad1b2c4d5e6";
    let sid = "S-1-5-21-1-2-3-1001";
    vec![
        case(
            json!({"relatedUser": about(json!("alice"), json!("FABRIKAM")), "evidence": []}),
            json!({}),
            user(r"FABRIKAM\alice", "Windows", "", ""),
        ),
        case(
            json!({"relatedUser": about(json!("alice"), Value::Null)}),
            json!({}),
            user("alice", "Simple", "", ""),
        ),
        // Name and id are one user's, whoever else is in the evidence.
        case(
            json!({"relatedUser": about(json!("alice"), json!("FABRIKAM")), "evidence": [bob, alice]}),
            json!({}),
            with(user(r"FABRIKAM\alice", "Windows", entra, "GUID"), "User", ""),
        ),
        case(
            json!({"relatedUser": about(json!("alice"), json!("FABRIKAM")), "evidence": [bob]}),
            json!({}),
            with(user(r"FABRIKAM\alice", "Windows", "", ""), "User", ""),
        ),
        // A process tells whose it is, and an entry of the user tells more.
        case(
            json!({"relatedUser": about(json!("alice"), json!("FABRIKAM")), "evidence": [run_by_alice]}),
            json!({}),
            with(user(r"FABRIKAM\alice", "Windows", sid, "SID"), "Process", "1"),
        ),
        case(
            json!({"relatedUser": about(json!("alice"), json!("FABRIKAM")), "evidence": [run_by_alice, alice]}),
            json!({}),
            with(user(r"FABRIKAM\alice", "Windows", entra, "GUID"), "Process", "1"),
        ),
        // About nobody: the first user of the evidence, not the account of a process.
        case(
            json!({"relatedUser": null, "evidence": [run_by_the_system, alice, bob]}),
            json!({}),
            with(user("alice@fabrikam.example", "UPN", entra, "GUID"), "Process", "4"),
        ),
        case(
            json!({"relatedUser": about(Value::Null, Value::Null), "evidence": [bob]}),
            json!({}),
            with(user(r"FABRIKAM\bob", "Windows", "S-1-5-21-1-2-3-1002", "SID"), "User", ""),
        ),
        evidence(
            json!([{"entityType": "User", "accountName": "carol"}]),
            with(user("carol", "Simple", "", ""), "User", ""),
        ),
        evidence(
            json!([run_by_the_system]),
            json!({"IndicatorType": "Process", "IndicatorAssociation": "Associated", "ProcessId": "4"}),
        ),
    ]
}

/// Processes, files, addresses of the web and the registry.
fn things() -> Vec<Case> {
    let associated = |indicator: &str, fields: Value| {
        merged(fields, &json!({"IndicatorType": indicator, "IndicatorAssociation": "Associated"}))
    };
    let script = json!({
        "entityType": "Process", "sha1": "aa", "sha256": "bb", "fileName": "wscript.exe", "filePath": r"C:\Windows\System32",
        "processId": 7324, "processCommandLine": "wscript.exe \"C:\\Users\\k\\faktura.vbs\"",
    });
    let other = json!({"entityType": "Process", "fileName": "cmd.exe", "filePath": r"C:\", "processId": 1});
    let file = json!({"entityType": "File", "sha1": "cc", "sha256": "dd", "fileName": "faktura.vbs", "filePath": r"C:\Users\k\"});
    let url = json!({"entityType": "Url", "url": "http://downloads.example/?k=v&u=#f"});
    let key = json!({
        "entityType": "Registry", "registryHive": "HKEY_LOCAL_MACHINE", "registryKey": r"SOFTWARE\Run",
        "registryValueType": "ExpandString", "registryValue": r"C:\u.exe -k", "registryValueName": "Updater",
    });
    vec![
        evidence(
            json!([url, script, other, file, key]),
            associated(
                "Url",
                json!({
                    "Url": "http://downloads.example/?k=v&u=#f",
                    "ProcessId": "7324", "ProcessName": r"C:\Windows\System32\wscript.exe",
                    "ProcessCommandLine": "wscript.exe \"C:\\Users\\k\\faktura.vbs\"",
                    "FileName": "faktura.vbs", "FilePath": r"C:\Users\k\faktura.vbs", "FileSHA1": "cc", "FileSHA256": "dd",
                    "RegistryKey": r"HKEY_LOCAL_MACHINE\SOFTWARE\Run", "RegistryValue": "Updater",
                    "RegistryValueData": r"C:\u.exe -k", "RegistryValueType": "Reg_Expand_Sz",
                }),
            ),
        ),
        evidence(
            json!([{"entityType": "Process", "fileName": "curl", "filePath": "/usr/bin"}]),
            associated("Process", json!({"ProcessName": "/usr/bin/curl"})),
        ),
        evidence(
            json!([{"entityType": "File", "filePath": "/srv/data"}]),
            associated("File", json!({"FilePath": "/srv/data"})),
        ),
        evidence(
            json!([{"entityType": "Registry", "registryHive": "hkcu", "registryKey": "Run"}]),
            associated("Registry", json!({"RegistryKey": r"HKEY_CURRENT_USER\Run"})),
        ),
        evidence(
            json!([{"entityType": "Registry", "registryHive": "HKLM"}]),
            associated("Registry", json!({"RegistryKey": "HKEY_LOCAL_MACHINE"})),
        ),
        evidence(
            json!([{"entityType": "Registry", "registryKey": r"HKEY_USERS\S-1"}]),
            associated("Registry", json!({"RegistryKey": r"HKEY_USERS\S-1"})),
        ),
        value_type(Some("None"), "Reg_None"),
        value_type(Some("String"), "Reg_Sz"),
        value_type(Some("Binary"), "Reg_Binary"),
        value_type(Some("Dword"), "Reg_DWord"),
        value_type(Some("MultiString"), "Reg_Multi_Sz"),
        value_type(Some("QWord"), "Reg_QWord"),
        value_type(Some("Unknown"), ""),
        value_type(None, ""),
    ]
}

/// The alert that the cases change.
fn alert(id: &str, machine: &str, created: &str) -> Value {
    json!({
        "id": id, "incidentId": 48213, "investigationId": null, "assignedTo": null, "severity": "Medium",
        "status": "New", "classification": null, "determination": null, "investigationState": "Queued",
        "detectionSource": "WindowsDefenderAtp", "detectorId": "0b9d1f6e-5b1c-4c59-9f35-6f1f2f0c77aa",
        "category": "Execution", "threatFamilyName": null, "title": "Suspicious script",
        "description": "A script was started.\nLook at it.", "alertCreationTime": created,
        "firstEventTime": "2026-11-20T09:11:02.4471Z", "lastEventTime": "2026-11-20T09:11:03Z",
        "lastUpdateTime": created, "resolvedTime": null, "machineId": machine,
        "computerDnsName": "ws-0417.corp.fabrikam.example", "rbacGroupName": "Workstations",
        "aadTenantId": "5d6a1a0e-9a3b-4c61-8a53-2d1e7f4b9c10", "threatName": null,
        "mitreTechniques": ["T1059.005", "T1204.002"], "relatedUser": null, "loggedOnUsers": [], "comments": [],
        "evidence": [], "domains": [],
    })
}

fn machine(id: &str) -> Value {
    json!({
        "id": id, "computerDnsName": "ws-0417.corp.fabrikam.example", "osPlatform": "Windows11", "osVersion": null,
        "version": "22H2", "lastIpAddress": "10.24.8.117", "agentVersion": "10.8760.1", "rbacGroupName": "Workstations",
        "riskScore": "Medium", "vmMetadata": {
            "vmId": "c1a2b3d4-0000-4000-8000-000000000001", "cloudProvider": "Azure", "resourceId": "/subscriptions/x",
            "subscriptionId": "b1a2b3d4-0000-4000-8000-000000000002",
        },
    })
}

/// The fields of the alert that the cases change. `created` has no fraction of a second.
fn fields(id: &str, machine: &str, created: &str) -> Value {
    let created = created.replace('Z', ".0000000Z");
    let of_the_alert = json!({
        "TimeGenerated": created, "Type": "MDATPAlerts_CL", "EventUid": id, "AlertId": id, "EventOriginalUid": id,
        "EventCount": 1, "EventType": "Alert", "EventSubType": "Threat", "EventOriginalSubType": "Execution",
        "EventResult": "NA", "EventStartTime": "2026-11-20T09:11:02.4471000Z",
        "EventEndTime": "2026-11-20T09:11:03.0000000Z", "EventMessage": "A script was started.\nLook at it.",
        "AlertDescription": "A script was started.\nLook at it.", "EventSeverity": "Medium",
        "EventOriginalSeverity": "Medium", "EventVendor": "Microsoft",
        "EventProduct": "Microsoft Defender for Endpoint", "EventProductVersion": "10.8760.1",
        "EventSchema": "AlertEvent", "EventSchemaVersion": "0.1",
        "EventReportUrl": format!("https://security.microsoft.com/alerts/{id}"), "AlertName": "Suspicious script",
        "AlertStatus": "Active", "AlertOriginalStatus": "New", "AlertVerdict": "Unknown", "DetectionMethod": "EDR",
        "AttackTactics": "Execution", "AttackTechniques": "T1059.005, T1204.002", "AttackRemediationSteps": "",
        "ThreatName": "", "ThreatCategory": "Unknown", "ThreatOriginalCategory": "Execution", "IndicatorType": "",
        "IndicatorAssociation": "", "AdditionalFields": null,
    });
    let of_machine_and_evidence = json!({
        "DvcId": machine, "DvcIdType": "MDEid", "DvcHostname": "ws-0417",
        "Hostname": "ws-0417", "DvcDomain": "corp.fabrikam.example", "DvcDomainType": "FQDN",
        "DvcFQDN": "ws-0417.corp.fabrikam.example", "Dvc": "ws-0417.corp.fabrikam.example",
        "DvcIpAddr": "10.24.8.117", "IpAddr": "10.24.8.117", "DvcOs": "Windows11", "DvcOsVersion": "22H2",
        "DvcScopeId": "b1a2b3d4-0000-4000-8000-000000000002", "Username": "", "User": "", "UsernameType": "",
        "UserId": "", "UserIdType": "", "UserScopeId": "", "ProcessId": "", "ProcessName": "",
        "ProcessCommandLine": "", "FileName": "", "FilePath": "", "FileSHA1": "", "FileSHA256": "", "Url": "",
        "RegistryKey": "", "RegistryValue": "", "RegistryValueData": "", "RegistryValueType": "",
    });
    merged(of_the_alert, &of_machine_and_evidence)
}

fn merged(mut whole: Value, changes: &Value) -> Value {
    let members = whole.as_object_mut().expect("an object");
    members.extend(changes.as_object().expect("an object").clone());
    whole
}

const SHAPES: [&str; 2] = ["native", "classic"];

/// The table's rows after a run in this shape.
async fn rows(stage: &mut Stage, shape: &str) -> Vec<Value> {
    let rule = schema(&["--shape", shape, "--format", "dcr", "--workspace", WORKSPACE]);
    stage.cloud.deploy_rule(&rule).expect("a rule that the service takes");
    stage.set("MDATP_RECORD_SHAPE", shape);
    stage.tick().await;
    assert!(stage.cloud.lost_values().is_empty(), "{:?}", stage.cloud.lost_values());
    stage.cloud.rows().into_iter().map(Value::Object).collect()
}

fn workspace(shape: &str) -> Workspace {
    Workspace::new(&[(NEWER, &columns(shape))])
}

fn by_id(rows: Vec<Map<String, Value>>) -> BTreeMap<String, Map<String, Value>> {
    let count = rows.len();
    let id = |row: &Map<_, Value>| row["EventUid"].as_str().expect("an id").to_owned();
    let found: BTreeMap<_, _> = rows.into_iter().map(|row| (id(&row), row)).collect();
    assert_eq!(found.len(), count, "an alert has two rows");
    found
}

#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn each_alert_comes_out_with_the_values_of_the_schema_from_either_shape() {
    let created = to_rfc3339(&(now() - Duration::minutes(5)).replace_nanosecond(0).expect("a time"));
    for shape in SHAPES {
        let mut stage = Stage::new(Sink::LogsIngestion).await;
        let cases = cases();
        let names = |at: usize| (format!("da{at:03}_1"), format!("machine{at:03}"));
        for (at, case) in cases.iter().enumerate() {
            let (id, of) = names(at);
            stage.cloud.add_alert(&merged(alert(&id, &of, &created), &case.alert).to_string());
            if !case.machine.is_null() {
                stage.cloud.add_machine(&merged(machine(&of), &case.machine).to_string());
            }
        }
        let rows = rows(&mut stage, shape).await;
        let answers = workspace(shape).run(&[(NEWER, rows)], &[FILTERING, PARAMETERLESS]);
        for answer in answers {
            let found = by_id(answer);
            assert_eq!(found.len(), cases.len(), "{shape}");
            for (at, case) in cases.iter().enumerate() {
                let (id, of) = names(at);
                let wanted = merged(fields(&id, &of, &created), &case.fields);
                let wanted = wanted.as_object().expect("fields");
                let found = &found[&id];
                let differ: Vec<_> = wanted
                    .iter()
                    .filter(|(name, value)| found.get(*name) != Some(*value))
                    .map(|(name, value)| format!("{name} is {:?} and not {value}", found.get(name)))
                    .collect();
                assert!(differ.is_empty(), "{shape}: {} {}: {differ:#?}", case.alert, case.machine);
                assert_eq!(found.len(), wanted.len(), "{shape}: {:?}", found.keys());
            }
        }
    }
}

/// What happens to be generated, evidence of one to six entries among it.
#[tokio::test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
async fn every_generated_alert_comes_out_once_with_allowed_values() {
    for shape in SHAPES {
        let mut stage = Stage::with_alerts(Sink::LogsIngestion, 300, 20).await;
        let rows = rows(&mut stage, shape).await;
        let found = by_id(workspace(shape).run(&[(NEWER, rows)], &[PARAMETERLESS]).remove(0));
        let ids: BTreeSet<_> = found.keys().cloned().collect();
        assert_eq!(ids, stage.cloud.alert_ids().into_iter().collect(), "{shape}");
        let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for row in found.values() {
            for (field, values) in ALLOWED {
                let value = row[field].as_str().expect(field);
                assert!(values.contains(&value), "{shape}: {field} is {value}");
                seen.entry(field).or_default().insert(value);
            }
            assert!(
                MANDATORY.iter().all(|name| !row[*name].is_null() && row[*name] != ""),
                "{shape}: {row:?}"
            );
        }
        // Not all of them the fallback.
        for (field, values) in
            [("EventSeverity", 3), ("IndicatorType", 5), ("DetectionMethod", 3), ("UserIdType", 3)]
        {
            assert!(seen[field].len() >= values, "{shape}: {field}: {:?}", seen[field]);
        }
    }
}

/// A row in the native shape.
fn row(id: &str, updated: &str, changes: &Value) -> Value {
    let whole = json!({
        "TimeGenerated": updated, "AlertId": id, "AlertCreationTime": "2026-11-20T09:00:00Z", "LastUpdateTime": updated,
        "Severity": "High", "Status": "New", "Category": "Execution", "MachineId": "m1",
        "ComputerDnsName": "ws-0417.corp.fabrikam.example", "LastIpAddress": "10.24.8.117",
        "MitreTechniques": ["T1059.005"], "RelatedUser": {"userName": "k.larsen", "domainName": "FABRIKAM"},
        "Evidence": [{"entityType": "User", "accountName": "k.larsen", "userPrincipalName": "k.larsen@fabrikam.example"}],
    });
    merged(whole, changes)
}

/// The ids of the rows that a call finds, with how many there are of each.
fn ids(workspace: &Workspace, rows: &[(&str, Vec<Value>)], calls: &[&str]) -> Vec<Vec<String>> {
    let id = |row: &Map<String, Value>| row["EventUid"].as_str().expect("an id").to_owned();
    let answers = workspace.run(rows, calls).into_iter();
    answers
        .map(|answer| {
            let mut ids: Vec<_> = answer.iter().map(id).collect();
            ids.sort();
            ids
        })
        .collect()
}

/// (a call, the ids of what it finds)
type Found = (&'static str, &'static [&'static str]);

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn the_filters_let_pass_what_they_name() {
    let rows = vec![
        row("a", "2026-11-20T09:00:00Z", &json!({})),
        row(
            "b",
            "2026-11-20T10:00:00Z",
            &json!({
                "Severity": "Low", "Status": "Resolved", "Classification": "FalsePositive", "Category": "CommandAndControl",
                "MachineId": "m2", "ComputerDnsName": "srv-2.other.example", "LastIpAddress": "192.0.2.10",
                "MitreTechniques": ["T1571"], "RelatedUser": null, "Evidence": [],
            }),
        ),
        row(
            "c",
            "2026-11-20T11:00:00Z",
            &json!({
                "Severity": "UnSpecified", "Classification": "TruePositive", "Category": "Malware", "MachineId": null,
                "ComputerDnsName": null, "LastIpAddress": null, "MitreTechniques": null, "RelatedUser": null, "Evidence": null,
            }),
        ),
    ];
    let calls: [Found; 35] = [
        ("vimAlertEventMdatpForward", &["a", "b", "c"]),
        ("ASimAlertEventMdatpForward", &["a", "b", "c"]),
        ("vimAlertEventMdatpForward(disabled=true)", &[]),
        ("ASimAlertEventMdatpForward(disabled=true)", &[]),
        ("vimAlertEventMdatpForward(starttime=datetime(2026-11-20T10:00:00Z))", &["b", "c"]),
        ("vimAlertEventMdatpForward(endtime=datetime(2026-11-20T10:00:00Z))", &["a", "b"]),
        (
            "vimAlertEventMdatpForward(starttime=datetime(2026-11-20T09:30:00Z), endtime=datetime(2026-11-20T10:30:00Z))",
            &["b"],
        ),
        ("vimAlertEventMdatpForward(ipaddr_has_any_prefix=dynamic([\"10.24.\"]))", &["a"]),
        ("vimAlertEventMdatpForward(ipaddr_has_any_prefix=dynamic([\"10.2\", \"192.0.2.10\"]))", &["b"]),
        ("vimAlertEventMdatpForward(ipaddr_has_any_prefix=dynamic([\"24.\"]))", &[]),
        ("vimAlertEventMdatpForward(hostname_has_any=dynamic([\"WS-0417\"]))", &["a"]),
        ("vimAlertEventMdatpForward(hostname_has_any=dynamic([\"ws-0417.corp.fabrikam.example\"]))", &["a"]),
        ("vimAlertEventMdatpForward(hostname_has_any=dynamic([\"srv\", \"nowhere\"]))", &["b"]),
        ("vimAlertEventMdatpForward(hostname_has_any=dynamic([\"example\"]))", &[]),
        ("vimAlertEventMdatpForward(username_has_any=dynamic([\"k.larsen\"]))", &["a"]),
        ("vimAlertEventMdatpForward(username_has_any=dynamic([\"k.larsen@fabrikam.example\"]))", &["a"]),
        ("vimAlertEventMdatpForward(username_has_any=dynamic([\"lars\"]))", &[]),
        ("vimAlertEventMdatpForward(attacktactics_has_any=dynamic([\"Execution\"]))", &["a"]),
        ("vimAlertEventMdatpForward(attacktactics_has_any=dynamic([\"Command and Control\"]))", &["b"]),
        ("vimAlertEventMdatpForward(attacktactics_has_any=dynamic([\"CommandAndControl\"]))", &["b"]),
        ("vimAlertEventMdatpForward(attacktactics_has_any=dynamic([\"Malware\"]))", &[]),
        ("vimAlertEventMdatpForward(attacktechniques_has_any=dynamic([\"T1059\"]))", &["a"]),
        (
            "vimAlertEventMdatpForward(attacktechniques_has_any=dynamic([\"T1059.005\", \"T1571\"]))",
            &["a", "b"],
        ),
        ("vimAlertEventMdatpForward(attacktechniques_has_any=dynamic([\"T105\"]))", &[]),
        ("vimAlertEventMdatpForward(threatcategory_has_any=dynamic([\"Malware\"]))", &["c"]),
        ("vimAlertEventMdatpForward(threatcategory_has_any=dynamic([\"Unknown\"]))", &["a", "b"]),
        ("vimAlertEventMdatpForward(alertverdict_has_any=dynamic([\"True Positive\"]))", &["c"]),
        (
            "vimAlertEventMdatpForward(alertverdict_has_any=dynamic([\"False Positive\", \"Unknown\"]))",
            &["a", "b"],
        ),
        ("vimAlertEventMdatpForward(eventseverity_has_any=dynamic([\"High\"]))", &["a"]),
        (
            "vimAlertEventMdatpForward(eventseverity_has_any=dynamic([\"Low\", \"Informational\"]))",
            &["b", "c"],
        ),
        ("vimAlertEventMdatpForward(eventseverity_has_any=dynamic([\"UnSpecified\"]))", &[]),
        (
            "vimAlertEventMdatpForward(eventseverity_has_any=dynamic([\"High\"]), hostname_has_any=dynamic([\"srv-2\"]))",
            &[],
        ),
        (
            "vimAlertEventMdatpForward(eventseverity_has_any=dynamic([\"High\"]), hostname_has_any=dynamic([\"ws-0417\"]))",
            &["a"],
        ),
        ("vimAlertEventMdatpForward | where AlertStatus == \"Closed\"", &["b"]),
        ("ASimAlertEventMdatpForward(pack=true) | where DvcId == \"m1\"", &["a"]),
    ];
    let found = ids(&workspace("native"), &[(NEWER, rows)], &calls.map(|(call, _)| call));
    for ((call, wanted), found) in calls.iter().zip(found) {
        assert_eq!(found, *wanted, "{call}");
    }
}

/// The newest row of each alert: a rule that counts alerts counts each once, and what it filters by is how the alert
/// was last seen in the time that it looks at.
#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn an_alert_is_one_row_in_its_newest_state_of_the_given_time() {
    let (first, second) = ("2026-11-20T09:00:00Z", "2026-11-20T12:00:00Z");
    let lowered = json!({"Severity": "Low", "Status": "Resolved"});
    // An old Logic App's rows have the machine's id as the alert's.
    let of_a_logic_app =
        |created| json!({"AlertId": "m1", "AlertCreationTime": created, "LastUpdateTime": created});
    let rows = vec![
        row("a", first, &json!({})),
        row("a", first, &json!({})),
        row("a", second, &lowered),
        row("m1", first, &of_a_logic_app("2026-11-20T08:00:00Z")),
        row("m1", first, &of_a_logic_app("2026-11-20T08:30:00Z")),
    ];
    let before = "vimAlertEventMdatpForward(endtime=datetime(2026-11-20T10:00:00Z), eventseverity_has_any=dynamic([\"High\"]))";
    let calls: [Found; 4] = [
        ("vimAlertEventMdatpForward", &["a", "m1", "m1"]),
        ("vimAlertEventMdatpForward(eventseverity_has_any=dynamic([\"High\"]))", &["m1", "m1"]),
        (before, &["a", "m1", "m1"]),
        // No address leads to an alert whose id is lost.
        ("vimAlertEventMdatpForward | where isempty(EventReportUrl)", &["m1", "m1"]),
    ];
    let found = ids(&workspace("native"), &[(NEWER, rows)], &calls.map(|(call, _)| call));
    for ((call, wanted), found) in calls.iter().zip(found) {
        assert_eq!(found, *wanted, "{call}");
    }
}

/// While one moves from one table to the other, an alert can be in both.
#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn an_old_table_beside_a_new_one_is_read_with_it() {
    let workspaces = workspaces();
    let (_, two) = &workspaces[3];
    let newer = vec![row("a", "2026-11-20T12:00:00Z", &json!({"Severity": "Low"}))];
    let older = |id: &str| {
        json!({
            "TimeGenerated": "2026-11-20T09:00:00Z", "id_s": id, "alertCreationTime_t": "2026-11-20T09:00:00Z",
            "lastUpdateTime_t": "2026-11-20T09:00:00Z", "severity_s": "High",
            "evidence_s": "[{\"entityType\":\"Url\",\"url\":\"http://a.example/\"}]", "mitreTechniques_s": "[\"T1571\"]",
        })
    };
    let rows = [(NEWER, newer), (OLDER, vec![older("a"), older("b")])];
    let found = by_id(two.run(&rows, &[FILTERING]).remove(0));
    let fields = |id: &str| (&found[id]["EventSeverity"], &found[id]["Url"], &found[id]["AttackTechniques"]);
    assert_eq!(found.len(), 2);
    assert_eq!(fields("a"), (&json!("Low"), &json!(""), &json!("T1059.005")));
    assert_eq!(fields("b"), (&json!("High"), &json!("http://a.example/"), &json!("T1571")));
}

/// Every column that no field is made of, or only a part of.
const PACKED: [&str; 39] = [
    "IncidentId",
    "InvestigationId",
    "AssignedTo",
    "Determination",
    "InvestigationState",
    "DetectorId",
    "ThreatFamilyName",
    "LastUpdateTime",
    "ResolvedTime",
    "RbacGroupName",
    "RelatedUser",
    "LoggedOnUsers",
    "Comments",
    "Evidence",
    "Domains",
    "MergedIntoMachineId",
    "IsPotentialDuplication",
    "IsExcluded",
    "ExclusionReason",
    "FirstSeen",
    "LastSeen",
    "OsProcessor",
    "LastExternalIpAddress",
    "OsBuild",
    "HealthStatus",
    "DeviceValue",
    "RbacGroupId",
    "MachineRbacGroupName",
    "RiskScore",
    "ExposureLevel",
    "IsAadJoined",
    "AadDeviceId",
    "MachineTags",
    "DefenderAvStatus",
    "OnboardingStatus",
    "OsArchitecture",
    "ManagedBy",
    "ManagedByStatus",
    "IpAddresses",
];

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
fn with_pack_the_rest_of_the_row_comes_along() {
    let evidence = json!([{"entityType": "File", "fileName": "a"}, {"entityType": "File", "fileName": "b"}]);
    let rows = vec![row(
        "a",
        "2026-11-20T09:00:00Z",
        &json!({
            "IncidentId": 48213, "RiskScore": "Medium", "Evidence": evidence, "VmMetadata": {"vmId": "v", "subscriptionId": "s"},
            "AdditionalFields": {"new": [1]},
        }),
    )];
    let calls = [FILTERING, "ASimAlertEventMdatpForward(pack=true)"];
    let mut answers = workspace("native").run(&[(NEWER, rows)], &calls);
    let (packed, plain) = (answers.remove(1).remove(0), answers.remove(0).remove(0));
    assert_eq!((&plain["AdditionalFields"], &plain["FileName"]), (&Value::Null, &json!("a")));
    let packed = packed["AdditionalFields"].as_object().expect("a bag");
    for (name, value) in [
        ("IncidentId", json!(48213)),
        ("RiskScore", json!("Medium")),
        ("Evidence", evidence),
        ("VmMetadata", json!({"vmId": "v", "subscriptionId": "s"})),
        ("AdditionalFields", json!({"new": [1]})),
    ] {
        assert_eq!(packed[name], value, "{name}");
    }
    let names: BTreeSet<_> = packed.keys().map(String::as_str).collect();
    let wanted = PACKED.into_iter().chain(["VmMetadata", "TruncatedFields", "AdditionalFields"]);
    assert_eq!(names, wanted.collect());
}
