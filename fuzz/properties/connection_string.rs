//! `AzureWebJobsStorage`, pasted by hand: whatever it contains, a key is sent only to permitted endpoints and is never
//! shown.

use std::net::Ipv4Addr;

use mdatp_forward::testing::{BlobAccess, BlobAccount, Cloud, Endpoint, Settings};

/// A key that the input does not contain.
const KEY: &str = "Um9zZXMgYXJlIHJlZCwga2V5cyBhcmUgc2VjcmV0";

/// The lines of `input` are the connection string, the blob service's URI, the account's name and the client id. Any
/// may be empty.
pub fn holds(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    // A fuzzer that observes comparisons puts the key into a URL, even in parts: control characters inside a URL are
    // ignored.
    if input.chars().filter(|c| !c.is_control()).collect::<String>().contains(KEY) {
        return;
    }
    let names = ["", "__blobServiceUri", "__accountName", "__clientId"];
    let read = |cloud: &Cloud, with: &str| {
        let values = names.iter().zip(input.split('\n')).map(|(name, value)| {
            let value =
                if name.is_empty() && !value.is_empty() { format!("{value}{with}") } else { value.into() };
            (format!("AzureWebJobsStorage{name}"), value)
        });
        let settings: Settings = values.collect();
        BlobAccount::read(&settings, cloud)
    };
    for cloud in &Cloud::ALL {
        for with in ["", &format!(";AccountKey={KEY}"), &format!(";SharedAccessSignature=sig={KEY}")] {
            match read(cloud, with) {
                Ok(account) => is_safe(&account),
                Err(problem) => {
                    let problem = problem.to_string();
                    assert!(problem.starts_with("AzureWebJobsStorage"), "{problem}");
                    assert!(!problem.contains(KEY) && !problem.contains('\n'), "{problem}");
                }
            }
        }
    }
}

fn is_safe(account: &BlobAccount) {
    let endpoint = account.endpoint.as_str();
    let (scheme, rest) = endpoint.split_once("://").expect("an endpoint is a URL");
    let authority = rest.split('/').next().unwrap_or_default();
    let port_less = authority.trim_end_matches(|c: char| c.is_ascii_digit()).strip_suffix(':');
    let host = port_less.unwrap_or(authority);
    let is_local = matches!(host, "localhost" | "[::1]")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    assert!(scheme == "https" || (scheme == "http" && is_local), "{endpoint} is sent keys");
    assert!(!authority.is_empty() && !authority.contains('@'), "{endpoint}");
    assert!(!rest.contains(|c: char| matches!(c, '?' | '#' | ' ') || c.is_control()), "{endpoint}");
    assert_eq!(
        Endpoint::parse(endpoint).as_ref(),
        Ok(&account.endpoint),
        "an endpoint is read back as itself"
    );
    assert!(!format!("{account:?}").contains(KEY), "a key is shown");
    if let BlobAccess::Sas(sas) = &account.access {
        assert!(!sas.secret().starts_with('?'));
    }
}
