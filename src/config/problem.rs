//! Problems with settings. Pure.

use std::fmt;

use super::reference::UnresolvedReference;

/// A setting that is missing or has a value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// The setting; `None` if one of several must be set, which `fix` names.
    pub setting: Option<String>,
    /// What is wrong. Follows the setting's name.
    pub what: String,
    /// What to do, if that is more than to set another value.
    pub fix: Option<String>,
}

impl SettingProblem {
    /// Creates the problem `what` of `setting`.
    pub fn with(setting: &str, what: impl Into<String>) -> Self {
        Self { setting: Some(setting.to_owned()), what: what.into(), fix: None }
    }

    /// Returns the problem in words, without the fix.
    pub fn without_fix(&self) -> String {
        match &self.setting {
            Some(setting) => format!("{setting} {}", self.what),
            None => self.what.clone(),
        }
    }
}

impl From<UnresolvedReference> for SettingProblem {
    fn from(unresolved: UnresolvedReference) -> Self {
        let (what, fix) = (unresolved.to_string(), Some(unresolved.fix()));
        Self { setting: Some(unresolved.name), what, fix }
    }
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_fix())?;
        self.fix.iter().try_for_each(|fix| write!(f, ": {fix}"))
    }
}

/// All settings that are missing or cannot be used, each with its name and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub Vec<SettingProblem>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid settings: ")?;
        for (place, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if place == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}
