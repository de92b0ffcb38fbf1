//! What is wrong with the settings. Pure.

use std::fmt;

use super::reference::UnresolvedReference;

/// Something that is wrong with a setting, or missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// The setting; `None` when there is a choice of several, which `what` names then.
    pub setting: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do, where that is more than to set another value.
    pub fix: Option<String>,
}

impl SettingProblem {
    /// `what` is wrong with `setting`.
    pub fn with(setting: &str, what: impl Into<String>) -> Self {
        Self { setting: Some(setting.to_owned()), what: what.into(), fix: None }
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
        if let Some(setting) = &self.setting {
            write!(f, "{setting} ")?;
        }
        f.write_str(&self.what)?;
        self.fix.iter().try_for_each(|fix| write!(f, ": {fix}"))
    }
}

/// All settings that are wrong or missing, each with its name and the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub Vec<SettingProblem>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings need mending: ")?;
        for (place, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if place == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}
