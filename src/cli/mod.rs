//! The command line: arguments, configuration, printing and exit codes.

pub mod config;

/// Runs the program. Placeholder: the commands come with the rest of the command line.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(2)
}
