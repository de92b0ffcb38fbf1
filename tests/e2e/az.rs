//! Every command of the Azure CLI that a document, a script or the program itself names is one that the real client has,
//! with these options: the client's own help says so, in tests/fixtures/az.

mod commands;
mod text;

use std::{fs, path::Path};

use commands::Commands;
use text::{Word, command_lines, spoken};

/// The files that name commands to people, with their text.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut paths: Vec<_> = ["src", "docs", "deploy"].map(|folder| root.join(folder)).into();
    let here = fs::read_dir(root).expect("the repository").map(|entry| entry.expect("an entry").path());
    paths.extend(here.filter(|path| path.extension().is_some_and(|kind| kind == "md" || kind == "yaml")));
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            files.push((path.strip_prefix(root).expect("below").display().to_string(), text));
        }
    }
    files
}

fn check(words: &[Word]) -> Result<(), String> {
    if let Some(word) = words.iter().find(|word| word.is_pattern) {
        return Err(format!("zsh takes {} for a pattern of file names: quote it", word.text));
    }
    let words: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    Commands::read().check(&words)
}

#[test]
fn every_az_command_that_is_named_anywhere_is_one_of_the_real_client() {
    let mut problems = Vec::new();
    let mut count = 0;
    for (name, text) in files() {
        for words in command_lines(&spoken(&name, &text)) {
            count += 1;
            problems.extend(check(&words).err().map(|problem| format!("{name}: {problem}")));
        }
    }
    assert_eq!(problems, [""; 0]);
    assert!(count >= 50, "{count} commands");
}

#[test]
fn a_command_that_the_real_client_does_not_have_is_found_wherever_it_stands() {
    for (name, text, problem) in [
        (
            "a.md",
            "see `az monitor data-collection rule show -g G -n N`",
            "no command monitor data-collection",
        ),
        ("a.md", "a\n```sh\naz functionapp restart -n APP\n```\n", "lacks --resource-group"),
        ("a.md", "```sh\naz login && az rest --urls /x\n```\n", "rest has no --urls"),
        ("a.md", "two lines: `az functionapp\nreboot`", "no command functionapp reboot"),
        ("a.md", "```sh\naz rest --url https://x/y?api-version=1\n```", "for a pattern"),
        ("a.rs", "/// As `az fly` prints it.\n", "no command fly"),
        ("a.rs", "let s = \"first \\\n     az  fly --far\";", "no command fly"),
        (
            "a.rs",
            "format!(\"run it (az rest --url {url} --query \\\"[a, {{b}}]\\\" --out tsv)\")",
            "has no --out",
        ),
        ("a.rs", "\"--scope \\\"$(az storage account list --name x)\\\"\"", "has no --name"),
        ("a.sh", "# az fly\nX=$(az rest \\\n  --method get --uri)", "--uri has 0 values"),
        ("a.json", "{\"d\": \"sign in: az login --tenant \\\"a b\\\" c\"}", "--tenant has 2 values"),
        ("a.yaml", "run: az deployment group create -g G --what-if now", "--what-if has 1 values"),
    ] {
        let found = command_lines(&spoken(name, text));
        let problems: Vec<String> = found.iter().filter_map(|words| check(words).err()).collect();
        assert!(problems.len() == 1 && problems[0].contains(problem), "{text}: {problems:?} of {found:?}");
    }
    for (name, text) in [
        ("a.md", "Words: az fly, and `az login`, `lazy az`"),
        ("a.rs", "\"az monitor log-analytics workspace table wait {of_table} --created\""),
        ("a.rs", "// az fly\nlet s = \"sign in with az login: then go\";"),
        ("a.rs", "'\"'; \"az identity show --ids ID --query clientId --output tsv)\""),
        ("a.md", "```sh\nX=$(az rest --url \"$ID/t?api-version=1\" --query 'a[0]' -o tsv) | jq\n```"),
    ] {
        let found = command_lines(&spoken(name, text));
        assert!(found.iter().all(|words| check(words) == Ok(())), "{text}: {found:?}");
    }
}

/// The Core Tools keep a file by what is in `.funcignore`, and so do editors, by git's rules.
mod func_ignore {
    use std::{fs, path::Path, process::Command};

    fn lines() -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".funcignore");
        let text = fs::read_to_string(path).expect("a file");
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }

    /// True when the path begins with what the pattern names, and a word ends there (Azure/azure-functions-core-tools,
    /// `GitIgnoreParser.cs`: of a pattern it makes `^(…)\b`, of `*` one or more characters but slashes).
    fn begins(pattern: &str, path: &str) -> bool {
        match pattern.split_once('*') {
            None => path.strip_prefix(pattern).is_some_and(|rest| {
                let is_word =
                    |letter: Option<char>| letter.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
                is_word(pattern.chars().next_back()) != is_word(rest.chars().next())
            }),
            Some(("", "")) => {
                path.split('/').next().is_some_and(|name| name.contains(|c: char| c.is_ascii_alphanumeric()))
            }
            Some(_) => panic!("{pattern}: no pattern of this kind is in use"),
        }
    }

    /// As the Core Tools decide: a line with `!` wins wherever it stands.
    fn is_published(lines: &[String], path: &str) -> bool {
        let (kept, left): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.starts_with('!'));
        let matches = |pattern: &String| begins(pattern.trim_start_matches(['!', '/']), path);
        kept.into_iter().any(matches) || !left.into_iter().any(matches)
    }

    const NEEDED: [&str; 3] = ["MdatpForward/function.json", "host.json", "mdatp-forward"];

    /// What a clone holds once it has been worked in, also what nobody knows of yet.
    const OTHERS: [&str; 14] = [
        ".ci/run",
        ".git/config",
        ".env",
        ".venv/bin/python",
        "Cargo.toml",
        "README.md",
        "azure.yaml",
        "credential.json",
        "deploy/grant-roles.sh",
        "dist/app/mdatp-forward",
        "node_modules/x/host.json",
        "old.json",
        "table.json",
        "target/release/mdatp-forward",
    ];

    #[test]
    fn the_core_tools_publish_what_an_app_needs_and_nothing_else() {
        let lines = lines();
        for path in NEEDED {
            assert!(is_published(&lines, path), "{path} is left out");
        }
        for path in OTHERS {
            assert!(!is_published(&lines, path), "{path} is published");
        }
    }

    #[test]
    fn by_gits_rules_it_is_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).current_dir(folder.path()).output();
            String::from_utf8(output.expect("git is installed").stdout).expect("text")
        };
        git(&["init", "-q"]);
        let clone = OTHERS.iter().filter(|path| !path.starts_with(".git/"));
        for path in clone.chain(&NEEDED) {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "").expect("written");
        }
        fs::write(folder.path().join("rules"), lines().join("\n")).expect("written");
        let kept = git(&["ls-files", "--others", "--exclude-from=rules"]);
        assert_eq!(kept.lines().collect::<Vec<_>>(), NEEDED);
    }
}
