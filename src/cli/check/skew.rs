//! The difference between this machine's clock and the services' clocks, from the Date header of every response.

use std::sync::{Arc, Mutex, PoisonError};

use azure_core::time::Duration;
use futures::future::{BoxFuture, FutureExt};

use super::finding::Finding;
use crate::{
    clock::Clock,
    http::{CALL_TIMEOUT, Exchange, ExchangeError, Http, Request, Response},
};

/// The name of the check.
pub const CHECK: &str = "clock";

/// The largest difference without a warning: it may come from the time that a response takes.
const TOLERATED: Duration = Duration::minutes(1);

/// The largest difference that does no harm. Beyond it, the Data Collector API may reject the date of a request (its limit is
/// not documented; 15 minutes are usual in Azure), and tokens may count as expired or not yet valid.
const HARMLESS: Duration = Duration::minutes(15);

/// The network, which also measures the difference to the services' clocks.
#[derive(Debug)]
pub struct SkewProbe {
    http: Http,
    clock: Clock,
    /// How far this machine's clock is ahead, by the response with the smallest difference: a slow response adds to it.
    ahead: Mutex<Option<Duration>>,
}

impl SkewProbe {
    /// Creates a probe of all requests over `http`.
    pub fn new(http: Http, clock: Clock) -> Arc<Self> {
        Arc::new(Self { http, clock, ahead: Mutex::default() })
    }

    /// Returns how far this machine's clock is ahead; `None` before any response.
    pub fn ahead(&self) -> Option<Duration> {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, reply: &Response) {
        let Some(date) = reply.date() else { return };
        let ahead = self.clock.now() - date;
        let mut known = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| ahead.abs() < known.abs()) {
            *known = Some(ahead);
        }
    }
}

impl Exchange for SkewProbe {
    fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Response, ExchangeError>> {
        async move {
            let exchanged = self.http.exchange(request, CALL_TIMEOUT).await;
            exchanged.inspect(|reply| self.note(reply))
        }
        .boxed()
    }
}

/// Returns the finding of a clock that is so far `ahead`.
pub fn finding(ahead: Option<Duration>) -> Finding {
    let Some(ahead) = ahead else {
        return Finding::not_checked(CHECK, "no response from any service");
    };
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    let message = format!("this machine's clock is {} s {side} the services'", ahead.abs().whole_seconds());
    let fix = "set the clock: timedatectl set-ntp true";
    match ahead.abs() {
        difference if difference <= TOLERATED => {
            Finding::ok(CHECK, "this machine's clock agrees with the services'")
        }
        difference if difference <= HARMLESS => Finding::warning(CHECK, message, fix),
        _ => Finding::failure(CHECK, message, fix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::CheckResult;

    #[test]
    fn a_minute_is_tolerated_and_more_than_a_quarter_of_an_hour_is_a_failure() {
        for (seconds, result, part) in [
            (0, CheckResult::Ok, "agrees"),
            (60, CheckResult::Ok, "agrees"),
            (-61, CheckResult::Warning, "61 s behind"),
            (900, CheckResult::Warning, "900 s ahead of"),
            (901, CheckResult::Failure, "901 s ahead of"),
            (-7200, CheckResult::Failure, "7200 s behind"),
        ] {
            let found = finding(Some(Duration::seconds(seconds)));
            assert!(found.result == result && found.message.contains(part), "{found}");
        }
        assert!(finding(None).message.contains("not checked"));
    }
}
