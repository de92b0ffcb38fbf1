//! A page of Graph's alerts: each becomes one JSON object in the form of Defender's API, with the same id.

use bytes::Bytes;
use mdatp_forward::testing::{
    Object, Page,
    graph::{DevicePlace, translated},
    merge,
};

use super::json::{Members, is_json};

/// `input` is a page.
pub fn holds(input: &[u8]) {
    let Ok(page) = Page::parse(&Bytes::copy_from_slice(input), None) else { return };
    for graph in page.elements.into_iter().flatten() {
        for place in [DevicePlace::Machine, DevicePlace::Alert] {
            let Ok(alert) = translated(&graph, place) else {
                panic!("an alert cannot be translated: {}", graph.text);
            };
            assert_eq!(alert.id, graph.id);
            assert!(is_json(alert.text.as_bytes()), "{} is not JSON", alert.text);
            assert!(place == DevicePlace::Machine || alert.machine.is_none());
            if let Some(machine) = &alert.machine {
                let text = Object::from(machine.members().collect::<Vec<_>>()).to_json();
                assert!(is_json(&text), "{} is not JSON", machine.text());
            }
            keeps_what_has_no_other_place(&graph.object().expect("an object"), &alert.text);
            let record = merge(alert.object().expect("an object"), alert.machine.as_deref(), None).to_json();
            let record = Members::of(&record).expect("a record is a JSON object");
            let mut names: Vec<&str> = record.0.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            assert!(names.is_sorted_by(|one, next| one < next), "a name is repeated: {names:?}");
        }
    }
}

/// A member with a name that neither API has keeps its name and its text.
fn keeps_what_has_no_other_place(graph: &Object<'_>, translated: &str) {
    let translated = Members::of(translated.as_bytes()).expect("an alert is an object");
    for member in graph.members.iter().filter(|member| member.name.starts_with("new")) {
        assert_eq!(translated.last(&member.name), graph.get(&member.name), "{} is lost", member.name);
    }
}
