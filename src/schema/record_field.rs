//! The members that a record can have, each with its type, its native column and its meaning.

/// Whose member it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The alert's.
    Alert,
    /// The machine's.
    Machine,
    /// Added by this program.
    Record,
}

/// The type of a member's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// A string.
    Text,
    /// A string that is nearly always a GUID.
    Guid,
    /// A whole number.
    Whole,
    /// A boolean.
    Boolean,
    /// An RFC 3339 time.
    Time,
    /// An array.
    List,
    /// An object with these members.
    Object(&'static [ObjectPart]),
}

/// A member of a member that is an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectPart {
    /// The API's name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: ValueType,
    /// What it means.
    pub meaning: &'static str,
}

/// A member of a record.
#[derive(Debug, Clone, Copy)]
pub struct RecordField {
    /// Whose member it is.
    pub origin: Origin,
    /// The name in the merged record.
    pub name: &'static str,
    /// The type of its value.
    pub kind: ValueType,
    /// The column of the native shape.
    pub native: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

impl RecordField {
    /// Returns where the values come from: `alert.id`, `machine.vmMetadata.vmId`.
    pub(super) fn source(&self, part: Option<&str>) -> String {
        let origin = match self.origin {
            Origin::Alert => "alert",
            Origin::Machine => "machine",
            Origin::Record => return "(added)".to_owned(),
        };
        // In the merged record, a member that both have has a longer name for the machine's value.
        let name = match self.name {
            "machineMachineId" => ID,
            "machineComputerDnsName" => "computerDnsName",
            "machineRbacGroupName" => "rbacGroupName",
            name => name,
        };
        [origin, name].into_iter().chain(part).collect::<Vec<_>>().join(".")
    }
}

/// The id of an alert, and by Defender's API also of a machine.
pub const ID: &str = "id";

/// The alert's member with the id of its machine.
pub const MACHINE_ID: &str = "machineId";

/// The alert's member with the time at which it was created.
pub const ALERT_CREATION_TIME: &str = "alertCreationTime";

/// The alert's member with the time at which it changed last.
pub const LAST_UPDATE_TIME: &str = "lastUpdateTime";

/// The alert's member with its title.
pub const TITLE: &str = "title";

/// The alert's member with its severity.
pub const SEVERITY: &str = "severity";

/// The member that every table of Log Analytics is ordered by. It is not a member of the API, and its column has this
/// name in every shape.
pub const TIME_GENERATED: &str = "TimeGenerated";

/// The member that lists what was cut to make a record fit.
pub const TRUNCATED_FIELDS: &str = "truncatedFields";

const fn alert(
    name: &'static str,
    kind: ValueType,
    native: &'static str,
    meaning: &'static str,
) -> RecordField {
    RecordField { origin: Origin::Alert, name, kind, native, meaning }
}

const fn machine(
    name: &'static str,
    kind: ValueType,
    native: &'static str,
    meaning: &'static str,
) -> RecordField {
    RecordField { origin: Origin::Machine, name, kind, native, meaning }
}

const fn record(
    name: &'static str,
    kind: ValueType,
    native: &'static str,
    meaning: &'static str,
) -> RecordField {
    RecordField { origin: Origin::Record, name, kind, native, meaning }
}

const fn part(name: &'static str, kind: ValueType, meaning: &'static str) -> ObjectPart {
    ObjectPart { name, kind, meaning }
}

use ValueType::{Boolean, Guid, List, Object, Text, Time, Whole};

const USER: &[ObjectPart] =
    &[part("userName", Text, "the user's name"), part("domainName", Text, "the user's domain")];

const VIRTUAL_MACHINE: &[ObjectPart] = &[
    part("vmId", Guid, "the virtual machine's id"),
    part("cloudProvider", Text, "the cloud it runs in"),
    part("resourceId", Text, "its resource id in that cloud"),
    part("subscriptionId", Guid, "the subscription it belongs to"),
];

/// Every member that has a column of its own, in the order of Defender's responses, which is that of the columns.
pub const FIELDS: &[RecordField] = &[
    record(
        TIME_GENERATED,
        Time,
        TIME_GENERATED,
        "when the alert was created, or with MDATP_MODE=updated changed; the arrival, if that is unknown",
    ),
    alert(ID, Text, "AlertId", "the alert's id"),
    alert("incidentId", Whole, "IncidentId", "the incident the alert belongs to"),
    alert("investigationId", Whole, "InvestigationId", "the automated investigation started for it"),
    alert("assignedTo", Text, "AssignedTo", "who works on it"),
    alert(SEVERITY, Text, "Severity", "UnSpecified, Informational, Low, Medium or High"),
    alert("status", Text, "Status", "Unknown, New, InProgress or Resolved"),
    alert("classification", Text, "Classification", "what it turned out to be, such as TruePositive"),
    alert("determination", Text, "Determination", "the reason for the classification, such as Malware"),
    alert("investigationState", Text, "InvestigationState", "how far the automated investigation is"),
    alert("detectionSource", Text, "DetectionSource", "what detected it, such as WindowsDefenderAtp"),
    alert("detectorId", Guid, "DetectorId", "the id of the detector"),
    alert("category", Text, "Category", "the kind of threat, such as Execution or Ransomware"),
    alert("threatFamilyName", Text, "ThreatFamilyName", "the family of the malware"),
    alert(TITLE, Text, "AlertTitle", "the alert in one line"),
    alert("description", Text, "Description", "the alert in some paragraphs"),
    alert(ALERT_CREATION_TIME, Time, "AlertCreationTime", "when the alert was created"),
    alert("firstEventTime", Time, "FirstEventTime", "when the first event of the alert happened"),
    alert("lastEventTime", Time, "LastEventTime", "when its last event happened"),
    alert(LAST_UPDATE_TIME, Time, "LastUpdateTime", "when the alert changed last"),
    alert("resolvedTime", Time, "ResolvedTime", "when it was resolved"),
    alert(MACHINE_ID, Text, "MachineId", "the id of the machine it is on; empty for an alert on no machine"),
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
    record(TRUNCATED_FIELDS, List, "TruncatedFields", "what was cut because the record was too long"),
];
