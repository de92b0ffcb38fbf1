//! The changes of the list of tenants. Pure.

use crate::tenants::{TenantEntry, TenantId, TenantList};

/// What a change has done to the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// False if the list was so already.
    pub(super) is_change: bool,
    /// What was done, for people.
    pub(super) text: String,
}

impl Change {
    fn done(text: String) -> Self {
        Self { is_change: true, text }
    }

    fn none(text: String) -> Self {
        Self { is_change: false, text }
    }
}

/// Adds an entry. Members of an earlier one that this version does not know are kept.
///
/// # Errors
/// The tenant has another entry, and `replace` is false.
pub(super) fn add(list: &mut TenantList, entry: &TenantEntry, replace: bool) -> Result<Change, String> {
    let mut entry = entry.clone();
    if let Some(earlier) = list.get(&entry.id) {
        entry.other_members.clone_from(&earlier.other_members);
        entry.sink.other_members.clone_from(&earlier.sink.other_members);
        if *earlier == entry {
            return Ok(Change::none(format!("{} is in the list already", entry.label())));
        }
        if !replace {
            return Err(format!(
                "the tenant {} has another entry. Fix: see mdatp-forward tenants list, and give --replace to replace it",
                entry.id
            ));
        }
    }
    let label = entry.label();
    let verb = match list.insert(entry) {
        None => "added",
        Some(_) => "replaced",
    };
    Ok(Change::done(format!("{label} is {verb}")))
}

/// Removes an entry.
///
/// # Errors
/// There is none of the tenant.
pub(super) fn remove(list: &mut TenantList, id: &TenantId) -> Result<Change, String> {
    let entry = list.remove(id).ok_or_else(|| unknown(id))?;
    Ok(Change::done(format!("{} is removed; its state stays in tenants/{id}", entry.label())))
}

/// Enables or disables a tenant.
///
/// # Errors
/// There is no entry of the tenant.
pub(super) fn set_enabled(list: &mut TenantList, id: &TenantId, enabled: bool) -> Result<Change, String> {
    let entry = list.get_mut(id).ok_or_else(|| unknown(id))?;
    let (label, state) = (entry.label(), if enabled { "enabled" } else { "disabled" });
    if entry.enabled == enabled {
        return Ok(Change::none(format!("{label} is {state} already")));
    }
    entry.enabled = enabled;
    Ok(Change::done(format!("{label} is {state}")))
}

fn unknown(id: &TenantId) -> String {
    format!("there is no tenant {id}. Fix: see mdatp-forward tenants list")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "11111111-2222-3333-4444-555555555555";
    const LIST: &str = r#"{"version":1,"tenants":[{"id":"11111111-2222-3333-4444-555555555555","name":"Contoso",
        "colour":"red","sink":{"endpoint":"https://e.example","dcr":"dcr-1","region":"west"}}]}"#;

    fn list() -> TenantList {
        TenantList::from_json(LIST.as_bytes()).expect("a list")
    }

    fn id(text: &str) -> TenantId {
        TenantId::parse(text).expect("an id")
    }

    /// The entry as the command line gives it, without what this version does not know.
    fn given() -> TenantEntry {
        let text = LIST.replace(r#""colour":"red","#, "").replace(r#","region":"west""#, "");
        TenantList::from_json(text.as_bytes()).expect("a list").entries()[0].clone()
    }

    #[test]
    fn adding_the_same_twice_changes_nothing_and_another_entry_is_replaced_only_on_request() {
        let mut empty = TenantList::default();
        assert!(add(&mut empty, &given(), false).expect("added").is_change);
        assert_eq!(empty.entries(), [given()]);
        assert!(!add(&mut empty, &given(), false).expect("as it was").is_change);

        let mut list = list();
        assert!(!add(&mut list, &given(), false).expect("as it was").is_change, "but for what is not known");
        let other = TenantEntry { name: "Contoso SE".to_owned(), ..given() };
        let problem = add(&mut list, &other, false).expect_err("another");
        assert!(problem.contains("--replace"), "{problem}");
        assert_eq!(list, self::list());
        assert!(add(&mut list, &other, true).expect("replaced").text.ends_with("is replaced"));
        let text = String::from_utf8(list.to_json()).expect("text");
        for kept in ["Contoso SE", "\"colour\": \"red\"", "\"region\": \"west\""] {
            assert!(text.contains(kept), "{kept} is not in {text}");
        }
    }

    #[test]
    fn a_tenant_is_disabled_enabled_and_removed_and_an_unknown_one_is_named() {
        let (mut list, one, two) = (list(), id(ONE), id("99999999-2222-3333-4444-555555555555"));
        assert!(set_enabled(&mut list, &one, false).expect("changed").is_change);
        assert!(!list.entries()[0].enabled);
        assert!(!set_enabled(&mut list, &one, false).expect("as it was").is_change);
        assert!(set_enabled(&mut list, &one, true).expect("changed").is_change);
        assert_eq!(list, self::list());
        for problem in [remove(&mut list, &two), set_enabled(&mut list, &two, true)] {
            assert!(problem.expect_err("unknown").contains(two.as_str()));
        }
        assert!(remove(&mut list, &one).expect("removed").text.contains(&format!("tenants/{ONE}")));
        assert!(list.entries().is_empty());
    }
}
