//! The state store of a process: the store that all share, with operations that fail, that do their work
//! and say that they failed, and that take long.

use std::{fmt, io, sync::Arc, time::Duration};

use futures::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use tokio::time::sleep;

use crate::process::{End, Outside};

/// What goes wrong with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// It is not done.
    Fails,
    /// It is done, but nobody hears of it.
    ReplyLost,
    /// It takes its time.
    Slow,
}

impl Outside {
    async fn operate<T>(
        &self,
        name: &str,
        path: &Path,
        work: impl AsyncFnOnce(Arc<InMemory>) -> Result<T>,
    ) -> Result<T> {
        let end = self.step().await;
        let run = self.state().run;
        let (store, trouble) = {
            let mut scene = self.stage.lock();
            let is_hit = scene.rng.u8(0..100) < scene.store_trouble;
            let kinds = [Trouble::Fails, Trouble::ReplyLost, Trouble::Slow];
            (scene.store.clone(), is_hit.then(|| kinds[scene.rng.usize(0..kinds.len())]))
        };
        let done = match trouble {
            Some(Trouble::Fails) => Err(unreachable()),
            _ => work(store).await,
        };
        let what = done.as_ref().map_or_else(ToString::to_string, |_| "done".to_owned());
        let trouble_name = trouble.map(|trouble| format!(", {trouble:?}")).unwrap_or_default();
        self.stage.lock().note(&format!("run {run}: {name} {path} -> {what}{trouble_name}"));
        if end == Some(End::KilledAfter) {
            self.die().await;
        }
        let done = match trouble {
            Some(Trouble::ReplyLost) => done.and(Err(unreachable())),
            Some(Trouble::Slow) => {
                sleep(Duration::from_secs(30)).await;
                done
            }
            _ => done,
        };
        if let Err(error) = &done {
            let contended = matches!(error, Error::Precondition { .. } | Error::AlreadyExists { .. });
            // Another process in between is no excuse for a repeat: the lease keeps it out.
            self.state().store_failed |= !contended;
            self.stage.lock().count(if contended { "saves contended" } else { "store failures" });
        }
        done
    }
}

fn unreachable() -> Error {
    Error::Generic { store: "a store", source: io::Error::from(io::ErrorKind::ConnectionReset).into() }
}

#[async_trait::async_trait]
impl ObjectStore for Outside {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.operate("put", path, async |store| {
            let done = store.put_opts(path, payload, options).await;
            if done.is_ok() && path.filename() == Some("checkpoint.json") {
                let run = self.state().run;
                self.stage.lock().ledger.remember(run);
            }
            done
        })
        .await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.operate("get", path, async |store| store.get_opts(path, options).await).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.stage.lock().store.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.stage.lock().store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let store = self.stage.lock().store.clone();
        store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.operate("copy", from, async |store| store.copy_opts(from, to, options).await).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.operate("put", path, async |store| store.put_multipart_opts(path, options).await).await
    }
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store in memory")
    }
}
