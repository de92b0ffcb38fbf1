//! The status for a terminal.

use std::fmt;

use azure_core::time::to_rfc3339;

use super::{CallCounts, Status, ago, span};
use crate::count::Count;

/// The number of runs shown. The page and the JSON have all that are recorded.
const RUNS: usize = 10;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "problem       {problem}")?;
        }
        write!(f, "checkpoint    {}", self.place)?;
        if self.damage.is_some() {
            write!(f, "\nfix           mdatp-forward state reset --to TIME, or repair the document")?;
        }
        if let (Some(watermark), Some(known_from)) = (self.watermark, self.known_from) {
            let (watermark, known_from) = (to_rfc3339(&watermark), to_rfc3339(&known_from));
            write!(f, "\nwatermark     {watermark}: everything before is delivered or set aside")?;
            write!(f, "\nknown from    {known_from}: nothing earlier is listed again")?;
            let remembered = self.remembered.unwrap_or_default();
            write!(f, "\nremembered    {}", Count(remembered as u64, "alert"))?;
        }
        if let Some(lag) = self.lag_seconds {
            write!(f, "\nlag           {}", span(lag))?;
        }
        for (name, time) in [("last run    ", self.last_run), ("last success", self.last_success)] {
            if let (Some(time), Some(now)) = (time, self.now) {
                write!(f, "\n{name}  {}, {}", to_rfc3339(&time), ago(time, now))?;
            }
        }
        if let Some(lease) = &self.lease {
            write!(f, "\nat work       {lease}")?;
        }
        match self.set_aside.count {
            0 => write!(f, "\nset aside     nothing")?,
            count => write!(f, "\nset aside     {count}: see mdatp-forward set-aside list")?,
        }
        for (api, CallCounts { last_minute, last_hour }) in &self.quota {
            write!(
                f,
                "\ncalls         {api}: {last_minute} in the last minute, {last_hour} in the last hour"
            )?;
        }
        self.write_runs(f)
    }
}

impl Status {
    fn write_runs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.runs.entries();
        let runs = &runs[runs.len().saturating_sub(RUNS)..];
        let began: Vec<_> = runs.iter().map(|entry| to_rfc3339(&entry.start)).collect();
        let Some(width) = began.iter().map(String::len).max() else { return Ok(()) };
        write!(
            f,
            "\n\n{:width$}  runs  result      read  sent  set aside  machines  took ms  lag s  error",
            "began"
        )?;
        for (entry, began) in runs.iter().zip(&began) {
            let lag = entry.lag_seconds.map_or_else(String::new, |lag| lag.to_string());
            let line = format!(
                "{began:width$}  {:>4}  {:10}  {:>4}  {:>4}  {:>9}  {:>8}  {:>7}  {lag:>5}  {}",
                entry.runs,
                entry.result,
                entry.read,
                entry.sent,
                entry.set_aside,
                entry.machines,
                entry.ms,
                entry.error.as_deref().unwrap_or_default()
            );
            write!(f, "\n{}", line.trim_end())?;
        }
        Ok(())
    }
}
