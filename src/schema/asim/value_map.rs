//! Which values of Defender have which values in the schema of ASIM.

/// Values of Defender, in any case, and those of the schema.
pub(super) type ValueMap = &'static [(&'static str, &'static str)];

/// The value maps, under their names in the parser.
pub(super) const MAPS: [(&str, ValueMap); 9] = [
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

const SEVERITIES: ValueMap = &[("High", "High"), ("Medium", "Medium"), ("Low", "Low")];

const VERDICTS: ValueMap = &[
    ("TruePositive", "True Positive"),
    ("FalsePositive", "False Positive"),
    ("InformationalExpectedActivity", "Benign Positive"),
];

/// The sources are those of the documentation page "Naming changes in the advanced hunting schema" (January 2021).
/// Sources that name only a product are `Other`.
const METHODS: ValueMap = &[
    ("WindowsDefenderAtp", "EDR"),
    ("WindowsDefenderAv", "Antivirus"),
    ("WindowsDefenderSmartScreen", "Reputation"),
    ("CustomerTI", "Threat Intelligence"),
    ("AutomatedInvestigation", "Automated Investigation"),
    ("CustomDetection", "Scheduled Alerts"),
    ("MCAS", "Cloud Application Security"),
];

/// MITRE ATT&CK's tactics, as Defender's categories spell them.
const TACTICS: ValueMap = &[
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

/// Categories that are types of threat. `Cryptominor` is the schema's spelling.
const THREATS: ValueMap = &[
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

/// The beginnings of the names by Microsoft's antivirus, such as `Trojan:Win32/Emotet` (documentation page "How
/// Microsoft names malware"). Types without a category of their own in the schema are malware; `PUA` and other merely
/// unwanted software is not.
const THREAT_TYPES: ValueMap = &[
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
/// which an alert of another product can have.
const INDICATORS: ValueMap = &[
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
const HIVES: ValueMap = &[
    ("HKLM", "HKEY_LOCAL_MACHINE"),
    ("HKCU", "HKEY_CURRENT_USER"),
    ("HKU", "HKEY_USERS"),
    ("HKCR", "HKEY_CLASSES_ROOT"),
    ("HKCC", "HKEY_CURRENT_CONFIG"),
];

/// Types of registry values by .NET (`RegistryValueKind`), as in Defender, and by the ASIM registry schema.
const REGISTRY_TYPES: ValueMap = &[
    ("None", "Reg_None"),
    ("String", "Reg_Sz"),
    ("ExpandString", "Reg_Expand_Sz"),
    ("Binary", "Reg_Binary"),
    ("DWord", "Reg_DWord"),
    ("MultiString", "Reg_Multi_Sz"),
    ("QWord", "Reg_QWord"),
];

/// Returns a value map as a bag whose keys are in lower case.
pub(super) fn map_of(name: &str, map: ValueMap) -> String {
    let pairs: Vec<_> =
        map.iter().map(|(from, to)| format!("\"{}\": \"{to}\"", from.to_lowercase())).collect();
    format!("let {name} = dynamic({{{}}});\n", pairs.join(", "))
}
