//! The list of tenants for a terminal, and as JSON lines.

use crate::{
    cli::print_line,
    error_chain::one_line,
    tenants::{TenantEntry, TenantList},
};

/// The most characters of a name.
const MAX_NAME: usize = 40;

/// Prints the list.
pub(super) fn print(list: &TenantList, as_json: bool) {
    for line in if as_json { json(list) } else { text(list) } {
        print_line(line.as_bytes());
    }
}

fn json(list: &TenantList) -> Vec<String> {
    let line = |entry: &TenantEntry| serde_json::to_string(entry).expect("texts can be written as JSON");
    list.entries().iter().map(line).collect()
}

/// Lines of columns; the last two have texts of any length.
fn text(list: &TenantList) -> Vec<String> {
    let name = |entry: &TenantEntry| one_line(&entry.name, MAX_NAME);
    let width = list.entries().iter().map(|entry| name(entry).chars().count()).max().unwrap_or_default();
    let width = width.max("name".len());
    let line = |columns: [&str; 6]| {
        let [id, name, enabled, token, credential, sink] = columns;
        format!("{id:36}  {name:width$}  {enabled:8}  {token:6}  {credential}  {sink}")
    };
    let heading = line(["tenant", "name", "enabled", "token", "credential", "sink"]);
    let entries = list.entries().iter().map(|entry| {
        line([
            entry.id.as_str(),
            &name(entry),
            if entry.enabled { "enabled" } else { "disabled" },
            &entry.sink.token_from.to_string(),
            &format!("{:10}", entry.credential.to_string()),
            &format!("{} at {}", one_line(&entry.sink.rule, MAX_NAME), one_line(&entry.sink.endpoint, 100)),
        ])
    });
    [heading].into_iter().chain(entries).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_is_a_line() {
        let document = r#"{"version":1,"tenants":[
            {"id":"11111111-2222-3333-4444-555555555555","name":"Contoso","sink":{"endpoint":"https://e.example","dcr":"dcr-1"}},
            {"id":"22222222-2222-3333-4444-555555555555","name":"Fabrikam\nSE","enabled":false,"credential":"secret:FABRIKAM",
             "sink":{"endpoint":"https://f.example","dcr":"dcr-2","tokenFrom":"tenant"}}]}"#;
        let list = TenantList::from_json(document.as_bytes()).expect("a list");
        assert_eq!(
            text(&list),
            [
                "tenant                                name         enabled   token   credential  sink",
                "11111111-2222-3333-4444-555555555555  Contoso      enabled   home    federated   dcr-1 at https://e.example",
                "22222222-2222-3333-4444-555555555555  Fabrikam SE  disabled  tenant  secret:FABRIKAM  dcr-2 at https://f.example",
            ]
        );
        let lines = json(&list);
        assert!(lines[0].starts_with(r#"{"id":"11111111-"#) && lines.len() == 2, "{lines:?}");
    }
}
