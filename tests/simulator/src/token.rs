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
    /// The XDR resource beside it: tokens are issued, but Defender's alert API rejects them.
    Xdr,
    Monitor,
    /// Microsoft Graph.
    Graph,
    /// The host's storage account, which a managed identity may be asked for too.
    Storage,
    /// Entra itself: a managed identity's token that is to be an app registration's assertion.
    Exchange,
}

impl Resource {
    /// The resource of this name, with or without the trailing slash that some documents show.
    pub fn named(audience: &str) -> Option<Self> {
        Some(match audience.strip_suffix('/').unwrap_or(audience) {
            "https://api.securitycenter.microsoft.com"
            | "https://securitycenter.onmicrosoft.com/windowsatpservice" => Self::Defender,
            "https://api.security.microsoft.com" => Self::Xdr,
            "https://monitor.azure.com" => Self::Monitor,
            "https://graph.microsoft.com" => Self::Graph,
            "https://storage.azure.com" => Self::Storage,
            "api://AzureADTokenExchange" => Self::Exchange,
            _ => return None,
        })
    }
}

/// Whom a token is issued to: a service principal of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub tenant: &'static str,
    pub client: &'static str,
    /// Its object id; that of an app registration's is its client id here.
    pub object: &'static str,
}

impl Principal {
    /// The user-assigned identity.
    pub const USER_ASSIGNED: Self =
        Self { object: tenant::IDENTITY_OBJECT_ID, ..Self::of(tenant::TENANT_ID, tenant::CLIENT_ID) };
    /// The system-assigned identity.
    pub const SYSTEM_ASSIGNED: Self = Self::of(tenant::TENANT_ID, tenant::SYSTEM_OBJECT_ID);

    /// The app registration `client` in `tenant`.
    pub const fn of(tenant: &'static str, client: &'static str) -> Self {
        Self { tenant, client, object: client }
    }

    /// True for the identities of the app itself, which hold the roles in Azure: on the data collection rule and on
    /// the storage account.
    pub fn is_the_apps_own(self) -> bool {
        self.tenant == tenant::TENANT_ID && self.client != tenant::SHARED_CLIENT_ID
    }
}

/// An issued token.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub text: String,
    pub holder: Principal,
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
        holder: Principal,
        audience: &str,
        resource: Resource,
        held: &[Role],
        now: OffsetDateTime,
    ) -> &Token {
        let roles: Vec<Role> =
            held.iter().copied().filter(|role| role.resource() == Some(resource)).collect();
        let expires_at = now + self.lifetime;
        let names: Vec<_> = roles.iter().filter_map(|role| role.claim()).collect();
        let Principal { tenant, client, object } = holder;
        // A token to exchange is of version 2, and names Entra's issuer as federated credentials do (comment in
        // AzureAD/microsoft-identity-web#2551).
        let (issuer, version) = match resource {
            Resource::Exchange => (exchange_issuer(tenant), "2.0"),
            _ => (format!("https://sts.windows.net/{tenant}/"), "1.0"),
        };
        let claims = json!({
            "appid": client,
            "aud": audience,
            "exp": expires_at.unix_timestamp(),
            "iat": now.unix_timestamp(),
            "iss": issuer,
            "nbf": now.unix_timestamp(),
            "oid": object,
            "roles": names,
            "sub": object,
            "tid": tenant,
            "uti": guid(&mut self.rng),
            "ver": version,
        });
        let encode = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
        let header = encode(r#"{"typ":"JWT","alg":"none"}"#);
        let signature: String = (0..43).map(|_| self.rng.alphanumeric()).collect();
        let text = format!("{header}.{}.{signature}", encode(&claims.to_string()));
        self.issued.push(Token { text, holder, resource, roles, expires_at, revoked: false });
        self.issued.last().expect("a token was just added")
    }

    /// The token of a request, or why it is not valid.
    pub fn check(&self, bearer: Option<&str>, now: OffsetDateTime) -> Result<&Token, &'static str> {
        let text = bearer.ok_or("the authorization header carries no bearer token")?;
        let token = self.issued(text).ok_or("the token was not issued here")?;
        if token.revoked {
            return Err("the token was revoked");
        }
        if token.expires_at <= now {
            return Err("the token has expired");
        }
        Ok(token)
    }

    /// The token of this text, valid or not.
    pub fn issued(&self, text: &str) -> Option<&Token> {
        self.issued.iter().rev().find(|token| token.text == text)
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

/// The issuer of a tenant's tokens of version 2.
pub(crate) fn exchange_issuer(tenant: &str) -> String {
    format!("https://login.microsoftonline.com/{tenant}/v2.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn issue(tokens: &mut Tokens) -> String {
        let audience = "https://monitor.azure.com";
        let token = tokens.issue(Principal::SYSTEM_ASSIGNED, audience, Resource::Monitor, &[], NOW);
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
        let token =
            tokens.issue(Principal::USER_ASSIGNED, "aud", Resource::Defender, &[Role::AlertRead], NOW);
        let payload = token.text.split('.').nth(1).expect("three parts");
        let json = BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url");
        let claims: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(claims["aud"], "aud");
        assert_eq!(claims["roles"], json!(["Alert.Read.All"]));
        assert_eq!(claims["exp"], 3599);
        assert_eq!(claims["iss"], "https://sts.windows.net/7d0c1b5e-52a4-4c8e-9f0b-3a6f1e2d4c5b/");
        assert_eq!(claims["sub"], tenant::IDENTITY_OBJECT_ID);
    }
}
