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

/// Options of every command.
#[derive(clap::Args)]
pub struct Global {
    /// The project's folder, with its runsheet.toml (default: from here upward)
    #[arg(long, global = true, value_name = "DIR")]
    project: Option<std::path::PathBuf>,
    /// Where the journal lives (default: .runsheet in the project)
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<std::path::PathBuf>,
    /// The environment (default: $ENVIRONMENT, then $NODE_ENV)
    #[arg(short = 'e', long = "environment", global = true, value_name = "NAME")]
    environment: Option<String>,
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Show what the engine and its connections do, on stderr
    #[arg(short, long, global = true)]
    verbose: bool,
}

/// Reads the arguments, does what they say, and answers with the exit code of DESIGN's table.
pub fn main() -> ExitCode {
    // A closed pipe (`runsheet runs | head`) ends the printing, never the run: print errors are ignored in `out`.
    let cli = Cli::parse();
    trace(cli.global.verbose);
    let mut out = Out::new(cli.global.json);
    match cli.command.run(&cli.global, &mut out) {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        Err(error) => {
            out.error(&error);
            ExitCode::from(error.verdict.exit_code())
        }
    }
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
