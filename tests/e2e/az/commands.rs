//! The commands of the Azure CLI, by tests/fixtures/az/commands.txt, and whether a command line is one of them.

use std::{collections::BTreeMap, ops::RangeInclusive};

const FIXTURE: &str = include_str!("../../fixtures/az/commands.txt");

/// The options of each command.
pub struct Commands(BTreeMap<&'static str, Vec<Takes>>);

/// An option that a command takes.
#[derive(Debug, Clone)]
struct Takes {
    names: Vec<&'static str>,
    values: RangeInclusive<usize>,
    is_required: bool,
    /// Required unless `--ids` is given.
    is_id: bool,
}

impl Takes {
    fn parse(line: &'static str) -> Self {
        let (names, words): (Vec<_>, Vec<_>) =
            line.split_whitespace().partition(|word| word.starts_with('-'));
        let says = |word| words.contains(&word);
        let values = match () {
            () if says("none") => 0..=0,
            () if says("perhaps") => 0..=1,
            () if says("several") => 1..=usize::MAX,
            () => 1..=1,
        };
        Self { names, values, is_required: says("required"), is_id: says("id") }
    }
}

impl Commands {
    pub fn read() -> Self {
        let mut commands: BTreeMap<_, Vec<Takes>> = BTreeMap::new();
        let mut command = "";
        for line in FIXTURE.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix("az ") {
                Some(name) => command = name,
                None => commands.entry(command).or_default().push(Takes::parse(line)),
            }
        }
        let shared = commands.remove("*").expect("what every command takes");
        for takes in commands.values_mut() {
            takes.extend(shared.iter().cloned());
        }
        Self(commands)
    }

    /// What the client would have against the words of a command line, without `az`. A command without any option is
    /// only named, and one with options in a `{placeholder}` of Rust has others, so of these nothing is missing.
    pub fn check(&self, words: &[String]) -> Result<(), String> {
        let options = words.iter().position(|word| word.starts_with('-')).unwrap_or(words.len());
        let (command, mut rest) = words.split_at(options);
        let (hidden, command): (Vec<_>, Vec<_>) =
            command.iter().map(String::as_str).partition(|word| word.starts_with('{'));
        let command = command.join(" ");
        let takes = self.0.get(command.as_str()).ok_or_else(|| format!("no command {command}"))?;
        let mut given = Vec::new();
        while let Some((option, after)) = rest.split_first() {
            let count = after.iter().take_while(|word| !word.starts_with('-')).count();
            let found = takes.iter().find(|takes| takes.names.contains(&option.as_str()));
            let found = found.ok_or_else(|| format!("{command} has no {option}"))?;
            if !found.values.contains(&count) {
                return Err(format!("{command}: {option} has {count} values"));
            }
            given.push(found.names[0]);
            rest = &after[count..];
        }
        let is_missing = |takes: &&Takes| {
            let is_needed = takes.is_required || takes.is_id && !given.contains(&"--ids");
            is_needed && !given.contains(&takes.names[0])
        };
        match takes.iter().find(is_missing) {
            Some(missing) if !given.is_empty() && hidden.is_empty() => {
                Err(format!("{command} lacks {}", missing.names[0]))
            }
            _ => Ok(()),
        }
    }
}
