//! The documents of the repository: their commands, sections and links.

use std::{collections::BTreeSet, fs, path::Path};

/// The language of blocks that are run, and those of others. A block of another name would go unseen.
const RUN: &str = "sh";
const READ: [&str; 3] = ["", "json", "kusto"];

/// Folders of what others wrote or a build made. Those with a dot in front are left out too.
const LEFT_OUT: [&str; 4] = ["dist", "node_modules", "out", "target"];

/// A document.
pub struct Document {
    /// Its path in the repository.
    pub name: String,
    pub text: String,
}

/// All documents, by name: a new one cannot be forgotten.
pub fn documents() -> Vec<Document> {
    let mut documents: Vec<Document> =
        files("", &["md"]).into_iter().map(|(name, text)| Document { name, text }).collect();
    documents.sort_by(|one, other| one.name.cmp(&other.name));
    documents
}

/// The files below a folder of the repository whose names end so, with their text.
pub fn files(folder: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if !name.starts_with('.') && !LEFT_OUT.contains(&&*name) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|own| extensions.iter().any(|extension| own == *extension))
            {
                let name = path.strip_prefix(root).expect("below").display().to_string();
                files.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    files
}

impl Document {
    /// One of the documents.
    pub fn named(name: &str) -> Self {
        documents().into_iter().find(|document| document.name == name).expect(name)
    }

    /// The lines of all blocks of commands, without the blanks in front of the block.
    pub fn commands(&self) -> Result<Vec<&str>, String> {
        commands(&self.text)
    }

    /// The text below a heading of the second level.
    pub fn section(&self, heading: &str) -> &str {
        let (_, rest) = self.text.split_once(&format!("\n## {heading}\n")).expect("a section");
        rest.split("\n## ").next().unwrap_or_default()
    }

    /// The places that a link can lead to, as GitHub names them by the headings.
    pub fn anchors(&self) -> BTreeSet<String> {
        let headings = prose(&self.text).filter_map(|line| {
            let title = line.trim_start_matches('#');
            line.starts_with('#').then(|| title.strip_prefix(' ')).flatten()
        });
        headings
            .map(|title| {
                let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
                kept.collect::<String>().to_lowercase().replace(' ', "-")
            })
            .collect()
    }

    /// What it links to.
    pub fn links(&self) -> Vec<&str> {
        let lines = prose(&self.text);
        lines.flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next())).collect()
    }
}

/// The lines that are in no block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_block = false;
    text.lines().filter(move |line| {
        let is_border = line.trim_start().starts_with("```");
        is_block ^= is_border;
        !is_block && !is_border
    })
}

/// The lines of all blocks of commands in `text`, without the blanks in front of the block.
pub fn commands(text: &str) -> Result<Vec<&str>, String> {
    let mut commands = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let block = lines.by_ref().take_while(|line| line.trim() != "```");
        let block: Vec<&str> = block.map(|line| line.get(indent..).unwrap_or_default()).collect();
        match language {
            RUN => commands.extend(block),
            _ if READ.contains(&language) => {}
            _ => return Err(format!("a block is {language}: commands are {RUN}, {READ:?} are read only")),
        }
    }
    Ok(commands)
}
