//! `mdatp-forward status --all`: the status of all tenants of an app that forwards for many.

use std::process::ExitCode;

use futures::{StreamExt, TryStreamExt, stream};

use super::{CALLS_AT_ONCE, StatusArgs, print};
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

/// Prints the status of all tenants.
pub async fn all(args: &StatusArgs, home: &Home<'_>) -> Result<ExitCode, Failure> {
    let (list, now) = (home.list().await?, home.clock.now());
    let of = |entry: &TenantEntry| {
        let (store, entry) = (home.store.of_tenant(&entry.id), entry.clone());
        async move {
            let status = super::of(&store, now, 0).await?;
            Ok::<_, StateError>(TenantStatus::new(entry.id.to_string(), entry.name, entry.enabled, status))
        }
    };
    let tenants = stream::iter(list.entries().iter().map(of)).buffered(CALLS_AT_ONCE).try_collect().await?;
    let status = TenantsStatus::new(home.store.tenants_place(), tenants, &poison(&home.store).await, now);
    let is_well = status.problems.is_empty();
    Ok(print(args, is_well, &status, &TenantsPage(&status)))
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
