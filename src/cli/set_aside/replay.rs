//! A replay: sends the records of documents that are set aside. A document is removed once the sink has accepted its whole
//! record, so a replay that is killed repeats at most the batch in flight.

use std::{collections::VecDeque, fmt, time::Duration};

use tracing::{error, info};

use super::attempt::{Attempt, RecordForm};
use crate::{
    config::Config,
    count::Count,
    error_chain::one_line,
    http::{
        call::{CallError, Caller},
        deadline::Deadline,
    },
    pipeline::RunError,
    record::{
        alert::Fingerprint,
        batch::{Ack, Batch, Packer, TooLarge},
    },
    services::Services,
    shutdown::Shutdown,
    sink::{RejectionCause, split::Split},
    state::set_asides::SetAsideEntry,
};

/// The number of documents by what became of them.
#[derive(Debug, Default)]
pub struct ReplayCounts {
    /// Documents whose record was accepted.
    pub accepted: u64,
    /// Documents whose record was accepted truncated before, and would be truncated again.
    pub already_truncated: u64,
    /// Documents whose record is still not delivered.
    pub not_delivered: u64,
}

impl fmt::Display for ReplayCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, already_truncated, not_delivered } = *self;
        let (accepted, are) = (Count(accepted, "record"), |count| if count == 1 { "is" } else { "are" });
        write!(f, "accepted {accepted}, {not_delivered} {} still not delivered", are(not_delivered))?;
        if already_truncated > 0 {
            let were = if already_truncated == 1 { "was" } else { "were" };
            write!(
                f,
                "; {already_truncated} {were} sent truncated before, and this sink would truncate again"
            )?;
        }
        Ok(())
    }
}

/// A replay in progress.
pub struct Replay<'a> {
    services: &'a Services,
    quota_share: f64,
    budget: Duration,
    packer: Packer,
    /// The documents whose records are in the batch that is being packed or sent, in the order of the batch.
    pending: VecDeque<PendingDocument>,
    /// The documents so far.
    pub counts: ReplayCounts,
}

/// A document whose record is not accepted yet.
struct PendingDocument {
    name: String,
    /// The document to keep once its truncated record is accepted; `None`: the document is removed.
    replacement: Option<Vec<u8>>,
}

impl<'a> Replay<'a> {
    /// Creates a replay to the sink of `services`. Each batch may take as long as a whole run.
    pub fn new(services: &'a Services, config: &Config) -> Self {
        let Config { run_budget: budget, quota_share, .. } = *config;
        let packer = services.packer();
        Self {
            services,
            quota_share,
            budget,
            packer,
            pending: VecDeque::new(),
            counts: ReplayCounts::default(),
        }
    }

    /// Sends the records of `entries`.
    pub async fn send_all(&mut self, entries: &[SetAsideEntry]) -> Result<(), RunError> {
        let Services { sink, mode, .. } = self.services;
        let time_members = if sink.wants_time_generated() { mode.row_times() } else { &[] };
        let form = RecordForm { writer: self.services.record_writer(), time_members };
        for SetAsideEntry { name, .. } in entries {
            // Another process has replayed a document that is gone.
            let Some(text) = self.services.store.read_set_aside(name).await? else { continue };
            match Attempt::new(&text, form) {
                Attempt::Send { record, replacement } => self.pack(name, &record, replacement).await?,
                Attempt::AlreadyTruncated => self.counts.already_truncated += 1,
                Attempt::Keep(reason) => self.keep(name, &reason),
            }
        }
        match self.packer.take() {
            Some(batch) => self.send(batch).await,
            None => Ok(()),
        }
    }

    async fn pack(
        &mut self,
        name: &str,
        record: &[u8],
        replacement: Option<Vec<u8>>,
    ) -> Result<(), RunError> {
        // The documents of an accepted batch are found by their order, so the acks are not used.
        let ack = Ack::of(Fingerprint([0; Fingerprint::BYTES]));
        match self.packer.push(record, ack) {
            Ok(full) => {
                if let Some(batch) = full {
                    self.send(batch).await?;
                }
                self.pending.push_back(PendingDocument { name: name.to_owned(), replacement });
            }
            Err(TooLarge) => self.keep(name, "its record does not fit a request"),
        }
        Ok(())
    }

    /// Sends a batch, in parts if the sink rejects it for its size, its time span or a record in it. Any other rejection
    /// would concern the other records too, and ends the replay.
    async fn send(&mut self, batch: Batch) -> Result<(), RunError> {
        let Services { http, clock, sink, .. } = self.services;
        let mut parts = Split::of(batch, self.services.longest_span());
        while let Some(part) = parts.next() {
            let deadline = Deadline::after(self.budget, Shutdown::default());
            let caller = Caller::new(http.clone(), *clock, deadline, self.quota_share);
            let response = match sink.send(part.body.clone(), &caller).await {
                Ok(sent) => {
                    self.acknowledge(part.acks.len(), &sent.log_id()).await?;
                    continue;
                }
                Err(CallError::Rejected(response)) => response,
                Err(error) => return Err(error.into()),
            };
            let cause = match sink.rejection_cause(&response, part.body.len()) {
                RejectionCause::NotTheRecords => return Err(CallError::Rejected(response).into()),
                cause => cause,
            };
            if parts.divide(part, cause).is_some() {
                let rejected = self.pending.pop_front().map_or_else(String::new, |document| document.name);
                self.keep(&rejected, &response.describe());
            }
        }
        Ok(())
    }

    async fn acknowledge(&mut self, records: usize, id: &str) -> Result<(), RunError> {
        let store = &self.services.store;
        for PendingDocument { name, replacement } in self.pending.drain(..records) {
            match replacement {
                None => store.remove_set_aside(&name).await?,
                Some(text) => store.rewrite_set_aside(&name, text).await?,
            }
        }
        self.counts.accepted += records as u64;
        info!("{} accepted{id}", Count(records as u64, "record"));
        Ok(())
    }

    fn keep(&mut self, name: &str, reason: &str) {
        self.counts.not_delivered += 1;
        error!("{} stays set aside: {}", one_line(name, 200), one_line(reason, 400));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_document_is_singular_and_several_are_plural() {
        let counts = |accepted, already_truncated, not_delivered| {
            ReplayCounts { accepted, already_truncated, not_delivered }.to_string()
        };
        assert_eq!(counts(1, 0, 1), "accepted 1 record, 1 is still not delivered");
        assert_eq!(
            counts(0, 1, 2),
            "accepted 0 records, 2 are still not delivered; 1 was sent truncated before, and this sink would truncate again"
        );
    }
}
