//! What can be said about the credentials before they are used.

use super::finding::Finding;
use crate::config::{Identity, SourceIdentity, settings::Settings};

/// The name of the check.
pub const CHECK: &str = "credentials";

/// What the settings tell beyond the identities themselves.
#[derive(Debug)]
pub struct CredentialEnvironment {
    /// The Function App this runs in, by `WEBSITE_SITE_NAME`.
    pub app: Option<String>,
    /// True when `IDENTITY_HEADER` is there, without which the managed identity's endpoint gives nothing.
    pub has_identity_header: bool,
    /// Why the federated token's file cannot be read, if it cannot.
    pub file_problem: Option<String>,
}

impl CredentialEnvironment {
    /// Looks around for what `identities` need.
    pub fn of(identities: &[&Identity], settings: &Settings) -> Self {
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

/// What both identities are, and whether they can work here. The app's own is told when there is no other, or
/// something needs it: the sink or the state.
pub fn judge_both(
    source: &SourceIdentity,
    own: &Identity,
    is_own_needed: bool,
    around: &CredentialEnvironment,
) -> Vec<Finding> {
    match source {
        SourceIdentity::Own => vec![judge(own, "", around)],
        SourceIdentity::Separate(source) => {
            let mut findings = vec![judge(source, "Defender: ", around)];
            findings.extend(is_own_needed.then(|| judge(own, "sink and state: ", around)));
            findings
        }
    }
}

/// What the identity is that is used `for_what`, and whether it can work here.
fn judge(identity: &Identity, for_what: &str, around: &CredentialEnvironment) -> Finding {
    let ok = |what: String| Finding::ok(CHECK, format!("{for_what}{what}"));
    match identity {
        Identity::ClientSecret { tenant, client, .. } => {
            ok(format!("a client secret of the app {client} in the tenant {tenant}"))
        }
        Identity::WorkloadIdentity { tenant, client, file } => match &around.file_problem {
            None => ok(format!(
                "workload identity: the token of {} for the app {client} in the tenant {tenant}",
                file.display()
            )),
            Some(problem) => Finding::failure(
                CHECK,
                format!("{for_what}the federated token {} cannot be read: {problem}", file.display()),
                "check AZURE_FEDERATED_TOKEN_FILE, and that the workload identity webhook has mounted the token",
            ),
        },
        Identity::ManagedIdentity { .. } | Identity::TrustsManagedIdentity { .. }
            if !around.has_identity_header =>
        {
            Finding::failure(
                CHECK,
                format!("{for_what}IDENTITY_ENDPOINT is set, but IDENTITY_HEADER is not"),
                "unset IDENTITY_ENDPOINT outside Azure; in Azure the platform sets both",
            )
        }
        Identity::TrustsManagedIdentity { tenant, client, managed: Some(managed), .. } => ok(format!(
            "the app {client} in the tenant {tenant}, by the token of the user-assigned managed identity {managed}"
        )),
        Identity::TrustsManagedIdentity { tenant, client, managed: None, .. } => Finding::warning(
            CHECK,
            format!(
                "{for_what}the app {client} in the tenant {tenant}, by the token of the system-assigned managed identity, \
                 which Entra ID does not take"
            ),
            format!(
                "az functionapp identity assign --resource-group GROUP --name {} --identities RESOURCE_ID, and set \
                 MDATP_MANAGED_IDENTITY_CLIENT_ID to the client id of that user-assigned identity; or set \
                 MDATP_CLIENT_SECRET",
                around.app.as_deref().unwrap_or("APP")
            ),
        ),
        Identity::ManagedIdentity { client: Some(client) } => {
            ok(format!("the user-assigned managed identity {client}"))
        }
        Identity::ManagedIdentity { client: None } => {
            ok("the app's own (system-assigned) managed identity".to_owned())
        }
        Identity::AzureCli { .. } => match &around.app {
            Some(app) => Finding::failure(
                CHECK,
                format!("{for_what}the Function App {app} has no identity, and no other credential is set"),
                format!("az functionapp identity assign --resource-group GROUP --name {app}"),
            ),
            None => Finding::warning(
                CHECK,
                format!(
                    "{for_what}your own sign-in with az login: what you may do says nothing about the app"
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
    fn each_identity_is_named_and_its_usual_mistake_told() {
        let own = Identity::ManagedIdentity { client: None };
        let cli = Identity::AzureCli { tenant: None };
        let headless = CredentialEnvironment { has_identity_header: false, ..HERE };
        let lost = CredentialEnvironment { file_problem: Some("no such file".to_owned()), ..HERE };
        let azure = CredentialEnvironment { app: Some("forward".to_owned()), ..HERE };
        for (identity, around, result, part) in [
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
            let finding = judge(&identity, "", around);
            assert!(finding.result == result && finding.message.contains(part), "{finding}");
            assert_eq!(finding.mend.is_some(), result != CheckResult::Ok, "{finding}");
            assert!(!finding.message.contains("s3cret"), "{finding}");
        }
    }

    #[test]
    fn both_identities_are_told_and_one_that_nothing_needs_is_not() {
        let trusts = |managed: Option<&str>| {
            SourceIdentity::Separate(Identity::TrustsManagedIdentity {
                tenant: "t2".into(),
                client: "c2".into(),
                managed: managed.map(str::to_owned),
                audience: "api://a",
            })
        };
        let own = Identity::ManagedIdentity { client: None };
        let [defender, sink] = &judge_both(&trusts(Some("c3")), &own, true, &HERE)[..] else {
            panic!("two findings")
        };
        assert_eq!(
            defender.message,
            "Defender: the app c2 in the tenant t2, by the token of the user-assigned managed identity c3"
        );
        assert_eq!(sink.message, "sink and state: the app's own (system-assigned) managed identity");
        assert_eq!((defender.result, sink.result), (CheckResult::Ok, CheckResult::Ok));

        let cli = Identity::AzureCli { tenant: None };
        let [system] = &judge_both(&trusts(None), &cli, false, &HERE)[..] else { panic!("one finding") };
        assert_eq!(system.result, CheckResult::Warning);
        let mend = system.mend.as_deref().unwrap_or_default();
        assert!(mend.contains("MDATP_MANAGED_IDENTITY_CLIENT_ID"), "{system}");
        assert_eq!(judge_both(&SourceIdentity::Own, &cli, false, &HERE).len(), 1);
    }
}
