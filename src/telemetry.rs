//! Log lines, and where they go. The Functions host turns every line of stderr into an error, or into a warning if it
//! contains "warn"; so information goes to stdout, and stderr is for what an operator must act on.
//!
//! Fields of an event become members of its line in JSON form; the text form has the message alone. A whole JSON object
//! is given as the field [`MEMBERS`].

mod format;

use std::{
    fmt::{self, Write as _},
    io::Write as _,
    sync::OnceLock,
};

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
pub use format::LineFormat;
use format::LineOrigin;

/// The field of an event whose value is a JSON object: each of its members becomes a member of the line. (Fields of
/// `tracing` hold numbers and texts only.)
const MEMBERS: &str = "members";

/// The longest id of an invocation or a tenant that is kept, in characters. They are GUIDs.
const LONGEST_ID: usize = 100;

/// Who reads the lines, which decides where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The Functions host: stdout, and stderr for warnings and errors.
    Host,
    /// A person at a terminal, where stdout is for results: all lines go to stderr.
    Person,
}

/// The progress bar at the bottom of the terminal.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// Writes all further lines above `bar`.
pub fn keep_above(bar: &ProgressBar) {
    // An error means that there is a bar already; a process has at most one.
    let _ = BAR.set(bar.clone());
}

/// Starts logging, and returns the format of the lines for those that leave in a reply to the host.
///
/// `MDATP_LOG_FORMAT` (`text` or `json`) is the form of the lines, `MDATP_LOG_LEVEL` (`info` or `debug`) the lowest
/// level that is written.
pub fn init(audience: Audience, settings: &Settings, clock: Clock) -> LineFormat {
    let is = |name, value: &str| settings.get(name).is_some_and(|text| text.eq_ignore_ascii_case(value));
    let format = LineFormat { is_json: is("MDATP_LOG_FORMAT", "json"), clock };
    let lowest = if is("MDATP_LOG_LEVEL", "debug") { Level::DEBUG } else { Level::INFO };
    // An error means that a test has installed a subscriber already.
    let _ = tracing_subscriber::registry().with(Lines { audience, format, lowest }).try_init();
    format
}

/// The layer that writes each event of this program as one line.
struct Lines {
    audience: Audience,
    format: LineFormat,
    lowest: Level,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // Only this program's lines: other crates may log headers and addresses.
        metadata.target().starts_with("mdatp_forward") && *metadata.level() <= self.lowest
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let text = |name| Some(one_line(fields.members.get(name)?.as_str()?, LONGEST_ID));
        let origin = LineOrigin { invocation: text("invocation"), tenant: text("tenant") };
        if let (Some(span), false) = (context.span(id), origin == LineOrigin::default()) {
            span.extensions_mut().insert(origin);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let origin = context.event_scope(event).and_then(|scope| {
            scope.into_iter().find_map(|span| span.extensions().get::<LineOrigin>().cloned())
        });
        let level = *event.metadata().level();
        let line =
            self.format.console_line(level, &origin.unwrap_or_default(), &fields.message, fields.members);
        // A reader that has closed the pipe must not stop a run.
        let _ = match self.audience == Audience::Host && level > Level::WARN {
            true => writeln!(std::io::stdout().lock(), "{line}"),
            false => match BAR.get() {
                Some(bar) => bar.suspend(|| writeln!(std::io::stderr().lock(), "{line}")),
                None => writeln!(std::io::stderr().lock(), "{line}"),
            },
        };
    }
}

/// The fields of an event or a span: its message, and all others as JSON.
#[derive(Default)]
struct Fields {
    message: String,
    members: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.members.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.add(field, value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => {
                // Writing to a String cannot fail.
                let _ = write!(self.message, "{value:?}");
            }
            MEMBERS => {
                if let Ok(Value::Object(members)) = serde_json::from_str(&format!("{value:?}")) {
                    self.members.extend(members);
                }
            }
            _ => self.add(field, format!("{value:?}")),
        }
    }
}
