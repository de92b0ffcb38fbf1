//! Where the checkpoint and what was set aside are kept: a container of the host's storage account, or
//! a folder. Both are object stores; a save succeeds only over the document that was loaded.

pub mod backfills;
mod blob;
pub mod checkpoint;
pub mod history;
mod probe;
pub mod rejection;
pub mod set_aside;
pub mod set_asides;

use std::{fmt, path::Path as FsPath, sync::Arc};

use azure_core::time::{OffsetDateTime, to_rfc3339};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    UpdateVersion, local::LocalFileSystem, path::Path,
};

use crate::{
    config::StateConfig,
    http::{Http, credential::Credential},
    state::set_aside::{SetAside, SetAsideDocument},
};
use blob::BlobContainer;
use rejection::{Reason, Rejection};

/// The name of the timer's checkpoint, without `.json`.
const CHECKPOINT: &str = "checkpoint";

/// Which state of the checkpoint's document was loaded or saved last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(Option<String>);

/// The store. Clones share its connections.
#[derive(Debug, Clone)]
pub struct StateStore {
    objects: Arc<dyn ObjectStore>,
    prefix: String,
    /// The name of the checkpoint's document, without `.json`.
    checkpoint: String,
    /// The store in words, for messages.
    place: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Folder,
    Blob(Arc<BlobContainer>),
    Memory,
}

/// A store that does not do what it should.
#[derive(Debug)]
pub struct StateError {
    /// What was tried on what, such as `saving checkpoint.json in …`.
    doing: String,
    /// Why it did not work.
    pub problem: Problem,
}

/// Why a store did not do what it should.
#[derive(Debug)]
pub enum Problem {
    /// The folder cannot be made or read.
    Folder(std::io::Error),
    /// Somebody else has saved the checkpoint since it was loaded.
    Contended,
    /// Blob Storage has rejected a request.
    Rejected(Rejection),
    /// It does not do what a checkpoint needs.
    Unfit(&'static str),
    /// Anything else: unreachable, full, not to be read.
    Failed(StoreError),
}

impl StateStore {
    /// Opens the store; a folder is made when missing. Blob Storage is not asked anything yet.
    pub fn open(config: &StateConfig, http: &Http, credential: &Arc<Credential>) -> Result<Self, StateError> {
        match config {
            StateConfig::Folder(folder) => Self::open_folder(folder),
            StateConfig::Blob { account, container, prefix } => {
                let place = format!("container {container} of {}", account.endpoint);
                let fail =
                    |error| StateError { doing: format!("opening {place}"), problem: Problem::of(error) };
                let container = BlobContainer::new(account, container, http, credential).map_err(fail)?;
                Ok(Self {
                    objects: container.objects(),
                    prefix: prefix.clone(),
                    checkpoint: CHECKPOINT.to_owned(),
                    place,
                    kind: Kind::Blob(Arc::new(container)),
                })
            }
        }
    }

    fn open_folder(folder: &FsPath) -> Result<Self, StateError> {
        let place = format!("folder {}", folder.display());
        let fail = |problem| StateError { doing: format!("opening {place}"), problem };
        std::fs::create_dir_all(folder).map_err(|error| fail(Problem::Folder(error)))?;
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(|error| fail(Problem::of(error)))?;
        let checkpoint = CHECKPOINT.to_owned();
        Ok(Self { objects: Arc::new(objects), prefix: String::new(), checkpoint, place, kind: Kind::Folder })
    }

    /// A store over `objects` that have compare-and-swap, such as those in memory that a test shares.
    pub fn in_memory(objects: Arc<dyn ObjectStore>) -> Self {
        let (checkpoint, place) = (CHECKPOINT.to_owned(), "memory".to_owned());
        Self { objects, prefix: String::new(), checkpoint, place, kind: Kind::Memory }
    }

    /// The same store with another checkpoint in it, called `name`.
    pub fn with_checkpoint(self, name: &str) -> Self {
        Self { checkpoint: name.to_owned(), ..self }
    }

