//! Whether a token is the one that its API needs, before the API is called. Pure.

use std::time::Duration;

use azure_core::time::OffsetDateTime;

use super::{finding::Finding, principal::Principal};
use crate::http::{
    claims::{Claims, READ_ROLES, SECURITY_ALERT_ROLE, THREAT_HUNTING_ROLE},
    service::Service,
};

/// The audience of the Microsoft Defender XDR API, whose tokens do not open Defender for Endpoint's API: they have other
/// application roles.
const XDR: &str = "https://api.security.microsoft.com";

/// The shortest lifetime of a token without a warning, in seconds. A shorter-lived token cannot be kept for the next run.
const SHORT: i64 = 5 * 60;

/// Microsoft Graph's roles. The second is for hunting queries.
const GRAPH_ROLES: [&str; 2] = [SECURITY_ALERT_ROLE, THREAT_HUNTING_ROLE];

/// The check of the token of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenCheck {
    /// Defender for Endpoint: its application roles are in the token.
    Defender,
    /// Microsoft Graph: its application roles are in the token.
    Graph {
        /// True if hunting queries are to be run.
        hunts: bool,
    },
    /// The Logs Ingestion API: its roles are not in the token.
    LogsIngestion,
}

impl TokenCheck {
    /// Returns the name of the check.
    pub fn name(self) -> &'static str {
        match self {
            Self::Defender => "defender-token",
            Self::Graph { .. } => "graph-token",
            Self::LogsIngestion => "sink-token",
        }
    }

    /// Returns the application roles that must be in the token.
    pub fn roles(self) -> &'static [&'static str] {
        match self {
            Self::Defender => &READ_ROLES,
            Self::Graph { hunts: false } => &GRAPH_ROLES[..1],
            Self::Graph { hunts: true } => &GRAPH_ROLES,
            Self::LogsIngestion => &[],
        }
    }

    /// The service whose roles they are.
    fn service(self) -> Service {
        match self {
            Self::Defender => Service::Defender,
            Self::Graph { .. } => Service::Graph,
            Self::LogsIngestion => Service::LogsIngestion,
        }
    }

    fn scope_setting(self) -> &'static str {
        match self {
            Self::Defender => "MDATP_API_SCOPE",
            Self::Graph { .. } => "MDATP_GRAPH_SCOPE",
            Self::LogsIngestion => "MDATP_INGESTION_SCOPE",
        }
    }
}

/// Returns the most serious finding about a token for `scope` with these claims; `None`: they cannot be read.
pub fn finding(
    check: TokenCheck,
    scope: &str,
    claims: Option<&Claims>,
    principal: &Principal,
    now: OffsetDateTime,
) -> Finding {
    let name = check.name();
    let Some(claims) = claims else {
        let message = format!("there is a token for {scope}, in a form that only the API can read");
        return Finding::ok(name, message);
    };
    let aud = claims.aud.trim_end_matches('/');
    let left = claims.exp.map(|exp| exp.saturating_sub(now.unix_timestamp()));
    if let Some(ago) = left.filter(|left| *left <= 0) {
        let message = format!("the token for {aud} was issued already expired, {} ago", time(-ago));
        return Finding::failure(name, message, "set this machine's clock: timedatectl set-ntp true");
    }
    if check == TokenCheck::Defender && aud == XDR {
        return Finding::failure(
            name,
            format!(
                "the token is for {aud}, another API: its roles do not give access to Defender for Endpoint's"
            ),
            "unset MDATP_API_SCOPE, or set it to https://api.securitycenter.microsoft.com/.default",
        );
    }
    let missing = claims.missing_roles(check.roles());
    if !missing.is_empty() {
        let message = format!("{}, not {}", claims.describe(), missing.join(" and "));
        if claims.is_of_user() {
            return Finding::warning(
                name,
                message,
                format!("none needed if {} answers: a user has other permissions", check.service().name()),
            );
        }
        let mut fix = principal.grant(check.service());
        if principal.is_managed {
            fix.push_str(" (a token keeps its old roles for up to a day)");
        }
        return Finding::failure(name, message, fix);
    }
    let what = match check {
        TokenCheck::Defender | TokenCheck::Graph { .. } => claims.describe(),
        TokenCheck::LogsIngestion => format!("there is a token for {aud}"),
    };
    let message = left.map_or(what.clone(), |left| format!("{what}, for {}", time(left)));
    if aud != scope.trim_end_matches("/.default").trim_end_matches('/') && aud.contains("://") {
        let setting = check.scope_setting();
        Finding::warning(name, format!("{message}; the request was for {scope}"), format!("check {setting}"))
    } else if left.is_some_and(|left| left < SHORT) {
        let fix = "look for a token lifetime policy in Entra ID that makes tokens short-lived";
        Finding::warning(name, message, fix)
    } else {
        Finding::ok(name, message)
    }
}

