//! Log lines. The Functions host turns every line of stderr into an error, or a warning when it holds
//! the word; so information goes to stdout, and stderr is kept for what somebody must act on.

use std::{
    fmt::{self, Write as _},
    io::Write as _,
    sync::OnceLock,
};

use azure_core::time::to_rfc3339;
use indicatif::ProgressBar;
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{clock::Clock, config::settings::Settings, error_chain::one_line};

/// The longest line, in characters. The host splits what is longer.
const LONGEST_LINE: usize = 8_000;

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The Functions host: stdout, and stderr for warnings and errors.
    Host,
    /// A person at a terminal, whose stdout is for results: all lines on stderr.
    Person,
}

/// The bar at the bottom of the terminal.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// From now on lines are written above `bar`.
pub fn keep_above(bar: &ProgressBar) {
    // Err means that there is one already, and a process has only one.
    let _ = BAR.set(bar.clone());
}

/// Sends log lines where they belong. `MDATP_LOG_FORMAT` (text or json) is their form,
/// `MDATP_LOG_LEVEL` (info or debug) the least of what is written.
pub fn init(audience: Audience, settings: &Settings, clock: Clock) {
    let is = |name, value: &str| settings.get(name).is_some_and(|text| text.eq_ignore_ascii_case(value));
    let lines = Lines {
        audience,
        clock,
        is_json: is("MDATP_LOG_FORMAT", "json"),
        least: if is("MDATP_LOG_LEVEL", "debug") { Level::DEBUG } else { Level::INFO },
    };
    // Err means that a test has set one already.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

struct Lines {
    audience: Audience,
    clock: Clock,
    is_json: bool,
    least: Level,
}

/// The invocation a span belongs to, kept in the span.
struct InvocationId(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // Only our own lines: other crates may log headers and addresses.
        metadata.target().starts_with("mdatp_forward") && *metadata.level() <= self.least
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(span), Some(id)) = (context.span(id), fields.invocation) {
            span.extensions_mut().insert(InvocationId(one_line(&id, 100)));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let invocation = context.event_scope(event).and_then(|scope| {
            scope.into_iter().find_map(|span| span.extensions().get::<InvocationId>().map(|id| id.0.clone()))
        });
        let line = self.line(*event.metadata().level(), invocation.as_deref(), &fields.message);
        // A reader that has gone away must not stop a run.
        let _ = match self.audience == Audience::Host && *event.metadata().level() > Level::WARN {
            true => writeln!(std::io::stdout().lock(), "{line}"),
            false => match BAR.get() {
                Some(bar) => bar.suspend(|| writeln!(std::io::stderr().lock(), "{line}")),
                None => writeln!(std::io::stderr().lock(), "{line}"),
            },
        };
    }
}

impl Lines {
    fn line(&self, level: Level, invocation: Option<&str>, message: &str) -> String {
        let time = to_rfc3339(&self.clock.now());
        let level = match level {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            _ => "debug",
        };
        let message = one_line(message, LONGEST_LINE);
        if self.is_json {
            let mut line = Map::new();
            line.insert("time".to_owned(), Value::from(time));
            line.insert("level".to_owned(), Value::from(level));
            line.extend(invocation.map(|id| ("invocation".to_owned(), Value::from(id))));
            line.insert("message".to_owned(), Value::from(message));
            return Value::Object(line).to_string();
        }
        match invocation {
            Some(id) => format!("{time} {level} [{id}] {message}"),
            None => format!("{time} {level} {message}"),
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    invocation: Option<String>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "invocation" => self.invocation = Some(value.to_owned()),
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String cannot fail.
            let _ = write!(self.message, "{value:?}");
        }
    }
}
