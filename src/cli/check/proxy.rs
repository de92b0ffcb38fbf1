//! Whether a proxy that is set for the services comes between the Functions host and this program. Pure.

use super::finding::Finding;

/// The name of the check.
pub const CHECK: &str = "proxy";

/// Where the host asks this program, and where it may have to ask for the tokens of its own identity.
const LOCAL: [&str; 2] = ["127.0.0.1", "localhost"];

/// What the variables say that `get` reads. The host, of .NET, asks even its own machine by `HTTP_PROXY` or
/// `ALL_PROXY`; this program does not, nor does it ask for a managed identity's tokens by any proxy. `is_host` is true
/// where a host is to start it.
pub fn judge(get: impl Fn(&str) -> Option<String>, is_host: bool) -> Finding {
    // .NET reads the name in lower case first.
    let either = |name: &str| get(&name.to_ascii_lowercase()).or_else(|| get(name));
    let Some(name) = ["HTTP_PROXY", "ALL_PROXY"].into_iter().find(|name| either(name).is_some()) else {
        return match either("HTTPS_PROXY") {
            Some(_) => Finding::ok(CHECK, "services are asked by HTTPS_PROXY, loopback addresses are not"),
            None => Finding::ok(CHECK, "none is set"),
        };
    };
    let no_proxy = either("NO_PROXY").unwrap_or_default();
    let names: Vec<_> = no_proxy.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let lacking: Vec<_> = LOCAL.into_iter().filter(|host| !covers(&names, host)).collect();
    if lacking.is_empty() {
        return Finding::ok(CHECK, format!("{name} is set, and NO_PROXY has {}", LOCAL.join(" and ")));
    }
    let mend = format!(
        "set HTTPS_PROXY alone, which is all that the services need, or NO_PROXY={}",
        [&names[..], &lacking].concat().join(",")
    );
    let message = format!("{name} is set, and NO_PROXY does not have {}", lacking.join(" and "));
    match (lacking.contains(&LOCAL[0]), is_host) {
        (true, is_host) => {
            let message = format!(
                "{message}: the Functions host asks the proxy for this program, never finds it ready, and nothing runs"
            );
            match is_host {
                true => Finding::failure(CHECK, message, mend),
                false => Finding::warning(CHECK, message, mend),
            }
        }
        (false, _) => {
            let message = format!("{message}: what the Functions host asks by that name goes to the proxy");
            Finding::warning(CHECK, message, mend)
        }
    }
}

/// True when .NET takes `host` for one of `names` (`HttpEnvironmentProxy` in dotnet/runtime): no wildcards and no
/// ranges of addresses, and a dot in front says that names under it are meant too.
fn covers(names: &[&str], host: &str) -> bool {
    names.iter().any(|name| name.strip_prefix('.').unwrap_or(name).eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::CheckResult;

    #[test]
    fn a_proxy_for_http_that_takes_loopback_addresses_too_is_told() {
        const PROXY: &str = "http://user:s3cret@proxy.example:3128";
        for (variables, result, part) in [
            (&[][..], CheckResult::Ok, "none is set"),
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
            let finding = judge(get, true);
            assert!(finding.result == result && finding.message.contains(part), "{variables:?}: {finding}");
            assert!(!finding.to_string().contains("s3cret"), "{finding}");
            let without_host = if result == CheckResult::Ok { CheckResult::Ok } else { CheckResult::Warning };
            assert_eq!(judge(get, false).result, without_host, "{variables:?}");
        }
    }

    #[test]
    fn the_mend_keeps_what_no_proxy_has() {
        let get = |name: &str| match name {
            "HTTP_PROXY" => Some("http://proxy.example".to_owned()),
            "NO_PROXY" => Some("localhost, .example".to_owned()),
            _ => None,
        };
        let mend = judge(get, true).mend.expect("a mend");
        assert!(mend.ends_with("NO_PROXY=localhost,.example,127.0.0.1"), "{mend}");
    }
}
