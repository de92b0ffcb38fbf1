//! A machine with all its members, and what alerts repeat of it.

use azure_core::time::{Duration, OffsetDateTime, to_rfc3339};
use fastrand::Rng;
use serde::Serialize;

use super::evidence::hex;
use super::moment;
use super::vocabulary::{GROUPS, SYSTEMS, TAGS};
use crate::guid::guid;

/// What an alert knows of its machine.
pub(super) struct Host {
    pub id: String,
    pub name: String,
    pub group: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MachineBody {
    id: String,
    merged_into_machine_id: Option<String>,
    is_potential_duplication: bool,
    is_excluded: bool,
    exclusion_reason: Option<&'static str>,
    computer_dns_name: String,
    first_seen: String,
    last_seen: String,
    os_platform: &'static str,
    os_version: Option<&'static str>,
    os_processor: &'static str,
    version: &'static str,
    last_ip_address: String,
    last_external_ip_address: String,
    agent_version: String,
    os_build: Option<u32>,
    health_status: &'static str,
    device_value: &'static str,
    rbac_group_id: u32,
    rbac_group_name: Option<&'static str>,
    risk_score: Option<&'static str>,
    exposure_level: Option<&'static str>,
    is_aad_joined: bool,
    aad_device_id: Option<String>,
    machine_tags: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    defender_av_status: Option<&'static str>,
    onboarding_status: &'static str,
    os_architecture: &'static str,
    managed_by: &'static str,
    managed_by_status: &'static str,
    ip_addresses: Vec<Interface>,
    vm_metadata: Option<VmMetadata>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Interface {
    ip_address: String,
    mac_address: Option<String>,
    r#type: &'static str,
    operational_status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VmMetadata {
    vm_id: String,
    cloud_provider: &'static str,
    resource_id: String,
    subscription_id: String,
}

pub(super) fn make(rng: &mut Rng, serial: u32, now: OffsetDateTime) -> (Host, MachineBody) {
    let id = hex(rng, 40);
    let name = format!("ws-{serial:04}.corp.fabrikam.example");
    let (rbac_group_id, group) = GROUPS[rng.usize(..GROUPS.len())];
    let (os_platform, version, os_build) = SYSTEMS[rng.usize(..SYSTEMS.len())];
    let address = format!("10.{}.{}.{}", rng.u8(..), rng.u8(..), rng.u8(1..255));
    let last_seen = moment(rng, now - Duration::DAY, now);
    let first_seen = moment(rng, now - Duration::days(900), now - Duration::days(30));
    let is_aad_joined = rng.bool();
    let machine = MachineBody {
        id: id.clone(),
        merged_into_machine_id: None,
        is_potential_duplication: rng.u8(..50) == 0,
        is_excluded: false,
        exclusion_reason: None,
        computer_dns_name: name.clone(),
        first_seen: to_rfc3339(&first_seen),
        last_seen: to_rfc3339(&last_seen),
        os_platform,
        os_version: None,
        os_processor: "x64",
        version,
        last_ip_address: address.clone(),
        last_external_ip_address: format!("198.51.100.{}", rng.u8(1..255)),
        agent_version: format!("10.8805.{}.{}", os_build.unwrap_or(0), rng.u16(1000..9999)),
        os_build,
        health_status: ["Active", "Active", "Inactive", "ImpairedCommunication"][rng.usize(..4)],
        device_value: ["Normal", "Normal", "Low", "High"][rng.usize(..4)],
        rbac_group_id,
        rbac_group_name: group,
        risk_score: rng.choice(["None", "Low", "Medium", "High"]).filter(|_| rng.u8(..8) > 0),
        exposure_level: rng.choice(["None", "Low", "Medium", "High"]),
        is_aad_joined,
        aad_device_id: is_aad_joined.then(|| guid(rng)),
        machine_tags: (0..rng.usize(..4)).map(|_| TAGS[rng.usize(..TAGS.len())]).collect(),
        defender_av_status: rng.bool().then_some("Updated"),
        onboarding_status: "Onboarded",
        os_architecture: "64-bit",
        managed_by: ["Intune", "Unknown", "MDE"][rng.usize(..3)],
        managed_by_status: "Unknown",
        ip_addresses: addresses(rng, address),
        vm_metadata: (rng.u8(..4) == 0).then(|| vm_metadata(rng, serial)),
    };
    (Host { id, name, group }, machine)
}

fn addresses(rng: &mut Rng, address: String) -> Vec<Interface> {
    let up = |ip_address: String, mac_address, r#type| Interface {
        ip_address,
        mac_address,
        r#type,
        operational_status: "Up",
    };
    let mac = format!("005056{}", hex(rng, 6).to_uppercase());
    vec![up(address, Some(mac), "Ethernet"), up("::1".to_owned(), None, "SoftwareLoopback")]
}

fn vm_metadata(rng: &mut Rng, serial: u32) -> VmMetadata {
    let subscription_id = guid(rng);
    VmMetadata {
        vm_id: guid(rng),
        cloud_provider: "Azure",
        resource_id: format!(
            "/subscriptions/{subscription_id}/resourceGroups/corp/providers/Microsoft.Compute/virtualMachines/ws-{serial:04}"
        ),
        subscription_id,
    }
}
