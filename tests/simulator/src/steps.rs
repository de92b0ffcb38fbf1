//! The steps of every exchange between the forwarder and a service or its store, reported one by one to a hook, which
//! may halt them all: a test that kills the forwarder at a step wants nothing more to happen until it is dead.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::service::Service;

/// What the forwarder calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A service of the cloud.
    Service(Service),
    /// The store behind a relay.
    Storage,
}

/// A step of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The request has arrived whole; no work is done yet.
    Received,
    /// The work is done; the reply has not left.
    Done,
    /// The whole reply is out.
    Replied,
}

/// An exchange reached a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts from 0.
    pub number: usize,
    /// What was called.
    pub target: Target,
    /// The step that was reached.
    pub step: Step,
    /// The method and the path.
    pub call: String,
}

type Hook = dyn Fn(&Event) -> bool + Send + Sync;

/// The steps so far. Clones are handles to the same.
#[derive(Clone)]
pub struct Steps(Arc<Inner>);

struct Inner {
    hook: Box<Hook>,
    events: Mutex<Vec<Event>>,
    pace: watch::Sender<Pace>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// The hook decides.
    Watched,
    /// Every step is held.
    Halted,
    /// The hook is not asked any more.
    Free,
}

impl Steps {
    /// Reports each step to `hook`; the first time that it returns true, everything halts.
    pub fn new(hook: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Self {
        let (events, pace) = (Mutex::default(), watch::Sender::new(Pace::Watched));
        Self(Arc::new(Inner { hook: Box::new(hook), events, pace }))
    }

    /// Halts everything: no work is done on further requests, and no further reply is sent.
    pub fn halt(&self) {
        self.0.pace.send_replace(Pace::Halted);
    }

    /// Waits until everything halts.
    ///
    /// # Panics
    ///
    /// Never: self keeps the sender.
    pub async fn halted(&self) {
        let mut pace = self.0.pace.subscribe();
        pace.wait_for(|pace| *pace == Pace::Halted).await.expect("self keeps the sender");
    }

    /// True while everything is halted.
    pub fn is_halted(&self) -> bool {
        *self.0.pace.borrow() == Pace::Halted
    }

    /// Resumes, for requests still to come: those that were held are never answered.
    pub fn resume(&self) {
        self.0.pace.send_replace(Pace::Free);
    }

    /// All events so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Reports a step, and returns when the exchange may go on.
    pub(crate) async fn pass(&self, target: Target, step: Step, call: &str) {
        if self.tell(target, step, call) {
            pending::<()>().await;
        }
    }

    /// Reports a step; returns true if the exchange has to halt.
    pub(crate) fn tell(&self, target: Target, step: Step, call: &str) -> bool {
        let mut events = self.lock();
        let event = Event { number: events.len(), target, step, call: call.to_owned() };
        let pace = *self.0.pace.borrow();
        let halts = match pace {
            Pace::Watched => (self.0.hook)(&event),
            Pace::Halted => true,
            Pace::Free => false,
        };
        events.push(event);
        if halts {
            self.halt();
        }
        halts
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Steps {
    /// Steps that never halt.
    fn default() -> Self {
        Self::new(|_| false)
    }
}
