//! `mdatp-forward man`: one manual page for the whole program, because a reader who looks for an option seldom knows its
//! command.

use std::{io, process::ExitCode};

use clap::{Command, CommandFactory};
use clap_mangen::{Man, roff::Roff};

use super::{Cli, print_line};

type Section = fn(&Man, &mut dyn io::Write) -> io::Result<()>;

/// Prints the page.
pub fn manual() -> ExitCode {
    print_line(page().trim_end().as_bytes());
    ExitCode::SUCCESS
}

fn page() -> String {
    let mut program = Cli::command().disable_help_subcommand(true).subcommand_value_name("command");
    program.build();
    let man = Man::new(program.clone()).title("MDATP-FORWARD");
    // The beginning of every document, which defines the apostrophe.
    let mut page = Roff::new().render();
    let sections: [Section; 5] = [
        Man::render_title,
        Man::render_name_section,
        Man::render_synopsis_section,
        Man::render_description_section,
        Man::render_options_section,
    ];
    for section in sections {
        let (heading, text) = rendered(&man, section);
        page += &heading;
        page += &text;
    }
    page += &Roff::new().control("SH", ["COMMANDS"]).to_roff();
    commands(&program, &mut page);
    page
}

/// Adds each command that has no subcommands, under its full name.
fn commands(command: &Command, page: &mut String) {
    let sections: [Section; 3] =
        [Man::render_synopsis_section, Man::render_description_section, Man::render_options_section];
    for command in command.get_subcommands() {
        if command.has_subcommands() {
            commands(command, page);
            continue;
        }
        *page += &Roff::new().control("SS", command.get_bin_name()).to_roff();
        // The option for help is documented once, for the whole program.
        let man = Man::new(command.clone().mut_arg("help", |help| help.hide(true)));
        for section in sections {
            let (_, text) = rendered(&man, section);
            if !text.is_empty() {
                *page += &Roff::new().control("PP", []).to_roff();
                *page += &text;
            }
        }
    }
}

/// Returns the heading and the content of a section; both are empty if there are no options.
fn rendered(man: &Man, section: Section) -> (String, String) {
    let mut text = Vec::new();
    section(man, &mut text).expect("writing to a Vec cannot fail");
    let text = String::from_utf8(text).expect("the page is text");
    let heading = |line: &&str| line.starts_with(".TH") || line.starts_with(".SH");
    let mut lines = text.split_inclusive('\n').skip_while(|line| !heading(line));
    (lines.next().unwrap_or_default().to_owned(), lines.collect())
}
