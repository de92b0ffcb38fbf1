//! `AzureWebJobsStorage`: the host's own storage setting, in all the forms the host accepts, so that
//! the checkpoint needs no second account and no second secret. Pure.

use std::{collections::BTreeMap, path::PathBuf};

use azure_core::credentials::Secret;

use super::{Identity, SettingProblem, cloud::Cloud, endpoint::Endpoint, settings::Settings};

/// The setting, and what the names of its identity forms begin with.
const STORAGE: &str = "AzureWebJobsStorage";

/// What else can stand below the setting and would let the host in as somebody else, with what to do instead
/// (documentation page "Connect to host storage with an identity"; Azure SDK for .NET, package
/// Microsoft.Extensions.Azure, which makes the host's credential).
const NOT_TAKEN: [(&str, &str); 8] = [
    ("managedidentityresourceid", BY_CLIENT_ID),
    ("managedidentityobjectid", BY_CLIENT_ID),
    ("managedidentityclientid", BY_CLIENT_ID),
    ("clientcertificate", "set AzureWebJobsStorage__clientSecret, or use a managed identity"),
    ("serviceconnectionid", "use a managed identity"),
    ("connectionstring", "set AzureWebJobsStorage itself to the connection string"),
    ("serviceuri", "set AzureWebJobsStorage__blobServiceUri"),
    ("endpointsuffix", "set AzureWebJobsStorage__blobServiceUri"),
];

const BY_CLIENT_ID: &str = "set AzureWebJobsStorage__credential to managedidentity and \
    AzureWebJobsStorage__clientId to the identity's client id (az identity show --ids RESOURCE_ID --query clientId \
    --output tsv)";

/// The name and key every Azure storage emulator has; published with the emulator's documentation,
/// so not a secret.
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const EMULATOR_ENDPOINT: &str = "http://127.0.0.1:10000/devstoreaccount1";

/// The blob side of a storage account.
#[derive(Debug, Clone)]
pub struct BlobAccount {
    /// The account's name, which a `SharedKey` signature contains.
    pub name: String,
    /// The blob service's base URL.
    pub endpoint: Endpoint,
    /// How requests are authorized.
    pub access: BlobAccess,
}

/// How requests to the blob service are authorized.
#[derive(Debug, Clone)]
pub enum BlobAccess {
    /// The account key, base64.
    Key(Secret),
    /// A shared access signature, without the question mark.
    Sas(Secret),
    /// An identity of its own, or the program's.
    Identity(Option<Identity>),
}

impl BlobAccount {
    /// Reads the setting in whichever form is there, in the order of the host: what stands below the setting
    /// counts only where the setting itself is not there.
    pub fn read(settings: &Settings, cloud: &Cloud) -> Result<Self, SettingProblem> {
        if let Some(text) = settings.read(STORAGE)? {
            return Self::from_connection_string(&text, cloud)
                .map_err(|what| SettingProblem::with(STORAGE, what));
        }
        let below = Below { settings, names: settings.below(STORAGE) };
        if let Some((setting, name)) = below.get("accountName")? {
            let endpoint = Endpoint::parse(&format!("https://{name}.{}", cloud.blob_suffix))
                .map_err(|_| SettingProblem::with(setting, "is not an account name"))?;
            return Ok(Self { name, endpoint, access: below.access()? });
        }
        if let Some((setting, uri)) = below.get("blobServiceUri")? {
            let endpoint = Endpoint::parse(&uri).map_err(|problem| SettingProblem::with(setting, problem))?;
            return Ok(Self { name: account_in(&endpoint), endpoint, access: below.access()? });
        }
        below.none_but_taken()?;
        Err(SettingProblem::with(
            STORAGE,
            "is not set, and MDATP_STATE keeps the checkpoint there: set it (a connection string, \
             UseDevelopmentStorage=true, or the __accountName form), or set MDATP_STATE to file:FOLDER",
        ))
    }

