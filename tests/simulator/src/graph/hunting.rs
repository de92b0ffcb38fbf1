//! `runHuntingQuery`, as far as the forwarder uses it: one query, of the table `DeviceInfo`.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::defender::Catalogue;
use crate::rejection::Rejection;
use crate::request::Request;

const HEAD: &str = "DeviceInfo | where Timestamp > ago(1d) and DeviceId in (";
const TAIL: &str = ") | summarize arg_max(Timestamp, *) by DeviceId";

/// The columns of the table that come from one member of a machine.
const COLUMNS: [(&str, &str); 20] = [
    ("DeviceId", "id"),
    ("Timestamp", "lastSeen"),
    ("DeviceName", "computerDnsName"),
    ("ClientVersion", "agentVersion"),
    ("PublicIP", "lastExternalIpAddress"),
    ("OSArchitecture", "osArchitecture"),
    ("OSPlatform", "osPlatform"),
    ("OSBuild", "osBuild"),
    ("OSVersion", "osVersion"),
    ("OSVersionInfo", "version"),
    ("IsAzureADJoined", "isAadJoined"),
    ("AadDeviceId", "aadDeviceId"),
    ("MachineGroup", "rbacGroupName"),
    ("OnboardingStatus", "onboardingStatus"),
    ("SensorHealthState", "healthStatus"),
    ("ExposureLevel", "exposureLevel"),
    ("AssetValue", "deviceValue"),
    ("IsExcluded", "isExcluded"),
    ("ExclusionReason", "exclusionReason"),
    ("MergedToDeviceId", "mergedIntoMachineId"),
];

/// The columns of a virtual machine in Azure.
const VIRTUAL: [(&str, &str); 3] =
    [("AzureVmId", "vmId"), ("AzureResourceId", "resourceId"), ("AzureVmSubscriptionId", "subscriptionId")];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    query: String,
    #[serde(default)]
    timespan: Option<String>,
}

/// The response to a query.
pub fn run(catalogue: &Catalogue, request: &Request) -> Result<String, Rejection> {
    let bad = |reason: &str| Rejection::new(400, "BadRequest", reason);
    if !request.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return Err(bad("The content type must be application/json."));
    }
    let body: Body = serde_json::from_slice(&request.body).map_err(|error| bad(&error.to_string()))?;
    if body.timespan.as_deref().is_some_and(|span| span != "P1D") {
        return Err(bad("The timespan is not valid."));
    }
    let list = body.query.strip_prefix(HEAD).and_then(|rest| rest.strip_suffix(TAIL));
    let list = list.ok_or_else(|| bad("Unexpected query: this simulator knows one only."))?;
    let ids: Option<Vec<&str>> =
        list.split(", ").map(|id| id.strip_prefix('\'')?.strip_suffix('\'')).collect();
    let ids = ids.filter(|ids| ids.iter().all(|id| !id.contains('\'')));
    let ids = ids.ok_or_else(|| bad("A syntax error has been identified in the query."))?;
    let rows: Vec<Value> =
        ids.iter().filter_map(|id| catalogue.machines.get(*id)).map(|machine| row(machine.text())).collect();
    Ok(json!({ "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.security.huntingQueryResults",
        "schema": [{ "name": "DeviceId", "type": "String" }], "results": rows })
    .to_string())
}

/// A row of the table. Text columns are never null, and dynamic ones are texts of JSON.
fn row(machine: &str) -> Value {
    let machine: Value = serde_json::from_str(machine).expect("a machine is JSON");
    let column = |value: &Value, name: &str| match value {
        Value::Null if ["IsAzureADJoined", "IsExcluded", "OSBuild"].contains(&name) => Value::Null,
        Value::Null => json!(""),
        value => value.clone(),
    };
    let columns = COLUMNS.iter().map(|(name, member)| ((*name).to_owned(), column(&machine[*member], name)));
    let virtual_machine = VIRTUAL
        .iter()
        .map(|(name, member)| ((*name).to_owned(), column(&machine["vmMetadata"][*member], name)));
    let tags = match &machine["machineTags"] {
        Value::Null => json!("[]"),
        tags => json!(tags.to_string()),
    };
    let tags =
        [("DeviceManualTags", tags), ("DeviceDynamicTags", json!("[]")), ("RegistryDeviceTag", json!(""))];
    let tags = tags.map(|(name, value)| (name.to_owned(), value));
    columns.chain(virtual_machine).chain(tags).collect()
}
