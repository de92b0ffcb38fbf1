//! Whether a proxy for the services would also be used between the Functions host and this program. Pure.

use super::finding::Finding;

/// The name of the check.
pub const CHECK: &str = "proxy";

/// The addresses at which the host reaches this program, and may have to request the tokens of its own identity.
const LOCAL: [&str; 2] = ["127.0.0.1", "localhost"];

/// Returns the finding about the variables that `get` reads.
///
/// The host is written in .NET, which uses `HTTP_PROXY` or `ALL_PROXY` even for its own machine. This program does not, and
/// requests a managed identity's tokens without a proxy. `is_host` is true if a host starts this program.
pub fn finding(get: impl Fn(&str) -> Option<String>, is_host: bool) -> Finding {
    // .NET reads the name in lower case first.
    let either = |name: &str| get(&name.to_ascii_lowercase()).or_else(|| get(name));
    let Some(name) = ["HTTP_PROXY", "ALL_PROXY"].into_iter().find(|name| either(name).is_some()) else {
        return match either("HTTPS_PROXY") {
            Some(_) => Finding::ok(
                CHECK,
                "requests to services go through HTTPS_PROXY, requests to loopback addresses do not",
            ),
            None => Finding::ok(CHECK, "no proxy is set"),
        };
    };
    let no_proxy = either("NO_PROXY").unwrap_or_default();
    let names: Vec<_> = no_proxy.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let missing: Vec<_> = LOCAL.into_iter().filter(|host| !covers(&names, host)).collect();
    if missing.is_empty() {
        return Finding::ok(CHECK, format!("{name} is set, and NO_PROXY has {}", LOCAL.join(" and ")));
    }
    let fix = format!(
        "set only HTTPS_PROXY, which is enough for the services, or NO_PROXY={}",
        [&names[..], &missing].concat().join(",")
    );
    let message = format!("{name} is set, and NO_PROXY does not have {}", missing.join(" and "));
    match (missing.contains(&LOCAL[0]), is_host) {
        (true, is_host) => {
            let message = format!(
                "{message}: the Functions host connects to this program through the proxy, never finds it ready, and nothing runs"
            );
            match is_host {
                true => Finding::failure(CHECK, message, fix),
                false => Finding::warning(CHECK, message, fix),
            }
        }
        (false, _) => {
            let message = format!("{message}: requests of the Functions host to that name go to the proxy");
            Finding::warning(CHECK, message, fix)
        }
    }
}

/// Returns true if .NET matches `host` with one of `names` (`HttpEnvironmentProxy` in dotnet/runtime): wildcards and address
/// ranges are not supported, and a leading dot includes the names below.
fn covers(names: &[&str], host: &str) -> bool {
    names.iter().any(|name| name.strip_prefix('.').unwrap_or(name).eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::CheckResult;

    #[test]
    fn a_proxy_that_is_used_for_loopback_addresses_too_is_reported() {
        const PROXY: &str = "http://user:s3cret@proxy.example:3128";
        for (variables, result, part) in [
            (&[][..], CheckResult::Ok, "no proxy is set"),
            (&[("HTTPS_PROXY", PROXY)], CheckResult::Ok, "HTTPS_PROXY"),
            (&[("https_proxy", PROXY)], CheckResult::Ok, "HTTPS_PROXY"),
            (&[("HTTP_PROXY", PROXY)], CheckResult::Failure, "HTTP_PROXY is set"),
            (&[("http_proxy", PROXY)], CheckResult::Failure, "HTTP_PROXY is set"),
            (&[("all_proxy", PROXY)], CheckResult::Failure, "ALL_PROXY is set"),
            (&[("ALL_PROXY", PROXY), ("HTTPS_PROXY", PROXY)], CheckResult::Failure, "ALL_PROXY is set"),
            (&[("HTTP_PROXY", PROXY), ("NO_PROXY", "127.0.0.1,localhost")], CheckResult::Ok, "NO_PROXY has"),
            (
                &[("ALL_PROXY", PROXY), ("no_proxy", " LocalHost , 127.0.0.1,")],
                CheckResult::Ok,
                "NO_PROXY has",
            ),
            (&[("HTTP_PROXY", PROXY), ("NO_PROXY", ".localhost,127.0.0.1")], CheckResult::Ok, "NO_PROXY has"),
            (
                &[("HTTP_PROXY", PROXY), ("NO_PROXY", "localhost")],
                CheckResult::Failure,
                "not have 127.0.0.1:",
            ),
            (
                &[("HTTP_PROXY", PROXY), ("NO_PROXY", "127.0.0.1")],
                CheckResult::Warning,
                "not have localhost:",
            ),
            (&[("HTTP_PROXY", PROXY), ("NO_PROXY", "*")], CheckResult::Failure, "127.0.0.1 and localhost"),
            (
                &[("HTTP_PROXY", PROXY), ("NO_PROXY", "127.0.0.0/8,localhost")],
                CheckResult::Failure,
                "127.0.0.1",
            ),
        ] {
            let get = |name: &str| {
                let found = variables.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let found = finding(get, true);
            assert!(found.result == result && found.message.contains(part), "{variables:?}: {found}");
            assert!(!found.to_string().contains("s3cret"), "{found}");
            let without_host = if result == CheckResult::Ok { CheckResult::Ok } else { CheckResult::Warning };
            assert_eq!(finding(get, false).result, without_host, "{variables:?}");
        }
    }

    #[test]
    fn the_fix_keeps_what_no_proxy_has() {
        let get = |name: &str| match name {
            "HTTP_PROXY" => Some("http://proxy.example".to_owned()),
            "NO_PROXY" => Some("localhost, .example".to_owned()),
            _ => None,
        };
        let fix = finding(get, true).fix.expect("a fix");
        assert!(fix.ends_with("NO_PROXY=localhost,.example,127.0.0.1"), "{fix}");
    }
}
