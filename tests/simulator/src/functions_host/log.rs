//! The handler's output as it shows up in the host's log.

use crate::console::Pipe;

/// How serious the host takes a line of the handler's output to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// From stdout.
    Information,
    /// From stderr, with "warn" somewhere in it.
    Warning,
    /// Any other line from stderr.
    Error,
}

/// A line of the handler's output in the host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLog {
    /// Derived from the pipe and the text.
    pub level: Level,
    /// The line without its end.
    pub line: String,
}

impl HostLog {
    pub(super) fn of(pipe: Pipe, line: String) -> Self {
        Self { level: level(pipe, &line), line }
    }
}

fn level(pipe: Pipe, line: &str) -> Level {
    match pipe {
        Pipe::Stdout => Level::Information,
        Pipe::Stderr if line.to_ascii_lowercase().contains("warn") => Level::Warning,
        Pipe::Stderr => Level::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_follows_the_pipe_and_the_word_warn() {
        assert_eq!(level(Pipe::Stdout, "error: not really"), Level::Information);
        assert_eq!(level(Pipe::Stderr, "a Warning: support ended"), Level::Warning);
        assert_eq!(level(Pipe::Stderr, "info"), Level::Error);
    }
}
