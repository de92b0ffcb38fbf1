//! The identity that requests tokens, and the commands that give it access. Pure.

use super::show::RULES;
use crate::{
    config::{
        Identity, IdentitySettings, Owner, StateConfig,
        storage::{BlobAccess, BlobAccount},
    },
    http::{
        claims::{Claims, READ_ROLES, SECURITY_ALERT_ROLE},
        service::Service,
    },
    schema::rule::API_VERSION,
    state::blob_error::BlobErrorKind,
};

/// The client id of the application `WindowsDefenderATP`, the same in every tenant.
const DEFENDER_APP: &str = "fc780465-2017-40d4-a0c5-307022471b92";

/// The application roles that reading requires, each with its id in `WindowsDefenderATP` (`appRoles` of its service
/// principal).
const ROLES: [(&str, &str); 2] = [
    (READ_ROLES[0], "71fe6b80-7034-4028-9ed8-0f316df9c3ff"),
    (READ_ROLES[1], "ea8291d3-4b9a-44b5-bc3a-6cea3026dc79"),
];

/// The client id of Microsoft Graph, the same in every tenant.
const GRAPH_APP: &str = "00000003-0000-0000-c000-000000000000";

/// Graph's application role to read alerts, with its id in the public cloud (page "Microsoft Graph permissions
/// reference").
const GRAPH_ROLES: [(&str, &str); 1] = [(SECURITY_ALERT_ROLE, "472e4a4d-bb4a-4026-98d1-0b0d74cb74a5")];

/// An identity, as the commands of the Azure CLI name it.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The names of the settings that configure it.
    settings: IdentitySettings,
    /// The tenant in which an app registration requests tokens for Defender, which may differ from its own.
    tenant: Option<String>,
    /// True if its client assertion is a managed identity's token.
    trusts_managed: bool,
    /// The client id of an app registration or of a user-assigned identity.
    pub client: Option<String>,
    /// The object id; `None` until [`Self::read_object_id`] has read it from a token.
    pub object: Option<String>,
    /// True for a managed identity.
    pub is_managed: bool,
    /// The name of the Function App; `None` outside Azure.
    pub app: Option<String>,
}

impl Principal {
    /// Creates the principal of `identity`.
    pub fn new(identity: &Identity, owner: Owner, app: Option<String>) -> Self {
        let (client, tenant) = match identity {
            Identity::ClientSecret { client, tenant, .. }
            | Identity::WorkloadIdentity { client, tenant, .. }
            | Identity::TrustsManagedIdentity { client, tenant, .. } => {
                (Some(client.clone()), Some(tenant.clone()))
            }
            Identity::ManagedIdentity { client } => (client.clone(), None),
            Identity::AzureCli { .. } => (None, None),
        };
        Self {
            settings: owner.settings(),
            tenant: tenant.filter(|_| owner == Owner::Source),
            trusts_managed: matches!(identity, Identity::TrustsManagedIdentity { .. }),
            client,
            object: None,
            is_managed: matches!(identity, Identity::ManagedIdentity { .. }),
            app,
        }
    }

    /// Takes the object id from the claims of a token.
    pub fn read_object_id(&mut self, claims: &Claims) {
        if claims.oid.is_some() {
            self.object.clone_from(&claims.oid);
        }
    }

    fn assignee(&self) -> &str {
        self.object.as_deref().or(self.client.as_deref()).unwrap_or("OBJECT_ID_OF_THE_IDENTITY")
    }

