//! The two signatures of Azure Storage: one on a request, one in a URL.

use base64::prelude::{BASE64_STANDARD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use http::Request;
use sha2::Sha256;

use crate::connection::Outgoing;

/// The `Authorization` of a request whose headers are all set but this one.
pub(super) fn shared_key(
    account: &str,
    key: &str,
    request: &Request<Outgoing>,
    path: &str,
    query: &[(&str, &str)],
) -> String {
    let length = match request.body().length() {
        None | Some(0) => String::new(),
        Some(length) => length.to_string(),
    };
    let mut headers: Vec<_> = request
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ms-"))
        .map(|(name, value)| format!("{name}:{}\n", value.to_str().unwrap_or_default()))
        .collect();
    headers.sort_unstable();
    let mut parameters: Vec<_> = query.iter().map(|(name, value)| format!("\n{name}:{value}")).collect();
    parameters.sort_unstable();
    // The lines left empty are headers we never send: encoding, language, MD5, type, date, conditions, range.
    let to_sign = format!(
        "{}\n\n\n{length}\n\n\n\n\n\n\n\n\n{}/{account}{path}{}",
        request.method(),
        headers.concat(),
        parameters.concat(),
    );
    format!("SharedKey {account}:{}", sign(key, &to_sign))
}

/// A query that allows everything on blobs and containers, for good.
pub(super) fn account_sas(account: &str, key: &str) -> String {
    let (version, expiry, protocol) = ("2019-12-12", "2099-01-01T00:00:00Z", "https,http");
    let (services, resources, permissions) = ("b", "sco", "rwdlac");
    // Start and IP range are left open.
    let to_sign =
        format!("{account}\n{permissions}\n{services}\n{resources}\n\n{expiry}\n\n{protocol}\n{version}\n");
    form_urlencoded::Serializer::new(String::new())
        .append_pair("sv", version)
        .append_pair("ss", services)
        .append_pair("srt", resources)
        .append_pair("sp", permissions)
        .append_pair("se", expiry)
        .append_pair("spr", protocol)
        .append_pair("sig", &sign(key, &to_sign))
        .finish()
}

fn sign(key: &str, text: &str) -> String {
    let key = BASE64_STANDARD.decode(key).expect("the key is a constant");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}
