//! Azurite, Microsoft's storage emulator, so that the blob state is tested with real `ETags` and real signatures, and
//! queues with real receipts.
//!
//! The npm package of tests/azurite runs, with all data in memory. Its account name and key are the public ones of
//! every emulator.

mod queues;
mod rejection;
mod relay;
mod signature;

pub use self::queues::AzuriteQueues;
pub use self::rejection::StorageRejection;
pub(crate) use self::rejection::of_token;
pub use self::relay::Relay;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;
use tokio::process::Command;

use crate::clock::now;
use crate::connection::{Connections, Outgoing, Reply};
use crate::console::Console;
use crate::npm;
use crate::process::Process;
use crate::tls::Tls;

const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The blob service of a running Azurite. Dropping it ends it, and all its data.
#[derive(Debug)]
pub struct Azurite {
    port: u16,
    connections: Connections,
    secure: Option<Secure>,
    _process: Process,
}

/// What an Azurite over TLS needs.
struct Secure {
    tls: Tls,
    files: TempDir,
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secure")
    }
}

impl Secure {
    fn new() -> Result<Self, String> {
        let tls = Tls::new()?;
        let files = TempDir::new().map_err(|problem| problem.to_string())?;
        for (name, pem) in [(CERTIFICATE, &tls.certificate_pem), (KEY_FILE, &tls.key_pem)] {
            std::fs::write(files.path().join(name), pem).map_err(|problem| problem.to_string())?;
        }
        Ok(Self { tls, files })
    }
}

const CERTIFICATE: &str = "certificate.pem";
const KEY_FILE: &str = "key.pem";

impl Azurite {
    /// Installs Azurite if it is missing and starts it on a free port.
    ///
    /// # Panics
    /// When it cannot be installed or started.
    pub async fn start() -> Self {
        Self::start_on(0).await
    }

    /// The same on a given port: `UseDevelopmentStorage=true` means 10000.
    ///
    /// # Panics
    /// When it cannot be installed or started.
    pub async fn start_on(port: u16) -> Self {
        Self::try_start_on(port).await.unwrap_or_else(|problem| panic!("Azurite: {problem}"))
    }

    /// The same on a free port over TLS, and it takes bearer tokens too, which it does over TLS only (`--oauth basic`:
    /// it looks at a token's form, issuer, audience and times, not at its signature).
    ///
    /// # Panics
    /// When it cannot be installed or started.
    pub async fn start_with_tokens() -> Self {
        let started = async { Self::launch(0, Some(Secure::new()?)).await }.await;
        started.unwrap_or_else(|problem| panic!("Azurite: {problem}"))
    }

    /// The same, with an error in place of a panic.
    pub async fn try_start_on(port: u16) -> Result<Self, String> {
        Self::launch(port, None).await
    }

    async fn launch(port: u16, secure: Option<Secure>) -> Result<Self, String> {
        let (process, port) = spawn("blob", port, secure.as_ref()).await?;
        let connections = match &secure {
            None => Connections::to(port),
            Some(Secure { tls, .. }) => Connections::over_tls(port, tls.client()?),
        };
        Ok(Self { port, connections, secure, _process: process })
    }

    /// The account's address, without a slash at its end.
    pub fn account_url(&self) -> String {
        account_url(self.scheme(), self.port)
    }

    fn scheme(&self) -> &'static str {
        if self.secure.is_some() { "https" } else { "http" }
    }

    /// The authority whose certificate it shows, as PEM, when it was started with tokens.
    pub fn authority_pem(&self) -> Option<&str> {
        self.secure.as_ref().map(|secure| secure.tls.authority_pem.as_str())
    }

    /// A connection string with the account's key.
    pub fn connection_string(&self) -> String {
        connection_string(self.scheme(), self.port)
    }

    /// A connection string with a signature instead of the key: everything in the blob service is allowed.
    pub fn sas_connection_string(&self) -> String {
        format!(
            "BlobEndpoint={};SharedAccessSignature={}",
            self.account_url(),
            signature::account_sas(ACCOUNT, KEY)
        )
    }

    /// A blob with its `ETag`, if it is there.
    ///
    /// # Panics
    /// When Azurite answers anything but the blob or 404.
    pub async fn get_blob(&self, container: &str, name: &str) -> Option<(String, Bytes)> {
        let reply = self.send(Method::GET, &format!("/{container}/{name}"), &[], None).await;
        match reply.status {
            200 => Some((etag(&reply.headers), reply.body)),
            404 => None,
            _ => panic!("GET {container}/{name}: {reply:?}"),
        }
    }

    /// Writes a blob unconditionally, as a second writer would, and returns the new `ETag`.
    ///
    /// # Panics
    /// When Azurite rejects, for instance because there is no such container.
    pub async fn put_blob(&self, container: &str, name: &str, content: impl Into<Bytes>) -> String {
        let reply = self.send(Method::PUT, &format!("/{container}/{name}"), &[], Some(content.into())).await;
        assert_eq!(reply.status, 201, "PUT {container}/{name}: {reply:?}");
        etag(&reply.headers)
    }

    /// Makes a container.
    ///
    /// # Panics
    /// When Azurite rejects, for instance because it is there already.
    pub async fn create_container(&self, container: &str) {
        let reply = self.send(Method::PUT, &format!("/{container}"), &[("restype", "container")], None).await;
        assert_eq!(reply.status, 201, "PUT {container}: {reply:?}");
    }

    /// The names of all containers.
    ///
    /// # Panics
    /// When Azurite does not list them.
    pub async fn list_containers(&self) -> Vec<String> {
        self.names("", &[("comp", "list")]).await
    }

    /// The names of all blobs in a container.
    ///
    /// # Panics
    /// When Azurite does not list them.
    pub async fn list_blobs(&self, container: &str) -> Vec<String> {
        self.names(&format!("/{container}"), &[("comp", "list"), ("restype", "container")]).await
    }

    async fn names(&self, path: &str, query: &[(&str, &str)]) -> Vec<String> {
        let reply = self.send(Method::GET, path, query, None).await;
        assert_eq!(reply.status, 200, "list {path}: {reply:?}");
        let listing = String::from_utf8_lossy(&reply.body);
        listing
            .split("<Name>")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once("</Name>")?.0.to_owned()))
            .collect()
    }

    async fn send(&self, method: Method, path: &str, query: &[(&str, &str)], blob: Option<Bytes>) -> Reply {
        let kind = blob.is_some().then_some(("x-ms-blob-type", "BlockBlob"));
        let request = signed(method, path, query, kind.as_slice(), blob);
        self.connections.send(request).await.unwrap_or_else(|problem| panic!("Azurite: {problem}"))
    }
}