    /// Returns what grants the application roles that reading from `service`, Defender or Graph, requires.
    pub fn grant(&self, service: Service) -> String {
        let (api, roles, option) = match service {
            Service::Graph => (GRAPH_APP, &GRAPH_ROLES[..], "--source graph "),
            _ => (DEFENDER_APP, &ROLES[..], ""),
        };
        match (&self.client, self.is_managed) {
            (Some(client), false) => {
                let roles: Vec<_> = roles.iter().map(|(_, id)| format!("{id}=Role")).collect();
                let roles = roles.join(" ");
                let add =
                    format!("az ad app permission add --id {client} --api {api} --api-permissions {roles}");
                match &self.tenant {
                    None => format!("{add} && az ad app permission admin-consent --id {client}"),
                    // The command `admin-consent` works in the registration's own tenant only.
                    Some(tenant) => format!(
                        "{add} in the registration's own tenant, then admin consent in the tenant {tenant}: \
                         https://login.microsoftonline.com/{tenant}/adminconsent?client_id={client} (in another cloud: \
                         with its own sign-in host)"
                    ),
                }
            }
            (None, true) => {
                let app = self.app.as_deref().unwrap_or("APP");
                format!("deploy/grant-roles.sh {option}GROUP {app}")
            }
            // The Azure CLI has no command for other identities.
            _ => format!("Graph's POST /servicePrincipals/{}/appRoleAssignments", self.assignee()),
        }
    }

    /// Returns the fix for a token that the identity service did not issue, without saying why.
    pub fn get_token(&self) -> String {
        let IdentitySettings { tenant, managed, .. } = self.settings;
        match (&self.client, self.is_managed) {
            (_, true) => {
                let app = self.app.as_deref().unwrap_or("APP");
                format!(
                    "az functionapp identity show --resource-group GROUP --name {app}: {managed} must be unset or one \
                     of these"
                )
            }
            (Some(_), false) if self.trusts_managed => {
                let app = self.app.as_deref().unwrap_or("APP");
                format!(
                    "az functionapp identity show --resource-group GROUP --name {app}: {managed} must be one of its \
                     user-assigned identities; check {tenant}, AZURE_AUTHORITY_HOST, MDATP_CLOUD, and the network"
                )
            }
            (Some(_), false) => {
                format!("check {tenant}, AZURE_AUTHORITY_HOST, MDATP_CLOUD, and the network")
            }
            (None, false) => "az login".to_owned(),
        }
    }

    /// Returns the command that lets it send through the data collection rule with this immutable id.
    pub fn grant_publisher_role(&self, rule: &str) -> String {
        self.assign(
            "Monitoring Metrics Publisher",
            &format!(
                "az rest --url \"{RULES}?api-version={API_VERSION}\" --query \
                 \"value[?properties.immutableId=='{rule}'].id\" --output tsv"
            ),
        )
    }

    /// Returns the command that shows or fixes why Blob Storage rejects a request, if there is one.
    pub fn blob_storage_command(&self, reason: BlobErrorKind, config: &StateConfig) -> Option<String> {
        let StateConfig::Blob { account, container, .. } = config else { return None };
        let name = &account.name;
        Some(match reason {
            BlobErrorKind::Permission | BlobErrorKind::Credential => self.grant_blobs(account),
            BlobErrorKind::Network => format!("az storage account network-rule list --account-name {name}"),
            BlobErrorKind::KeysNotAllowed => {
                format!("az storage account show --name {name} --query allowSharedKeyAccess")
            }
            BlobErrorKind::Account => {
                format!("az storage account show --name {name} --query statusOfPrimary")
            }
            BlobErrorKind::Immutable => format!(
                "az storage container immutability-policy show --account-name {name} --container-name {container}"
            ),
            BlobErrorKind::Leased => {
                format!(
                    "az storage blob list --account-name {name} --container-name {container} --auth-mode login"
                )
            }
            _ => return None,
        })
    }

    /// Returns what lets the program read and write the blobs of `account`.
    fn grant_blobs(&self, account: &BlobAccount) -> String {
        let name = &account.name;
        match &account.access {
            BlobAccess::Identity(identity) => {
                // The storage may have an identity of its own.
                let own =
                    identity.as_ref().map(|identity| Self::new(identity, Owner::Storage, self.app.clone()));
                own.as_ref().unwrap_or(self).assign(
                    "Storage Blob Data Owner",
                    &format!("az storage account list --query \"[?name=='{name}'].id\" --output tsv"),
                )
            }
            BlobAccess::Key(_) | BlobAccess::Sas(_) => format!(
                "set AzureWebJobsStorage to the output of: az storage account show-connection-string --name {name} --output tsv"
            ),
        }
    }

    fn assign(&self, role: &str, scope: &str) -> String {
        let assignee = self.assignee();
        format!("az role assignment create --role \"{role}\" --assignee {assignee} --scope \"$({scope})\"")
    }
}

