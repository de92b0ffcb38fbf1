//! The ceiling of the simulated services: what a client reaches that fetches the same pages and sends the same posts,
//! both at the same time, and does nothing else. A program that comes near it is limited by the simulator.

use std::io::{BufRead, BufReader, Read, Write, copy, sink};
use std::net::TcpStream;
use std::time::Instant;

use bytes::Bytes;
use simulator::{Service, tenant};

use super::workload::Workload;
use crate::figure::{as_f64, median};

const ROUNDS: usize = 5;
const PAGE: usize = 1000;

/// Alerts per second, the median of some rounds.
pub(super) async fn measure(workload: &Workload, posts: &[Bytes]) -> Result<f64, String> {
    let alerts = workload.alerts();
    let services = [Service::Identity, Service::Defender, Service::DataCollector];
    let at = services.map(|service| workload.served.endpoints().port(service));
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let posts = posts.to_vec();
        let began = Instant::now();
        let pull = tokio::task::spawn_blocking(move || pull(at, alerts));
        let push = tokio::task::spawn_blocking(move || push(at[2], &posts));
        for done in [pull.await, push.await] {
            let done = done.map_err(|problem| problem.to_string())?;
            done.map_err(|problem| format!("the client that only transfers: {problem}"))?;
        }
        rates.push(as_f64(alerts) / began.elapsed().as_secs_f64());
        workload.served.take_unread();
    }
    Ok(median(rates))
}

fn pull([identity, defender, _]: [u16; 3], alerts: usize) -> std::io::Result<()> {
    let target = "/msi/token?resource=https://api.securitycenter.microsoft.com&api-version=2019-08-01";
    let header = format!("X-IDENTITY-HEADER: {}\r\n", tenant::IDENTITY_HEADER);
    let token = Connection::to(identity)?.call("GET", target, &header, &[])?;
    let token: serde_json::Value = serde_json::from_slice(&token)?;
    let token = token["access_token"].as_str().unwrap_or_default();
    let headers = format!("Authorization: Bearer {token}\r\nAccept-Encoding: gzip, deflate\r\n");
    let mut defender = Connection::to(defender)?;
    defender.call("GET", "/api/machines?$top=1000", &headers, &[])?;
    for skip in (0..alerts).step_by(PAGE) {
        let target =
            format!("/api/alerts?$orderby=alertCreationTime&$top={PAGE}&$skip={skip}&$expand=evidence");
        defender.call("GET", &target, &headers, &[])?;
    }
    Ok(())
}

fn push(port: u16, posts: &[Bytes]) -> std::io::Result<()> {
    let mut collector = Connection::to(port)?;
    for post in posts {
        collector.call(
            "POST",
            "/api/logs?api-version=2016-04-01",
            "Content-Type: application/json\r\n",
            post,
        )?;
    }
    Ok(())
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn to(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(256 * 1024, stream)))
    }

    /// Sends a request; a long body is discarded as it comes.
    fn call(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (mut line, mut status, mut length) = (String::new(), String::new(), 0);
        while line.trim_end() != "" || status.is_empty() {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if status.is_empty() {
                line.trim_end().clone_into(&mut status);
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        let mut body = Vec::new();
        let mut rest = (&mut self.0).take(length);
        match length {
            0..10_000 => rest.read_to_end(&mut body)?,
            _ => usize::try_from(copy(&mut rest, &mut sink())?).unwrap_or_default(),
        };
        match status.contains(" 200 ") {
            true => Ok(body),
            false => Err(std::io::Error::other(format!("{method} {target}: {status}"))),
        }
    }
}