    fn from_connection_string(text: &str, cloud: &Cloud) -> Result<Self, &'static str> {
        let mut fields = Vec::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            fields.push(part.split_once('=').ok_or("is not a connection string: a part has no '='")?);
        }
        let field = |name: &str| {
            fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
        };

        if field("UseDevelopmentStorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(Self {
                name: EMULATOR_ACCOUNT.to_owned(),
                endpoint: Endpoint::parse(EMULATOR_ENDPOINT)?,
                access: BlobAccess::Key(Secret::new(EMULATOR_KEY)),
            });
        }
        let endpoint = match (field("BlobEndpoint"), field("AccountName")) {
            (Some(endpoint), _) => Endpoint::parse(endpoint).map_err(|_| "has a bad BlobEndpoint")?,
            (None, Some(name)) => {
                let protocol = field("DefaultEndpointsProtocol").unwrap_or("https");
                let suffix = field("EndpointSuffix")
                    .map_or_else(|| cloud.blob_suffix.to_owned(), |suffix| format!("blob.{suffix}"));
                Endpoint::parse(&format!("{protocol}://{name}.{suffix}"))
                    .map_err(|_| "does not lead to an https blob endpoint")?
            }
            (None, None) => return Err("has neither BlobEndpoint nor AccountName"),
        };
        let access = match (field("AccountKey"), field("SharedAccessSignature")) {
            (Some(key), _) => BlobAccess::Key(Secret::new(key.to_owned())),
            (None, Some(sas)) => BlobAccess::Sas(Secret::new(sas.trim_start_matches('?').to_owned())),
            (None, None) => return Err("has neither AccountKey nor SharedAccessSignature"),
        };
        let name = field("AccountName").map_or_else(|| account_in(&endpoint), str::to_owned);
        Ok(Self { name, endpoint, access })
    }
}

/// The settings below `AzureWebJobsStorage`.
struct Below<'a> {
    settings: &'a Settings,
    /// The names of those that are there, by what follows `AzureWebJobsStorage__`, in lower case.
    names: BTreeMap<String, String>,
}

impl Below<'_> {
    /// A setting's name and value.
    fn get(&self, key: &str) -> Result<Option<(&str, String)>, SettingProblem> {
        let Some(name) = self.names.get(&key.to_ascii_lowercase()) else { return Ok(None) };
        Ok(self.settings.read(name)?.map(|value| (name.as_str(), value)))
    }

    fn value(&self, key: &str) -> Result<Option<String>, SettingProblem> {
        Ok(self.get(key)?.map(|(_, value)| value))
    }

    /// The value, or that of a variable of the process which the host takes in its place.
    fn value_or(&self, key: &str, variable: &str) -> Result<String, SettingProblem> {
        let value = match self.value(key)? {
            None => self.settings.read(variable)?,
            value => value,
        };
        value.ok_or_else(|| {
            let what = format!("is workloadidentity, which needs {STORAGE}__{key} or {variable}");
            SettingProblem::with("AzureWebJobsStorage__credential", what)
        })
    }

    /// Refuses what the host would open its storage with and this program does not.
    fn none_but_taken(&self) -> Result<(), SettingProblem> {
        for (key, instead) in NOT_TAKEN {
            if let Some((name, _)) = self.get(key)? {
                let what = format!("is nothing that mdatp-forward can open the storage with: {instead}");
                return Err(SettingProblem::with(name, what));
            }
        }
        Ok(())
    }

    /// Who opens the storage, chosen as the host's library does.
    fn access(&self) -> Result<BlobAccess, SettingProblem> {
        self.none_but_taken()?;
        let (tenant, client) = (self.get("tenantId")?, self.value("clientId")?);
        let kind = self.get("credential")?.map(|(name, kind)| (name, kind.to_ascii_lowercase()));
        Ok(BlobAccess::Identity(match kind {
            Some((_, kind)) if kind == "managedidentity" => Some(Identity::ManagedIdentity { client }),
            Some((_, kind)) if kind == "workloadidentity" => Some(Identity::WorkloadIdentity {
                tenant: self.value_or("tenantId", "AZURE_TENANT_ID")?,
                client: self.value_or("clientId", "AZURE_CLIENT_ID")?,
                file: PathBuf::from(self.value_or("tokenFilePath", "AZURE_FEDERATED_TOKEN_FILE")?),
            }),
            Some((name, _)) => {
                let what = "must be managedidentity or workloadidentity, or not set";
                return Err(SettingProblem::with(name, what));
            }
            None => match (self.get("clientSecret")?, tenant, client) {
                (Some((_, secret)), Some((_, tenant)), Some(client)) => {
                    Some(Identity::ClientSecret { tenant, client, secret: Secret::new(secret) })
                }
                (Some((name, _)), ..) => {
                    let what = format!("needs {STORAGE}__tenantId and {STORAGE}__clientId beside it");
                    return Err(SettingProblem::with(name, what));
                }
                (None, Some((name, _)), _) => {
                    let what = format!("is for an app registration, and {STORAGE}__clientSecret is not set");
                    return Err(SettingProblem::with(name, what));
                }
                (None, None, Some(client)) => Some(Identity::ManagedIdentity { client: Some(client) }),
                (None, None, None) => None,
            },
        }))
    }
}

