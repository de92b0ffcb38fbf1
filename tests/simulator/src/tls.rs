//! TLS: the SDK talks to an authority over https only, and the other services of Azure speak nothing else.
//! A certificate authority is made at each start; the caller trusts it through `SSL_CERT_FILE`. Sessions are
//! resumed by tickets, as with Azure's front ends, of which any may get the next connection.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A fresh authority and the server side of a certificate for this machine.
pub(crate) struct Tls {
    pub config: Arc<ServerConfig>,
    pub authority_pem: String,
    /// The certificate and its key, for a server of others.
    pub certificate_pem: String,
    pub key_pem: String,
    authority: CertificateDer<'static>,
}

impl Tls {
    pub fn new() -> Result<Self, String> {
        let failed = |error: rcgen::Error| format!("cannot make a certificate: {error}");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority_key = KeyPair::generate().map_err(failed)?;
        // Each authority has its own name, as real ones do.
        let key = authority_key.public_key_raw().last_chunk().copied().unwrap_or_default();
        let name = format!("mdatp-forward simulator {:016x}", u64::from_be_bytes(key));
        authority.distinguished_name.push(DnType::CommonName, name);
        let signed = authority.self_signed(&authority_key).map_err(failed)?;
        let authority_pem = signed.pem();
        let issuer = Issuer::new(authority, authority_key);

        let key = KeyPair::generate().map_err(failed)?;
        // The last is for hosts that a proxy redirects here.
        let names = ["localhost", "127.0.0.1", "*.azure.example"].map(str::to_owned);
        let certificate =
            CertificateParams::new(names).and_then(|leaf| leaf.signed_by(&key, &issuer)).map_err(failed)?;
        let (certificate_pem, key_pem) = (certificate.pem(), key.serialize_pem());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let failed = |error: rustls::Error| format!("cannot set TLS up: {error}");
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                let config = config.with_no_client_auth();
                config.with_single_cert(vec![certificate.der().clone()], key)
            })
            .map_err(failed)?;
        config.ticketer = ring::Ticketer::new().map_err(failed)?;
        let authority = signed.der().clone();
        Ok(Self { config: Arc::new(config), authority_pem, certificate_pem, key_pem, authority })
    }

    /// The client side: trusts this authority and no other.
    pub fn client(&self) -> Result<Arc<ClientConfig>, String> {
        let failed = |error: rustls::Error| format!("cannot set TLS up: {error}");
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).map_err(failed)?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?;
        Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }
}
