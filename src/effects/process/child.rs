//! The engine's side of a supervised command.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};

use super::SUPERVISE;
use super::capture::{Capture, LIMIT, Watch};
use super::session::{GRACE, Session};
use super::supervise::{Launch, Order, Report};

/// How long output may still arrive once the command is over: a daemon that it left behind may hold the pipes for ever.
const LATE_OUTPUT: Duration = Duration::from_secs(1);

/// How long a supervisor may take to end its session before that is done for it.
const ENDING: Duration = Duration::from_secs(15);

/// A supervisor that is ready and waits. Dropping it ends the session.
pub struct Prepared {
    child: Child,
    orders: OwnedWriteHalf,
    reports: Lines<BufReader<OwnedReadHalf>>,
    watch: Option<Watch>,
    /// What must be written down before [`Prepared::run`].
    pub session: Session,
}

/// How a command came out.
pub struct Finished {
    /// The end of it.
    pub end: End,
    /// Standard output.
    pub stdout: Capture,
    /// Standard error.
    pub stderr: Capture,
}

/// The end of a command.
pub enum End {
    /// It could not begin.
    NotBegun {
        /// Whether a file is missing.
        missing: bool,
        /// The system's words.
        why: String,
    },
    /// It came to its end.
    Ended {
        /// Exit code.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// Processes it started that could not be ended.
        left: Vec<u32>,
    },
    /// It took too long and was ended.
    TooLong {
        /// Processes that could not be ended.
        left: Vec<u32>,
    },
    /// Its supervisor died; what was left of it was ended.
    Lost {
        /// Processes that could not be ended.
        left: Vec<u32>,
    },
}

impl Prepared {
    /// Starts a supervisor for `launch`. Nothing of the command has begun when this returns.
    pub async fn start(program: &Path, launch: Launch) -> std::io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let child = Command::new(program)
            .arg(SUPERVISE)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (reports, orders) = UnixStream::from_std(ours)?.into_split();
        let pid = child.id().ok_or_else(|| std::io::Error::other("the supervisor ended at once"))?;
        let session = Session::of(pid)?;
        let mut prepared = Self { child, orders, reports: BufReader::new(reports).lines(), watch: None, session };
        prepared.order(&Order::Prepare(launch)).await?;
        match prepared.report().await {
            Some(Report::Ready) => Ok(prepared),
            _ => Err(std::io::Error::other("the supervisor did not get ready")),
        }
    }

    /// Has every line of standard error told while the command runs.
    #[must_use]
    pub fn watched(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Runs the command to its end, for `limit` at most.
    pub async fn run(mut self, limit: Option<Duration>) -> Finished {
        let (stdout, stderr) = (Capture::default(), Capture::watched(self.watch.take()));
        let budget = AtomicUsize::new(LIMIT);
        let (out, err) = (self.child.stdout.take(), self.child.stderr.take());
        let end = {
            let reading = async {
                let out = async {
                    if let Some(out) = out {
                        stdout.read(out, &budget).await
                    }
                };
                let err = async {
                    if let Some(err) = err {
                        stderr.read(err, &budget).await
                    }
                };
                tokio::join!(out, err);
            };
            let ending = self.supervised(limit);
            tokio::pin!(reading, ending);
            tokio::select! {
                end = &mut ending => {
                    let _ = tokio::time::timeout(LATE_OUTPUT, &mut reading).await;
                    end
                }
                () = &mut reading => ending.await,
            }
        };
        Finished { end, stdout, stderr }
    }

    async fn supervised(&mut self, limit: Option<Duration>) -> End {
        if self.order(&Order::Go).await.is_err() {
            return self.lost().await;
        }
        let report = match limit {
            None => self.report().await,
            Some(limit) => match tokio::time::timeout(limit, self.report()).await {
                Ok(report) => report,
                Err(_) => return self.too_long().await,
            },
        };
        match report {
            Some(Report::Ended { code, signal, left }) => End::Ended { code, signal, left },
            Some(Report::Failed { missing, why }) => End::NotBegun { missing, why },
            Some(Report::Ready) | None => self.lost().await,
        }
    }

    async fn too_long(&mut self) -> End {
        let _ = self.order(&Order::End).await;
        match tokio::time::timeout(GRACE + ENDING, self.report()).await {
            Ok(Some(Report::Ended { left, .. })) => End::TooLong { left },
            _ => End::TooLong { left: end(self.session.clone()).await },
        }
    }

    async fn lost(&mut self) -> End {
        End::Lost { left: end(self.session.clone()).await }
    }

    async fn order(&mut self, order: &Order) -> std::io::Result<()> {
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        self.orders.write_all(line.as_bytes()).await
    }

    async fn report(&mut self) -> Option<Report> {
        let line = self.reports.next_line().await.ok().flatten()?;
        serde_json::from_str(&line).ok()
    }
}

/// Ends a session from the engine's side; answers what could not be ended.
pub async fn end(session: Session) -> Vec<u32> {
    tokio::task::spawn_blocking(move || session.end()).await.unwrap_or_default()
}
