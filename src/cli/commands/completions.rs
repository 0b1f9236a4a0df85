//! `runsheet completions`.

use std::io::Write;

use crate::model::verdict::Verdict;

/// Print completions for a shell
#[derive(clap::Args)]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

impl Args {
    /// Does it.
    pub fn run(self) -> Verdict {
        // By way of memory: the generator panics when its pipe is closed.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::cli::definition(), "runsheet", &mut script);
        let _ = std::io::stdout().write_all(&script);
        Verdict::Pass
    }
}
