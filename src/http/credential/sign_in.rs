//! How an identity signs in, and what to fix when Entra ID rejects that. Pure.

use crate::config::{IdentitySettings, Owner};

/// How an identity signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignIn {
    /// Whose identity it is, and so which settings it is made of.
    pub owner: Owner,
    /// The assertion that proves the identity.
    pub assertion: Assertion,
}

/// What an app registration presents to get a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assertion {
    /// A managed identity's token for this audience.
    ManagedIdentity(&'static str),
    /// None, since the managed identity did not get its token for this audience.
    NoneFor(&'static str),
    /// The token in a file.
    File,
    /// None: it has a secret, or is not an app registration.
    None,
}

/// The fixes by Entra ID's error codes ("Microsoft Entra authentication and authorization error codes"). Braces stand for
/// the setting of that name, or for the assertion.
const CODES: [(&str, &str); 16] = [
    ("AADSTS7000215", "{secret} is wrong: copy the secret's value, not its id"),
    ("AADSTS7000222", "{secret} has expired: create a new one"),
    (
        "AADSTS700016",
        "{client} is not an app of the tenant {tenant}: check both; an app registration of another tenant must be \
         multi-tenant and have admin consent in this one",
    ),
    (
        "AADSTS65001",
        "the app registration {client} has no admin consent in the tenant {tenant}: give it there",
    ),
    ("AADSTS7000112", "the app registration is disabled: enable it, or use another"),
    ("AADSTS90002", "{tenant} is not a tenant of this cloud: check it and MDATP_CLOUD"),
    (
        "AADSTS500011",
        "the tenant has no such resource: check MDATP_API_SCOPE, and that Defender for Endpoint is set up",
    ),
    (
        "AADSTS700236",
        "the app registration {client} must be of the tenant of the managed identity itself: create a multi-tenant one \
         there and give it admin consent in the tenant {tenant}, or set {secret}",
    ),
    (
        "AADSTS700222",
        "Entra ID does not accept its own tokens as an assertion here, except a user-assigned managed identity's for an \
         app registration of the same tenant: check {managed} and {client}, or set {secret}",
    ),
    (
        "AADSTS700211",
        "no federated credential of the app registration {client} has this issuer: it must be that of {assertion}",
    ),
    (
        "AADSTS700212",
        "no federated credential of the app registration {client} has this audience: it must be that of {assertion}",
    ),
    (
        "AADSTS700213",
        "no federated credential of the app registration {client} has this subject: issuer and subject must be those of \
         {assertion}",
    ),
    (
        "AADSTS70021",
        "no federated credential of the app registration {client} matches: issuer and subject must be those of \
         {assertion}",
    ),
    (
        "AADSTS700024",
        "the assertion has expired or is not valid yet: check this machine's clock, and that something renews the token \
         in AZURE_FEDERATED_TOKEN_FILE where that is used",
    ),
    ("AADSTS1002012", "MDATP_API_SCOPE and MDATP_INGESTION_SCOPE must end in /.default"),
    ("AADSTS70011", "MDATP_API_SCOPE and MDATP_INGESTION_SCOPE must end in /.default"),
];

impl SignIn {
    /// Returns the fix for one of Entra ID's error codes, such as `AADSTS7000215`; `None` for a code without one.
    pub fn fix(&self, code: &str) -> Option<String> {
        let assertion = match self.assertion {
            // The platform reports it as Entra ID does, where its cloud has no such audience.
            Assertion::NoneFor(audience) if code == "AADSTS500011" => {
                return Some(format!(
                    "the managed identity's cloud has no {audience}: check MDATP_CLOUD and AZURE_AUTHORITY_HOST"
                ));
            }
            Assertion::ManagedIdentity(audience) | Assertion::NoneFor(audience) => format!(
                "the user-assigned managed identity that {{managed}} names (its subject is the identity's object id, its \
                 audience {audience}; a system-assigned identity is not accepted)"
            ),
            Assertion::File | Assertion::None => "the token in AZURE_FEDERATED_TOKEN_FILE".to_owned(),
        };
        let (_, fix) = CODES.iter().find(|(known, _)| *known == code)?;
        let IdentitySettings { tenant, client, secret, managed } = self.owner.settings();
        let settings =
            [("{tenant}", tenant), ("{client}", client), ("{secret}", secret), ("{managed}", managed)];
        let fix = fix.replace("{assertion}", &assertion);
        Some(settings.iter().fold(fix, |fix, (name, setting)| fix.replace(name, setting)))
    }
}

/// Returns the first error code of Entra ID in a text.
pub fn code_in(text: &str) -> Option<&str> {
    text.match_indices("AADSTS").find_map(|(start, name)| {
        let digits = text[start + name.len()..].bytes().take_while(u8::is_ascii_digit).count();
        (digits > 0).then(|| &text[start..start + name.len() + digits])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_whole_and_its_fix_names_the_settings_of_the_owner() {
        for (text, code) in [
            ("AADSTS7000215: Invalid client secret", Some("AADSTS7000215")),
            ("ERROR: AADSTS70021.", Some("AADSTS70021")),
            ("AADSTSx AADSTS9", Some("AADSTS9")),
            ("AADSTS", None),
            ("invalid_client", None),
        ] {
            assert_eq!(code_in(text), code, "{text}");
        }
        for (owner, assertion, code, part) in [
            (Owner::App, Assertion::None, "AADSTS7000215", "AZURE_CLIENT_SECRET is wrong"),
            (Owner::Source, Assertion::None, "AADSTS7000215", "MDATP_CLIENT_SECRET is wrong"),
            (Owner::Storage, Assertion::None, "AADSTS7000215", "AzureWebJobsStorage__clientSecret is wrong"),
            (Owner::App, Assertion::File, "AADSTS700211", "the token in AZURE_FEDERATED_TOKEN_FILE"),
            (
                Owner::Source,
                Assertion::ManagedIdentity("api://a"),
                "AADSTS70021",
                "that MDATP_MANAGED_IDENTITY_CLIENT_ID names (its subject is the identity's object id, its audience api://a",
            ),
            (
                Owner::Source,
                Assertion::NoneFor("api://a"),
                "AADSTS500011",
                "the managed identity's cloud has no api://a",
            ),
            (Owner::Source, Assertion::ManagedIdentity("api://a"), "AADSTS500011", "MDATP_API_SCOPE"),
        ] {
            let fix = SignIn { owner, assertion }.fix(code).expect(code);
            assert!(fix.contains(part) && !fix.contains('{'), "{fix}");
        }
        assert_eq!(SignIn { owner: Owner::App, assertion: Assertion::None }.fix("AADSTS7000"), None);
    }
}
