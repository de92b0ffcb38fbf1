//! A proxy for the way out: what goes through it, and what never does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::json;
use simulator::{Route, Service, Sink, tenant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::stage::{BOTH_SINKS, Stage};

/// A proxy that writes down every request, and leads tunnels to this machine. It ends when it is dropped.
struct Proxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

impl Proxy {
    /// `ports` says where each host is found.
    async fn start(ports: BTreeMap<String, u16>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let mut server = JoinSet::new();
        let (ports, kept) = (Arc::new(ports), heads.clone());
        server.spawn(async move {
            let mut tunnels = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tunnels.spawn(serve(stream, ports.clone(), kept.clone()));
            }
        });
        Self { port, heads, _server: server }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The heads of all requests.
    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no holder panics").clone()
    }

    /// The hosts of all tunnels.
    fn tunnels(&self) -> Vec<String> {
        let host = |head: &String| Some(head.strip_prefix("CONNECT ")?.split(':').next()?.to_owned());
        let mut hosts: Vec<String> = self.heads().iter().filter_map(host).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

async fn serve(mut stream: TcpStream, ports: Arc<BTreeMap<String, u16>>, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let host = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(':').next()).unwrap_or_default();
    let port = ports.get(host).copied();
    heads.lock().expect("no holder panics").push(head);
    let Some(port) = port else {
        drop(stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").await);
        return;
    };
    let mut service = TcpStream::connect(("127.0.0.1", port)).await.expect("the service listens");
    drop(stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await);
    drop(copy_bidirectional(&mut stream, &mut service).await);
}

const DEFENDER: &str = "defender.azure.example";
const SINK: &str = "sink.azure.example";
const ENTRA: &str = "entra.azure.example";
const IDENTITY: &str = "identity.azure.example";

/// A proxy that leads to the services of `stage`, and the stage with settings that say their names.
async fn behind_proxy(stage: &mut Stage, sink: Sink) -> Proxy {
    let port = |service| stage.served.endpoints().port(service);
    let hosts = [
        (DEFENDER, Service::Defender),
        (SINK, sink.service()),
        (IDENTITY, Service::Identity),
        // What the proxy finds under a name that the certificate does not have.
        ("elsewhere.example", Service::Defender),
    ];
    let ports = hosts.map(|(host, service)| (host.to_owned(), port(service)));
    let proxy = Proxy::start(BTreeMap::from(ports)).await;
    stage.set("MDATP_API_URL", &format!("https://{DEFENDER}"));
    let address = match sink {
        Sink::DataCollector => "MDATP_COLLECTOR_URL",
        Sink::LogsIngestion => "MDATP_INGESTION_ENDPOINT",
    };
    stage.set(address, &format!("https://{SINK}"));
    stage.generate(12, 2);
    proxy
}

/// The report of a run that must succeed, by a shell's environment: the host itself has no proxy for http.
async fn run(stage: &Stage) -> serde_json::Value {
    let output = stage.command(&["run", "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn services_are_asked_through_the_proxy_and_the_managed_identity_never() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        for sink in BOTH_SINKS {
            let mut stage = Stage::over_tls(sink).await;
            let proxy = behind_proxy(&mut stage, sink).await;
            stage.set(name, &proxy.url());
            // Nor can this bring it there.
            stage.set("HTTP_PROXY", &proxy.url());
            stage.set("NO_PROXY", "");
            assert_eq!(run(&stage).await["alertsSent"], 12, "{name}");
            stage.assert_all_sent_once();
            assert_eq!(proxy.tunnels(), [DEFENDER, SINK], "{name}");
            assert!(proxy.heads().iter().all(|head| head.starts_with("CONNECT ")), "{:?}", proxy.heads());
            assert!(stage.cloud.counts().identity_tokens > 0);
        }
    }
}

#[tokio::test]
async fn entra_is_asked_through_the_proxy_too() {
    let mut stage = Stage::with_route(Sink::LogsIngestion, Route::ClientSecret).await;
    let port = stage.served.endpoints().port(Service::Entra);
    let proxy = Proxy::start(BTreeMap::from([(ENTRA.to_owned(), port)])).await;
    stage.generate(12, 2);
    stage.set("AZURE_AUTHORITY_HOST", &format!("https://{ENTRA}"));
    stage.set("HTTPS_PROXY", &proxy.url());
    assert_eq!(run(&stage).await["alertsSent"], 12);
    stage.assert_all_sent_once();
    assert_eq!(proxy.tunnels(), [ENTRA]);
}

#[tokio::test]
async fn no_loopback_address_is_asked_through_a_proxy_whatever_is_set() {
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        for route in [Route::ManagedIdentity, Route::ClientSecret] {
            let mut stage = Stage::with_route(Sink::LogsIngestion, route).await;
            let proxy = Proxy::start(BTreeMap::new()).await;
            stage.set(name, &proxy.url());
            stage.generate(12, 2);
            assert_eq!(run(&stage).await["alertsSent"], 12, "{name}");
            stage.assert_all_sent_once();
            assert_eq!(proxy.heads(), [""; 0], "{name}");
        }
    }
}

/// The endpoint of a deployed app may have any address.
#[tokio::test]
async fn an_identity_endpoint_elsewhere_is_not_asked_through_a_proxy_either() {
    for scheme in ["http", "https"] {
        let mut stage = Stage::over_tls(Sink::LogsIngestion).await;
        let proxy = behind_proxy(&mut stage, Sink::LogsIngestion).await;
        stage.set("IDENTITY_ENDPOINT", &format!("{scheme}://{IDENTITY}/msi/token"));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            stage.set(name, &proxy.url());
        }
        let output = stage.command(&["run"]).await;
        // There is no such name outside of the proxy.
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && told.contains("no token for"), "{output:?}");
        let heads = proxy.heads().concat().to_lowercase();
        assert!(!heads.contains(IDENTITY) && !heads.contains("x-identity-header"), "{heads}");
        assert!(!heads.contains(tenant::IDENTITY_HEADER), "{heads}");
    }
}

