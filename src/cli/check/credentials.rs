//! The credentials, before they are used.

use super::finding::Finding;
use crate::config::{Identity, SourceIdentity, settings::Settings};

/// The name of the check.
pub const CHECK: &str = "credentials";

/// What an identity needs from its environment.
#[derive(Debug)]
pub struct CredentialEnvironment {
    /// The name of the Function App, `WEBSITE_SITE_NAME`; `None` outside Azure.
    pub app: Option<String>,
    /// True if `IDENTITY_HEADER` is set, which the endpoint of the managed identity requires.
    pub has_identity_header: bool,
    /// Why the file of the federated token cannot be read; `None` if it can.
    pub file_problem: Option<String>,
}

impl CredentialEnvironment {
    /// Finds what `identities` need.
    pub fn new(identities: &[&Identity], settings: &Settings) -> Self {
        let file = identities.iter().find_map(|identity| match identity {
            Identity::WorkloadIdentity { file, .. } => Some(file),
            _ => None,
        });
        Self {
            app: settings.get("WEBSITE_SITE_NAME"),
            has_identity_header: settings.is_set("IDENTITY_HEADER"),
            file_problem: file.and_then(|file| std::fs::read(file).err()).map(|error| error.to_string()),
        }
    }
}

/// Returns the findings about both identities: which they are, and whether they can work here. The app's own is left out if
/// Defender has another one and neither sink nor state need it.
pub fn findings(
    source: &SourceIdentity,
    own: &Identity,
    needs_own: bool,
    environment: &CredentialEnvironment,
) -> Vec<Finding> {
    match source {
        SourceIdentity::Own => vec![finding(own, "", environment)],
        SourceIdentity::Separate(source) => {
            let mut findings = vec![finding(source, "Defender: ", environment)];
            findings.extend(needs_own.then(|| finding(own, "sink and state: ", environment)));
            findings
        }
    }
}

