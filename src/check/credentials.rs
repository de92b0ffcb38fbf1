//! What can be said about the credential before it is used.

use std::path::Path;

use super::finding::Finding;
use crate::config::{Identity, settings::Settings};

/// The name of the check.
pub const CHECK: &str = "credentials";

/// What the settings tell beyond the identity itself.
#[derive(Debug)]
pub struct Surroundings {
    /// The Function App this runs in, by `WEBSITE_SITE_NAME`.
    pub app: Option<String>,
    /// True when `IDENTITY_HEADER` is there, without which the managed identity's endpoint gives nothing.
    pub has_identity_header: bool,
    /// Why the federated token's file cannot be read, if it cannot.
    pub file_problem: Option<String>,
}

impl Surroundings {
    /// Looks around.
    pub fn of(identity: &Identity, settings: &Settings) -> Self {
        let problem = |file: &Path| std::fs::read(file).err().map(|error| error.to_string());
        Self {
            app: settings.get("WEBSITE_SITE_NAME"),
            has_identity_header: settings.is_set("IDENTITY_HEADER"),
            file_problem: match identity {
                Identity::WorkloadIdentity { file, .. } => problem(file),
                _ => None,
            },
        }
    }
}

/// What the identity is, and whether it can work here.
pub fn judge(identity: &Identity, around: &Surroundings) -> Finding {
    match identity {
        Identity::ClientSecret { tenant, client, .. } => {
            Finding::ok(CHECK, format!("a client secret of the app {client} in the tenant {tenant}"))
        }
        Identity::WorkloadIdentity { client, file, .. } => match &around.file_problem {
            None => {
                let file = file.display();
                Finding::ok(CHECK, format!("workload identity: the token of {file} for the app {client}"))
            }
            Some(problem) => Finding::failure(
                CHECK,
                format!("the federated token {} cannot be read: {problem}", file.display()),
                "check AZURE_FEDERATED_TOKEN_FILE, and that the workload identity webhook has mounted the token",
            ),
        },
        Identity::ManagedIdentity { .. } if !around.has_identity_header => Finding::failure(
            CHECK,
            "IDENTITY_ENDPOINT is set, but IDENTITY_HEADER is not",
            "unset IDENTITY_ENDPOINT outside Azure; in Azure the platform sets both",
        ),
        Identity::ManagedIdentity { client: Some(client) } => {
            Finding::ok(CHECK, format!("the user-assigned managed identity {client}"))
        }
        Identity::ManagedIdentity { client: None } => {
            Finding::ok(CHECK, "the app's own (system-assigned) managed identity")
        }
        Identity::AzureCli { .. } => match &around.app {
            Some(app) => Finding::failure(
                CHECK,
                format!("the Function App {app} has no identity, and no other credential is set"),
                format!("az functionapp identity assign --resource-group GROUP --name {app}"),
            ),
            None => Finding::warning(
                CHECK,
                "your own sign-in with az login: what you may do says nothing about the app",
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
    use crate::check::finding::Outcome;

    const HERE: Surroundings = Surroundings { app: None, has_identity_header: true, file_problem: None };

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
        let headless = Surroundings { has_identity_header: false, ..HERE };
        let lost = Surroundings { file_problem: Some("no such file".to_owned()), ..HERE };
        let azure = Surroundings { app: Some("forward".to_owned()), ..HERE };
        for (identity, around, result, part) in [
            (secret("s3cret"), &HERE, Outcome::Ok, "the app c1 in the tenant t1"),
            (file(), &HERE, Outcome::Ok, "/var/token"),
            (file(), &lost, Outcome::Failure, "no such file"),
            (Identity::ManagedIdentity { client: Some("c2".into()) }, &HERE, Outcome::Ok, "user-assigned"),
            (own.clone(), &HERE, Outcome::Ok, "system-assigned"),
            (own, &headless, Outcome::Failure, "IDENTITY_HEADER"),
            (cli.clone(), &HERE, Outcome::Warning, "az login"),
            (cli, &azure, Outcome::Failure, "forward has no identity"),
        ] {
            let finding = judge(&identity, around);
            assert!(finding.result == result && finding.message.contains(part), "{finding}");
            assert_eq!(finding.mend.is_some(), result != Outcome::Ok, "{finding}");
            assert!(!finding.message.contains("s3cret"), "{finding}");
        }
    }
}
