//! What an access token says about itself, to explain a rejection. It is read and never verified, which is up to the
//! service: nothing but messages depends on it. Pure.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Deserialize;

/// The application roles that are needed to read alerts and machines (Defender's pages "List alerts API" and "Get
/// machine by ID API", section "Permissions").
pub const READ_ROLES: [&str; 2] = ["Alert.Read.All", "Machine.Read.All"];

/// Microsoft Graph's application role to read alerts (page "List `alerts_v2`", section "Permissions").
pub const SECURITY_ALERT_ROLE: &str = "SecurityAlert.Read.All";

/// Microsoft Graph's application role to run hunting queries (page "security: runHuntingQuery", section "Permissions").
pub const THREAT_HUNTING_ROLE: &str = "ThreatHunting.Read.All";

/// The claims that can explain why a call is forbidden.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Claims {
    /// The audience: the resource that the token is for.
    #[serde(default)]
    pub aud: String,
    /// The application roles it holds.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The expiry, in seconds since 1970.
    #[serde(default)]
    pub exp: Option<i64>,
    /// The object id of the identity that it was issued to.
    #[serde(default)]
    pub oid: Option<String>,
    /// The permissions that a user delegates to the application; `None` in an application's own token.
    #[serde(default)]
    pub scp: Option<String>,
}

impl Claims {
    /// Returns the claims of `token`, or `None` when it is not a JSON Web Token: services may accept others.
    pub fn of(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
    }

    /// Returns the application roles of `needed` that it does not hold. A role to write includes reading.
    pub fn missing_roles(&self, needed: &[&'static str]) -> Vec<&'static str> {
        let holds = |role: &str| self.roles.iter().any(|held| held == role);
        let lacks = |role: &&str| !holds(role) && !holds(&role.replace(".Read.", ".ReadWrite."));
        needed.iter().copied().filter(lacks).collect()
    }

    /// Returns true for a user's token, which has no application roles.
    pub fn is_of_user(&self) -> bool {
        self.scp.is_some()
    }

    /// Describes audience and roles.
    pub fn describe(&self) -> String {
        match self.roles.as_slice() {
            [] => format!("the token for {} holds no application roles", self.aud),
            roles => format!("the token for {} holds the roles {}", self.aud, roles.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_are_read_and_other_texts_have_no_claims() {
        // {"alg":"none"} . {"aud":"https://api","roles":["Alert.Read.All"],"exp":1} by `base64 -w0 | tr +/ -_`
        let token = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwczovL2FwaSIsInJvbGVzIjpbIkFsZXJ0LlJlYWQuQWxsIl0sImV4cCI6MX0.c2ln";
        let claims = Claims::of(token).expect("claims");
        assert_eq!(claims.describe(), "the token for https://api holds the roles Alert.Read.All");
        assert_eq!((claims.exp, claims.is_of_user()), (Some(1), false));
        // {"aud":"a"}
        let bare = Claims::of("x.eyJhdWQiOiJhIn0.y").expect("claims");
        assert_eq!(bare.describe(), "the token for a holds no application roles");
        for text in ["", "opaque", "a.b.c", "a..c"] {
            assert_eq!(Claims::of(text), None, "{text}");
        }
    }
}
