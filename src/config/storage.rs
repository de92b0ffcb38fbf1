//! `AzureWebJobsStorage`: the host's own storage setting, in all forms that the host accepts, so that the checkpoint needs
//! no second account and no second secret. Pure.

mod connection_string;
mod identity_form;

use azure_core::credentials::Secret;

use super::{Identity, SettingProblem, cloud::Cloud, endpoint::Endpoint, settings::Settings};
use identity_form::IdentityForm;

/// The setting, and the prefix of the settings of its identity form.
const STORAGE: &str = "AzureWebJobsStorage";

/// A storage account, with the addresses of its services that are used.
#[derive(Debug, Clone)]
pub struct BlobAccount {
    /// The account's name, which a `SharedKey` signature contains.
    pub name: String,
    /// The base URL of the blob service.
    pub endpoint: Endpoint,
    /// The base URL of the queue service; `None` if it is not known.
    pub queues: Option<Endpoint>,
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
    /// An identity of its own; `None` for the app's own identity.
    Identity(Option<Identity>),
}

impl BlobAccount {
    /// Reads the setting in any of its forms, in the order of the host: the settings below it count only if it is not
    /// set itself.
    ///
    /// # Errors
    /// Returns the first problem with these settings.
    pub fn read(settings: &Settings, cloud: &Cloud) -> Result<Self, SettingProblem> {
        if let Some(text) = settings.read(STORAGE)? {
            return connection_string::parse(&text, cloud)
                .map_err(|what| SettingProblem::with(STORAGE, what));
        }
        let form = IdentityForm::read(settings);
        if let Some((setting, name)) = form.get("accountName")? {
            let endpoint = Endpoint::parse(&format!("https://{name}.{}", cloud.blob_suffix))
                .map_err(|_| SettingProblem::with(setting, "is not an account name"))?;
            return Ok(Self { name, queues: queues_beside(&endpoint), endpoint, access: form.access()? });
        }
        if let Some((setting, uri)) = form.get("blobServiceUri")? {
            let parse = |setting: &str, uri: &str| {
                Endpoint::parse(uri).map_err(|what| SettingProblem::with(setting, what))
            };
            let endpoint = parse(setting, &uri)?;
            let queues = match form.get("queueServiceUri")? {
                Some((setting, uri)) => Some(parse(setting, &uri)?),
                None => queues_beside(&endpoint),
            };
            return Ok(Self { name: account_in(&endpoint), endpoint, queues, access: form.access()? });
        }
        form.check_supported()?;
        Err(SettingProblem::with(
            STORAGE,
            "is not set, and MDATP_STATE keeps the checkpoint there: set it (a connection string, \
             UseDevelopmentStorage=true, or the __accountName form), or set MDATP_STATE to file:FOLDER",
        ))
    }
}

/// Returns the queue service beside a blob service in Azure, where the names of both differ in one label.
fn queues_beside(blobs: &Endpoint) -> Option<Endpoint> {
    let (account, suffix) = blobs.as_str().split_once(".blob.")?;
    Endpoint::parse(&format!("{account}.queue.{suffix}")).ok()
}

/// Returns the account that a blob endpoint belongs to: the path of an emulator's, the first label of a real one.
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
        assert!(matches!(&key.access, BlobAccess::Key(key) if key.secret() == "a2V5=="));

        let sas = read(&[(
            "AzureWebJobsStorage",
            "BlobEndpoint=https://acme.blob.core.windows.net/;SharedAccessSignature=sv=2024&sig=a%3D",
        )])
        .expect("sas");
        assert_eq!(sas.name, "acme");
        assert!(matches!(&sas.access, BlobAccess::Sas(sas) if sas.secret() == "sv=2024&sig=a%3D"));

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
        let addresses = [key, sas, named, by_uri.clone()].map(|account| account.queues.expect("an address"));
        assert!(addresses.iter().all(|address| address.as_str() == "https://acme.queue.core.windows.net"));
        let queues = |account: BlobAccount| account.queues.map(|address| address.to_string());
        assert_eq!(queues(emulator).as_deref(), Some("http://127.0.0.1:10001/devstoreaccount1"));
        let elsewhere = read(&[
            ("AzureWebJobsStorage__blobServiceUri", "https://blobs.example"),
            ("AzureWebJobsStorage__queueServiceUri", "https://queues.example"),
        ]);
        assert_eq!(queues(elsewhere.expect("by uri")).as_deref(), Some("https://queues.example"));
        let unknown = read(&[("AzureWebJobsStorage__blobServiceUri", "https://blobs.example")]);
        assert_eq!(queues(unknown.expect("by uri")), None);
        let named = read(&[(
            "AzureWebJobsStorage",
            "BlobEndpoint=https://blobs.example;QueueEndpoint=https://queues.example;AccountName=a;AccountKey=a2V5",
        )]);
        assert_eq!(queues(named.expect("a connection string")).as_deref(), Some("https://queues.example"));
        assert!(matches!(by_uri.access,
            BlobAccess::Identity(Some(Identity::ManagedIdentity { client: Some(id) })) if id == "c1"));
    }

    #[test]
    fn the_identity_that_opens_the_hosts_storage_opens_the_checkpoints() {
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
        // A named credential takes precedence over a secret.
        assert!(matches!(access(&[managed, tenant, client, secret]),
            Some(Identity::ManagedIdentity { client: Some(id) }) if id == "c1"));
        let workload = ("AzureWebJobsStorage__credential", "workloadidentity");
        let around = [("AZURE_TENANT_ID", "t2"), ("AZURE_FEDERATED_TOKEN_FILE", "/var/token")];
        assert!(matches!(access(&[&[workload, client], &around[..]].concat()),
            Some(Identity::WorkloadIdentity { tenant, client, file })
                if (tenant.as_str(), client.as_str(), file.to_str()) == ("t2", "c1", Some("/var/token"))));
        // As .NET reads names: without case, and with either separator.
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
        // If the setting itself is set, the host does not read those below it.
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
