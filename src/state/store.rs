//! The state store: documents by name, in Blob Storage, a folder or memory. A save succeeds only over the document that
//! was loaded.

use std::{
    fs::{self, File},
    path::{Path as FolderPath, PathBuf},
    sync::Arc,
};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    Error as ObjectStoreError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    UpdateVersion, local::LocalFileSystem, path::Path,
};

use super::{
    StateError, StateErrorKind,
    blob::BlobContainer,
    blob_error::{BlobError, BlobErrorKind},
};
use crate::{
    config::StateConfig,
    error_chain::find_cause,
    http::{Http, credential::Credential},
};

/// The name of the timer's checkpoint, without `.json`.
const CHECKPOINT: &str = "checkpoint";

/// The entity tag of the document that was loaded or saved last; `None` inside for a store without tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(Option<String>);

/// The state store. Clones share its connections.
#[derive(Debug, Clone)]
pub struct StateStore {
    objects: Arc<dyn ObjectStore>,
    prefix: String,
    /// The name of the checkpoint, without `.json`.
    checkpoint: String,
    /// The store in words, for messages.
    place: String,
    backend: Backend,
}

#[derive(Debug, Clone)]
enum Backend {
    Folder(PathBuf),
    Blob(Arc<BlobContainer>),
    Memory,
}

impl StateStore {
    /// Opens the store. A missing folder is created; Blob Storage gets no request yet.
    pub fn open(config: &StateConfig, http: &Http, credential: &Arc<Credential>) -> Result<Self, StateError> {
        match config {
            StateConfig::Folder(folder) => Self::open_folder(folder),
            StateConfig::Blob { account, container, prefix } => {
                let place = format!("container {container} of {}", account.endpoint);
                let fail = |error| StateError {
                    operation: format!("opening {place}"),
                    kind: StateErrorKind::of(error),
                };
                let container = BlobContainer::new(account, container, http, credential).map_err(fail)?;
                Ok(Self {
                    objects: container.objects(),
                    prefix: prefix.clone(),
                    checkpoint: CHECKPOINT.to_owned(),
                    place,
                    backend: Backend::Blob(Arc::new(container)),
                })
            }
        }
    }

    fn open_folder(folder: &FolderPath) -> Result<Self, StateError> {
        let place = format!("folder {}", folder.display());
        let fail = |kind| StateError { operation: format!("opening {place}"), kind };
        fs::create_dir_all(folder).map_err(|error| fail(StateErrorKind::Folder(error)))?;
        let objects =
            LocalFileSystem::new_with_prefix(folder).map_err(|error| fail(StateErrorKind::of(error)))?;
        Ok(Self {
            objects: Arc::new(objects),
            prefix: String::new(),
            checkpoint: CHECKPOINT.to_owned(),
            place,
            backend: Backend::Folder(folder.to_owned()),
        })
    }

    /// Makes a store of `objects` that have compare-and-swap, such as those in memory that a test shares.
    pub fn in_memory(objects: Arc<dyn ObjectStore>) -> Self {
        let (checkpoint, place) = (CHECKPOINT.to_owned(), "memory".to_owned());
        Self { objects, prefix: String::new(), checkpoint, place, backend: Backend::Memory }
    }

    /// Returns the part of the store below `folder`, with the same connections.
    pub fn below(&self, folder: &str) -> Self {
        let backend = match &self.backend {
            Backend::Folder(root) => Backend::Folder(root.join(folder)),
            other => other.clone(),
        };
        Self { prefix: format!("{}/{folder}", self.prefix), backend, ..self.clone() }
    }

    /// Returns the same store with another checkpoint, called `name`.
    pub fn with_checkpoint(self, name: &str) -> Self {
        Self { checkpoint: name.to_owned(), ..self }
    }

    /// Returns the store in words, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the place of the checkpoint in words, for messages.
    pub fn checkpoint_place(&self) -> String {
        self.place_of(&self.checkpoint_name())
    }

    /// Returns the place of a document or folder in words, for messages.
    pub(super) fn place_of(&self, name: &str) -> String {
        format!("{} in {}", self.path(name), self.place)
    }

    /// Returns the approximate number of messages in a queue of the storage account, those in work included; `None` for a
    /// store in a folder.
    pub async fn queue_length(&self, queue: &str) -> Result<Option<u64>, StateError> {
        let Backend::Blob(container) = &self.backend else { return Ok(None) };
        let fail =
            |kind| StateError { operation: format!("counting the messages of the queue {queue}"), kind };
        match container.queue_length(queue).await {
            Ok(Some(length)) => Ok(Some(length)),
            Ok(None) => Err(fail(StateErrorKind::Unsuitable(
                "the address of the account's queues is not known: set AzureWebJobsStorage__queueServiceUri",
            ))),
            Err(error) => Err(fail(StateErrorKind::of(error))),
        }
    }