/// Starts one of Azurite's services; its process, and its port.
async fn spawn(service: &str, port: u16, secure: Option<&Secure>) -> Result<(Process, u16), String> {
    const LISTENS: &str = "successfully listens on ";
    let folder = tokio::task::spawn_blocking(|| npm::installed("azurite", "azurite"))
        .await
        .map_err(|problem| problem.to_string())??;
    let console = Console::default();
    let mut command = Command::new("node");
    command
        .arg(format!("node_modules/azurite/dist/src/{service}/main.js"))
        .args([format!("--{service}Host"), "127.0.0.1".to_owned()])
        .args([format!("--{service}Port"), port.to_string()])
        .args(["--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"])
        .current_dir(folder);
    if let Some(Secure { files, .. }) = secure {
        let [certificate, key] = [CERTIFICATE, KEY_FILE].map(|name| files.path().join(name));
        command.args(["--oauth", "basic", "--cert"]).arg(certificate).arg("--key").arg(key);
    }
    let process = Process::spawn(&mut command, &console).map_err(|problem| format!("node: {problem}"))?;
    let line = tokio::select! {
        line = console.wait_for(LISTENS) => line,
        code = process.exited() => return Err(format!("ended with code {code}: {:?}", console.lines())),
        () = tokio::time::sleep(Duration::from_secs(60)) => {
            return Err(format!("did not listen within a minute: {:?}", console.lines()));
        }
    };
    let port = line.rsplit(':').next().and_then(|port| port.trim().parse().ok());
    Ok((process, port.ok_or_else(|| format!("no port in {line:?}"))?))
}

/// A request for the account, signed with its key.
fn signed(
    method: Method,
    path: &str,
    query: &[(&str, &str)],
    headers: &[(&str, &str)],
    body: Option<Bytes>,
) -> Request<Outgoing> {
    let path = format!("/{ACCOUNT}{path}");
    let mut request = Request::builder()
        .method(method)
        .header("x-ms-date", azure_core::time::to_rfc7231(&now()))
        .header("x-ms-version", "2021-12-02");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let uri = if pairs.is_empty() { path.clone() } else { format!("{path}?{}", pairs.join("&")) };
    let body = body.map_or_else(Outgoing::empty, Outgoing::whole);
    let mut request = request.uri(uri).body(body).expect("test names are fit for a URL");
    let signed = signature::shared_key(ACCOUNT, KEY, &request, &path, query);
    request.headers_mut().insert(http::header::AUTHORIZATION, signed.parse().expect("base64 is ASCII"));
    request
}

/// A value of a query's parameter as it goes over the wire; it is signed as it is.
fn escaped(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

fn account_url(scheme: &str, port: u16) -> String {
    format!("{scheme}://127.0.0.1:{port}/{ACCOUNT}")
}

fn connection_string(scheme: &str, port: u16) -> String {
    let url = account_url(scheme, port);
    format!("DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};")
}

fn etag(headers: &HeaderMap) -> String {
    let etag = headers.get(http::header::ETAG).and_then(|etag| etag.to_str().ok());
    etag.expect("the storage service gives every blob an ETag").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[cfg_attr(not(feature = "external-tools"), ignore = "needs Node.js: left to tests/run")]
    async fn both_signatures_are_accepted_and_a_spoilt_one_is_not() {
        let azurite = Azurite::start().await;
        azurite.create_container("state").await;
        assert_eq!(azurite.list_containers().await, ["state"]);
        assert_eq!(azurite.get_blob("state", "a/b.json").await, None);

        let first = azurite.put_blob("state", "a/b.json", "one").await;
        let second = azurite.put_blob("state", "a/b.json", "two").await;
        assert_ne!(first, second);
        assert_eq!(azurite.get_blob("state", "a/b.json").await, Some((second, Bytes::from("two"))));
        assert_eq!(azurite.list_blobs("state").await, ["a/b.json"]);

        let sas = azurite.sas_connection_string();
        let sas = sas.split_once("SharedAccessSignature=").expect("it has a signature").1;
        for (sas, status) in [(sas.to_owned(), 200), (sas.replace("sp=rwdlac", "sp=rwdlacu"), 403)] {
            let uri = format!("/{ACCOUNT}/state/a/b.json?{sas}");
            let request = Request::get(uri).body(Outgoing::empty()).expect("a request");
            let reply = azurite.connections.send(request).await.expect("Azurite answers");
            assert_eq!(reply.status, status, "{reply:?}");
        }
    }
}
