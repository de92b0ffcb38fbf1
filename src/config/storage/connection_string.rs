//! The connection string of a storage account. Pure.

use azure_core::credentials::Secret;

use super::{BlobAccess, BlobAccount, account_in, queues_beside};
use crate::config::{cloud::Cloud, endpoint::Endpoint};

/// The name and key of every Azure storage emulator. Published in its documentation ("Use the Azurite emulator for local
/// Azure Storage development"), so not a secret.
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const EMULATOR_ENDPOINT: &str = "http://127.0.0.1:10000/devstoreaccount1";
const EMULATOR_QUEUES: &str = "http://127.0.0.1:10001/devstoreaccount1";

/// Parses a connection string of the host's storage.
///
/// # Errors
/// Returns what is wrong, without the value, which contains a secret.
pub(super) fn parse(text: &str, cloud: &Cloud) -> Result<BlobAccount, &'static str> {
    let mut fields = Vec::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        fields.push(part.split_once('=').ok_or("is not a connection string: a part has no '='")?);
    }
    let field =
        |name: &str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);

    if field("UseDevelopmentStorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(BlobAccount {
            name: EMULATOR_ACCOUNT.to_owned(),
            endpoint: Endpoint::parse(EMULATOR_ENDPOINT)?,
            queues: Some(Endpoint::parse(EMULATOR_QUEUES)?),
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
    let queues = match field("QueueEndpoint") {
        Some(queues) => Some(Endpoint::parse(queues).map_err(|_| "has a bad QueueEndpoint")?),
        None => queues_beside(&endpoint),
    };
    Ok(BlobAccount { name, endpoint, queues, access })
}
