//! A probe of the store: whether a document can be created, saved over, not saved over with an old tag, read back and
//! removed, as a checkpoint needs.

use azure_core::time::{OffsetDateTime, to_rfc3339};

use super::{StateError, StateErrorKind, StateStore};

impl StateStore {
    /// Probes the store with a document whose name contains the time, so that two probes do not conflict.
    pub async fn probe(&self, now: OffsetDateTime) -> Result<(), StateError> {
        let name = format!("check.{}.json", to_rfc3339(&now).replace(':', ""));
        let probed = self.exercise(&name).await;
        let removed = self.remove(&name).await;
        probed.and(removed)
    }

    async fn exercise(&self, name: &str) -> Result<(), StateError> {
        let unsuitable = |what| self.error("checking", name, StateErrorKind::Unsuitable(what));
        let first = self.save_as(name, b"first".to_vec(), None).await?;
        self.save_as(name, b"the second".to_vec(), Some(&first)).await?;
        match self.save_as(name, b"late".to_vec(), Some(&first)).await {
            Err(StateError { kind: StateErrorKind::Conflict, .. }) => {}
            Ok(_) => return Err(unsuitable("a document that had changed was saved over")),
            Err(error) => return Err(error),
        }
        match self.read(name).await?.as_deref() {
            Some(b"the second") => Ok(()),
            _ => Err(unsuitable("it does not read back what was saved")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt, sync::Arc};

    use futures::{StreamExt, stream::BoxStream};
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
        PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
    };

    use super::*;

    /// A store that overwrites whatever is there.
    #[derive(Debug)]
    struct Careless(InMemory);

    impl fmt::Display for Careless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a careless store")
        }
    }

    #[async_trait::async_trait]
    impl ObjectStore for Careless {
        async fn put_opts(&self, path: &Path, text: PutPayload, options: PutOptions) -> Result<PutResult> {
            self.0.put_opts(path, text, PutOptions { mode: PutMode::Overwrite, ..options }).await
        }

        async fn put_multipart_opts(
            &self,
            path: &Path,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(path, options).await
        }

        async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
            self.0.get_opts(path, options).await
        }

        fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.0.delete_stream(paths)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.0.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn a_good_store_passes_and_keeps_nothing() {
        let objects = Arc::new(InMemory::new());
        let store = StateStore::in_memory(objects.clone());
        store.probe(OffsetDateTime::UNIX_EPOCH).await.expect("suitable");
        assert!(objects.list(None).next().await.is_none());
    }

    #[tokio::test]
    async fn a_store_without_compare_and_swap_is_unsuitable() {
        let objects = Arc::new(Careless(InMemory::new()));
        let store = StateStore::in_memory(objects.clone());
        let error = store.probe(OffsetDateTime::UNIX_EPOCH).await.expect_err("careless");
        assert!(matches!(error.kind, StateErrorKind::Unsuitable(_)), "{error}");
        assert!(error.to_string().contains("had changed was saved over"), "{error}");
        assert!(objects.list(None).next().await.is_none());
    }
}
