//! Reads setting after setting, and collects the problems. Pure.

use super::{SettingProblem, cloud::Cloud, endpoint::Endpoint, settings::Settings};

/// Reads settings and collects what is wrong with them. Its methods return `None` for a setting with a problem.
pub(super) struct SettingsReader<'a> {
    pub(super) settings: &'a Settings,
    pub(super) problems: Vec<SettingProblem>,
}

impl<'a> SettingsReader<'a> {
    /// Creates a reader that has all unresolved references among its problems, whether or not their settings are read.
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings, problems: settings.unresolved().into_iter().map(SettingProblem::from).collect() }
    }

    /// Returns the value of the setting `name`.
    pub(super) fn get(&mut self, name: &str) -> Option<String> {
        self.settings.read(name).unwrap_or_else(|unresolved| self.add(unresolved.into()))
    }

    /// Returns true if `name` is set.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.settings.is_set(name)
    }

    /// Returns the value of the setting `name`, or `default` if it is not set.
    pub(super) fn text(&mut self, name: &str, default: &str) -> String {
        self.get(name).unwrap_or_else(|| default.to_owned())
    }

    /// Adds a problem, once.
    pub(super) fn add<T>(&mut self, problem: SettingProblem) -> Option<T> {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
        None
    }

    /// Adds the problem `what` of the setting `name`.
    pub(super) fn problem<T>(&mut self, name: &str, what: impl Into<String>) -> Option<T> {
        self.add(SettingProblem::with(name, what))
    }

    /// Returns the value of a setting that must be set because of `why`.
    pub(super) fn required(&mut self, name: &str, why: &str) -> Option<String> {
        match self.is_set(name) {
            true => self.get(name),
            false => self.problem(name, format!("is not set: {why}")),
        }
    }

    /// Returns the setting `name`, or `default` if it is not set, as `parse` reads it.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = match self.is_set(name) {
            true => self.get(name)?,
            false => default.to_owned(),
        };
        parse(&text).map_or_else(|what| self.problem(name, what), Some)
    }

    /// Returns one of the named values, whose case does not matter.
    pub(super) fn one_of<T: Copy>(&mut self, name: &str, default: &str, choices: &[(&str, T)]) -> Option<T> {
        self.parsed(name, default, |text| {
            let chosen = choices.iter().find(|(choice, _)| choice.eq_ignore_ascii_case(text));
            chosen.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
                let (last, others) = names.split_last().expect("there is a choice");
                format!("must be {} or {last}", others.join(", "))
            })
        })
    }

    /// Returns the cloud.
    pub(super) fn cloud(&mut self) -> Option<Cloud> {
        self.one_of("MDATP_CLOUD", "public", &Cloud::ALL.map(|cloud| (cloud.name, cloud)))
    }

    /// Returns a base URL.
    pub(super) fn endpoint(&mut self, name: &str, default: &str) -> Option<Endpoint> {
        self.parsed(name, default, |text| Endpoint::parse(text).map_err(str::to_owned))
    }
}
