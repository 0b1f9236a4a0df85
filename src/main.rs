//! The program: the supervisor of a child process or the watchdog of a freeze when it is started as one, else the command line.

use std::process::ExitCode;

use runsheet::effects::{freeze, process};

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(first) if first == process::SUPERVISE => process::supervise::main(),
        Some(first) if first == freeze::WATCH => freeze::watchdog::main(),
        _ => runsheet::cli::main(),
    }
}
