//! The rules of ARCHITECTURE.md that can be read from the code's own text.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The places of `src`, from what everybody may use to what uses everything. A place uses only places before its own.
const LAYERS: [&[&str]; 11] = [
    &["buffers", "clock", "count", "error_chain", "shutdown"],
    &["report"],
    &["schema"],
    &["record"],
    &["config"],
    &["tenants"],
    &["http", "telemetry"],
    &["source", "sink", "state"],
    &["services", "status"],
    &["pipeline"],
    &["app"],
];

/// The places that use what is in [`LAYERS`], and are used by none of it.
const DOORS: [&str; 2] = ["cli", "host"];

/// What pure code does without.
const IMPURE: [&str; 6] = ["tokio", "reqwest", "std::env", "Clock", "async fn", ".await"];

/// The files of `src` with their texts, by path below it and without `.rs`; without tests, `main` and `lib`.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut files) = (vec![root.clone()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).expect("below src").with_extension("");
            let name = name.to_str().expect("text").to_owned();
            if !name.ends_with("tests") && !["main", "lib"].contains(&&*name) {
                let text = fs::read_to_string(&path).expect("text");
                files.insert(name, text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
            }
        }
    }
    files
}

/// The paths that a file imports by `use crate::…;`, without `crate::`, such as `record/batch/Ack`.
fn imports(text: &str) -> Vec<String> {
    let statements = text.split("use crate::").skip(1).map(|rest| rest.split(';').next().unwrap_or_default());
    let mut paths = Vec::new();
    for statement in statements {
        let statement: String = statement.chars().filter(|c| !c.is_whitespace()).collect();
        // What stands before each brace that is open.
        let (mut open, mut path) = (Vec::new(), String::new());
        for c in statement.replace("::", "/").chars() {
            match c {
                '{' => open.push(path.clone()),
                '}' | ',' => {
                    paths.push(path);
                    if c == '}' {
                        open.pop();
                    }
                    path = open.last().cloned().unwrap_or_default();
                }
                c => path.push(c),
            }
        }
        paths.push(path);
    }
    paths.retain(|path| !path.is_empty() && !path.ends_with('/'));
    paths
}

/// The file in which the thing with this path is.
fn file_of(mut path: &str, files: &BTreeMap<String, String>) -> String {
    while !files.contains_key(path) {
        path = path.rsplit_once('/').unwrap_or_else(|| panic!("no file for {path}")).0;
    }
    path.to_owned()
}

/// Which files each file imports. A folder's file and the files in the folder are parts of one thing, and left out.
fn arrows(files: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let arrow = |(name, text): (&String, &String)| {
        let used = imports(text).into_iter().map(|path| file_of(&path, files));
        let is_own = |other: &String| {
            let is_in = |inner: &str, outer: &str| inner.starts_with(&format!("{outer}/"));
            other == name || is_in(other, name) || is_in(name, other)
        };
        (name.clone(), used.filter(|other| !is_own(other)).collect())
    };
    files.iter().map(arrow).collect()
}

#[test]
fn imports_are_read_from_the_text_of_use_statements() {
    let text = "use crate::{a::{self, B, c::{D, E}}, f};\nuse crate::g::H;\nuse super::x;\npub use crate::i;";
    assert_eq!(imports(text), ["a/self", "a/B", "a/c/D", "a/c/E", "f", "g/H", "i"]);
}

#[test]
fn pure_code_touches_no_clock_environment_or_network() {
    let files = sources();
    let is_pure = |name: &str, text: &str| {
        let mut header = text.lines().take_while(|line| line.starts_with("//!"));
        let place = name.split('/').next().unwrap_or_default();
        ["record", "schema", "status"].contains(&place) || header.any(|line| line.contains("Pure."))
    };
    let pure: Vec<_> = files.iter().filter(|(name, text)| is_pure(name, text)).collect();
    assert!(pure.len() >= 70, "{} files are pure", pure.len());
    for (name, text) in pure {
        for word in IMPURE {
            assert!(!text.contains(word), "src/{name}.rs is to be pure, and names {word}");
        }
    }
}

