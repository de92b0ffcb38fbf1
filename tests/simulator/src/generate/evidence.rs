//! Evidence: all 26 members in every entry, most of them null.

use azure_core::time::{Duration, OffsetDateTime, to_rfc3339};
use fastrand::Rng;
use serde::Serialize;

use super::sql_time;
use super::vocabulary::Detection;
use crate::guid::guid;

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    entity_type: &'static str,
    evidence_creation_time: String,
    sha1: Option<String>,
    sha256: Option<String>,
    file_name: Option<&'static str>,
    file_path: Option<&'static str>,
    process_id: Option<u32>,
    process_command_line: Option<&'static str>,
    process_creation_time: Option<String>,
    parent_process_id: Option<u32>,
    parent_process_creation_time: Option<String>,
    parent_process_file_name: Option<&'static str>,
    parent_process_file_path: Option<&'static str>,
    ip_address: Option<String>,
    url: Option<String>,
    registry_key: Option<&'static str>,
    registry_hive: Option<&'static str>,
    registry_value_type: Option<&'static str>,
    registry_value: Option<&'static str>,
    registry_value_name: Option<&'static str>,
    account_name: Option<String>,
    domain_name: Option<&'static str>,
    user_sid: Option<String>,
    aad_user_id: Option<String>,
    user_principal_name: Option<String>,
    detection_status: Option<&'static str>,
}

/// One to six entries for an alert.
pub(super) fn make(
    rng: &mut Rng,
    detection: &'static Detection,
    user: &str,
    created: OffsetDateTime,
) -> Vec<Entry> {
    let count = match rng.u8(..100) {
        0..30 => 1,
        30..60 => 2,
        60..80 => 3,
        80..90 => 4,
        90..96 => 5,
        _ => 6,
    };
    let entry = |rng: &mut Rng| {
        let seen = sql_time(created + Duration::milliseconds(rng.i64(100..900)));
        let entry = match rng.u8(..20) {
            0..5 => of_user(rng, user),
            5..11 => of_process(rng, detection, user, created),
            11..15 => of_file(rng, detection),
            15..17 => of_ip(rng),
            17..19 => of_url(rng),
            _ => of_registry(),
        };
        Entry { evidence_creation_time: to_rfc3339(&seen), ..entry }
    };
    (0..count).map(|_| entry(rng)).collect()
}

fn of_user(rng: &mut Rng, user: &str) -> Entry {
    Entry {
        entity_type: "User",
        account_name: Some(user.to_owned()),
        domain_name: Some("FABRIKAM"),
        user_sid: Some(sid(rng)),
        aad_user_id: Some(guid(rng)),
        user_principal_name: Some(format!("{user}@fabrikam.example")),
        ..Entry::default()
    }
}

fn of_process(rng: &mut Rng, detection: &'static Detection, user: &str, created: OffsetDateTime) -> Entry {
    let (name, path, command_line) = detection.process;
    let started = created - Duration::microseconds(rng.i64(1_000_000..600_000_000));
    let parent_started = started - Duration::seconds(rng.i64(1..86_400));
    Entry {
        process_id: Some(rng.u32(300..30_000)),
        process_command_line: Some(command_line),
        process_creation_time: Some(to_rfc3339(&started)),
        parent_process_id: Some(rng.u32(300..30_000)),
        parent_process_creation_time: Some(to_rfc3339(&parent_started)),
        parent_process_file_name: Some("winword.exe"),
        parent_process_file_path: Some(r"C:\Program Files\Microsoft Office\root\Office16"),
        account_name: Some(user.to_owned()),
        domain_name: Some("FABRIKAM"),
        user_sid: Some(sid(rng)),
        ..file(rng, "Process", name, path)
    }
}

fn of_file(rng: &mut Rng, detection: &'static Detection) -> Entry {
    let (name, path, _) = detection.process;
    file(rng, "File", name, path)
}

fn file(rng: &mut Rng, entity_type: &'static str, name: &'static str, path: &'static str) -> Entry {
    Entry {
        entity_type,
        sha1: Some(hex(rng, 40)),
        sha256: Some(hex(rng, 64)),
        file_name: Some(name),
        file_path: Some(path),
        detection_status: Some("Detected"),
        ..Entry::default()
    }
}

fn of_ip(rng: &mut Rng) -> Entry {
    let address = if rng.bool() {
        format!("203.0.113.{}", rng.u8(1..255))
    } else {
        format!("2001:db8::{:x}", rng.u16(1..))
    };
    Entry { entity_type: "Ip", ip_address: Some(address), ..Entry::default() }
}

fn of_url(rng: &mut Rng) -> Entry {
    let key = hex(rng, 12);
    Entry {
        entity_type: "Url",
        url: Some(format!("http://downloads.example/p%C3%A9?k={key}&v=1#\\top")),
        ..Entry::default()
    }
}

fn of_registry() -> Entry {
    Entry {
        entity_type: "Registry",
        registry_key: Some(r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run"),
        registry_hive: Some("HKEY_LOCAL_MACHINE"),
        registry_value_type: Some("String"),
        registry_value: Some("\"C:\\ProgramData\\u.exe\" -k\u{0}"),
        registry_value_name: Some("Updäter"),
        ..Entry::default()
    }
}

fn sid(rng: &mut Rng) -> String {
    format!("S-1-5-21-{}-{}-{}-{}", rng.u32(..), rng.u32(..), rng.u32(..), rng.u32(1000..9999))
}

/// So many random hexadecimal digits.
pub(super) fn hex(rng: &mut Rng, digits: usize) -> String {
    (0..digits).map(|_| rng.digit(16)).collect()
}
