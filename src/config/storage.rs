//! `AzureWebJobsStorage`: the host's own storage setting, in all the forms the host accepts, so that
//! the checkpoint needs no second account and no second secret.

use azure_core::credentials::Secret;

use super::{cloud::Cloud, endpoint::Endpoint, settings::Settings};

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
    /// The identity of the app; the client id names a user-assigned one.
    Identity {
        /// `AzureWebJobsStorage__clientId`.
        client_id: Option<String>,
    },
}

impl BlobAccount {
    /// Reads the setting in whichever form is there. The error names the setting at fault.
    pub fn read(settings: &Settings, cloud: &Cloud) -> Result<Self, String> {
        if let Some(text) = settings.get("AzureWebJobsStorage") {
            return Self::from_connection_string(&text, cloud)
                .map_err(|problem| format!("AzureWebJobsStorage {problem}"));
        }
        let client_id = settings.get("AzureWebJobsStorage__clientId");
        let access = BlobAccess::Identity { client_id };
        if let Some(uri) = settings.get("AzureWebJobsStorage__blobServiceUri") {
            let endpoint = Endpoint::parse(&uri)
                .map_err(|problem| format!("AzureWebJobsStorage__blobServiceUri {problem}"))?;
            return Ok(Self { name: account_in(&endpoint), endpoint, access });
        }
        if let Some(name) = settings.get("AzureWebJobsStorage__accountName") {
            let endpoint = Endpoint::parse(&format!("https://{name}.{}", cloud.blob_suffix))
                .map_err(|_| "AzureWebJobsStorage__accountName is not an account name".to_owned())?;
            return Ok(Self { name, endpoint, access });
        }
        Err("AzureWebJobsStorage is not set, and MDATP_STATE keeps the checkpoint there: set it \
             (a connection string, UseDevelopmentStorage=true, or the __accountName form), or set \
             MDATP_STATE to file:FOLDER"
            .to_owned())
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
        assert!(matches!(named.access, BlobAccess::Identity { client_id: None }));

        let by_uri = read(&[
            ("AzureWebJobsStorage__blobServiceUri", "https://acme.blob.core.windows.net"),
            ("AzureWebJobsStorage__clientId", "c1"),
        ])
        .expect("identity by uri");
        assert_eq!(by_uri.name, "acme");
        assert!(matches!(by_uri.access, BlobAccess::Identity { client_id: Some(id) } if id == "c1"));
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
