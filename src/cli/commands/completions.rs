//! `runsheet completions`.

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
        clap_complete::generate(self.shell, &mut crate::cli::definition(), "runsheet", &mut std::io::stdout());
        Verdict::Pass
    }
}
