//! What a started process wrote, line by line, while it still runs.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The pipe a line came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pipe {
    Stdout,
    Stderr,
}

/// The lines of both pipes in the order they were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Console {
    lines: watch::Sender<Vec<(Pipe, String)>>,
}

impl Console {
    /// Reads `pipe` to its end in the background. Bytes that are not UTF-8 are replaced, as .NET does.
    pub(crate) fn follow(&self, pipe: Pipe, from: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<()> {
        let lines = self.lines.clone();
        tokio::spawn(async move {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
                lines.send_modify(|lines| lines.push((pipe, text)));
                line.clear();
            }
        })
    }

    pub(crate) fn lines(&self) -> Vec<(Pipe, String)> {
        self.lines.borrow().clone()
    }

    pub(crate) fn of(&self, pipe: Pipe) -> Vec<String> {
        self.lines.borrow().iter().filter(|(from, _)| *from == pipe).map(|(_, line)| line.clone()).collect()
    }

    /// Waits for the first line that contains `text`, read already or still to come.
    pub(crate) async fn wait_for(&self, text: &str) -> String {
        let mut lines = self.lines.subscribe();
        let wanted = |lines: &[(Pipe, String)]| lines.iter().find(|(_, line)| line.contains(text)).cloned();
        let found = lines.wait_for(|lines| wanted(lines).is_some()).await.expect("self keeps the sender");
        wanted(&found).expect("it was just seen").1
    }
}
