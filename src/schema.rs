//! The one list of what a record can hold: each member of an alert and of a machine, with its type, its
//! column and its meaning. Table, data collection rule, saved functions and the records themselves are made
//! from it, so they cannot disagree. Pure.
//!
//! The members are those of the API's documentation and of captured answers (facts about Alert and Machine).
//! What the API adds later is in no column of its own: it goes, whole, to [`extras`].

pub mod asim;
pub mod check;
pub mod conversion;
pub mod functions;
pub mod health;
pub mod migration;
pub mod rule;
pub mod table;

use std::{borrow::Cow, sync::LazyLock};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The form in which records are sent, `MDATP_RECORD_SHAPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// The merged JSON as it is.
    #[default]
    #[value(skip)]
    Union,
    /// Clean names; lists and objects stay what they are.
    Native,
    /// The flat columns with suffixes that the Data Collector API made of the union.
    Classic,
}

/// Whose member it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The alert's.
    Alert,
    /// The machine's, merged in.
    Machine,
    /// Neither's: this program adds it.
    Record,
}

/// What a member's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A text that is nearly always a GUID.
    Guid,
    /// A whole number.
    Whole,
    /// true or false.
    Boolean,
    /// An RFC 3339 time.
    Time,
    /// A list.
    List,
    /// An object with these members.
    Object(&'static [Part]),
}

/// A member of a member that is an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The API's name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What it means.
    pub meaning: &'static str,
}

/// A member of a record, as the union of alert and machine names it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Whose member it is.
    pub of: Of,
    /// The name in the union.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// The column of the native shape.
    pub native: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn alert(name: &'static str, kind: Kind, native: &'static str, meaning: &'static str) -> Field {
    Field { of: Of::Alert, name, kind, native, meaning }
}

const fn machine(name: &'static str, kind: Kind, native: &'static str, meaning: &'static str) -> Field {
    Field { of: Of::Machine, name, kind, native, meaning }
}

const fn record(name: &'static str, kind: Kind, native: &'static str, meaning: &'static str) -> Field {
    Field { of: Of::Record, name, kind, native, meaning }
}

const fn part(name: &'static str, kind: Kind, meaning: &'static str) -> Part {
    Part { name, kind, meaning }
}

use Kind::{Boolean, Guid, List, Object, Text, Time, Whole};

const USER: &[Part] =
    &[part("userName", Text, "the user's name"), part("domainName", Text, "the user's domain")];

const VIRTUAL_MACHINE: &[Part] = &[
    part("vmId", Guid, "the virtual machine's id"),
    part("cloudProvider", Text, "the cloud it runs in"),
    part("resourceId", Text, "its resource id in that cloud"),
    part("subscriptionId", Guid, "the subscription it belongs to"),
];

/// The name of the time that every table of Log Analytics goes by. It is no member of the API, and its column
/// has this name in every shape.
pub const TIME_GENERATED: &str = "TimeGenerated";

/// The member that names what was cut to make a record fit.
pub const TRUNCATED: &str = "truncatedFields";

/// Every member that has a column of its own. The order is that of the services' answers, in which records
/// are written.
pub const FIELDS: &[Field] = &[
    record(
        TIME_GENERATED,
        Time,
        TIME_GENERATED,
        "when the alert was created, or with MDATP_MODE=updated changed; the arrival, if that is unknown",
    ),
    alert("id", Text, "AlertId", "the alert's id"),
    alert("incidentId", Whole, "IncidentId", "the incident the alert belongs to"),
    alert("investigationId", Whole, "InvestigationId", "the automated investigation started for it"),
    alert("assignedTo", Text, "AssignedTo", "who works on it"),
    alert("severity", Text, "Severity", "UnSpecified, Informational, Low, Medium or High"),
    alert("status", Text, "Status", "Unknown, New, InProgress or Resolved"),
    alert("classification", Text, "Classification", "what it turned out to be, such as TruePositive"),
    alert("determination", Text, "Determination", "the reason for the classification, such as Malware"),
    alert("investigationState", Text, "InvestigationState", "how far the automated investigation is"),
    alert("detectionSource", Text, "DetectionSource", "what detected it, such as WindowsDefenderAtp"),
    alert("detectorId", Guid, "DetectorId", "the id of the detector"),
    alert("category", Text, "Category", "the kind of threat, such as Execution or Ransomware"),
    alert("threatFamilyName", Text, "ThreatFamilyName", "the family of the malware"),
    alert("title", Text, "AlertTitle", "the alert in one line"),
    alert("description", Text, "Description", "the alert in some paragraphs"),
    alert("alertCreationTime", Time, "AlertCreationTime", "when the alert was created"),
    alert("firstEventTime", Time, "FirstEventTime", "when the first event of the alert happened"),
    alert("lastEventTime", Time, "LastEventTime", "when its last event happened"),
    alert("lastUpdateTime", Time, "LastUpdateTime", "when the alert changed last"),
    alert("resolvedTime", Time, "ResolvedTime", "when it was resolved"),
    alert("machineId", Text, "MachineId", "the id of the machine it is on; empty for an alert on no machine"),
    alert("computerDnsName", Text, "ComputerDnsName", "the machine's full name"),
    alert("rbacGroupName", Text, "RbacGroupName", "the device group of the machine"),
    alert("aadTenantId", Guid, "AadTenantId", "the Entra tenant"),
    alert("threatName", Text, "ThreatName", "the name of the threat, such as Virus:DOS/EICAR_Test_File"),
    alert("mitreTechniques", List, "MitreTechniques", "MITRE ATT&CK techniques, such as T1059.005"),
    alert("relatedUser", Object(USER), "RelatedUser", "the user the alert is about: userName, domainName"),
    alert("loggedOnUsers", List, "LoggedOnUsers", "who was logged on: accountName, domainName"),
    alert("comments", List, "Comments", "analysts' comments: comment, createdBy, createdTime"),
    alert("evidence", List, "Evidence", "processes, files, users, addresses: entityType and 25 more"),
    alert("domains", List, "Domains", "domains that play a part"),
    machine("machineMachineId", Text, "MachineMachineId", "the machine's own id, where it is not MachineId"),
    machine("mergedIntoMachineId", Text, "MergedIntoMachineId", "the machine this one was merged into"),
    machine("isPotentialDuplication", Boolean, "IsPotentialDuplication", "it may be a double of another one"),
    machine("isExcluded", Boolean, "IsExcluded", "it is excluded from vulnerability management"),
    machine("exclusionReason", Text, "ExclusionReason", "why it is excluded"),
    machine(
        "machineComputerDnsName",
        Text,
        "MachineComputerDnsName",
        "the name by the machine, where the alert has another",
    ),
    machine("firstSeen", Time, "FirstSeen", "when Defender saw the machine first"),
    machine("lastSeen", Time, "LastSeen", "its last full report, about one a day"),
    machine("osPlatform", Text, "OsPlatform", "the operating system, such as Windows11"),
    machine("osVersion", Text, "OsVersion", "its version; nearly always empty, see Version and OsBuild"),
    machine("osProcessor", Text, "OsProcessor", "the processor, such as x64"),
    machine("version", Text, "Version", "the operating system's release, such as 22H2"),
    machine("lastIpAddress", Text, "LastIpAddress", "its last internal address"),
    machine("lastExternalIpAddress", Text, "LastExternalIpAddress", "the last address seen from outside"),
    machine("agentVersion", Text, "AgentVersion", "the version of the sensor"),
    machine("osBuild", Whole, "OsBuild", "the operating system's build"),
    machine(
        "healthStatus",
        Text,
        "HealthStatus",
        "the sensor's state: Active, Inactive, NoSensorData and others",
    ),
    machine("deviceValue", Text, "DeviceValue", "Normal, Low or High"),
    machine("rbacGroupId", Whole, "RbacGroupId", "the id of its device group; 0 for none"),
    machine(
        "machineRbacGroupName",
        Text,
        "MachineRbacGroupName",
        "the device group by the machine, where the alert has another",
    ),
    machine("riskScore", Text, "RiskScore", "None, Informational, Low, Medium or High"),
    machine("exposureLevel", Text, "ExposureLevel", "None, Low, Medium or High"),
    machine("isAadJoined", Boolean, "IsAadJoined", "it is joined to Entra ID"),
    machine("aadDeviceId", Guid, "AadDeviceId", "its id in Entra ID"),
    machine("machineTags", List, "MachineTags", "its tags"),
    machine("defenderAvStatus", Text, "DefenderAvStatus", "the state of Defender Antivirus"),
    machine("onboardingStatus", Text, "OnboardingStatus", "Onboarded, CanBeOnboarded and others"),
    machine("osArchitecture", Text, "OsArchitecture", "such as 64-bit"),
    machine("managedBy", Text, "ManagedBy", "what manages it, such as Intune"),
    machine("managedByStatus", Text, "ManagedByStatus", "how far that is"),
    machine(
        "ipAddresses",
        List,
        "IpAddresses",
        "its addresses: ipAddress, macAddress, type, operationalStatus",
    ),
    machine("vmMetadata", Object(VIRTUAL_MACHINE), "VmMetadata", "where it runs, if it is a virtual machine"),
    record(TRUNCATED, List, "TruncatedFields", "what was cut because the record was too long"),
];

/// The name of the column for all that has no column of its own, and for values that do not fit theirs.
/// None for the union, which has no columns.
pub fn extras(shape: Shape) -> Option<&'static str> {
    match shape {
        Shape::Union => None,
        Shape::Native => Some("AdditionalFields"),
        Shape::Classic => Some("additionalFields_s"),
    }
}

/// The type of a column, as tables and data collection rules name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `string`
    String,
    /// `long`
    Long,
    /// `real`
    Real,
    /// `boolean`
    Boolean,
    /// `datetime`
    DateTime,
    /// `dynamic`
    Dynamic,
}

impl ColumnType {
    /// The name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Long => "long",
            Self::Real => "real",
            Self::Boolean => "boolean",
            Self::DateTime => "datetime",
            Self::Dynamic => "dynamic",
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its type.
    pub kind: ColumnType,
    /// Where its values come from: `alert.id`, `machine.vmMetadata.vmId`.
    pub source: String,
    /// What it means.
    pub meaning: &'static str,
}

/// The columns of a shape, in the order in which records are written; none for the union, whose columns are
/// whatever comes.
pub fn columns(shape: Shape) -> &'static [Column] {
    static NATIVE: LazyLock<Vec<Column>> = LazyLock::new(|| with_extras(Shape::Native, native));
    static CLASSIC: LazyLock<Vec<Column>> = LazyLock::new(|| with_extras(Shape::Classic, classic));
    match shape {
        Shape::Union => &[],
        Shape::Native => &NATIVE,
        Shape::Classic => &CLASSIC,
    }
}

fn with_extras(shape: Shape, of_field: fn(&Field) -> Vec<Column>) -> Vec<Column> {
    let mut columns: Vec<Column> = FIELDS.iter().flat_map(of_field).collect();
    let kind = if shape == Shape::Native { ColumnType::Dynamic } else { ColumnType::String };
    columns.extend(extras(shape).map(|name| Column {
        name: name.into(),
        kind,
        source: "all others".to_owned(),
        meaning: "members without a column, and values that do not fit theirs",
    }));
    columns
}

fn native(field: &Field) -> Vec<Column> {
    let kind = match field.kind {
        Text | Guid => ColumnType::String,
        Whole => ColumnType::Long,
        Boolean => ColumnType::Boolean,
        Time => ColumnType::DateTime,
        List | Object(_) => ColumnType::Dynamic,
    };
    let (name, meaning) = (field.native.into(), field.meaning);
    vec![Column { name, kind, source: field.source(None), meaning }]
}

fn classic(field: &Field) -> Vec<Column> {
    let column = |path: &str, suffix, kind, part: Option<&Part>| Column {
        name: classic_name(path, suffix).into(),
        kind,
        source: field.source(part.map(|part| part.name)),
        meaning: part.map_or(field.meaning, |part| part.meaning),
    };
    let columns = |path: &str, kind, part: Option<&Part>| match kind {
        Text | List | Object(_) => vec![column(path, "s", ColumnType::String, part)],
        Guid => ["g", "s"].map(|suffix| column(path, suffix, ColumnType::String, part)).into(),
        Whole => vec![column(path, "d", ColumnType::Real, part)],
        Boolean => vec![column(path, "b", ColumnType::Boolean, part)],
        Time => vec![column(path, "t", ColumnType::DateTime, part)],
    };
    match field.kind {
        _ if field.name == TIME_GENERATED => native(field),
        Object(parts) => parts
            .iter()
            .flat_map(|part| columns(&format!("{}_{}", field.name, part.name), part.kind, Some(part)))
            .collect(),
        kind => columns(field.name, kind, None),
    }
}

/// The name that the Data Collector API gave a column: the member's, and its value's type.
pub fn classic_name(path: &str, suffix: &str) -> String {
    format!("{path}_{suffix}")
}

impl Field {
    fn source(&self, part: Option<&str>) -> String {
        let of = match self.of {
            Of::Alert => "alert",
            Of::Machine => "machine",
            Of::Record => return "(added)".to_owned(),
        };
        // In the union, the machine's side of what both have is said under a longer name.
        let name = match self.name {
            "machineMachineId" => "id",
            "machineComputerDnsName" => "computerDnsName",
            "machineRbacGroupName" => "rbacGroupName",
            name => name,
        };
        [of, name].into_iter().chain(part).collect::<Vec<_>>().join(".")
    }
}

#[cfg(test)]
mod tests;
