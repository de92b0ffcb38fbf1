//! The list of tenants in the store, and each tenant's part of the store.

use super::{ETag, StateError, StateErrorKind, StateStore};
use crate::tenants::{TenantId, TenantList};

/// The name of the list.
const LIST: &str = "tenants.json";

/// The folder of the tenants' parts.
const FOLDER: &str = "tenants";

impl StateStore {
    /// Returns the place of the list in words, for messages.
    pub fn tenants_place(&self) -> String {
        self.place_of(LIST)
    }

    /// Loads the list with its tag; `None` when there is none yet.
    ///
    /// # Errors
    ///
    /// [`StateErrorKind::DamagedList`] when the document cannot be used.
    pub async fn load_tenants(&self) -> Result<Option<(TenantList, ETag)>, StateError> {
        let Some((text, tag)) = self.get("loading", LIST).await? else { return Ok(None) };
        let list = TenantList::from_json(&text);
        let list = list.map_err(|damage| self.error("reading", LIST, StateErrorKind::DamagedList(damage)))?;
        Ok(Some((list, tag)))
    }

    /// Saves the list over the one with the tag `over`, or as the first one.
    ///
    /// # Errors
    ///
    /// [`StateErrorKind::Conflict`] when the list in the store is another one.
    pub async fn save_tenants(&self, list: &TenantList, over: Option<&ETag>) -> Result<ETag, StateError> {
        self.save_as(LIST, list.to_json(), over).await
    }

    /// Returns the part of the store that has the state of a tenant.
    pub fn of_tenant(&self, id: &TenantId) -> Self {
        self.below(&format!("{FOLDER}/{id}"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn the_list_is_saved_only_over_the_one_that_was_loaded() {
        let store = StateStore::in_memory(Arc::new(InMemory::new()));
        assert!(store.load_tenants().await.expect("nothing yet").is_none());
        let empty = TenantList::default();
        store.save_tenants(&empty, None).await.expect("saved");
        let (list, tag) = store.load_tenants().await.expect("loaded").expect("a list");
        assert_eq!(list, empty);
        store.save_tenants(&list, Some(&tag)).await.expect("saved");
        for stale in [None, Some(&tag)] {
            let error = store.save_tenants(&list, stale).await.expect_err("another has saved it");
            assert!(matches!(error.kind, StateErrorKind::Conflict), "{error}");
        }
    }

    #[tokio::test]
    async fn a_damaged_list_is_an_error_with_its_place_and_the_reason() {
        let store = StateStore::in_memory(Arc::new(InMemory::new()));
        let damaged = br#"{"version":1,"tenants":[{"id":"contoso"}]}"#;
        store.save_as(LIST, damaged.to_vec(), None).await.expect("saved");
        let error = store.load_tenants().await.expect_err("damaged");
        let text = crate::error_chain::chain(&error);
        assert!(text.starts_with("reading tenants.json in memory failed: tenant 1: id must be"), "{text}");
        assert!(error.fix().is_some_and(|fix| fix.contains("tenants check")));
    }
}
