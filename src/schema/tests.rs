use std::collections::BTreeSet;

use super::*;

/// The longest name of a column that the services accept (Log Analytics, custom tables).
const LONGEST_NAME: usize = 45;

/// Names that a column of a custom table must not have, in any case (documentation page "Logs Ingestion
/// API in Azure Monitor"; `RawData` and `Tenant` are those of the Data Collector API).
const RESERVED: [&str; 9] =
    ["_ResourceId", "id", "_SubscriptionId", "TenantId", "Type", "UniqueId", "Title", "RawData", "Tenant"];

const BOTH: [Shape; 2] = [Shape::Native, Shape::Classic];

#[test]
fn every_column_has_a_name_that_the_services_accept_and_no_two_have_the_same() {
    for shape in BOTH {
        let mut names = BTreeSet::new();
        for Column { name, .. } in columns(shape) {
            assert!(name.len() <= LONGEST_NAME, "{name} is too long");
            assert!(name.starts_with(|first: char| first.is_ascii_alphabetic()), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{name}");
            assert!(
                RESERVED.iter().all(|reserved| !reserved.eq_ignore_ascii_case(name)),
                "{name} is reserved"
            );
            assert!(names.insert(name.to_ascii_lowercase()), "{name} is repeated");
        }
        // Far fewer than a table may have, and at most twice the number that the documentation recommends.
        assert!((60..100).contains(&names.len()), "{} columns", names.len());
    }
}

#[test]
fn no_member_is_listed_twice() {
    let names: BTreeSet<_> = FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(names.len(), FIELDS.len());
}

#[test]
fn columns_have_the_types_of_the_documentation() {
    let kind = |shape, name: &str| {
        let column = columns(shape).iter().find(|column| column.name == name);
        column.unwrap_or_else(|| panic!("no column {name}")).kind.name()
    };
    for (native, native_kind, classic, classic_kind) in [
        ("TimeGenerated", "datetime", "TimeGenerated", "datetime"),
        ("AlertId", "string", "id_s", "string"),
        ("AlertTitle", "string", "title_s", "string"),
        ("MachineId", "string", "machineId_s", "string"),
        ("IncidentId", "long", "incidentId_d", "real"),
        ("AlertCreationTime", "datetime", "alertCreationTime_t", "datetime"),
        ("AadTenantId", "string", "aadTenantId_g", "string"),
        ("DetectorId", "string", "detectorId_s", "string"),
        ("Evidence", "dynamic", "evidence_s", "string"),
        ("RelatedUser", "dynamic", "relatedUser_userName_s", "string"),
        ("VmMetadata", "dynamic", "vmMetadata_vmId_g", "string"),
        ("IsAadJoined", "boolean", "isAadJoined_b", "boolean"),
        ("OsBuild", "long", "osBuild_d", "real"),
        ("TruncatedFields", "dynamic", "truncatedFields_s", "string"),
        ("AdditionalFields", "dynamic", "additionalFields_s", "string"),
    ] {
        assert_eq!(kind(Shape::Native, native), native_kind, "{native}");
        assert_eq!(kind(Shape::Classic, classic), classic_kind, "{classic}");
    }
}

#[test]
fn the_source_of_a_column_is_its_name_in_the_api() {
    let source = |name: &str| {
        let column = columns(Shape::Native).iter().find(|column| column.name == name);
        column.map(|column| column.source.as_str())
    };
    assert_eq!(source("AlertId"), Some("alert.id"));
    assert_eq!(source("MachineRbacGroupName"), Some("machine.rbacGroupName"));
    assert_eq!(source("RiskScore"), Some("machine.riskScore"));
    assert_eq!(source("TruncatedFields"), Some("(added)"));
}
