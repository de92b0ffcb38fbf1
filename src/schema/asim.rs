//! The parsers for the `AlertEvent` schema 0.1 of the Advanced Security Information Model (ASIM): what rules and
//! hunting queries of Microsoft Sentinel read, whatever product an alert comes from. Fields, their types and the
//! values they may have are those of the documentation page "The Advanced Security Information Model (ASIM) Alert
//! Schema Reference", and of the pages on common fields and on the user entity. Pure.
//!
//! The parsers read the saved function of [`functions`], so the shape of the table does not matter.

use std::fmt::Write;

use super::{FIELDS, Shape, TIME_GENERATED, extras, functions, table};

/// The parser with filters. Its name follows the documentation's `vimAlertEvent<vendor><Product>`.
pub const FILTERING: &str = "vimAlertEventMdatpForward";
/// The parser without filters.
pub const PARAMETERLESS: &str = "ASimAlertEventMdatpForward";

/// What introduces the parameters of a function in the text, in the form that a saved function takes them
/// (`functionParameters` of `Microsoft.OperationalInsights/workspaces/savedSearches`).
pub const PARAMETERS: &str = "// Parameters: ";

/// A parameter: its name, its type and its default.
type Parameter = (&'static str, &'static str, &'static str);

const SPAN: [Parameter; 2] =
    [("starttime", "datetime", "datetime(null)"), ("endtime", "datetime", "datetime(null)")];

const SWITCHES: [Parameter; 2] = [("disabled", "bool", "false"), ("pack", "bool", "false")];

/// The parameters that are lists, and for which rows they let pass. An empty list lets all pass.
const FILTERS: [(&str, &str); 8] = [
    ("ipaddr_has_any_prefix", "has_any_ipv4_prefix(DvcIpAddr, ipaddr_has_any_prefix)"),
    ("hostname_has_any", "DvcHostname has_any (hostname_has_any) or DvcFQDN in~ (hostname_has_any)"),
    (
        "username_has_any",
        "Username has_any (username_has_any) or tostring(Account.userPrincipalName) has_any (username_has_any)",
    ),
    // Microsoft's own parser of Defender's alerts has tactics in one word, as Defender does.
    (
        "attacktactics_has_any",
        "AttackTactics has_any (attacktactics_has_any) or (isnotempty(AttackTactics) and $category has_any (attacktactics_has_any))",
    ),
    ("attacktechniques_has_any", "AttackTechniques has_any (attacktechniques_has_any)"),
    ("threatcategory_has_any", "ThreatCategory has_any (threatcategory_has_any)"),
    ("alertverdict_has_any", "AlertVerdict has_any (alertverdict_has_any)"),
    ("eventseverity_has_any", "EventSeverity has_any (eventseverity_has_any)"),
];

/// Values of Defender and what the schema calls them. Case does not matter on Defender's side.
type Names = &'static [(&'static str, &'static str)];

/// The tables of names, under the names that the parser gives them.
const TABLES: [(&str, Names); 9] = [
    ("Severities", SEVERITIES),
    ("Verdicts", VERDICTS),
    ("Methods", METHODS),
    ("Tactics", TACTICS),
    ("Threats", THREATS),
    ("ThreatTypes", THREAT_TYPES),
    ("Indicators", INDICATORS),
    ("Hives", HIVES),
    ("RegistryTypes", REGISTRY_TYPES),
];

const SEVERITIES: Names = &[("High", "High"), ("Medium", "Medium"), ("Low", "Low")];

const VERDICTS: Names = &[
    ("TruePositive", "True Positive"),
    ("FalsePositive", "False Positive"),
    ("InformationalExpectedActivity", "Benign Positive"),
];

/// The sources are those of the documentation page "Naming changes in the advanced hunting schema" (January 2021).
/// Those that say no more than which product it was are `Other`.
const METHODS: Names = &[
    ("WindowsDefenderAtp", "EDR"),
    ("WindowsDefenderAv", "Antivirus"),
    ("WindowsDefenderSmartScreen", "Reputation"),
    ("CustomerTI", "Threat Intelligence"),
    ("AutomatedInvestigation", "Automated Investigation"),
    ("CustomDetection", "Scheduled Alerts"),
    ("MCAS", "Cloud Application Security"),
];

/// MITRE ATT&CK's tactics, as Defender's categories spell them.
const TACTICS: Names = &[
    ("Reconnaissance", "Reconnaissance"),
    ("ResourceDevelopment", "Resource Development"),
    ("InitialAccess", "Initial Access"),
    ("Execution", "Execution"),
    ("Persistence", "Persistence"),
    ("PrivilegeEscalation", "Privilege Escalation"),
    ("DefenseEvasion", "Defense Evasion"),
    ("CredentialAccess", "Credential Access"),
    ("Discovery", "Discovery"),
    ("LateralMovement", "Lateral Movement"),
    ("Collection", "Collection"),
    ("CommandAndControl", "Command and Control"),
    ("Exfiltration", "Exfiltration"),
    ("Impact", "Impact"),
];

/// Categories that are kinds of threat. `Cryptominor` is how the schema spells it.
const THREATS: Names = &[
    ("Malware", "Malware"),
    ("Ransomware", "Ransomware"),
    ("Trojan", "Trojan"),
    ("Virus", "Virus"),
    ("Worm", "Worm"),
    ("Adware", "Adware"),
    ("Spyware", "Spyware"),
    ("Rootkit", "Rootkit"),
    ("Cryptominer", "Cryptominor"),
    ("Phishing", "Phishing"),
    ("Spam", "Spam"),
    ("MaliciousUrl", "MaliciousUrl"),
    ("Spoofing", "Spoofing"),
];

/// How the names of Microsoft's antivirus begin, such as `Trojan:Win32/Emotet` (documentation page "How Microsoft
/// names malware"). The types without a kind of their own in the schema are malware. `PUA` and what is merely
/// unwanted is not.
const THREAT_TYPES: Names = &[
    ("Ransom", "Ransomware"),
    ("Trojan", "Trojan"),
    ("TrojanClicker", "Trojan"),
    ("TrojanDownloader", "Trojan"),
    ("TrojanDropper", "Trojan"),
    ("TrojanNotifier", "Trojan"),
    ("TrojanProxy", "Trojan"),
    ("TrojanSpy", "Trojan"),
    ("Virus", "Virus"),
    ("Worm", "Worm"),
    ("Adware", "Adware"),
    ("Spyware", "Spyware"),
    ("MonitoringTool", "Spyware"),
    ("Spammer", "Spam"),
    ("Spoofer", "Spoofing"),
    ("Backdoor", "Malware"),
    ("Behavior", "Malware"),
    ("Constructor", "Malware"),
    ("DDoS", "Malware"),
    ("Exploit", "Malware"),
    ("HackTool", "Malware"),
    ("PWS", "Malware"),
    ("RemoteAccess", "Malware"),
    ("Rogue", "Malware"),
    ("VirTool", "Malware"),
];

/// Types of evidence. The alerts API has the first six; the others are those of advanced hunting's `AlertEvidence`,
/// which an alert of another product can bring.
const INDICATORS: Names = &[
    ("User", "User"),
    ("Process", "Process"),
    ("File", "File"),
    ("Ip", "Ip"),
    ("Url", "Url"),
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
];

/// Short names of the registry's root keys. Others stay as they are.
const HIVES: Names = &[
    ("HKLM", "HKEY_LOCAL_MACHINE"),
    ("HKCU", "HKEY_CURRENT_USER"),
    ("HKU", "HKEY_USERS"),
    ("HKCR", "HKEY_CLASSES_ROOT"),
    ("HKCC", "HKEY_CURRENT_CONFIG"),
];

/// Types of a registry's value by .NET (`RegistryValueKind`), as Defender has them, and by the ASIM registry schema.
const REGISTRY_TYPES: Names = &[
    ("None", "Reg_None"),
    ("String", "Reg_Sz"),
    ("ExpandString", "Reg_Expand_Sz"),
    ("Binary", "Reg_Binary"),
    ("DWord", "Reg_DWord"),
    ("MultiString", "Reg_Multi_Sz"),
    ("QWord", "Reg_QWord"),
];

/// How a field is made.
enum Value {
    /// An expression, in which `$member` is the column of a member of [`FIELDS`].
    Kql(&'static str),
    /// What one of the [`TABLES`] has for the value of an expression, and the expression for all other values.
    Named(&'static str, &'static str, &'static str),
    /// The whole name of the file that an entry of the evidence is about.
    Path(&'static str),
    /// With `pack`, every column that no field is made of.
    Rest,
}

use Value::{Kql, Named, Path, Rest};

/// The fields that are made from columns of the row, and from [`entries`] of its evidence.
const FROM_THE_ROW: &[(&str, Value)] = &[
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
    ("EventSeverity", Named("Severities", "$severity", "\"Informational\"")),
    ("EventOriginalSeverity", Kql("$severity")),
    ("EventVendor", Kql("\"Microsoft\"")),
    // What Microsoft's own parser of Defender's alerts calls it (ServiceSource of AlertEvidence).
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
    ("AlertVerdict", Named("Verdicts", "$classification", "\"Unknown\"")),
    ("DetectionMethod", Named("Methods", "$detectionSource", "\"Other\"")),
    ("AttackTactics", Kql("tostring(Tactics[tolower($category)])")),
    ("AttackTechniques", Kql("strcat_array($mitreTechniques, \", \")")),
    // Not in today's alerts API; Microsoft Graph's alerts have it.
    ("AttackRemediationSteps", Kql("tostring($additionalFields.recommendedActions)")),
    ("ThreatName", Kql("$threatName")),
    ("ThreatCategory", Named("Threats", "$category", "ThreatType")),
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
    ("AdditionalFields", Rest),
];

/// The fields that are made from others: conditional ones and aliases.
const FROM_FIELDS: &[(&str, &str)] = &[
    ("DvcIdType", "iff(isempty(DvcId), \"\", \"MDEid\")"),
    ("DvcDomainType", "iff(isempty(DvcDomain), \"\", \"FQDN\")"),
    ("DvcFQDN", "iff(isempty(DvcDomain), \"\", strcat(DvcHostname, \".\", DvcDomain))"),
    // The form tells the type.
    (
        "UsernameType",
        "case(isempty(Username), \"\", Username contains \"\\\\\", \"Windows\", Username contains \"@\", \"UPN\", \"Simple\")",
    ),
    // The schema's value for an object id of Entra; AADID and EntraUserID are of other pages and parsers.
    ("UserIdType", "case(isempty(UserId), \"\", isnotempty(tostring(Account.aadUserId)), \"GUID\", \"SID\")"),
    ("UserScopeId", "iff(isempty(Username) and isempty(UserId), \"\", $aadTenantId)"),
    ("IndicatorAssociation", "iff(isempty(IndicatorType), \"\", \"Associated\")"),
    ("AlertId", "EventUid"),
    ("AlertDescription", "EventMessage"),
    ("IpAddr", "DvcIpAddr"),
    ("Hostname", "DvcHostname"),
    // Where there is no device, it is the product (page on common fields).
    (
        "Dvc",
        "coalesce(iff(isempty(DvcDomain), \"\", strcat(DvcHostname, \".\", DvcDomain)), DvcHostname, DvcIpAddr, DvcId, EventProduct)",
    ),
    ("User", "Username"),
];

/// Both parsers as text, each begun by `// Function: NAME` and [`PARAMETERS`], for the saved function that reads
/// the table of `log_name`. That function names the tables that are read with it, so they are not said here.
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
        tables = TABLES.map(|(name, names)| table_of(name, names)).concat(),
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

/// It is the other one without its filters, so that there is one mapping.
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

/// The names of all fields that come out.
fn fields() -> impl Iterator<Item = &'static str> {
    let made = FROM_THE_ROW.iter().map(|(name, _)| *name).chain(FROM_FIELDS.iter().map(|(name, _)| *name));
    [TIME_GENERATED, "Type"].into_iter().chain(made)
}

/// Takes from the evidence, which is in no order, the first entry of each kind that a field is made of. A row without
/// evidence gets an entry without members, since mv-apply drops rows with nothing to go through. The account is that
/// of the user the alert is about, so that name and id are one user's; where it is about nobody, the first user's.
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
        hive = named("Hives", "tostring(Registries[0].registryHive)", "tostring(Registries[0].registryHive)"),
        threat_type =
            named("ThreatTypes", &with_columns("extract(@\"^\\w+\", 0, $threatName)"), "\"Unknown\""),
    )
}

impl Value {
    fn kql(&self) -> String {
        match self {
            Kql(text) => with_columns(text),
            Named(table, value, otherwise) => named(table, &with_columns(value), otherwise),
            Path(entry) => path(entry),
            Rest => {
                let rest = rest().map(|name| format!("\"{name}\", {name}"));
                format!("iff(pack, bag_pack({}), dynamic(null))", rest.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Whether the whole of a member's value goes into the field.
    fn uses(&self, member: &str) -> bool {
        match self {
            Kql(text) | Named(_, text, _) => is_whole(text, member),
            Path(_) | Rest => false,
        }
    }
}

/// The columns that no field is made of, or only a part of.
fn rest() -> impl Iterator<Item = &'static str> {
    let is_used = |member: &str| {
        FROM_THE_ROW.iter().any(|(_, value)| value.uses(member))
            || FROM_FIELDS.iter().any(|(_, value)| is_whole(value, member))
    };
    let rest = FIELDS.iter().filter(move |field| !is_used(field.name)).map(|field| field.native);
    rest.chain(extras(Shape::Native))
}

fn is_whole(text: &str, member: &str) -> bool {
    text.split('$').skip(1).any(|part| {
        part.strip_prefix(member)
            .is_some_and(|after| !after.starts_with(|c: char| c == '.' || c.is_alphanumeric()))
    })
}

/// A table of names as a bag whose keys are in lower case.
fn table_of(name: &str, names: Names) -> String {
    let pairs: Vec<_> =
        names.iter().map(|(from, to)| format!("\"{}\": \"{to}\"", from.to_lowercase())).collect();
    format!("let {name} = dynamic({{{}}});\n", pairs.join(", "))
}

fn named(table: &str, value: &str, otherwise: &str) -> String {
    format!("coalesce(tostring({table}[tolower({value})]), {otherwise})")
}

/// Folder and name of a file in the way of the system it is on. Either may be missing.
fn path(entry: &str) -> String {
    let (folder, name) = (format!("tostring({entry}.filePath)"), format!("tostring({entry}.fileName)"));
    format!(
        "case(isempty({folder}), {name}, isempty({name}), {folder}, \
         strcat(trim_end(@\"[\\\\/]+\", {folder}), iff({folder} startswith \"/\", \"/\", \"\\\\\"), {name}))"
    )
}

/// The text with the column of the native shape in the place of each `$member`.
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

/// The column of a member. The text here names only members that there are, which the tests see to.
fn native(member: &str) -> &'static str {
    let field = FIELDS.iter().find(|field| field.name == member).map(|field| field.native);
    let rest = || extras(Shape::Native).filter(|_| member == "additionalFields");
    field.or_else(rest).unwrap_or_else(|| panic!("no member {member}"))
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
    fn with_pack_every_column_is_in_a_field_or_in_the_rest() {
        let rest: Vec<_> = rest().collect();
        for column in ["IncidentId", "Evidence", "RelatedUser", "VmMetadata", "RiskScore", "AdditionalFields"]
        {
            assert!(rest.contains(&column), "{column} is not in {rest:?}");
        }
        for column in ["TimeGenerated", "AlertId", "Severity", "ComputerDnsName", "AadTenantId", "Version"] {
            assert!(!rest.contains(&column), "{column} is in {rest:?}");
        }
        assert_eq!(rest.iter().collect::<BTreeSet<_>>().len(), rest.len());
    }
}
