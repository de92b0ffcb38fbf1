//! What the sink accepted, and what became of each acceptance: remembered in a checkpoint, or with an
//! excuse for not being so.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::alert::Alert;

/// All accepted posts, in order.
#[derive(Debug, Default)]
pub struct Ledger {
    pub posts: Vec<Post>,
    pub acceptances: Vec<Acceptance>,
    /// Records that are not what they should be.
    pub wrong: Vec<String>,
}

/// A post that the sink accepted.
#[derive(Debug)]
pub struct Post {
    pub run: u32,
    /// True once the run has heard of the acceptance.
    answered: bool,
    /// True once a checkpoint with it is in the store.
    pub remembered: bool,
    /// Why it may be sent again.
    pub excuse: Option<&'static str>,
}

/// A record in a post.
#[derive(Debug)]
pub struct Acceptance {
    pub post: usize,
    pub alert: usize,
    pub state: usize,
    pub has_machine: bool,
    pub text: String,
}

impl Ledger {
    /// Enters a post of `run` that was just accepted.
    pub fn accept(
        &mut self,
        run: u32,
        records: &[String],
        alerts: &[Alert],
        excuse: Option<&'static str>,
        lacks_machines: bool,
    ) {
        let post = self.posts.len();
        self.posts.push(Post { run, answered: false, remembered: false, excuse });
        for text in records {
            match find(alerts, text) {
                Ok((alert, _, false)) if alerts[alert].machine_name.is_some() && !lacks_machines => {
                    self.wrong.push(format!("{} goes without its machine, for no reason", alerts[alert].id));
                }
                Ok((alert, state, has_machine)) => {
                    let text = text.clone();
                    self.acceptances.push(Acceptance { post, alert, state, has_machine, text });
                }
                Err(wrong) => self.wrong.push(wrong),
            }
        }
    }

    /// The acceptance of `post` reaches the run.
    pub fn answer(&mut self, post: usize) {
        self.posts[post].answered = true;
    }

    /// A checkpoint of `run` is in the store.
    pub fn remember(&mut self, run: u32) {
        for post in self.posts.iter_mut().filter(|post| post.run == run && post.answered) {
            post.remembered = true;
        }
    }

    /// `run` is over. The post that it has not saved by now, it never will; there may be one.
    pub fn end(&mut self, run: u32, excuse: Option<&'static str>) {
        let is_open = |post: &&mut Post| post.run == run && !post.remembered && post.excuse.is_none();
        if let Some(post) = self.posts.iter_mut().find(is_open) {
            post.excuse = excuse;
        }
    }

    /// For each alert and state, its acceptances.
    pub fn by_state(&self) -> BTreeMap<(usize, usize), Vec<&Acceptance>> {
        let mut by_state: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for acceptance in &self.acceptances {
            by_state.entry((acceptance.alert, acceptance.state)).or_default().push(acceptance);
        }
        by_state
    }
}

/// The alert and the state that a record shows, and whether its machine is in it.
pub fn find(alerts: &[Alert], record: &str) -> Result<(usize, usize, bool), String> {
    let members: Map<String, Value> = serde_json::from_str(record).map_err(|error| error.to_string())?;
    let id = members.get("id").and_then(Value::as_str).unwrap_or_default();
    let number = alerts.iter().position(|alert| alert.id == id);
    let number = number.ok_or_else(|| format!("no alert has the id {id:?}"))?;
    let (state, has_machine) = alerts[number].state_of(&members)?;
    Ok((number, state, has_machine))
}
