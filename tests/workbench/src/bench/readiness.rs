//! The time from the start of the process to the first answered `GET /`, and its idle memory, beside a bare server.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use simulator::functions_host::{FunctionsHost, Start};

use crate::app_root::AppRoot;
use crate::binary;
use crate::figure::{median, megabytes, of_bytes};

/// How many times each is started.
pub(super) const TIMES: usize = 15;

/// The medians of the forwarder and of a server that only answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readiness {
    pub(super) ours: Started,
    pub(super) bare: Started,
}

/// A process that has just answered for the first time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    pub(super) milliseconds: f64,
    /// Resident memory.
    pub(super) bytes: f64,
}

pub(super) async fn measure(binary: &Path) -> Result<Readiness, String> {
    let bare = binary::build("bare", &["--release", "-p", "workbench", "--example", "bare"])?;
    let roots = [AppRoot::with(binary)?, AppRoot::with(&bare)?];
    let mut figures = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    for _ in 0..TIMES {
        for (root, (times, sizes)) in roots.iter().zip(&mut figures) {
            let mut start = Start::new(root.path(), settings(root));
            // The host asks every 25 ms, which is too coarse to measure with.
            start.poll_every = Duration::from_micros(200);
            let host = FunctionsHost::start(start).await?;
            times.push(host.ready_after().as_secs_f64() * 1e3);
            sizes.push(host.resident_bytes().map_or(f64::NAN, of_bytes));
            host.kill().await;
        }
    }
    let [ours, bare] =
        figures.map(|(times, sizes)| Started { milliseconds: median(times), bytes: median(sizes) });
    Ok(Readiness { ours, bare })
}

/// Complete settings, of services that are not called.
fn settings(root: &AppRoot) -> Vec<(String, String)> {
    [
        ("MDATP_STATE", format!("file:{}", root.state().display())),
        ("MDATP_SINK", "data-collector".to_owned()),
        ("MDATP_WORKSPACE_ID", simulator::tenant::WORKSPACE_ID.to_owned()),
        ("MDATP_WORKSPACE_KEY", simulator::tenant::WORKSPACE_KEY.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

impl fmt::Display for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        for (name, Started { milliseconds, bytes }) in
            [("mdatp-forward", self.ours), ("bare warp server", self.bare)]
        {
            writeln!(formatter, "{name:28} {milliseconds:>6.2} ms, {}", megabytes(bytes))?;
        }
        Ok(())
    }
}
