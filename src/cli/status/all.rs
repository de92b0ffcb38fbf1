//! `mdatp-forward status --all`: the status of all tenants of an app that forwards for many.

use std::process::ExitCode;

use azure_core::time::OffsetDateTime;
use futures::{StreamExt, TryStreamExt, stream};

use super::{StatusArgs, print};
use crate::{
    cli::{failure::Failure, home::Home},
    error_chain::{chain, with_fix},
    state::{StateError, StateErrorKind, StateStore, blob_error::BlobErrorKind},
    status::{
        page::TenantsPage,
        tenants::{POISON_QUEUE, PoisonQueue, TenantStatus, TenantsStatus},
    },
    tenants::TenantEntry,
};

/// The number of tenants whose state is read at once.
const CALLS_AT_ONCE: usize = 32;

/// Prints the status of all tenants.
pub async fn all(args: &StatusArgs, home: &Home<'_>) -> Result<ExitCode, Failure> {
    let (list, now) = (home.list().await?, home.clock.now());
    let tenants = of_tenants(&list.entries().iter().collect::<Vec<_>>(), &home.store, now).await?;
    let status = TenantsStatus::new(home.store.tenants_place(), tenants, &poison(&home.store).await, now);
    let is_well = status.problems.is_empty();
    Ok(print(args, is_well, &status, &TenantsPage(&status)))
}

/// Reads the status of these tenants, in order.
pub async fn of_tenants(
    entries: &[&TenantEntry],
    store: &StateStore,
    now: OffsetDateTime,
) -> Result<Vec<TenantStatus>, StateError> {
    let of = |entry: &&TenantEntry| {
        let (store, entry) = (store.of_tenant(&entry.id), (*entry).clone());
        async move {
            let status = super::of(&store, now, 0).await?;
            Ok(TenantStatus::new(entry.id.to_string(), entry.name, entry.enabled, status))
        }
    };
    stream::iter(entries.iter().map(of)).buffered(CALLS_AT_ONCE).try_collect().await
}

/// Counts the messages that could not be handled. That it cannot is no reason to show nothing.
async fn poison(store: &StateStore) -> PoisonQueue {
    match store.queue_length(POISON_QUEUE).await {
        Ok(None) => PoisonQueue::None,
        Ok(Some(messages)) => PoisonQueue::Messages(messages),
        Err(error) => {
            let fix = match &error.kind {
                StateErrorKind::Rejected(rejected) if rejected.kind() == BlobErrorKind::Permission => Some(
                    "give your identity the role Storage Queue Data Reader on the storage account, as the template does \
                     for principalId with tenants=true"
                        .into(),
                ),
                _ => error.fix(),
            };
            PoisonQueue::Unknown(with_fix(&chain(&error), fix.as_deref()))
        }
    }
}
