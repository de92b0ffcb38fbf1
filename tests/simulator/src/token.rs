//! Access tokens: who they are for, what they allow and how long they last. Both token endpoints
//! issue them, Defender and Logs Ingestion check them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    pub tenant: Arc<str>,
    pub client: Arc<str>,
    /// Its object id; that of an app registration's is its client id here.
    pub object: Arc<str>,
}

impl Principal {
    /// The user-assigned identity.
    pub fn user_assigned() -> Self {
        let object = tenant::IDENTITY_OBJECT_ID.into();
        Self { object, ..Self::of(tenant::TENANT_ID, tenant::CLIENT_ID) }
    }

    /// The system-assigned identity.
    pub fn system_assigned() -> Self {
        Self::of(tenant::TENANT_ID, tenant::SYSTEM_OBJECT_ID)
    }

    /// The app registration `client` in `tenant`.
    pub fn of(tenant: &str, client: &str) -> Self {
        Self { tenant: tenant.into(), client: client.into(), object: client.into() }
    }

    /// The identities of the app itself, which hold the roles in Azure: on the data collection rule of its own tenant
    /// and on the storage account.
    pub fn the_apps_own() -> [Self; 3] {
        [Self::user_assigned(), Self::system_assigned(), Self::of(tenant::TENANT_ID, tenant::CLIENT_ID)]
    }
}

/// An issued token.
#[derive(Debug)]
pub(crate) struct Token {
    pub text: String,
    pub holder: Principal,
    pub audience: String,
    pub resource: Resource,
    pub roles: Vec<Role>,
    pub expires_at: OffsetDateTime,
}

/// Every token issued so far. Clones are handles to the same: Entra is one for all tenants.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<Mutex<Issued>>);

struct Issued {
    lifetime: Duration,
    /// Each token by its text, and whether it is still good.
    tokens: HashMap<String, (Arc<Token>, bool)>,
    rng: Rng,
}

impl Tokens {
    pub fn new(seed: u64) -> Self {
        let (lifetime, tokens, rng) = (Duration::seconds(3599), HashMap::new(), Rng::with_seed(seed));
        Self(Arc::new(Mutex::new(Issued { lifetime, tokens, rng })))
    }

    /// Issues a token for an audience; `held` are the roles of the identity that asks.
    pub fn issue(
        &self,
        holder: Principal,
        audience: &str,
        resource: Resource,
        held: &[Role],
        now: OffsetDateTime,
    ) -> Arc<Token> {
        let mut book = self.lock();
        let roles: Vec<Role> =
            held.iter().copied().filter(|role| role.resource() == Some(resource)).collect();
        let expires_at = now + book.lifetime;
        let names: Vec<_> = roles.iter().filter_map(|role| role.claim()).collect();
        let Principal { tenant, client, object } = &holder;
        // A token to exchange is of version 2, and names Entra's issuer as federated credentials do (comment in
        // AzureAD/microsoft-identity-web#2551).
        let (issuer, version) = match resource {
            Resource::Exchange => (exchange_issuer(tenant), "2.0"),
            _ => (format!("https://sts.windows.net/{tenant}/"), "1.0"),
        };
        let claims = json!({
            "appid": &**client,
            "aud": audience,
            "exp": expires_at.unix_timestamp(),
            "iat": now.unix_timestamp(),
            "iss": issuer,
            "nbf": now.unix_timestamp(),
            "oid": &**object,
            "roles": names,
            "sub": &**object,
            "tid": &**tenant,
            "uti": guid(&mut book.rng),
            "ver": version,
        });
        let encode = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
        let header = encode(r#"{"typ":"JWT","alg":"none"}"#);
        let signature: String = (0..43).map(|_| book.rng.alphanumeric()).collect();
        let text = format!("{header}.{}.{signature}", encode(&claims.to_string()));
        let audience = audience.to_owned();
        let token = Arc::new(Token { text, holder, audience, resource, roles, expires_at });
        book.tokens.insert(token.text.clone(), (Arc::clone(&token), true));
        token
    }

    /// The token of a request, or why it is not valid.
    pub fn check(&self, bearer: Option<&str>, now: OffsetDateTime) -> Result<Arc<Token>, &'static str> {
        let text = bearer.ok_or("the authorization header carries no bearer token")?;
        match self.lock().tokens.get(text) {
            None => Err("the token was not issued here"),
            Some((_, false)) => Err("the token was revoked"),
            Some((token, true)) if token.expires_at <= now => Err("the token has expired"),
            Some((token, true)) => Ok(Arc::clone(token)),
        }
    }

    /// The token of this text, valid or not.
    pub fn issued(&self, text: &str) -> Option<Arc<Token>> {
        self.lock().tokens.get(text).map(|(token, _)| Arc::clone(token))
    }

    /// Sets the lifetime of tokens issued from now on.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.lock().lifetime = lifetime;
    }

    /// Revokes the tokens whose holder's tenant is one of these.
    pub fn revoke(&self, tenants: &[Arc<str>]) {
        for (token, is_good) in self.lock().tokens.values_mut() {
            *is_good &= !tenants.contains(&token.holder.tenant);
        }
    }

    /// The texts of the tokens whose holder's tenant is one of these.
    pub fn texts(&self, tenants: &[Arc<str>]) -> Vec<String> {
        let issued = self.lock();
        let tokens = issued.tokens.values().map(|(token, _)| token);
        let own = tokens.filter(|token| tenants.contains(&token.holder.tenant));
        own.map(|token| token.text.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Issued> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn issue(tokens: &Tokens) -> String {
        let audience = "https://monitor.azure.com";
        tokens.issue(Principal::system_assigned(), audience, Resource::Monitor, &[], NOW).text.clone()
    }

    #[test]
    fn a_token_is_good_until_its_last_second() {
        let tokens = Tokens::new(1);
        let text = issue(&tokens);
        let check = |at| tokens.check(Some(&text), NOW + at).map(|token| token.resource);
        assert_eq!(check(Duration::seconds(3598)), Ok(Resource::Monitor));
        assert_eq!(check(Duration::seconds(3599)), Err("the token has expired"));
    }

    #[test]
    fn revoking_ends_what_a_tenant_was_issued_before_and_nothing_else() {
        let tokens = Tokens::new(1);
        let before = issue(&tokens);
        tokens.revoke(&["another tenant".into()]);
        assert!(tokens.check(Some(&before), NOW).is_ok());
        tokens.revoke(&[tenant::TENANT_ID.into()]);
        let after = issue(&tokens);
        assert_ne!(before, after);
        assert_eq!(tokens.check(Some(&before), NOW).err(), Some("the token was revoked"));
        assert!(tokens.check(Some(&after), NOW).is_ok());
    }

    #[test]
    fn the_claims_can_be_read_from_the_token() {
        let holder = Principal::user_assigned();
        let token = Tokens::new(1).issue(holder, "aud", Resource::Defender, &[Role::AlertRead], NOW);
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