    fn checkpoint_name(&self) -> String {
        format!("{}.json", self.checkpoint)
    }

    /// Loads the checkpoint with its tag; `None` before the first run.
    pub async fn load(&self) -> Result<Option<(Bytes, ETag)>, StateError> {
        self.get("loading", &self.checkpoint_name()).await
    }

    /// Saves the checkpoint over the one with the tag `over`, or as the first one.
    ///
    /// # Errors
    ///
    /// [`StateErrorKind::Conflict`] when the checkpoint in the store is another one.
    pub async fn save(&self, text: Vec<u8>, over: Option<&ETag>) -> Result<ETag, StateError> {
        self.save_as(&self.checkpoint_name(), text, over).await
    }

    /// Saves a document over the one with the tag `over`, or as the first one.
    pub(super) async fn save_as(
        &self,
        name: &str,
        text: Vec<u8>,
        over: Option<&ETag>,
    ) -> Result<ETag, StateError> {
        let saved = match (over, &self.backend) {
            (None, _) => self.put(name, text, PutMode::Create).await?,
            (Some(ETag(e_tag)), Backend::Blob(_) | Backend::Memory) => {
                let over = UpdateVersion { e_tag: e_tag.clone(), version: None };
                self.put(name, text, PutMode::Update(over)).await?
            }
            (Some(ETag(e_tag)), Backend::Folder(folder)) => {
                let _lock = self.lock(folder, name).await?;
                self.check_unchanged(name, e_tag.as_deref()).await?;
                self.put(name, text, PutMode::Overwrite).await?
            }
        };
        Ok(ETag(saved))
    }

    /// Keeps a copy of a checkpoint that cannot be used.
    pub async fn keep_damaged(&self, text: &[u8]) -> Result<(), StateError> {
        self.overwrite(&format!("{}.damaged.json", self.checkpoint), text.to_vec()).await
    }

    /// Replaces the checkpoint `before` by `text`. The old one is kept under another name, which is returned.
    pub async fn reset(
        &self,
        text: Vec<u8>,
        before: Option<&(Bytes, ETag)>,
        now: OffsetDateTime,
    ) -> Result<Option<String>, StateError> {
        let mut kept = None;
        if let Some((old, _)) = before {
            let name = format!("checkpoint.before-reset-{}.json", to_rfc3339(&now).replace(':', ""));
            self.put(&name, old.to_vec(), PutMode::Create).await?;
            kept = Some(name);
        }
        self.save(text, before.map(|(_, tag)| tag)).await?;
        Ok(kept)
    }

    /// Locks a local folder, which has no compare-and-swap of its own, against other processes of this machine. The lock
    /// ends with the value, or with the process.
    async fn lock(&self, folder: &FolderPath, name: &str) -> Result<File, StateError> {
        let folder = folder.to_owned();
        // The folder itself is locked, which leaves no file behind.
        let lock = move || {
            let folder = File::open(folder)?;
            folder.lock().map(|()| folder)
        };
        let locked = tokio::task::spawn_blocking(lock).await.unwrap_or_else(|error| Err(error.into()));
        locked.map_err(|error| self.error("saving", name, StateErrorKind::Folder(error)))
    }

    /// Compares the tag of a document in a locked folder.
    async fn check_unchanged(&self, name: &str, expected: Option<&str>) -> Result<(), StateError> {
        let found = self.objects.head(&self.path(name)).await;
        let found = found.map_err(|error| self.error("saving", name, StateErrorKind::of(error)))?.e_tag;
        match found.as_deref() == expected {
            true => Ok(()),
            false => Err(self.error("saving", name, StateErrorKind::Conflict)),
        }
    }

    /// Reads a document; `None` when there is none.
    pub(super) async fn read(&self, name: &str) -> Result<Option<Bytes>, StateError> {
        Ok(self.get("reading", name).await?.map(|(text, _)| text))
    }

    pub(super) async fn get(&self, verb: &str, name: &str) -> Result<Option<(Bytes, ETag)>, StateError> {
        let fail = |error| self.error(verb, name, StateErrorKind::of(error));
        match self.objects.get(&self.path(name)).await {
            Ok(found) => {
                let tag = ETag(found.meta.e_tag.clone());
                Ok(Some((found.bytes().await.map_err(fail)?, tag)))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(fail(error)),
        }
    }

    /// Lists the documents of `folder`.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<ObjectMeta>, StateError> {
        match self.objects.list(Some(&self.path(folder))).try_collect().await {
            Err(error) if is_missing(&error) => Ok(Vec::new()),
            listed => listed.map_err(|error| self.error("listing", folder, StateErrorKind::of(error))),
        }
    }