#[cfg(test)]
mod tests {
    use azure_core::credentials::Secret;

    use super::*;
    use crate::config::endpoint::Endpoint;

    fn app() -> Principal {
        let (tenant, client) = ("t".to_owned(), "c1".to_owned());
        Principal::new(&Identity::ClientSecret { tenant, client, secret: Secret::new("s") }, Owner::App, None)
    }

    #[test]
    fn roles_are_granted_by_the_kind_of_identity() {
        assert_eq!(
            app().grant(Service::Defender),
            "az ad app permission add --id c1 --api fc780465-2017-40d4-a0c5-307022471b92 --api-permissions \
             71fe6b80-7034-4028-9ed8-0f316df9c3ff=Role ea8291d3-4b9a-44b5-bc3a-6cea3026dc79=Role && az ad app \
             permission admin-consent --id c1"
        );
        let own = Principal::new(
            &Identity::ManagedIdentity { client: None },
            Owner::App,
            Some("forward".to_owned()),
        );
        assert_eq!(own.grant(Service::Defender), "deploy/grant-roles.sh GROUP forward");
        assert_eq!(own.grant(Service::Graph), "deploy/grant-roles.sh --source graph GROUP forward");
        assert!(app().grant(Service::Graph).contains("--api 00000003-0000-0000-c000-000000000000 "));
        assert!(own.get_token().contains("identity show --resource-group GROUP --name forward"));
        let mut assigned =
            Principal::new(&Identity::ManagedIdentity { client: Some("c2".to_owned()) }, Owner::App, None);
        assigned.read_object_id(&Claims { oid: Some("o2".to_owned()), ..Claims::default() });
        assert_eq!(
            assigned.grant(Service::Defender),
            "Graph's POST /servicePrincipals/o2/appRoleAssignments"
        );
    }

    #[test]
    fn the_source_identity_has_its_own_settings_and_gets_consent_in_defenders_tenant() {
        let (tenant, client) = ("t2".to_owned(), "c2".to_owned());
        let secret = Identity::ClientSecret { tenant, client, secret: Secret::new("s") };
        let source = Principal::new(&secret, Owner::Source, None);
        let command = source.grant(Service::Defender);
        assert!(command.starts_with("az ad app permission add --id c2 "), "{command}");
        assert!(
            command.contains("/t2/adminconsent?client_id=c2") && !command.contains("app permission admin-")
        );
        let check = source.get_token();
        assert!(check.contains("MDATP_TENANT_ID") && !check.contains("AZURE_TENANT_ID"), "{check}");
    }

    #[test]
    fn an_assignment_names_the_best_known_id_and_finds_its_scope() {
        let mut known = app();
        known.read_object_id(&Claims { oid: Some("o1".to_owned()), ..Claims::default() });
        assert_eq!(
            known.grant_publisher_role("dcr-0f"),
            "az role assignment create --role \"Monitoring Metrics Publisher\" --assignee o1 --scope \"$(az rest --url \
             \"/subscriptions/{subscriptionId}/providers/Microsoft.Insights/dataCollectionRules?api-version=2023-03-11\" \
             --query \"value[?properties.immutableId=='dcr-0f'].id\" --output tsv)\""
        );
        let access = BlobAccess::Identity(None);
        let endpoint = Endpoint::parse("https://acme.blob.core.windows.net").expect("a URL");
        let mut account = BlobAccount { name: "acme".to_owned(), endpoint, queues: None, access };
        assert_eq!(
            app().grant_blobs(&account),
            "az role assignment create --role \"Storage Blob Data Owner\" --assignee c1 --scope \"$(az storage \
             account list --query \"[?name=='acme'].id\" --output tsv)\""
        );
        account.access =
            BlobAccess::Identity(Some(Identity::ManagedIdentity { client: Some("c9".to_owned()) }));
        assert!(known.grant_blobs(&account).contains("--assignee c9 "));
        account.access = BlobAccess::Key(Secret::new("hidden"));
        let command = app().grant_blobs(&account);
        assert!(command.contains("show-connection-string --name acme") && !command.contains("hidden"));
    }
}