fn time(seconds: i64) -> String {
    humantime::format_duration(Duration::from_secs(seconds.unsigned_abs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::check::finding::CheckResult,
        config::{Identity, Owner},
    };

    const DEFENDER: &str = "https://api.securitycenter.microsoft.com/.default";
    const MONITOR: &str = "https://monitor.azure.com/.default";

    fn claims(aud: &str, roles: &[&str], exp: i64) -> Claims {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Claims { aud: aud.to_owned(), roles, exp: Some(exp), ..Claims::default() }
    }

    fn managed() -> Principal {
        Principal::new(&Identity::ManagedIdentity { client: None }, Owner::App, None)
    }

    /// Returns the finding about a token at the second 1,000.
    fn at(check: TokenCheck, claims: &Claims) -> Finding {
        let now = OffsetDateTime::from_unix_timestamp(1_000).expect("a time");
        let principal = managed();
        let scope = if check == TokenCheck::Defender { DEFENDER } else { MONITOR };
        finding(check, scope, Some(claims), &principal, now)
    }

    #[test]
    fn the_most_serious_problem_of_audience_roles_and_expiry_is_reported() {
        const AUD: &str = "https://api.securitycenter.microsoft.com";
        const BOTH: [&str; 2] = ["Alert.Read.All", "Machine.Read.All"];
        for (claims, result, part) in [
            (
                claims(AUD, &BOTH, 4_600),
                CheckResult::Ok,
                "holds the roles Alert.Read.All, Machine.Read.All, for 1h",
            ),
            (
                claims(AUD, &["Alert.ReadWrite.All", "Machine.ReadWrite.All"], 4_600),
                CheckResult::Ok,
                "ReadWrite",
            ),
            (claims(AUD, &BOTH[..1], 4_600), CheckResult::Failure, "not Machine.Read.All"),
            (
                claims(AUD, &[], 4_600),
                CheckResult::Failure,
                "no application roles, not Alert.Read.All and Machine",
            ),
            (claims(AUD, &BOTH, 1_299), CheckResult::Warning, "for 4m 59s"),
            (claims(AUD, &BOTH, 1_300), CheckResult::Ok, "for 5m"),
            (claims(AUD, &[], 940), CheckResult::Failure, "already expired, 1m ago"),
            (claims(XDR, &[], 4_600), CheckResult::Failure, "another API"),
            (claims("https://other.example/", &BOTH, 4_600), CheckResult::Warning, "the request was for"),
            // Some tokens name the resource by its id.
            (claims("fc780465-2017-40d4-a0c5-307022471b92", &BOTH, 4_600), CheckResult::Ok, "fc780465"),
        ] {
            let finding = at(TokenCheck::Defender, &claims);
            assert!(finding.result == result && finding.message.contains(part), "{finding}");
            assert_eq!(finding.fix.is_some(), result != CheckResult::Ok, "{finding}");
        }
    }

    #[test]
    fn a_user_needs_no_application_roles() {
        let user = Claims { scp: Some("user_impersonation".to_owned()), ..claims("https://a", &[], 4_600) };
        assert_eq!(at(TokenCheck::Defender, &user).result, CheckResult::Warning);
    }

    #[test]
    fn the_sinks_token_needs_no_roles() {
        let found = at(TokenCheck::LogsIngestion, &claims("https://monitor.azure.com/", &[], 4_600));
        assert_eq!(
            found,
            Finding::ok("sink-token", "there is a token for https://monitor.azure.com, for 1h")
        );
        let opaque =
            super::finding(TokenCheck::LogsIngestion, MONITOR, None, &managed(), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(opaque.result, CheckResult::Ok);
    }
}