    /// The checkpoint's document, in words, for messages.
    pub fn checkpoint_place(&self) -> String {
        format!("{} in {}", self.path(&self.checkpoint_file()), self.place)
    }

    fn checkpoint_file(&self) -> String {
        format!("{}.json", self.checkpoint)
    }

    /// The checkpoint's document, and its version; none before the first run.
    pub async fn load(&self) -> Result<Option<(Bytes, Version)>, StateError> {
        let name = self.checkpoint_file();
        let fail = |error| self.error("loading", &name, Problem::of(error));
        match self.objects.get(&self.path(&name)).await {
            Ok(found) => {
                let version = Version(found.meta.e_tag.clone());
                Ok(Some((found.bytes().await.map_err(fail)?, version)))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(fail(error)),
        }
    }

    /// Saves the checkpoint's document over the one of version `over`, or as the first one.
    pub async fn save(&self, text: Vec<u8>, over: Option<&Version>) -> Result<Version, StateError> {
        self.save_as(&self.checkpoint_file(), text, over).await
    }

    async fn save_as(
        &self,
        name: &str,
        text: Vec<u8>,
        over: Option<&Version>,
    ) -> Result<Version, StateError> {
        let mode = match over {
            None => PutMode::Create,
            Some(Version(e_tag)) => match &self.kind {
                Kind::Blob(_) | Kind::Memory => {
                    PutMode::Update(UpdateVersion { e_tag: e_tag.clone(), version: None })
                }
                Kind::Folder => {
                    self.check_unchanged(name, e_tag.as_deref()).await?;
                    PutMode::Overwrite
                }
            },
        };
        let saved = self.put(name, text, mode).await?;
        Ok(Version(saved))
    }

    /// Keeps a copy of a checkpoint that cannot be used.
    pub async fn keep_damaged(&self, text: &[u8]) -> Result<(), StateError> {
        self.put(&format!("{}.damaged.json", self.checkpoint), text.to_vec(), PutMode::Overwrite)
            .await
            .map(drop)
    }

    /// Puts `text` in the place of the checkpoint's document `before`, which is kept under another name;
    /// that name is returned.
    pub async fn reset(
        &self,
        text: Vec<u8>,
        before: Option<&(Bytes, Version)>,
        now: OffsetDateTime,
    ) -> Result<Option<String>, StateError> {
        let mut kept = None;
        if let Some((old, _)) = before {
            let name = format!("checkpoint.before-reset-{}.json", to_rfc3339(&now).replace(':', ""));
            self.put(&name, old.to_vec(), PutMode::Create).await?;
            kept = Some(name);
        }
        self.save(text, before.map(|(_, version)| version)).await?;
        Ok(kept)
    }

    /// Writes a record that cannot be delivered, whole and with the reason. A record that is kept already
    /// stays as it is, and gets the new reason: what is refused may be what is left of it after shortening.
    pub async fn set_aside(&self, record: &SetAside<'_>) -> Result<(), StateError> {
        let (name, kept) = (record.name(), self.read(&record.name()).await?);
        let text = match kept.as_deref().map(SetAsideDocument::from_json) {
            Some(Ok(whole)) => SetAsideDocument { reason: record.reason.into(), ..whole }.to_json(),
            _ => record.to_json(),
        };
        self.put(&name, text, PutMode::Overwrite).await.map(drop)
    }

    /// A local folder has no compare-and-swap: the rename is atomic, and another process is noticed
    /// unless it saves in the very moment between.
    async fn check_unchanged(&self, name: &str, expected: Option<&str>) -> Result<(), StateError> {
        let found = self.objects.head(&self.path(name)).await;
        let now = found.map_err(|error| self.error("saving", name, Problem::of(error)))?.e_tag;
        match now.as_deref() == expected {
            true => Ok(()),
            false => Err(self.error("saving", name, Problem::Contended)),
        }
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>, StateError> {
        let fail = |error| self.error("reading", name, Problem::of(error));
        match self.objects.get(&self.path(name)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(fail),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(fail(error)),
        }
    }

    /// What there is in `folder`.
    async fn list(&self, folder: &str) -> Result<Vec<ObjectMeta>, StateError> {
        match self.objects.list(Some(&self.path(folder))).try_collect().await {
            Err(error) if is_missing(&error) => Ok(Vec::new()),
            listed => listed.map_err(|error| self.error("listing", folder, Problem::of(error))),
        }
    }

    async fn put(&self, name: &str, text: Vec<u8>, mode: PutMode) -> Result<Option<String>, StateError> {
        let path = self.path(name);
        let payload = PutPayload::from(text);
        let put = || self.objects.put_opts(&path, payload.clone(), PutOptions::from(mode.clone()));
        let saved = match (put().await, &self.kind) {
            (Err(error), Kind::Blob(container)) if reason(&error) == Some(Reason::NoContainer) => {
                let created = container.create().await;
                created.map_err(|error| self.error("making", "the container", Problem::of(error)))?;
                put().await
            }
            (saved, _) => saved,
        };
        saved.map(|saved| saved.e_tag).map_err(|error| self.error("saving", name, Problem::of(error)))
    }

    /// Removes a document; it may be gone already.
    async fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.path(name);
        let removed = match &self.kind {
            Kind::Blob(container) => container.delete(&path).await,
            Kind::Folder | Kind::Memory => self.objects.delete(&path).await,
        };
        match removed {
            Err(error) if !is_missing(&error) => Err(self.error("removing", name, Problem::of(error))),
            _ => Ok(()),
        }
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    fn error(&self, verb: &str, name: &str, problem: Problem) -> StateError {
        StateError { doing: format!("{verb} {name} in {}", self.place), problem }
    }
}

/// Why Blob Storage rejects a request, where an error comes from that.
fn reason(error: &StoreError) -> Option<Reason> {
    blob::rejection(error).map(Rejection::reason)
}

/// True when the document is not there, or nobody has made the container yet.
fn is_missing(error: &StoreError) -> bool {
    matches!(error, StoreError::NotFound { .. })
        || matches!(reason(error), Some(Reason::NoBlob | Reason::NoContainer))
}

impl Problem {
    fn of(error: StoreError) -> Self {
        match (&error, blob::rejection(&error)) {
            (StoreError::Precondition { .. } | StoreError::AlreadyExists { .. }, _) => Self::Contended,
            (_, Some(rejection)) if rejection.reason() == Reason::Changed => Self::Contended,
            (_, Some(rejection)) => Self::Rejected(rejection.clone()),
            (_, None) => Self::Failed(error),
        }
    }

    /// True for one that may be gone a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Failed(_) => true,
            Self::Rejected(rejection) => rejection.reason() == Reason::NotReady,
            Self::Folder(_) | Self::Contended | Self::Unfit(_) => false,
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.doing)?;
        f.write_str(match &self.problem {
            Problem::Folder(_) => " (MDATP_STATE names the folder)",
            Problem::Contended => {
                ": another process has saved it since this run began; this run stops, and what it had sent \
                 in its last batch may be sent again"
            }
            Problem::Rejected(rejection) => match rejection.reason().advice() {
                "" => return write!(f, ": {rejection}"),
                _ if f.alternate() => return write!(f, ": {rejection}"),
                advice => return write!(f, ": {rejection}; {advice}"),
            },
            Problem::Failed(error) if !f.alternate() && blob::is_unreachable(error) => {
                " (check the account in AzureWebJobsStorage, and that the network lets its address through)"
            }
            Problem::Failed(_) => "",
            Problem::Unfit(what) => return write!(f, ": {what}"),
        })
    }
}

impl std::error::Error for StateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Folder(error) => Some(error),
            Problem::Failed(error) => Some(error),
            Problem::Rejected(_) | Problem::Contended | Problem::Unfit(_) => None,
        }
    }
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
            assert!(matches!(error.problem, Problem::Contended), "{error}");
        }
        other.save(b"three".to_vec(), Some(&second)).await.expect("saved");
        assert_eq!(std::fs::read(below.join("checkpoint.json")).expect("the file"), b"three");
    }
}
