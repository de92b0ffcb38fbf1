//! The checkpoints of backfills, as the store lists them.

use bytes::Bytes;

use super::{StateError, StateStore};

/// The folder of the checkpoints of backfills.
pub const FOLDER: &str = "backfill";

impl StateStore {
    /// Lists the checkpoints of all backfills by name: names without `.json`, and texts.
    pub async fn list_backfills(&self) -> Result<Vec<(String, Bytes)>, StateError> {
        let mut backfills = Vec::new();
        for found in self.list(FOLDER).await? {
            let name = found.location.filename().and_then(|file| file.strip_suffix(".json"));
            // A name with a dot is that of a copy.
            let Some(name) = name.filter(|name| !name.contains('.')) else { continue };
            let name = format!("{FOLDER}/{name}");
            if let Some(text) = self.read(&format!("{name}.json")).await? {
                backfills.push((name, text));
            }
        }
        backfills.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(backfills)
    }
}
