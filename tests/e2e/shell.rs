//! `mdatp-forward completions` and `mdatp-forward man`: what they know is what `--help` knows.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Output},
};

fn program(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdatp-forward"));
    command.args(arguments).env_clear().output().expect("the binary runs")
}

fn printed(arguments: &[&str]) -> String {
    let output = program(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Every command that `--help` leads to, as words, each with the long options that its own help shows.
fn commands(words: &[String]) -> Vec<(Vec<String>, BTreeSet<String>)> {
    let help = printed(&[&words.iter().map(String::as_str).collect::<Vec<_>>()[..], &["--help"]].concat());
    let below: Vec<&str> = match help.split_once("\nCommands:\n") {
        Some((_, list)) => list
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| {
                line.strip_prefix("  ")?.split_whitespace().next().filter(|_| !line.starts_with("   "))
            })
            .filter(|name| *name != "help")
            .collect(),
        None => {
            let options = help.lines().filter_map(|line| line.trim_start().split_once("--"));
            let options = options.filter(|(before, _)| before.is_empty() || before.ends_with(", "));
            let names = options.map(|(_, option)| option.split([' ', '=']).next().unwrap_or_default());
            return vec![(words.to_vec(), names.map(|name| format!("--{name}")).collect())];
        }
    };
    below.iter().flat_map(|name| commands(&[words, &[(*name).to_owned()]].concat())).collect()
}

#[test]
fn the_manual_page_has_every_command_with_its_options() {
    let page = printed(&["man"]);
    assert_eq!(page.matches(".TH ").count(), 1);
    let mut sections: Vec<(String, String)> = page
        .split("\n.SS ")
        .skip(1)
        .map(|section| section.split_once('\n').expect("a heading is a line"))
        .map(|(name, text)| (name.trim_matches('"').to_owned(), text.replace("\\-", "-")))
        .collect();
    let commands = commands(&[]);
    assert!(commands.len() >= 9, "{commands:#?}");
    for (words, options) in commands {
        let name = format!("mdatp-forward {}", words.join(" "));
        let place = sections.iter().position(|(heading, _)| *heading == name);
        let (_, text) = sections.remove(place.unwrap_or_else(|| panic!("nothing about {name}")));
        let told: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("\\fB--")?.split_once("\\fR"))
            .map(|(option, _)| format!("--{option}"))
            .chain(["--help".to_owned()])
            .collect();
        assert_eq!(told, options, "{name}");
    }
    assert_eq!(sections, [], "commands that --help does not know");
}

#[test]
#[cfg_attr(not(feature = "external-tools"), ignore = "needs groff: left to tests/run")]
fn the_manual_page_is_good_roff() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("mdatp-forward.1");
    fs::write(&page, printed(&["man"])).expect("written");
    let mut groff = Command::new("groff");
    let output =
        groff.args(["-k", "-man", "-Tutf8", "-ww", "-z"]).arg(&page).output().expect("groff is installed");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

/// What bash offers for the last of these words.
fn completed(words: &str) -> Vec<String> {
    let script = r#"
        eval "$("$PROGRAM" completions bash)"
        [[ $(complete -p mdatp-forward) =~ -F\ ([^ ]+) ]]
        function=${BASH_REMATCH[1]}
        read -ra COMP_WORDS <<<"mdatp-forward $1"
        [[ $1 == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        "$function" mdatp-forward "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--noprofile", "--norc", "-uc", script, "bash", words]);
    let output = bash.env("PROGRAM", env!("CARGO_BIN_EXE_mdatp-forward")).output().expect("bash is here");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_their_values() {
    assert_eq!(completed("ch"), ["check"]);
    assert_eq!(completed("state r"), ["reset", "release"]);
    assert_eq!(completed("set-aside sh"), ["show"]);
    assert_eq!(completed("run --dr"), ["--dry-run"]);
    assert_eq!(completed("schema --format d"), ["dcr"]);
    assert_eq!(completed("completions e"), ["elvish"]);
    let all = completed(" ");
    for (words, _) in commands(&[]) {
        assert!(all.contains(&words[0]), "{words:?} is not in {all:?}");
    }
}

#[test]
fn every_shell_gets_a_script_with_every_command_and_another_shell_none() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        for (words, options) in commands(&[]) {
            for name in words.iter().chain(&options) {
                // fish writes an option without its dashes.
                let name = if shell == "fish" { name.trim_start_matches('-') } else { name };
                assert!(script.contains(name), "{shell}: {name}");
            }
        }
    }
    assert_eq!(program(&["completions", "ksh"]).status.code(), Some(64));
}
