//! The three shapes in which a record can come, and where each keeps what Defender calls by one name: the
//! union has Defender's own names, the native shape capitalised ones, the classic shape the suffixes of the
//! Data Collector API. Everything here that looks into a record asks this file for the name.

use serde_json::Value;

/// The value of what Defender calls `member`, in any of the shapes; `None` if it is null or missing.
pub fn member<'a>(record: &'a Value, member: &str) -> Option<&'a Value> {
    names(member).filter_map(|name| record.get(name)).find(|value| !value.is_null())
}

/// The id of the alert that the record is about.
pub fn alert_id(record: &Value) -> Option<&str> {
    member(record, "id")?.as_str()
}

/// All names that a record can give to what Defender calls `member`.
pub(crate) fn names(member: &str) -> impl Iterator<Item = String> {
    let classic = ["_s", "_g", "_d", "_b", "_t"].map(|suffix| format!("{member}{suffix}"));
    [member.to_owned(), native(member)].into_iter().chain(classic)
}

fn native(member: &str) -> String {
    match member {
        // Their capitalised names are reserved.
        "id" => "AlertId".to_owned(),
        "title" => "AlertTitle".to_owned(),
        _ => member[..1].to_uppercase() + &member[1..],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_is_found_in_each_shape() {
        let shapes = [
            json!({"id": "da1", "machineId": "m1", "osBuild": 1, "aadDeviceId": "x", "title": "t"}),
            json!({"AlertId": "da1", "MachineId": "m1", "OsBuild": 1, "AadDeviceId": "x", "AlertTitle": "t"}),
            json!({"id_s": "da1", "machineId_s": "m1", "osBuild_d": 1, "aadDeviceId_g": "x", "title_s": "t"}),
        ];
        for record in shapes {
            assert_eq!(alert_id(&record), Some("da1"), "{record}");
            for (name, value) in [
                ("machineId", json!("m1")),
                ("osBuild", json!(1)),
                ("aadDeviceId", json!("x")),
                ("title", json!("t")),
            ] {
                assert_eq!(member(&record, name), Some(&value), "{name} of {record}");
            }
        }
    }

    #[test]
    fn what_is_null_or_somebody_elses_is_not_found() {
        let record = json!({"id": null, "Id": "da1", "machineId": "m1", "identity_s": "x"});
        assert_eq!(alert_id(&record), None);
        assert_eq!(member(&record, "osPlatform"), None);
    }
}
