//! The words generated data is made of. All of it is invented; names and texts hold what JSON, UTF-8
//! and signatures fail on: quotes, backslashes, line breaks, invisible and wide characters.

/// A kind of alert.
pub(super) struct Detection {
    pub title: &'static str,
    pub category: &'static str,
    pub source: &'static str,
    pub techniques: &'static [&'static str],
    pub threat: Option<(&'static str, &'static str)>,
    pub description: &'static str,
    pub process: (&'static str, &'static str, &'static str),
}

pub(super) const DETECTIONS: [Detection; 10] = [
    Detection {
        title: "Suspicious script launched by office process",
        category: "Execution",
        source: "WindowsDefenderAtp",
        techniques: &["T1059.005", "T1204.002"],
        threat: None,
        description: "An office program started a script host.\n\nCheck:\n\t1. the command line\n\t2. the parent process\n\t3. whether \"macros\" are allowed here",
        process: (
            "wscript.exe",
            r"C:\Windows\System32",
            r#"wscript.exe "C:\Users\Public\Downloads\faktura.vbs""#,
        ),
    },
    Detection {
        title: "'Mockbot' malware was prevented",
        category: "Malware",
        source: "WindowsDefenderAv",
        techniques: &[],
        threat: Some(("Mockbot", "Trojan:Win32/Mockbot.A!ml")),
        description: "An unwanted program was found and stopped before it ran. Nothing has to be done on the machine itself, but how it came there is worth a look.",
        process: ("setup (1).exe", r"D:\Käufe\März", r"setup.exe /S /D=C:\Temp"),
    },
    Detection {
        title: "Credentials read from the memory of a system process",
        category: "CredentialAccess",
        source: "WindowsDefenderAtp",
        techniques: &["T1003.001"],
        threat: None,
        description: "A process opened the local security authority with the right to read its memory.\r\n\r\nAdministrative tools do this too; the signer and the account tell them apart.\u{200b}",
        process: (
            "rundll32.exe",
            r"C:\Windows\SysWOW64",
            r"rundll32.exe C:\Windows\System32\comsvcs.dll, MiniDump 644 C:\Temp\l.dmp full",
        ),
    },
    Detection {
        title: "Outbound connection to an unusual port",
        category: "CommandAndControl",
        source: "CustomDetection",
        techniques: &["T1571", "T1071.001"],
        threat: None,
        description: "Your rule „ungewöhnlicher Port“ matched: a process that never talks to the network did – 3 times within 10 minutes.",
        process: ("curl", "/usr/bin", "curl -k https://203.0.113.77:4444/a?b=c&d=\"e\""),
    },
    Detection {
        title: "Ransomware behavior was blocked",
        category: "Ransomware",
        source: "WindowsDefenderAv",
        techniques: &["T1486", "T1490"],
        threat: Some(("Lockmock", "Behavior:Win32/Lockmock.gen!A")),
        description: "Many files were rewritten within seconds and shadow copies were about to be deleted. The process was stopped.\n\nIsolate the machine 🔒, look for the first file that changed, and restore from a backup that is older than the alert.",
        process: ("vssadmin.exe", r"C:\Windows\System32", "vssadmin.exe delete shadows /all /quiet"),
    },
    Detection {
        title: "New service created from a writable folder",
        category: "Persistence",
        source: "WindowsDefenderAtp",
        techniques: &["T1543.003"],
        threat: None,
        description: "A service starts a program that any user may replace.",
        process: (
            "sc.exe",
            r"C:\Windows\System32",
            r#"sc.exe create "Updäter" binPath= "C:\ProgramData\u.exe -k""#,
        ),
    },
    Detection {
        title: "可疑的 PowerShell 命令行",
        category: "SuspiciousActivity",
        source: "WindowsDefenderAtp",
        techniques: &["T1059.001", "T1027"],
        threat: None,
        description: "检测到经过编码的命令行。\n请核对其来源、用户以及它写入的文件。",
        process: (
            "powershell.exe",
            r"C:\Windows\System32\WindowsPowerShell\v1.0",
            "powershell.exe -NoP -W Hidden -Enc VwByAGkAdABlAC0ASABvAHMAdAAgADEA",
        ),
    },
    Detection {
        title: "Remote execution over a management protocol",
        category: "LateralMovement",
        source: "WindowsDefenderAtp",
        techniques: &["T1021.006", "T1047"],
        threat: None,
        description: "A process was started from another machine. The account had not signed in here within the last 30 days.",
        process: (
            "wmiprvse.exe",
            r"C:\Windows\System32\wbem",
            r"C:\Windows\system32\wbem\wmiprvse.exe -secured -Embedding",
        ),
    },
    Detection {
        title: "Automated investigation started manually",
        category: "SuspiciousActivity",
        source: "AutomatedInvestigation",
        techniques: &[],
        threat: None,
        description: "Somebody on the team asked for an investigation of this machine; the alert keeps its trace.",
        process: (
            "MsSense.exe",
            r"C:\Program Files\Windows Defender Advanced Threat Protection",
            "\"MsSense.exe\"",
        ),
    },
    Detection {
        title: "Test file seen: nothing to worry about",
        category: "Malware",
        source: "WindowsDefenderAv",
        techniques: &["T1204"],
        threat: Some(("Test_File", "Virus:DOS/EICAR_Test_File")),
        description: "",
        process: (
            "eicar.com",
            r"\\fileserver\share$\tests",
            r"cmd.exe /c type \\fileserver\share$\tests\eicar.com",
        ),
    },
];

/// Accounts that work on the machines.
pub(super) const USERS: [&str; 10] = [
    "k.larsen",
    "zoë.müller",
    "łukasz.żak",
    "s.o'brien",
    "田中.花子",
    "svc-backup$",
    "m.al-farsi",
    "Administrator",
    "è.dubois",
    "root",
];

/// Who handles alerts.
pub(super) const ANALYSTS: [&str; 3] = ["soc1@fabrikam.example", "jörg@fabrikam.example", "Automation"];

pub(super) const COMMENTS: [&str; 4] = [
    "Asked the user: it was \"only a test\".",
    "Seen before, same parent process.\nWaiting for the owner.",
    "✔ cleaned up",
    "siehe C:\\Fälle\\2026\\117",
];

/// Device groups with their ids; a machine in none has the id 0 and no name.
pub(super) const GROUPS: [(u32, Option<&str>); 6] = [
    (0, None),
    (12, Some("Workstations-EU")),
    (13, Some("Büro Köln")),
    (27, Some("Servers \"Tier 0\"")),
    (31, Some("東京")),
    (40, Some("R&D <lab>")),
];

/// Systems: platform, version and, where there is one, build.
pub(super) const SYSTEMS: [(&str, &str, Option<u32>); 6] = [
    ("Windows11", "24H2", Some(26100)),
    ("Windows10", "22H2", Some(19045)),
    ("WindowsServer2022", "21H2", Some(20348)),
    ("Linux", "22.4", None),
    ("macOS", "15.1", None),
    ("WindowsServer2016", "1607", Some(14393)),
];

pub(super) const TAGS: [&str; 6] = ["finance", "pilot", "Größe L", "do not isolate!", "vip", "クラウド"];
