//! Where settings are read: the process's environment, or a map in tests and tools. Nothing else in
//! the program asks for a variable.

use std::collections::BTreeMap;

/// The source of all settings.
#[derive(Debug, Clone)]
pub enum Settings {
    /// The environment of this process, which is where the Functions host puts app settings.
    Process,
    /// A fixed set of values.
    Map(BTreeMap<String, String>),
}

impl Settings {
    /// The value of `name` without surrounding blanks; an empty value counts as not set, because an
    /// app setting is often emptied rather than deleted.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn get(&self, name: &str) -> Option<String> {
        let value = match self {
            Settings::Process => std::env::var(name).ok(),
            Settings::Map(values) => values.get(name).cloned(),
        }?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Settings {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(values: I) -> Self {
        Settings::Map(values.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}