#[tokio::test]
async fn a_name_that_the_certificate_does_not_have_is_told_with_the_setting() {
    let mut stage = Stage::over_tls(Sink::LogsIngestion).await;
    let proxy = behind_proxy(&mut stage, Sink::LogsIngestion).await;
    stage.set("HTTPS_PROXY", &proxy.url());
    stage.set("MDATP_API_URL", "https://elsewhere.example");
    let output = stage.command(&["run"]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in ["the certificate is not trusted", "HTTPS_PROXY", "SSL_CERT_FILE", "elsewhere.example"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(proxy.tunnels(), ["elsewhere.example"]);
    assert_eq!(proxy.heads().len(), 1, "tried again");
}

#[tokio::test]
async fn check_tells_of_a_proxy_that_keeps_the_host_from_this_program() {
    let proxy = Proxy::start(BTreeMap::new()).await;
    for (variables, host, result) in [
        (&[("HTTPS_PROXY", "")][..], true, "ok"),
        (&[("HTTP_PROXY", "")], true, "failure"),
        (&[("http_proxy", "")], true, "failure"),
        (&[("ALL_PROXY", "")], true, "failure"),
        (&[("HTTP_PROXY", "")], false, "warning"),
        (&[("HTTP_PROXY", ""), ("NO_PROXY", "127.0.0.1,localhost")], true, "ok"),
    ] {
        let mut stage = Stage::new(Sink::LogsIngestion).await;
        for (name, value) in variables {
            stage.set(name, if value.is_empty() { proxy.url() } else { (*value).to_owned() }.as_str());
        }
        if host {
            stage.set("FUNCTIONS_WORKER_RUNTIME", "custom");
        }
        let output = stage.command(&["check", "--json"]).await;
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let findings = document["findings"].as_array().expect("a list");
        let finding = findings.iter().find(|finding| finding["check"] == "proxy").expect("the check");
        assert_eq!(finding["result"], result, "{variables:?}: {finding}");
        assert_eq!(finding["fix"] == json!(null), result == "ok", "{finding}");
        assert!(!finding.to_string().contains(&proxy.url()), "{finding}");
    }
    assert_eq!(proxy.heads(), [""; 0]);
}
