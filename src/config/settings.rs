//! The source of all settings: the process's environment, or a map in tests and tools. No other code reads environment
//! variables.

use std::collections::BTreeMap;

use super::reference::{ReferenceTarget, UnresolvedReference};

/// The prefixes of the settings that this program, its libraries and the Functions host read.
const PREFIXES: [&str; 7] =
    ["MDATP_", "AZURE_", "AzureWebJobs", "IDENTITY_", "MSI_", "FUNCTIONS_", "WEBSITE_"];

/// The names of the settings without such a prefix. Some systems write the names of the proxies in lower case.
const NAMES: [&str; 6] =
    ["SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// The source of all settings.
#[derive(Debug, Clone)]
pub enum Settings {
    /// The environment of this process, which is where the Functions host puts app settings.
    Process,
    /// A fixed set of values.
    Map(BTreeMap<String, String>),
    /// Values over other settings.
    Layer {
        /// The values that count where there is one, also an empty one.
        values: BTreeMap<String, String>,
        /// The settings below.
        base: Box<Settings>,
    },
}

impl Settings {
    /// Returns these settings with `values` over them. An empty value hides the setting below it.
    pub fn over(self, values: BTreeMap<String, String>) -> Self {
        Self::Layer { values, base: Box::new(self) }
    }

    /// Returns the value of `name` without surrounding blanks. An empty value counts as not set, because an app setting
    /// is often emptied rather than deleted.
    ///
    /// # Errors
    /// Fails if the value is a reference to a secret that the platform has not resolved, which must not be sent to any
    /// service.
    pub fn read(&self, name: &str) -> Result<Option<String>, UnresolvedReference> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        match ReferenceTarget::referred_to_by(&value) {
            Some(vault) => Err(UnresolvedReference { name: name.to_owned(), vault }),
            None => Ok(Some(value.trim()).filter(|value| !value.is_empty()).map(str::to_owned)),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    fn raw(&self, name: &str) -> Option<String> {
        match self {
            Settings::Process => std::env::var(name).ok(),
            Settings::Map(values) => values.get(name).cloned(),
            Settings::Layer { values, base } => values.get(name).cloned().or_else(|| base.raw(name)),
        }
    }

    /// Returns the value of `name`, or `None` for an unresolved reference too: [`Self::unresolved`] reports those.
    pub fn get(&self, name: &str) -> Option<String> {
        self.read(name).ok().flatten()
    }

    /// Returns true if `name` has a value, which may be an unresolved reference.
    pub fn is_set(&self, name: &str) -> bool {
        !matches!(self.read(name), Ok(None))
    }

    /// Returns true for the name of a setting that this program, its libraries or the Functions host read.
    pub fn is_own(name: &str) -> bool {
        PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// Returns every setting of the program whose value is an unresolved reference.
    pub fn unresolved(&self) -> Vec<UnresolvedReference> {
        let names = self.names().into_iter().filter(|name| Self::is_own(name));
        names.filter_map(|name| self.read(&name).err()).collect()
    }

    /// Returns the names of the settings below `section`, by the lower-case key that follows it. As in the host, which is
    /// written in .NET, names have no case, and the separator is `__` or `:`.
    pub fn below(&self, section: &str) -> BTreeMap<String, String> {
        let key = |name: &str| {
            let (head, rest) = name.split_at_checked(section.len())?;
            let key = rest.strip_prefix("__").or_else(|| rest.strip_prefix(':'))?;
            head.eq_ignore_ascii_case(section).then(|| key.to_ascii_lowercase())
        };
        self.names().into_iter().filter_map(|name| Some((key(&name)?, name))).collect()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Settings::Process => {
                std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
            }
            Settings::Map(values) => values.keys().cloned().collect(),
            Settings::Layer { values, base } => [values.keys().cloned().collect(), base.names()].concat(),
        };
        names.sort();
        names.dedup();
        names
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Settings {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(values: I) -> Self {
        Settings::Map(values.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}
