//! `mdatp-forward completions`: the script with which a shell completes commands and options.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, print_line};

/// The options of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the script.
pub fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut program = Cli::command();
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, &name, &mut script);
    let script = String::from_utf8(script).expect("the script is text");
    // For bash the generator writes the program's hyphen in two forms that must be the same (clap-rs/clap#6421).
    let script = script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"));
    print_line(script.trim_end().as_bytes());
    ExitCode::SUCCESS
}