#[test]
fn no_two_files_import_each_other_in_a_circle() {
    let files = sources();
    let mut left = arrows(&files);
    // Files that import none of those left are in no circle.
    loop {
        let free: Vec<String> =
            left.iter().filter(|(_, used)| used.is_empty()).map(|(name, _)| name.clone()).collect();
        if free.is_empty() {
            break;
        }
        left.retain(|name, _| !free.contains(name));
        for used in left.values_mut() {
            used.retain(|name| !free.contains(name));
        }
    }
    assert!(left.is_empty(), "{left:#?}");
}

/// A file that imports nothing of the program may be used from anywhere: it can draw in nothing else.
#[test]
fn a_place_uses_only_the_places_below_it() {
    let files = sources();
    let arrows = arrows(&files);
    let rank = |name: &str| {
        let place = name.split('/').next().unwrap_or_default();
        let layer = LAYERS.iter().position(|layer| layer.contains(&place));
        layer
            .or(DOORS.contains(&place).then_some(LAYERS.len()))
            .unwrap_or_else(|| panic!("{place} is in no layer"))
    };
    let place = |name: &str| name.split('/').next().map(str::to_owned);
    for (name, used) in &arrows {
        for other in used.iter().filter(|other| place(other) != place(name) && !arrows[*other].is_empty()) {
            assert!(rank(other) < rank(name), "src/{name}.rs uses src/{other}.rs, which is not below it");
        }
    }
}

/// Words of this project's past, each with the field's term for it. CONTRIBUTING.md explains the terms.
const OLD_WORDS: [(&[&str], &str); 13] = [
    (&["mend", "mends", "mended", "mending"], "fix"),
    (&["patience", "patient"], "timeout"),
    (&["walk", "walks", "walked", "walking"], "pagination, list"),
    (&["shrink", "shrinks", "shrunk", "shrinking"], "truncate"),
    (&["misfits"], "type mismatch"),
    (&["blame", "blames", "blamed"], "rejection, cause"),
    (&["settle", "settles", "settled"], "finish, acknowledge"),
    (&["hopeless"], "does not fit"),
    (&["portion", "portions"], "chunk, record"),
    (&["wish", "wishes"], "request, Retry-After"),
    (&["trouble", "troubles"], "fault, failure"),
    (&["tell", "tells", "told", "telling"], "report, print, say, distinguish"),
    (&["facts A", "facts B", "facts C"], "the title of a public document"),
];

/// Documents that show the old words beside the new ones.
const SHOW_OLD_WORDS: [&str; 2] = ["CONTRIBUTING.md", "CHANGELOG.md"];

/// Every text of the repository that an operator or a reader of the code sees.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = [
        "src",
        "docs",
        "deploy",
        "queries",
        "fuzz",
        "benches",
        "README.md",
        "ARCHITECTURE.md",
        "SECURITY.md",
    ]
    .map(|name| root.join(name))
    .into();
    let mut texts = Vec::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let is_text = path.extension().is_some_and(|kind| {
            ["rs", "md", "json", "sh", "kql", "bicep", "py"].iter().any(|known| kind == *known)
        });
        let name = path.strip_prefix(root).expect("in the repository").display().to_string();
        let is_made = ["target", "corpus", "seeds"].iter().any(|part| name.contains(part));
        if is_text && !is_made && !SHOW_OLD_WORDS.contains(&&*name) {
            texts.push((name, fs::read_to_string(&path).expect("text")));
        }
    }
    texts
}

#[test]
fn texts_use_the_terms_of_the_field() {
    let texts = texts();
    assert!(texts.len() > 150, "{} texts", texts.len());
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (name, text) in &texts {
        for (number, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            let words: BTreeSet<&str> = lower.split(|c| !is_word(c)).collect();
            for (old, new) in OLD_WORDS {
                let is_used = |old: &&&str| match old.contains(' ') {
                    true => line.contains(**old),
                    false => words.contains(**old),
                };
                if let Some(old) = old.iter().find(is_used) {
                    found.push(format!("{name}:{}: {old:?}: say {new}", number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
