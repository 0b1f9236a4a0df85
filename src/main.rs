//! The program: the supervisor of a child process when it is started as one, else the command line.

use std::process::ExitCode;

use runsheet::effects::process;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == process::SUPERVISE) {
        return process::supervise::main();
    }
    runsheet::cli::main()
}
