//! Access tokens: who they are for, what they allow and how long they last. Both token endpoints
//! issue them, Defender and Logs Ingestion check them.

use azure_core::time::{Duration, OffsetDateTime};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use fastrand::Rng;
use serde_json::json;

use crate::guid::guid;
use crate::role::Role;
use crate::tenant;

/// The service a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Defender,
    /// The XDR resource beside it: tokens are issued, but Defender's alert API turns them down.
    Xdr,
    Monitor,
    /// The host's storage account, which a managed identity may be asked for too.
    Storage,
}

impl Resource {
    /// The resource of this name, with or without the trailing slash that some documents show.
    pub fn named(audience: &str) -> Option<Self> {
        Some(match audience.strip_suffix('/').unwrap_or(audience) {
            "https://api.securitycenter.microsoft.com"
            | "https://securitycenter.onmicrosoft.com/windowsatpservice" => Self::Defender,
            "https://api.security.microsoft.com" => Self::Xdr,
            "https://monitor.azure.com" => Self::Monitor,
            "https://storage.azure.com" => Self::Storage,
            _ => return None,
        })
    }
}

/// An issued token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub text: String,
    pub resource: Resource,
    pub roles: Vec<Role>,
    pub expires_at: OffsetDateTime,
    revoked: bool,
}

/// Every token issued so far.
pub(crate) struct Tokens {
    pub lifetime: Duration,
    issued: Vec<Token>,
    rng: Rng,
}

impl Tokens {
    pub fn new(seed: u64) -> Self {
        Self { lifetime: Duration::seconds(3599), issued: Vec::new(), rng: Rng::with_seed(seed) }
    }

    /// Issues a token for an audience; `held` are the roles of the identity that asks.
    pub fn issue(
        &mut self,
        audience: &str,
        resource: Resource,
        held: &[Role],
        now: OffsetDateTime,
    ) -> &Token {
        let roles = match resource {
            Resource::Defender => held.to_vec(),
            Resource::Xdr | Resource::Monitor | Resource::Storage => Vec::new(),
        };
        let expires_at = now + self.lifetime;
        let names: Vec<_> = roles.iter().filter_map(|role| role.claim()).collect();
        let claims = json!({
            "appid": tenant::CLIENT_ID,
            "aud": audience,
            "exp": expires_at.unix_timestamp(),
            "iat": now.unix_timestamp(),
            "iss": format!("https://sts.windows.net/{}/", tenant::TENANT_ID),
            "roles": names,
            "tid": tenant::TENANT_ID,
            "uti": guid(&mut self.rng),
            "ver": "1.0",
        });
        let encode = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
        let header = encode(r#"{"typ":"JWT","alg":"none"}"#);
        let signature: String = (0..43).map(|_| self.rng.alphanumeric()).collect();
        let text = format!("{header}.{}.{signature}", encode(&claims.to_string()));
        self.issued.push(Token { text, resource, roles, expires_at, revoked: false });
        self.issued.last().expect("a token was just added")
    }

    /// The token a request carries, or why it is worth nothing.
    pub fn check(&self, bearer: Option<&str>, now: OffsetDateTime) -> Result<&Token, &'static str> {
        let text = bearer.ok_or("the authorization header carries no bearer token")?;
        let token = self.issued.iter().rev().find(|token| token.text == text);
        let token = token.ok_or("the token was not issued here")?;
        if token.revoked {
            return Err("the token was revoked");
        }
        if token.expires_at <= now {
            return Err("the token has expired");
        }
        Ok(token)
    }

    pub fn revoke(&mut self) {
        for token in &mut self.issued {
            token.revoked = true;
        }
    }

    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.issued.iter().map(|token| token.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn issue(tokens: &mut Tokens) -> String {
        let audience = "https://monitor.azure.com";
        let token = tokens.issue(audience, Resource::Monitor, &[], NOW);
        token.text.clone()
    }

    #[test]
    fn a_token_is_good_until_its_last_second() {
        let mut tokens = Tokens::new(1);
        let text = issue(&mut tokens);
        let check = |at| tokens.check(Some(&text), NOW + at).map(|t| t.resource);
        assert_eq!(check(Duration::seconds(3598)), Ok(Resource::Monitor));
        assert_eq!(check(Duration::seconds(3599)), Err("the token has expired"));
    }

    #[test]
    fn revoking_ends_what_was_issued_before_and_nothing_else() {
        let mut tokens = Tokens::new(1);
        let before = issue(&mut tokens);
        tokens.revoke();
        let after = issue(&mut tokens);
        assert_ne!(before, after);
        assert_eq!(tokens.check(Some(&before), NOW).err(), Some("the token was revoked"));
        assert!(tokens.check(Some(&after), NOW).is_ok());
    }

    #[test]
    fn the_claims_can_be_read_from_the_token() {
        let mut tokens = Tokens::new(1);
        let token = tokens.issue("aud", Resource::Defender, &[Role::AlertRead], NOW);
        let payload = token.text.split('.').nth(1).expect("three parts");
        let json = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url");
        let claims: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(claims["aud"], "aud");
        assert_eq!(claims["roles"], json!(["Alert.Read.All"]));
        assert_eq!(claims["exp"], 3599);
    }
}