    /// Writes a document, whatever is there.
    pub(super) async fn overwrite(&self, name: &str, text: Vec<u8>) -> Result<(), StateError> {
        self.put(name, text, PutMode::Overwrite).await.map(drop)
    }

    async fn put(&self, name: &str, text: Vec<u8>, mode: PutMode) -> Result<Option<String>, StateError> {
        let path = self.path(name);
        let payload = PutPayload::from(text);
        let put = || self.objects.put_opts(&path, payload.clone(), PutOptions::from(mode.clone()));
        let saved = match (put().await, &self.backend) {
            (Err(error), Backend::Blob(container))
                if blob_error_kind(&error) == Some(BlobErrorKind::NoContainer) =>
            {
                container.create().await.map_err(|error| StateError {
                    operation: format!("creating the {}", self.place),
                    kind: StateErrorKind::of(error),
                })?;
                put().await
            }
            (saved, _) => saved,
        };
        saved.map(|saved| saved.e_tag).map_err(|error| self.error("saving", name, StateErrorKind::of(error)))
    }

    /// Removes a document, if it is there.
    pub(super) async fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.path(name);
        let removed = match &self.backend {
            Backend::Blob(container) => container.delete(&path).await,
            Backend::Folder(_) | Backend::Memory => self.objects.delete(&path).await,
        };
        match removed {
            Err(error) if !is_missing(&error) => Err(self.error("removing", name, StateErrorKind::of(error))),
            _ => Ok(()),
        }
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    pub(super) fn error(&self, verb: &str, name: &str, kind: StateErrorKind) -> StateError {
        StateError { operation: format!("{verb} {}", self.place_of(name)), kind }
    }
}

fn blob_error_kind(error: &ObjectStoreError) -> Option<BlobErrorKind> {
    find_cause(error).map(BlobError::kind)
}

/// Returns true when the document does not exist, or the container does not exist yet.
fn is_missing(error: &ObjectStoreError) -> bool {
    matches!(error, ObjectStoreError::NotFound { .. })
        || matches!(blob_error_kind(error), Some(BlobErrorKind::NoBlob | BlobErrorKind::NoContainer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_keeps_the_document_and_notices_another_writer() {
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("a/b");
        let one = StateStore::open_folder(&below).expect("opened");
        assert!(one.load().await.expect("nothing yet").is_none());

        let first = one.save(b"1".to_vec(), None).await.expect("saved");
        let (text, loaded) = one.load().await.expect("loaded").expect("a document");
        assert_eq!((&text[..], &loaded), (&b"1"[..], &first));

        let other = StateStore::open_folder(&below).expect("opened");
        let second = other.save(b"two".to_vec(), Some(&loaded)).await.expect("saved");
        for stale in [None, Some(&first)] {
            let error = one.save(b"3".to_vec(), stale).await.expect_err("contended");
            assert!(matches!(error.kind, StateErrorKind::Conflict), "{error}");
        }
        other.save(b"three".to_vec(), Some(&second)).await.expect("saved");
        assert_eq!(std::fs::read(below.join("checkpoint.json")).expect("the file"), b"three");
    }

    #[tokio::test]
    async fn a_part_of_the_store_is_the_store_that_is_opened_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let whole = StateStore::open_folder(folder.path()).expect("opened");
        let part = whole.below("tenants/one");
        let first = part.save(b"1".to_vec(), None).await.expect("saved");
        assert!(whole.load().await.expect("loaded").is_none());
        assert!(whole.below("tenants/two").load().await.expect("loaded").is_none());
        assert!(part.checkpoint_place().starts_with("tenants/one/checkpoint.json in "));

        let same = StateStore::open_folder(&folder.path().join("tenants/one")).expect("opened");
        same.save(b"two".to_vec(), Some(&first)).await.expect("saved");
        let error = part.save(b"3".to_vec(), Some(&first)).await.expect_err("contended");
        assert!(error.to_string().contains("saving tenants/one/checkpoint.json in folder "), "{error}");
        part.overwrite("set-aside/a.json", b"{}".to_vec()).await.expect("written");
        assert_eq!(part.list("set-aside").await.expect("listed").len(), 1);
        assert!(whole.list("set-aside").await.expect("listed").is_empty());
    }
}
