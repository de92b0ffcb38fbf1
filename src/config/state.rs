//! The settings of the state store: where the checkpoint is kept, and what was set aside. Pure.

use std::path::PathBuf;

use super::{cloud::Cloud, reader::SettingsReader, storage::BlobAccount};

/// Where the checkpoint and what was set aside are kept.
#[derive(Debug, Clone)]
pub enum StateConfig {
    /// A folder of the local disk.
    Folder(PathBuf),
    /// A container of the host's storage account.
    Blob {
        /// The account of `AzureWebJobsStorage`.
        account: BlobAccount,
        /// The container's name.
        container: String,
        /// The beginning of every blob's name, without a slash at its end. Empty: the names have no prefix.
        prefix: String,
    },
}

impl SettingsReader<'_> {
    pub(super) fn state(&mut self, cloud: &Cloud) -> Option<StateConfig> {
        let text = self.parsed("MDATP_STATE", "blob:mdatp-forward", |text| Ok(text.to_owned()))?;
        if let Some(folder) = text.strip_prefix("file:").filter(|folder| !folder.is_empty()) {
            return Some(StateConfig::Folder(PathBuf::from(folder)));
        }
        let Some(path) = text.strip_prefix("blob:") else {
            return self.problem("MDATP_STATE", "must be blob:CONTAINER[/PREFIX] or file:FOLDER");
        };
        let (container, prefix) = path.split_once('/').unwrap_or((path, ""));
        if !is_container_name(container) {
            return self.problem(
                "MDATP_STATE",
                "has a container name that Azure does not allow: use 3 to 63 lower-case letters, digits and single hyphens",
            );
        }
        match BlobAccount::read(self.settings, cloud) {
            Ok(account) => Some(StateConfig::Blob {
                account,
                container: container.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            }),
            Err(problem) => self.add(problem),
        }
    }
}

/// Returns true if Azure allows a container of this name (documentation page "Naming and Referencing Containers, Blobs,
/// and Metadata").
fn is_container_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}
