//! A real browser without a window: Debian's `chromium`.

mod png;

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

pub use png::Png;

/// A browser that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the reader's system says about colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

/// What a page came to.
pub struct Seen {
    /// The document after its scripts have run.
    pub document: String,
    /// What the browser had to say about it: errors, and what the page's own policy forbids.
    pub console: Vec<String>,
}

/// Opens the page of `file`.
pub async fn open(file: &Path, scheme: Scheme) -> Seen {
    let (document, errors) = run(file, scheme, &["--dump-dom"]).await;
    let console = errors.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    Seen { document, console }
}

/// The page of `file` as a picture.
pub async fn photograph(file: &Path, scheme: Scheme, (width, height): (u32, u32)) -> Png {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = folder.path().join("page.png");
    let screenshot = format!("--screenshot={}", picture.display());
    let (_, errors) =
        run(file, scheme, &["--hide-scrollbars", &screenshot, &format!("--window-size={width},{height}")])
            .await;
    let bytes = std::fs::read(picture).unwrap_or_else(|problem| panic!("no picture: {problem}: {errors}"));
    Png::decode(&bytes)
}

/// A page around the text of another one, which it shows in a frame of `width` pixels, less than a window can have,
/// and asks what `script` returns. There the page is `page`, and its window `view`.
pub fn frame(text: &str, (width, height): (u32, u32), script: &str) -> String {
    let text = text.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!DOCTYPE html><meta charset=\"utf-8\"><body style=\"margin:0\"><iframe id=\"frame\" style=\"width:{width}px;height:{height}px;border:0\" \
         srcdoc=\"{text}\"></iframe><pre id=\"answer\"></pre><script>onload = () => {{ const view = \
         frame.contentWindow, page = view.document; answer.textContent = JSON.stringify((() => {{ {script} }})()); \
         }}</script>"
    )
}

impl Seen {
    /// What the script of [`frame`] returned.
    #[track_caller]
    pub fn answer(&self) -> Value {
        let text =
            self.document.rsplit_once("<pre id=\"answer\">").and_then(|(_, rest)| rest.split_once("</pre>"));
        let text = text.unwrap_or_else(|| panic!("no answer: {:?}", self.console)).0;
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        serde_json::from_str(&text).unwrap_or_else(|problem| panic!("{problem}: {text} {:?}", self.console))
    }
}

async fn run(file: &Path, scheme: Scheme, arguments: &[&str]) -> (String, String) {
    let profile = TempDir::new().expect("a folder");
    let mut command = Command::new("chromium");
    // The sandbox needs what a container does not give, and the page is our own.
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    command.args(["--enable-logging=stderr", "--v=0", "--no-first-run"]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(match scheme {
        Scheme::Dark => "--blink-settings=preferredColorScheme=0",
        Scheme::Light => "--blink-settings=preferredColorScheme=1",
    });
    command.args(arguments).arg(format!("file://{}", file.display()));
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, running).await.expect("the browser comes to an end");
    let output = output.expect("chromium is there: CONTRIBUTING.md says what the tests need");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
