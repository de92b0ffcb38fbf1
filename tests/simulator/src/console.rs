//! The output of a running process, line by line, together with the lines of the Functions host itself.

use crate::functions_host::Level;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where a line came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Stdout,
    Stderr,
    /// The Functions host itself.
    Host(Level),
    /// `Logs` of the reply to the invocation of this id.
    Function(String),
}

/// The lines in the order they were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Console {
    lines: watch::Sender<Vec<(Origin, String)>>,
}

impl Console {
    /// Reads `pipe` to its end in the background. Bytes that are not UTF-8 are replaced, as .NET does.
    pub(crate) fn follow(
        &self,
        pipe: Origin,
        from: impl AsyncRead + Unpin + Send + 'static,
    ) -> JoinHandle<()> {
        let lines = self.lines.clone();
        tokio::spawn(async move {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                lines.send_modify(|lines| lines.push((pipe.clone(), text)));
                line.clear();
            }
        })
    }

    pub(crate) fn lines(&self) -> Vec<(Origin, String)> {
        self.lines.borrow().clone()
    }

    /// Adds a line that came through no pipe.
    pub(crate) fn add(&self, origin: Origin, line: String) {
        self.lines.send_modify(|lines| lines.push((origin, line)));
    }

    pub(crate) fn of(&self, origin: &Origin) -> Vec<String> {
        self.lines.borrow().iter().filter(|(from, _)| from == origin).map(|(_, line)| line.clone()).collect()
    }

    /// Waits for the first line that contains `text`, among those read already and those to come.
    pub(crate) async fn wait_for(&self, text: &str) -> String {
        let mut lines = self.lines.subscribe();
        let wanted = |lines: &[(Origin, String)]| lines.iter().find(|(_, line)| line.contains(text)).cloned();
        let found = lines.wait_for(|lines| wanted(lines).is_some()).await.expect("self keeps the sender");
        wanted(&found).expect("it was just seen").1
    }
}
