//! How far this machine's clock is from the services': a look at the Date header of every reply.

use std::sync::{Arc, Mutex, PoisonError};

use azure_core::time::Duration;
use futures::future::{BoxFuture, FutureExt};

use super::finding::Finding;
use crate::{
    clock::Clock,
    http::{CALL_TIMEOUT, Exchange, ExchangeError, Http, Reply, Request, call::date_of},
};

/// The name of the check.
pub const CHECK: &str = "clock";

/// Up to here a difference may be the way of the reply.
const UNSEEN: Duration = Duration::minutes(1);

/// Beyond, the Data Collector API does not accept a date (facts D2), and tokens may count as expired or not
/// yet good.
const HARMFUL: Duration = Duration::minutes(15);

/// The network, with an eye on the services' clocks.
#[derive(Debug)]
pub struct SkewProbe {
    http: Http,
    clock: Clock,
    /// How far our clock is ahead, by the reply that differs least: a slow one says less.
    ahead: Mutex<Option<Duration>>,
}

impl SkewProbe {
    /// Looks over the shoulder of `http`.
    pub fn over(http: Http, clock: Clock) -> Arc<Self> {
        Arc::new(Self { http, clock, ahead: Mutex::default() })
    }

    /// How far our clock is ahead of theirs; none while nobody has said the time.
    pub fn ahead(&self) -> Option<Duration> {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, reply: &Reply) {
        let Some(date) = date_of(&reply.headers) else { return };
        let ahead = self.clock.now() - date;
        let mut known = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| ahead.abs() < known.abs()) {
            *known = Some(ahead);
        }
    }
}

impl Exchange for SkewProbe {
    fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Reply, ExchangeError>> {
        async move {
            let exchanged = self.http.exchange(request, CALL_TIMEOUT).await;
            exchanged.inspect(|reply| self.note(reply))
        }
        .boxed()
    }
}

/// What it means that our clock is so far `ahead`.
pub fn judge(ahead: Option<Duration>) -> Finding {
    let Some(ahead) = ahead else {
        return Finding::not_checked(CHECK, "no service has told its time");
    };
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    let message = format!("this machine's clock is {} s {side} the services'", ahead.abs().whole_seconds());
    let mend = "set the clock right: timedatectl set-ntp true";
    match ahead.abs() {
        apart if apart <= UNSEEN => Finding::ok(CHECK, "this machine's clock agrees with the services'"),
        apart if apart <= HARMFUL => Finding::warning(CHECK, message, mend),
        _ => Finding::failure(CHECK, message, mend),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::CheckResult;

    #[test]
    fn a_minute_is_nothing_a_quarter_of_an_hour_is_too_much() {
        for (seconds, result, part) in [
            (0, CheckResult::Ok, "agrees"),
            (60, CheckResult::Ok, "agrees"),
            (-61, CheckResult::Warning, "61 s behind"),
            (900, CheckResult::Warning, "900 s ahead of"),
            (901, CheckResult::Failure, "901 s ahead of"),
            (-7200, CheckResult::Failure, "7200 s behind"),
        ] {
            let finding = judge(Some(Duration::seconds(seconds)));
            assert!(finding.result == result && finding.message.contains(part), "{finding}");
        }
        assert!(judge(None).message.contains("not checked"));
    }
}
