//! The host's log: the handler's output, the lines of its replies, and what the host says itself.

use crate::console::Origin;

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

/// A line of the host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLog {
    /// Who wrote it; Application Insights has it as the category.
    pub category: Category,
    /// Derived from the pipe and the text.
    pub level: Level,
    /// The invocation that it belongs to; a line of the console has none.
    pub invocation: Option<String>,
    /// The line without its end.
    pub line: String,
}

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// `Host.Function.Console`: the handler, through a pipe.
    Console,
    /// `Host.Function.ToolingConsoleLog`: the same, with the prefix `azfuncjsonlog:`.
    ToolingConsole,
    /// `Function.MdatpForward.User`: the handler, under `Logs` of a reply.
    User,
    /// The host itself, and what the handler wrote with the prefix `LanguageWorkerConsoleLog`.
    Host,
}

impl HostLog {
    pub(super) fn of(origin: Origin, line: String) -> Self {
        let (level, invocation) = match origin {
            Origin::Stdout => (Level::Information, None),
            Origin::Stderr if line.to_ascii_lowercase().contains("warn") => (Level::Warning, None),
            Origin::Stderr => (Level::Error, None),
            Origin::Host(level) => {
                return Self { category: Category::Host, level, invocation: None, line };
            }
            Origin::Function(id) => {
                let (category, level) = (Category::User, Level::Information);
                return Self { category, level, invocation: Some(id), line };
            }
        };
        let (category, line) = match line.strip_prefix("LanguageWorkerConsoleLog") {
            Some(rest) => (Category::Host, rest.to_owned()),
            None if line.starts_with("azfuncjsonlog:") => (Category::ToolingConsole, line),
            None => (Category::Console, line),
        };
        Self { category, level, invocation, line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_follows_the_pipe_and_the_word_warn_and_the_category_the_prefix() {
        for (origin, line, category, level, logged) in [
            (Origin::Stdout, "error: not really", Category::Console, Level::Information, "error: not really"),
            (Origin::Stderr, "Warning: the end", Category::Console, Level::Warning, "Warning: the end"),
            (Origin::Stderr, "forewarned", Category::Console, Level::Warning, "forewarned"),
            (Origin::Stderr, "info", Category::Console, Level::Error, "info"),
            (
                Origin::Stdout,
                "azfuncjsonlog:{}",
                Category::ToolingConsole,
                Level::Information,
                "azfuncjsonlog:{}",
            ),
            (Origin::Stdout, "LanguageWorkerConsoleLog x", Category::Host, Level::Information, " x"),
        ] {
            let log = HostLog::of(origin, line.to_owned());
            assert_eq!((log.category, log.level, log.line.as_str()), (category, level, logged), "{line}");
        }
    }
}
