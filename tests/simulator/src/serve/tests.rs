//! The shell over real sockets: what a caller sees of answers, resets and bodies that break off.

use std::io::ErrorKind;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;
use crate::fault::Fault;
use crate::steps::{Step, Target};

const GET: &[u8] = b"GET /api/alerts HTTP/1.1\r\nhost: simulator\r\n\r\n";

async fn connect(served: &Served) -> TcpStream {
    let port = served.endpoints().port(Service::Defender);
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("the server listens")
}

/// Reads one reply: its status line, and as much of its body as arrives.
async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> std::io::Result<(String, usize, Vec<u8>)> {
    stream.write_all(GET).await?;
    let mut bytes = Vec::new();
    let (head, promised) = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length = length.expect("a length").parse::<usize>().expect("a number");
            break (head.to_owned(), length);
        }
    };
    let mut body = bytes.split_off(head.len() + 4);
    // After a reset, the bytes that came before it can still be read.
    while body.len() < promised && stream.read_buf(&mut body).await.is_ok_and(|read| read > 0) {}
    let status = head.lines().next().expect("a status line");
    Ok((status.to_owned(), promised, body))
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let cloud = Cloud::new(1);
    let served = cloud.serve(Ports::Free).await.expect("free ports");
    let mut stream = connect(&served).await;
    for _ in 0..2 {
        let (status, promised, body) = exchange(&mut stream).await.expect("a reply");
        assert_eq!(status, "HTTP/1.1 401 Unauthorized");
        assert_eq!(body.len(), promised);
    }
    assert_eq!(cloud.requests().len(), 2);
}

#[tokio::test]
async fn a_reset_is_a_reset_whether_the_work_was_done_or_not() {
    let cloud = Cloud::new(1);
    let served = cloud.serve(Ports::Free).await.expect("free ports");
    for (fault, lists) in [(Fault::reset(), 0), (Fault::lost_reply(), 1)] {
        cloud.fault(fault);
        let error = exchange(&mut connect(&served).await).await.expect_err("no reply");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(cloud.counts().alert_lists, lists);
    }
}

#[tokio::test]
async fn a_cut_body_keeps_its_promise_only_in_part() {
    let cloud = Cloud::new(1);
    let served = cloud.serve(Ports::Free).await.expect("free ports");
    cloud.fault(Fault::cut_body(20));
    let (status, promised, body) = exchange(&mut connect(&served).await).await.expect("a head");
    assert_eq!(status, "HTTP/1.1 401 Unauthorized");
    assert_eq!(body.len(), 20);
    assert!(promised > 20);
}

#[tokio::test]
async fn silence_lasts_until_the_servers_stop() {
    let cloud = Cloud::new(1);
    let served = cloud.serve(Ports::Free).await.expect("free ports");
    cloud.fault(Fault::hang());
    let mut stream = connect(&served).await;
    stream.write_all(GET).await.expect("the server reads");
    while cloud.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(served);
    let mut bytes = Vec::new();
    // Whether the socket ends with or without a reset is the kernel's choice.
    drop(stream.read_to_end(&mut bytes).await);
    assert_eq!(bytes, b"");
}

#[tokio::test]
async fn a_connection_that_is_hung_up_ends_for_both() {
    let served = Cloud::new(1).serve(Ports::Free).await.expect("free ports");
    let mut stream = connect(&served).await;
    exchange(&mut stream).await.expect("a reply");
    let (hang_up, mut rest) = (served.hang_up(Service::Defender), Vec::new());
    tokio::pin!(hang_up);
    tokio::select! {
        biased;
        () = &mut hang_up => panic!("the caller does not know yet"),
        read = stream.read_to_end(&mut rest) => assert_eq!(read.expect("no reset"), 0),
    }
    drop(stream);
    hang_up.await;
    exchange(&mut connect(&served).await).await.expect("a reply on a new connection");
}

#[tokio::test]
async fn handshakes_are_told_by_their_kind() {
    use HandshakeKind::{Full, Resumed};
    let served = Cloud::new(1).serve_over_tls().await.expect("free ports");
    let connector = connector(&served);
    for _ in 0..2 {
        let host = "127.0.0.1".try_into().expect("an address");
        let stream = connector.connect(host, connect(&served).await).await;
        // The tickets come with the reply.
        exchange(&mut stream.expect("a handshake")).await.expect("a reply");
    }
    assert_eq!(served.handshakes(Service::Defender), [Full, Resumed]);
    assert_eq!(served.handshakes(Service::Entra), []);
}

/// Trusts the authority, and remembers sessions.
fn connector(served: &Served) -> TlsConnector {
    let authority = CertificateDer::from_pem_file(served.files.path().join(AUTHORITY_FILE));
    let mut roots = RootCertStore::empty();
    roots.add(authority.expect("a certificate")).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn every_exchange_is_told_in_three_steps() {
    let cloud = Cloud::new(1);
    let steps = Steps::default();
    let served = cloud.serve_in_steps(Ports::Free, &steps).await.expect("free ports");
    exchange(&mut connect(&served).await).await.expect("a reply");
    cloud.fault(Fault::reset());
    exchange(&mut connect(&served).await).await.expect_err("no reply");
    let told: Vec<_> = steps.events().into_iter().map(|event| (event.number, event.step)).collect();
    let whole = [(0, Step::Received), (1, Step::Done), (2, Step::Replied)];
    assert_eq!(told, [&whole[..], &[(3, Step::Received), (4, Step::Done)]].concat());
    assert_eq!(steps.events()[2].call, "GET /api/alerts");
    assert_eq!(steps.events()[2].target, Target::Service(Service::Defender));
}

#[tokio::test]
async fn a_halted_world_neither_works_nor_replies_until_it_goes_on() {
    for (step, works) in [(Step::Received, 0), (Step::Done, 1)] {
        let cloud = Cloud::new(1);
        let steps = Steps::new(move |event| event.step == step);
        let served = cloud.serve_in_steps(Ports::Free, &steps).await.expect("free ports");
        let mut held = connect(&served).await;
        tokio::select! {
            reply = exchange(&mut held) => panic!("a reply out of a halted world: {reply:?}"),
            () = steps.halted() => {}
        }
        assert!(steps.is_halted());
        assert_eq!(cloud.requests().len(), works);
        steps.resume();
        exchange(&mut connect(&served).await).await.expect("a reply");
        assert_eq!(cloud.requests().len(), works + 1);
    }
}
