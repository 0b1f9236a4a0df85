//! One file per subcommand; the doc comment of its arguments is its help.

mod abandon;
mod approve;
mod audit;
mod completions;
mod doctor;
mod eject;
mod init;
mod key;
mod lab;
mod lab_rotation;
mod lint;
mod list;
mod new;
mod plan;
mod report;
mod resolve;
mod resume;
mod run;
mod runs;
mod show;
mod status;
mod undo;
mod words;

use super::Global;
use super::error::CliError;
use super::out::Out;
use crate::model::verdict::Verdict;

/// What can be asked of the program.
#[derive(clap::Subcommand)]
pub enum Command {
    Init(init::Args),
    New(new::Args),
    List(list::Args),
    Show(show::Args),
    Eject(eject::Args),
    Words(words::Args),
    Lint(lint::Args),
    Plan(plan::Args),
    Run(run::Args),
    Resume(resume::Args),
    Approve(approve::Args),
    Resolve(resolve::Args),
    Undo(undo::Args),
    Abandon(abandon::Args),
    Runs(runs::Args),
    Status(status::Args),
    Report(report::Args),
    Audit(audit::Args),
    Doctor(doctor::Args),
    Key(key::Args),
    Lab(lab::Args),
    Completions(completions::Args),
}

impl Command {
    /// Does it.
    pub fn run(self, global: &Global, out: &mut Out) -> Result<Verdict, CliError> {
        match self {
            Self::Init(args) => args.run(global, out),
            Self::New(args) => args.run(global, out),
            Self::List(args) => args.run(global, out),
            Self::Show(args) => args.run(global, out),
            Self::Eject(args) => args.run(global, out),
            Self::Words(args) => args.run(out),
            Self::Lint(args) => args.run(global, out),
            Self::Plan(args) => args.run(global, out),
            Self::Run(args) => args.run(global, out),
            Self::Resume(args) => args.run(global, out),
            Self::Approve(args) => args.run(global, out),
            Self::Resolve(args) => args.run(global, out),
            Self::Undo(args) => args.run(global, out),
            Self::Abandon(args) => args.run(global, out),
            Self::Runs(args) => args.run(global, out),
            Self::Status(args) => args.run(global, out),
            Self::Report(args) => args.run(global, out),
            Self::Audit(args) => args.run(global, out),
            Self::Doctor(args) => args.run(global, out),
            Self::Key(args) => args.run(global, out),
            Self::Lab(args) => args.run(global, out),
            Self::Completions(args) => Ok(args.run()),
        }
    }
}
