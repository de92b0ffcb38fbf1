//! The steps of every exchange between the forwarder and a service or its store, told one by one to a
//! hook, which may halt the world: whoever kills the forwarder at one of them wants nothing more to happen
//! until it is dead.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::service::Service;

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A service of the cloud.
    Service(Service),
    /// The store behind a relay.
    Storage,
}

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The request has arrived whole; nothing is done about it yet.
    Received,
    /// The work is done; the reply has not left.
    Done,
    /// The whole reply is out.
    Replied,
}

/// One step of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts from 0.
    pub number: usize,
    /// Who was asked.
    pub target: Target,
    /// How far it has come.
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
    /// The hook has had its say.
    Free,
}

impl Steps {
    /// Tells each step to `hook`; the first time that it answers true, the world halts.
    pub fn new(hook: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Self {
        let (events, pace) = (Mutex::default(), watch::Sender::new(Pace::Watched));
        Self(Arc::new(Inner { hook: Box::new(hook), events, pace }))
    }

    /// Halts the world: no request that has not been worked on yet will be, and no reply leaves that has
    /// not begun to.
    pub fn halt(&self) {
        self.0.pace.send_replace(Pace::Halted);
    }

    /// Waits until the world halts.
    ///
    /// # Panics
    ///
    /// Never: self keeps the sender.
    pub async fn halted(&self) {
        let mut pace = self.0.pace.subscribe();
        pace.wait_for(|pace| *pace == Pace::Halted).await.expect("self keeps the sender");
    }

    /// Whether the world stands still.
    pub fn is_halted(&self) -> bool {
        *self.0.pace.borrow() == Pace::Halted
    }

    /// Lets the world go on, for requests still to come: what was held is lost for ever.
    pub fn resume(&self) {
        self.0.pace.send_replace(Pace::Free);
    }

    /// All steps so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// Tells a step, and comes back when the exchange may go on.
    pub(crate) async fn pass(&self, target: Target, step: Step, call: &str) {
        if self.tell(target, step, call) {
            pending::<()>().await;
        }
    }

    /// Tells a step; true when the world has halted.
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
    /// Steps that nobody waits for.
    fn default() -> Self {
        Self::new(|_| false)
    }
}
