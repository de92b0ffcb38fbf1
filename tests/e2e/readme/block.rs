//! The commands in the documents.

use std::{fs, path::Path};

/// The language of blocks that are run, and those of others. A block of another name would go unseen.
const RUN: &str = "sh";
const READ: [&str; 3] = ["", "json", "kusto"];

/// The documents with their text, by name.
pub fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents: Vec<(String, String)> = ["", "docs", "deploy", "fuzz"]
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).expect("a folder"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.strip_prefix(root).expect("below").display().to_string(), path))
        .map(|(name, path)| (name, fs::read_to_string(path).expect("text")))
        .collect();
    documents.sort();
    documents
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

/// The part of `text` below a heading.
pub fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n## {heading}\n")).expect("a section");
    rest.split("\n## ").next().unwrap_or_default()
}
