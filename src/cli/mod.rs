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

impl Global {
    /// The options that the command after this one needs too, as they are typed.
    fn repeated(&self) -> String {
        let folders = [("--project", &self.project), ("--state", &self.state)];
        let folders = folders.into_iter().filter_map(|(name, folder)| Some((name, folder.as_ref()?.to_string_lossy())));
        let environment = self.environment.iter().map(|name| ("-e", name.as_str().into()));
        environment.chain(folders).map(|(name, value)| format!(" {name} {}", show::shell_word(&value))).collect()
    }
}

/// Reads the arguments, does what they say, and answers with the exit code of DESIGN's table.
pub fn main() -> ExitCode {
    // A closed pipe (`runsheet runs | head`) ends the printing, never the run: print errors are ignored in `out`.
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    trace(cli.global.verbose);
    let mut out = Out::new(cli.global.json);
    out.carry(cli.global.repeated());
    match cli.command.run(&cli.global, &mut out) {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        Err(error) => {
            out.error(&error);
            ExitCode::from(error.verdict.exit_code())
        }
    }
}

/// Says what is wrong with the arguments, or prints the help that was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::{ContextKind, ContextValue};
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        // The help itself was printed, for want of a subcommand.
        _ => std::iter::once("runsheet".to_owned()).chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" "),
    };
    // `Usage: runsheet audit verify [OPTIONS] …`: the words before the first argument are the command.
    let words = usage.split_whitespace().skip_while(|word| *word != "runsheet").skip(1);
    let command: Vec<&str> = words.take_while(|word| word.chars().all(|c| c.is_ascii_lowercase())).collect();
    let next = match std::env::args().len() {
        1 if std::path::Path::new(config::FILE).exists() => "list".to_owned(),
        1 => "init".to_owned(),
        _ => [command.as_slice(), &["--help"]].concat().join(" "),
    };
    Out::new(false).next(&format!("runsheet {next}"));
    ExitCode::from(crate::model::verdict::Verdict::Refused.exit_code())
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
