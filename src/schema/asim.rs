//! The parsers for the `AlertEvent` schema 0.1 of the Advanced Security Information Model (ASIM), which rules and
//! hunting queries of Microsoft Sentinel read for alerts of any product. Fields, their types and their values are those
//! of the documentation page "The Advanced Security Information Model (ASIM) Alert Schema Reference", and of the pages
//! on common fields and on the user entity. Pure.
//!
//! The parsers read the saved function of [`functions`], so they work with tables of any shape.

mod value_map;

use std::fmt::Write;

use super::{FIELDS, Shape, TIME_GENERATED, extras, functions, table};
use value_map::{MAPS, map_of};

/// The parser with filters. Its name follows the documentation's `vimAlertEvent<vendor><Product>`.
pub const FILTERING: &str = "vimAlertEventMdatpForward";
/// The parser without filters.
pub const PARAMETERLESS: &str = "ASimAlertEventMdatpForward";

/// Introduces the parameters of a function in the text, in the form that a saved function has them
/// (`functionParameters` of `Microsoft.OperationalInsights/workspaces/savedSearches`).
pub const PARAMETERS: &str = "// Parameters: ";

/// A parameter: its name, its type and its default.
type Parameter = (&'static str, &'static str, &'static str);

const SPAN: [Parameter; 2] =
    [("starttime", "datetime", "datetime(null)"), ("endtime", "datetime", "datetime(null)")];

const SWITCHES: [Parameter; 2] = [("disabled", "bool", "false"), ("pack", "bool", "false")];

/// The parameters that are lists, and the condition for the rows that they select. An empty list selects all.
const FILTERS: [(&str, &str); 8] = [
    ("ipaddr_has_any_prefix", "has_any_ipv4_prefix(DvcIpAddr, ipaddr_has_any_prefix)"),
    ("hostname_has_any", "DvcHostname has_any (hostname_has_any) or DvcFQDN in~ (hostname_has_any)"),
    (
        "username_has_any",
        "Username has_any (username_has_any) or tostring(Account.userPrincipalName) has_any (username_has_any)",
    ),
    // Microsoft's own parser of Defender's alerts writes tactics in one word, as Defender does.
    (
        "attacktactics_has_any",
        "AttackTactics has_any (attacktactics_has_any) or (isnotempty(AttackTactics) and $category has_any (attacktactics_has_any))",
    ),
    ("attacktechniques_has_any", "AttackTechniques has_any (attacktechniques_has_any)"),
    ("threatcategory_has_any", "ThreatCategory has_any (threatcategory_has_any)"),
    ("alertverdict_has_any", "AlertVerdict has_any (alertverdict_has_any)"),
    ("eventseverity_has_any", "EventSeverity has_any (eventseverity_has_any)"),
];

/// The value of a field.
enum FieldValue {
    /// An expression, in which `$member` is the column of a member of [`FIELDS`].
    Kql(&'static str),
    /// A name of one of the [`MAPS`], an expression for a value in it, and an expression for all other values.
    Mapped(&'static str, &'static str, &'static str),
    /// The path of the file in an entry of the evidence.
    Path(&'static str),
    /// With `pack`, every column that no field is made from.
    Others,
}

use FieldValue::{Kql, Mapped, Others, Path};

/// The fields that are made from columns of the row, and from the [`entries`] of its evidence.
const FROM_THE_ROW: &[(&str, FieldValue)] = &[
    ("EventUid", Kql("$id")),
    ("EventCount", Kql("int(1)")),
    ("EventType", Kql("\"Alert\"")),
    ("EventSubType", Kql("iff($category =~ \"SuspiciousActivity\", \"Suspicious Activity\", \"Threat\")")),
    ("EventOriginalSubType", Kql("$category")),
    ("EventResult", Kql("\"NA\"")),
    ("EventStartTime", Kql("coalesce($firstEventTime, $alertCreationTime, $TimeGenerated)")),
    ("EventEndTime", Kql("coalesce($lastEventTime, $alertCreationTime, $TimeGenerated)")),
    ("EventOriginalUid", Kql("$id")),
    ("EventMessage", Kql("$description")),
    ("EventSeverity", Mapped("Severities", "$severity", "\"Informational\"")),
    ("EventOriginalSeverity", Kql("$severity")),
    ("EventVendor", Kql("\"Microsoft\"")),
    // As in Microsoft's own parser of Defender's alerts (ServiceSource of AlertEvidence).
    ("EventProduct", Kql("\"Microsoft Defender for Endpoint\"")),
    ("EventProductVersion", Kql("$agentVersion")),
    ("EventSchema", Kql("\"AlertEvent\"")),
    ("EventSchemaVersion", Kql("\"0.1\"")),
    (
        "EventReportUrl",
        Kql("iff($id == $machineId, \"\", strcat(\"https://security.microsoft.com/alerts/\", $id))"),
    ),
    ("AlertName", Kql("$title")),
    ("AlertStatus", Kql("iff($status =~ \"Resolved\", \"Closed\", \"Active\")")),
    ("AlertOriginalStatus", Kql("$status")),
    ("AlertVerdict", Mapped("Verdicts", "$classification", "\"Unknown\"")),
    ("DetectionMethod", Mapped("Methods", "$detectionSource", "\"Other\"")),
    ("AttackTactics", Kql("tostring(Tactics[tolower($category)])")),
    ("AttackTechniques", Kql("strcat_array($mitreTechniques, \", \")")),
    // Microsoft Graph's alerts have it; those of Defender's API do not yet.
    ("AttackRemediationSteps", Kql("tostring($additionalFields.recommendedActions)")),
    ("ThreatName", Kql("$threatName")),
    ("ThreatCategory", Mapped("Threats", "$category", "ThreatType")),
    ("ThreatOriginalCategory", Kql("$category")),
    ("IndicatorType", Kql("tostring(Kinds[0])")),
    ("DvcId", Kql("coalesce($machineId, $machineMachineId)")),
    ("DvcHostname", Kql("extract(@\"^[^.]*\", 0, coalesce($computerDnsName, $machineComputerDnsName))")),
    ("DvcDomain", Kql("extract(@\"^[^.]*\\.(.+)\", 1, coalesce($computerDnsName, $machineComputerDnsName))")),
    ("DvcIpAddr", Kql("$lastIpAddress")),
    ("DvcOs", Kql("$osPlatform")),
    ("DvcOsVersion", Kql("coalesce($version, $osVersion)")),
    ("DvcScopeId", Kql("tostring($vmMetadata.subscriptionId)")),
    (
        "Username",
        Kql("case(\
            isnotempty(RelatedName), iff(isempty(RelatedDomain), RelatedName, strcat(RelatedDomain, \"\\\\\", RelatedName)), \
            isnotempty(tostring(Account.userPrincipalName)), tostring(Account.userPrincipalName), \
            isnotempty(tostring(Account.accountName)) and isnotempty(tostring(Account.domainName)), strcat(Account.domainName, \"\\\\\", Account.accountName), \
            tostring(Account.accountName))"),
    ),
    ("UserId", Kql("coalesce(tostring(Account.aadUserId), tostring(Account.userSid))")),
    ("ProcessId", Kql("tostring(Process.processId)")),
    ("ProcessName", Path("Process")),
    ("ProcessCommandLine", Kql("tostring(Process.processCommandLine)")),
    ("FileName", Kql("tostring(File.fileName)")),
    ("FilePath", Path("File")),
    ("FileSHA1", Kql("tostring(File.sha1)")),
    ("FileSHA256", Kql("tostring(File.sha256)")),
    ("Url", Kql("tostring(Urls[0].url)")),
    (
        "RegistryKey",
        Kql("case(\
            isempty(Hive), tostring(Registry.registryKey), \
            isempty(tostring(Registry.registryKey)), Hive, \
            strcat(Hive, \"\\\\\", Registry.registryKey))"),
    ),
    ("RegistryValue", Kql("tostring(Registry.registryValueName)")),
    ("RegistryValueData", Kql("tostring(Registry.registryValue)")),
    ("RegistryValueType", Kql("tostring(RegistryTypes[tolower(tostring(Registry.registryValueType))])")),
    ("AdditionalFields", Others),
];

/// The fields that are made from other fields: conditional ones and aliases.
const FROM_FIELDS: &[(&str, &str)] = &[
    ("DvcIdType", "iff(isempty(DvcId), \"\", \"MDEid\")"),
    ("DvcDomainType", "iff(isempty(DvcDomain), \"\", \"FQDN\")"),
    ("DvcFQDN", "iff(isempty(DvcDomain), \"\", strcat(DvcHostname, \".\", DvcDomain))"),
    // The type follows from the form.
    (
        "UsernameType",
        "case(isempty(Username), \"\", Username contains \"\\\\\", \"Windows\", Username contains \"@\", \"UPN\", \"Simple\")",
    ),
    // The schema's value for an object id of Entra; AADID and EntraUserID are in other pages and parsers.
    ("UserIdType", "case(isempty(UserId), \"\", isnotempty(tostring(Account.aadUserId)), \"GUID\", \"SID\")"),
    ("UserScopeId", "iff(isempty(Username) and isempty(UserId), \"\", $aadTenantId)"),
    ("IndicatorAssociation", "iff(isempty(IndicatorType), \"\", \"Associated\")"),
    ("AlertId", "EventUid"),
    ("AlertDescription", "EventMessage"),
    ("IpAddr", "DvcIpAddr"),
    ("Hostname", "DvcHostname"),
    // Without a device, it is the product (page on common fields).
    (
        "Dvc",
        "coalesce(iff(isempty(DvcDomain), \"\", strcat(DvcHostname, \".\", DvcDomain)), DvcHostname, DvcIpAddr, DvcId, EventProduct)",
    ),
    ("User", "Username"),
];

/// Returns both parsers as text, each introduced by `// Function: NAME` and [`PARAMETERS`], for the saved function
/// `log_name`, which names the tables that are read.
pub fn document(log_name: &str) -> String {
    format!("{}\n{}", filtering(log_name), parameterless())
}

fn filtering(log_name: &str) -> String {
    let mut text = head(FILTERING, &parameters());
    let _ = write!(
        text,
        "// Alerts as the ASIM schema AlertEvent 0.1 has them, one row each: the newest of the given time, so what is\n\
         // filtered by is how an alert was last seen. It reads the saved function {log_name}.\n\
         {tables}\
         {log_name}\n\
         | where not(disabled)\n\
         | where (isnull(starttime) or {TIME_GENERATED} >= starttime) and (isnull(endtime) or {TIME_GENERATED} <= endtime)\n\
         // Old rows of a Logic App have the machine's id as {id}; the time keeps alerts on one machine apart.\n\
         {newest}\
         {entries}\
         | extend\n    {row}\n\
         | extend\n    {fields}\n\
         | where {filters}\n\
         | project\n    {names}\n",
        tables = MAPS.map(|(name, map)| map_of(name, map)).concat(),
        id = native("id"),
        newest = functions::newest(&[native("id"), native("alertCreationTime")]),
        entries = entries(),
        row = list(FROM_THE_ROW.iter().map(|(name, value)| format!("{name} = {}", value.kql()))),
        fields = list(
            [("Type", format!("\"{}\"", table::name(log_name)))]
                .into_iter()
                .chain(FROM_FIELDS.iter().map(|(name, value)| (*name, with_columns(value))))
                .map(|(name, value)| format!("{name} = {value}"))
        ),
        filters = FILTERS
            .map(|(name, passes)| format!("(array_length({name}) == 0 or {})", with_columns(passes)))
            .join("\n    and "),
        names = list(fields().map(str::to_owned)),
    );
    text
}

/// Calls the other parser without filters, so that there is only one mapping.
fn parameterless() -> String {
    let head = head(PARAMETERLESS, &SWITCHES);
    let given: Vec<_> = SWITCHES.iter().map(|(name, ..)| format!("{name}={name}")).collect();
    format!("{head}// All of {FILTERING}.\n{FILTERING}({})\n", given.join(", "))
}

fn head(name: &str, parameters: &[Parameter]) -> String {
    let parameters: Vec<_> =
        parameters.iter().map(|(name, kind, default)| format!("{name}:{kind}={default}")).collect();
    format!("// Function: {name}\n{PARAMETERS}{}\n", parameters.join(","))
}

/// All parameters, in the order in which the parsers of the Azure-Sentinel repository have them.
fn parameters() -> Vec<Parameter> {
    let lists = FILTERS.map(|(name, _)| (name, "dynamic", "dynamic([])"));
    SPAN.into_iter().chain(lists).chain(SWITCHES).collect()
}

/// The names of all fields of the result.
fn fields() -> impl Iterator<Item = &'static str> {
    let made = FROM_THE_ROW.iter().map(|(name, _)| *name).chain(FROM_FIELDS.iter().map(|(name, _)| *name));
    [TIME_GENERATED, "Type"].into_iter().chain(made)
}

/// Returns the steps that select from the evidence, which is in no order, the first entry of each type that a field is
/// made from. A row without evidence gets an entry without members, since mv-apply drops rows with an empty array. The
/// account is that of the user the alert is about, so that name and id are those of one user; without such a user, of
/// the first one.
fn entries() -> String {
    let evidence = native("evidence");
    let first = |name: &str, condition: &str| format!("{name} = make_list_if(Entry, {condition}, 1)");
    let of = |name, indicator| first(name, &format!("Indicator == \"{indicator}\""));
    let lists = [
        "Kinds = make_list_if(Indicator, isnotempty(Indicator), 1)".to_owned(),
        first("Users", "IsAccount and Indicator == \"User\""),
        first("Accounts", "IsAccount"),
        of("Processes", "Process"),
        of("Files", "File"),
        of("Urls", "Url"),
        of("Registries", "Registry"),
    ];
    format!(
        "| extend RelatedName = tostring({user}.userName), RelatedDomain = tostring({user}.domainName)\n\
         | mv-apply with_itemindex=At Entry = iff(array_length({evidence}) > 0, {evidence}, dynamic([{{}}])) on (\n    \
             extend Indicator = tostring(Indicators[tolower(tostring(Entry.entityType))]), Name = tostring(Entry.accountName), Domain = tostring(Entry.domainName)\n    \
             | extend IsAccount = iff(isempty(RelatedName), Indicator == \"User\",\n        \
                 Name =~ RelatedName and (isempty(Domain) or isempty(RelatedDomain) or Domain =~ RelatedDomain))\n    \
             | order by At asc\n    \
             | summarize {lists}\n)\n\
         | extend\n    \
             Account = coalesce(Users[0], Accounts[0]), Process = Processes[0], File = Files[0], Registry = Registries[0],\n    \
             Hive = {hive},\n    \
             ThreatType = {threat_type}\n",
        user = native("relatedUser"),
        lists = lists.join(",\n        "),
        hive =
            mapped("Hives", "tostring(Registries[0].registryHive)", "tostring(Registries[0].registryHive)"),
        threat_type =
            mapped("ThreatTypes", &with_columns("extract(@\"^\\w+\", 0, $threatName)"), "\"Unknown\""),
    )
}

impl FieldValue {
    fn kql(&self) -> String {
        match self {
            Kql(text) => with_columns(text),
            Mapped(map, value, otherwise) => mapped(map, &with_columns(value), otherwise),
            Path(entry) => path(entry),
            Others => {
                let others = others().map(|name| format!("\"{name}\", {name}"));
                format!("iff(pack, bag_pack({}), dynamic(null))", others.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// True if the field contains the whole value of a member.
    fn contains(&self, member: &str) -> bool {
        match self {
            Kql(text) | Mapped(_, text, _) => names_whole(text, member),
            Path(_) | Others => false,
        }
    }
}

/// The columns that no field is made from, or only from a part of their value.
fn others() -> impl Iterator<Item = &'static str> {
    let is_used = |member: &str| {
        FROM_THE_ROW.iter().any(|(_, value)| value.contains(member))
            || FROM_FIELDS.iter().any(|(_, value)| names_whole(value, member))
    };
    let others = FIELDS.iter().filter(move |field| !is_used(field.name)).map(|field| field.native);
    others.chain(extras(Shape::Native))
}

/// True if `text` has the member itself, and not only a part of its value.
fn names_whole(text: &str, member: &str) -> bool {
    text.split('$').skip(1).any(|part| {
        part.strip_prefix(member)
            .is_some_and(|after| !after.starts_with(|c: char| c == '.' || c.is_alphanumeric()))
    })
}

fn mapped(map: &str, value: &str, otherwise: &str) -> String {
    format!("coalesce(tostring({map}[tolower({value})]), {otherwise})")
}

/// Returns the path of a file, with the separator of the system it is on. Folder or name may be missing.
fn path(entry: &str) -> String {
    let (folder, name) = (format!("tostring({entry}.filePath)"), format!("tostring({entry}.fileName)"));
    format!(
        "case(isempty({folder}), {name}, isempty({name}), {folder}, \
         strcat(trim_end(@\"[\\\\/]+\", {folder}), iff({folder} startswith \"/\", \"/\", \"\\\\\"), {name}))"
    )
}

/// Replaces each `$member` in the text with its column of the native shape.
fn with_columns(text: &str) -> String {
    let mut parts = text.split('$');
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_alphanumeric()).unwrap_or(part.len());
        result += native(&part[..end]);
        result += &part[end..];
    }
    result
}

/// Returns the column of a member. The expressions here name only members of [`FIELDS`], which the tests verify.
fn native(member: &str) -> &'static str {
    let field = FIELDS.iter().find(|field| field.name == member).map(|field| field.native);
    let extras = || extras(Shape::Native).filter(|_| member == "additionalFields");
    field.or_else(extras).unwrap_or_else(|| panic!("no member {member}"))
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",\n    ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_field_is_made_twice() {
        let names: Vec<_> = fields().collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn with_pack_every_column_is_in_a_field_or_among_the_others() {
        let others: Vec<_> = others().collect();
        for column in ["IncidentId", "Evidence", "RelatedUser", "VmMetadata", "RiskScore", "AdditionalFields"]
        {
            assert!(others.contains(&column), "{column} is not in {others:?}");
        }
        for column in ["TimeGenerated", "AlertId", "Severity", "ComputerDnsName", "AadTenantId", "Version"] {
            assert!(!others.contains(&column), "{column} is in {others:?}");
        }
        assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), others.len());
    }
}