/// Returns the finding about an identity. `prefix` says what the identity is for.
fn finding(identity: &Identity, prefix: &str, environment: &CredentialEnvironment) -> Finding {
    let ok = |what: String| Finding::ok(CHECK, format!("{prefix}{what}"));
    match identity {
        Identity::ClientSecret { tenant, client, .. } => {
            ok(format!("a client secret of the app {client} in the tenant {tenant}"))
        }
        Identity::WorkloadIdentity { tenant, client, file } => match &environment.file_problem {
            None => ok(format!(
                "workload identity: the token of {} for the app {client} in the tenant {tenant}",
                file.display()
            )),
            Some(problem) => Finding::failure(
                CHECK,
                format!("{prefix}the federated token {} cannot be read: {problem}", file.display()),
                "check AZURE_FEDERATED_TOKEN_FILE, and that the workload identity webhook has mounted the token",
            ),
        },
        Identity::ManagedIdentity { .. } | Identity::TrustsManagedIdentity { .. }
            if !environment.has_identity_header =>
        {
            Finding::failure(
                CHECK,
                format!("{prefix}IDENTITY_ENDPOINT is set, but IDENTITY_HEADER is not"),
                "unset IDENTITY_ENDPOINT outside Azure; in Azure the platform sets both",
            )
        }
        Identity::TrustsManagedIdentity { tenant, client, managed: Some(managed), .. } => ok(format!(
            "the app {client} in the tenant {tenant}, by the token of the user-assigned managed identity {managed}"
        )),
        Identity::TrustsManagedIdentity { tenant, client, managed: None, .. } => Finding::warning(
            CHECK,
            format!(
                "{prefix}the app {client} in the tenant {tenant}, by the token of the system-assigned managed identity, \
                 which Entra ID does not accept"
            ),
            format!(
                "az functionapp identity assign --resource-group GROUP --name {} --identities RESOURCE_ID, and set \
                 MDATP_MANAGED_IDENTITY_CLIENT_ID to the client id of that user-assigned identity; or set \
                 MDATP_CLIENT_SECRET",
                environment.app.as_deref().unwrap_or("APP")
            ),
        ),
        Identity::ManagedIdentity { client: Some(client) } => {
            ok(format!("the user-assigned managed identity {client}"))
        }
        Identity::ManagedIdentity { client: None } => {
            ok("the app's own (system-assigned) managed identity".to_owned())
        }
        Identity::AzureCli { .. } => match &environment.app {
            Some(app) => Finding::failure(
                CHECK,
                format!("{prefix}the Function App {app} has no identity, and no other credential is set"),
                format!("az functionapp identity assign --resource-group GROUP --name {app}"),
            ),
            None => Finding::warning(
                CHECK,
                format!(
                    "{prefix}your own sign-in with az login: your permissions say nothing about the app's"
                ),
                "check again as the app: set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or run the \
                 check where the app runs",
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use azure_core::credentials::Secret;

    use super::*;
    use crate::cli::check::finding::CheckResult;

    const HERE: CredentialEnvironment =
        CredentialEnvironment { app: None, has_identity_header: true, file_problem: None };

    fn secret(secret: &str) -> Identity {
        let (tenant, client) = ("t1".to_owned(), "c1".to_owned());
        Identity::ClientSecret { tenant, client, secret: Secret::new(secret.to_owned()) }
    }

    fn file() -> Identity {
        Identity::WorkloadIdentity { tenant: "t1".into(), client: "c1".into(), file: "/var/token".into() }
    }

    #[test]
    fn each_identity_is_named_with_its_usual_mistake() {
        let own = Identity::ManagedIdentity { client: None };
        let cli = Identity::AzureCli { tenant: None };
        let headless = CredentialEnvironment { has_identity_header: false, ..HERE };
        let lost = CredentialEnvironment { file_problem: Some("no such file".to_owned()), ..HERE };
        let azure = CredentialEnvironment { app: Some("forward".to_owned()), ..HERE };
        for (identity, environment, result, part) in [
            (secret("s3cret"), &HERE, CheckResult::Ok, "the app c1 in the tenant t1"),
            (file(), &HERE, CheckResult::Ok, "/var/token"),
            (file(), &lost, CheckResult::Failure, "no such file"),
            (
                Identity::ManagedIdentity { client: Some("c2".into()) },
                &HERE,
                CheckResult::Ok,
                "user-assigned",
            ),
            (own.clone(), &HERE, CheckResult::Ok, "system-assigned"),
            (own, &headless, CheckResult::Failure, "IDENTITY_HEADER"),
            (cli.clone(), &HERE, CheckResult::Warning, "az login"),
            (cli, &azure, CheckResult::Failure, "forward has no identity"),
        ] {
            let found = finding(&identity, "", environment);
            assert!(found.result == result && found.message.contains(part), "{found}");
            assert_eq!(found.fix.is_some(), result != CheckResult::Ok, "{found}");
            assert!(!found.message.contains("s3cret"), "{found}");
        }
    }

    #[test]
    fn both_identities_are_reported_and_an_unneeded_one_is_not() {
        let trusts = |managed: Option<&str>| {
            SourceIdentity::Separate(Identity::TrustsManagedIdentity {
                tenant: "t2".into(),
                client: "c2".into(),
                managed: managed.map(str::to_owned),
                audience: "api://a",
            })
        };
        let own = Identity::ManagedIdentity { client: None };
        let [defender, sink] = &findings(&trusts(Some("c3")), &own, true, &HERE)[..] else {
            panic!("two findings")
        };
        assert_eq!(
            defender.message,
            "Defender: the app c2 in the tenant t2, by the token of the user-assigned managed identity c3"
        );
        assert_eq!(sink.message, "sink and state: the app's own (system-assigned) managed identity");
        assert_eq!((defender.result, sink.result), (CheckResult::Ok, CheckResult::Ok));

        let cli = Identity::AzureCli { tenant: None };
        let [system] = &findings(&trusts(None), &cli, false, &HERE)[..] else { panic!("one finding") };
        assert_eq!(system.result, CheckResult::Warning);
        let fix = system.fix.as_deref().unwrap_or_default();
        assert!(fix.contains("MDATP_MANAGED_IDENTITY_CLIENT_ID"), "{system}");
        assert_eq!(findings(&SourceIdentity::Own, &cli, false, &HERE).len(), 1);
    }
}