/// The account a blob endpoint belongs to: the path of an emulator's, the first label of a real one.
fn account_in(endpoint: &Endpoint) -> String {
    let rest = endpoint.as_str().split_once("://").map_or("", |(_, rest)| rest);
    match rest.split_once('/') {
        Some((_, path)) => path.to_owned(),
        None => rest.split('.').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<BlobAccount, String> {
        BlobAccount::read(&values.iter().copied().collect(), &Cloud::ALL[0])
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn every_form_of_the_hosts_storage_setting_is_understood() {
        let key = read(&[(
            "AzureWebJobsStorage",
            "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=a2V5==;EndpointSuffix=core.windows.net",
        )])
        .expect("key");
        assert_eq!(
            (key.name.as_str(), key.endpoint.as_str()),
            ("acme", "https://acme.blob.core.windows.net")
        );
        assert!(matches!(key.access, BlobAccess::Key(key) if key.secret() == "a2V5=="));

        let sas = read(&[(
            "AzureWebJobsStorage",
            "BlobEndpoint=https://acme.blob.core.windows.net/;SharedAccessSignature=sv=2024&sig=a%3D",
        )])
        .expect("sas");
        assert_eq!(sas.name, "acme");
        assert!(matches!(sas.access, BlobAccess::Sas(sas) if sas.secret() == "sv=2024&sig=a%3D"));

        let emulator = read(&[("AzureWebJobsStorage", "UseDevelopmentStorage=true")]).expect("emulator");
        assert_eq!(emulator.endpoint.as_str(), "http://127.0.0.1:10000/devstoreaccount1");

        let named = read(&[("AzureWebJobsStorage__accountName", "acme")]).expect("identity");
        assert_eq!(named.endpoint.as_str(), "https://acme.blob.core.windows.net");
        assert!(matches!(named.access, BlobAccess::Identity(None)));

        let by_uri = read(&[
            ("AzureWebJobsStorage__blobServiceUri", "https://acme.blob.core.windows.net"),
            ("AzureWebJobsStorage__clientId", "c1"),
        ])
        .expect("identity by uri");
        assert_eq!(by_uri.name, "acme");
        assert!(matches!(by_uri.access,
            BlobAccess::Identity(Some(Identity::ManagedIdentity { client: Some(id) })) if id == "c1"));
    }

    #[test]
    fn whoever_opens_the_hosts_storage_opens_the_checkpoints() {
        const NAME: (&str, &str) = ("AzureWebJobsStorage__accountName", "acme");
        let access =
            |values: &[(&str, &str)]| match read(&[&[NAME], values].concat()).expect("an account").access {
                BlobAccess::Identity(identity) => identity,
                other => panic!("{other:?}"),
            };
        let (tenant, client) =
            (("AzureWebJobsStorage__tenantId", "t1"), ("AzureWebJobsStorage__clientId", "c1"));
        let secret = ("AzureWebJobsStorage__clientSecret", "s1");
        assert!(matches!(access(&[tenant, client, secret]),
            Some(Identity::ClientSecret { tenant, client, secret })
                if (tenant.as_str(), client.as_str(), secret.secret()) == ("t1", "c1", "s1")));
        let managed = ("AzureWebJobsStorage__credential", "ManagedIdentity");
        assert!(matches!(access(&[managed]), Some(Identity::ManagedIdentity { client: None })));
        // A credential that is named goes before a secret that is there.
        assert!(matches!(access(&[managed, tenant, client, secret]),
            Some(Identity::ManagedIdentity { client: Some(id) }) if id == "c1"));
        let workload = ("AzureWebJobsStorage__credential", "workloadidentity");
        let around = [("AZURE_TENANT_ID", "t2"), ("AZURE_FEDERATED_TOKEN_FILE", "/var/token")];
        assert!(matches!(access(&[&[workload, client], &around[..]].concat()),
            Some(Identity::WorkloadIdentity { tenant, client, file })
                if (tenant.as_str(), client.as_str(), file.to_str()) == ("t2", "c1", Some("/var/token"))));
        // As .NET reads names: without their case, and with either divider.
        for name in ["AzureWebJobsStorage:ClientId", "azurewebjobsstorage__CLIENTID"] {
            assert!(
                matches!(access(&[(name, "c1")]),
                Some(Identity::ManagedIdentity { client: Some(id) }) if id == "c1"),
                "{name}"
            );
        }
        // These are for the host's other services.
        assert!(
            access(&[("AzureWebJobsStorage__queueServiceUri", "https://acme.queue.core.windows.net")])
                .is_none()
        );
    }

    #[test]
    fn what_the_host_would_use_and_this_program_does_not_is_named() {
        for (key, value, part) in [
            ("credential", "managedidentityasfederatedidentity", "managedidentity or workloadidentity"),
            ("credential", "workloadidentity", "AZURE_TENANT_ID"),
            ("managedIdentityResourceId", "/subscriptions/s", "AzureWebJobsStorage__clientId"),
            ("managedIdentityObjectId", "o1", "az identity show"),
            ("clientCertificate", "thumbprint", "clientSecret"),
            ("clientSecret", "hidden", "AzureWebJobsStorage__tenantId"),
            ("tenantId", "t1", "AzureWebJobsStorage__clientSecret"),
        ] {
            let name = format!("AzureWebJobsStorage__{key}");
            let problem =
                read(&[("AzureWebJobsStorage__accountName", "acme"), (&name, value)]).expect_err(key);
            assert!(problem.starts_with(&format!("{name} ")) && problem.contains(part), "{problem}");
            assert!(!problem.contains("hidden"), "{problem}");
        }
        let problem =
            read(&[("AzureWebJobsStorage__serviceUri", "https://acme.example")]).expect_err("no form");
        assert!(problem.starts_with("AzureWebJobsStorage__serviceUri "), "{problem}");
        // Where the setting itself is there, the host does not look below it.
        let key = ("AzureWebJobsStorage", "AccountName=a;AccountKey=a2V5");
        assert!(read(&[key, ("AzureWebJobsStorage__clientCertificate", "thumbprint")]).is_ok());
    }

    #[test]
    fn a_bad_form_is_named_without_its_value() {
        for text in [
            "hello",
            "AccountName=a",
            "AccountKey=a",
            "AccountName=a;AccountKey=k;DefaultEndpointsProtocol=http",
            "BlobEndpoint=http://elsewhere.example;AccountKey=k",
        ] {
            let problem = read(&[("AzureWebJobsStorage", text)]).expect_err(text);
            assert!(problem.starts_with("AzureWebJobsStorage ") && !problem.contains(text), "{problem}");
        }
        assert!(read(&[]).expect_err("missing").contains("file:FOLDER"));
    }
}
