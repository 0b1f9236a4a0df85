//! The command line: arguments, configuration, printing, exit codes. The only reader of the process environment, the only printer.

mod catalog;
mod commands;
pub mod config;
#[cfg(debug_assertions)]
mod crash;
mod error;
mod given;
mod out;
mod session;
mod show;
mod signals;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use commands::Command;
pub use error::CliError;

use crate::model::verdict::Verdict;
use out::Out;

/// Runbooks for PostgreSQL that write down every change before making it, and carry on after any kill.
#[derive(Parser)]
#[command(name = "runsheet", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Heading of the options that every command has, so that its own stand apart from them.
const EVERYWHERE: &str = "Options of every command";

/// Options of every command.
#[derive(clap::Args)]
pub struct Global {
    /// The project's folder, with its runsheet.toml (default: from here upward)
    #[arg(long, global = true, value_name = "DIR", help_heading = EVERYWHERE)]
    project: Option<std::path::PathBuf>,
    /// Where the journal lives (default: .runsheet in the project)
    #[arg(long, global = true, value_name = "DIR", help_heading = EVERYWHERE)]
    state: Option<std::path::PathBuf>,
    /// The environment (default: $ENVIRONMENT, then $NODE_ENV)
    #[arg(short = 'e', long = "environment", global = true, value_name = "NAME", help_heading = EVERYWHERE)]
    environment: Option<String>,
    /// Print data as JSON
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// Show what the engine and its connections do, on stderr
    #[arg(short, long, global = true, help_heading = EVERYWHERE)]
    verbose: bool,
}

/// Reads the arguments, does what they say, and answers with the exit code of DESIGN's table.
pub fn main() -> ExitCode {
    // A closed pipe (`runsheet runs | head`) ends the printing, never the run: print errors are ignored in `out`.
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misread(&error),
    };
    trace(cli.global.verbose);
    let mut out = Out::new(&cli.global);
    match cli.command.run(&cli.global, &mut out) {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        Err(mut error) => {
            error.next.get_or_insert_with(help);
            out.error(&error);
            ExitCode::from(error.verdict.exit_code())
        }
    }
}

/// Help and version are answers; anything else that clap says is a refusal like every other.
fn misread(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        if error.use_stderr() {
            Out::plain(false).next(&help());
        }
        return ExitCode::from(if error.use_stderr() { Verdict::Refused.exit_code() } else { 0 });
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.split("\n\nFor more information").next().unwrap_or(text).trim_end();
    let (message, detail) = text.split_once('\n').unwrap_or((text, ""));
    let refusal = CliError { detail: detail.trim_start_matches('\n').to_owned(), ..CliError::refused(message) };
    let json = std::env::args_os().any(|argument| argument == "--json");
    Out::plain(json).error(&refusal.next(help()));
    ExitCode::from(Verdict::Refused.exit_code())
}

/// How to learn more about the command that was typed.
fn help() -> String {
    let known = Cli::command();
    let typed = std::env::args().skip(1).find(|argument| known.find_subcommand(argument).is_some());
    typed.map_or_else(|| "runsheet --help".to_owned(), |command| format!("runsheet {command} --help"))
}

/// The definition of all arguments, for completions and the reference.
pub fn definition() -> clap::Command {
    Cli::command()
}

fn trace(verbose: bool) {
    use tracing_subscriber::EnvFilter;
    let filter = if verbose { "runsheet=debug" } else { "off" };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .without_time()
        .init();
}
