//! A file on another host, read and replaced by ssh. Its contents travel over standard input and output alone: what stands on
//! the command line there is a script, the path and a length.

use crate::effects::World;
use crate::effects::process::{End, Launch, Prepared, ssh};
use crate::model::fault::Fault;

/// The longest that one look or one change may take.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

/// How the scripts say that there is no such file, that not everything arrived, and that it is somebody else's.
const MISSING: i32 = 44;
const CUT: i32 = 45;
const FOREIGN: i32 = 46;

/// Writes the file.
const READ: &str = r#"[ -f "$1" ] || exit 44; exec cat -- "$1""#;

/// Replaces the file whole or not at all by what it reads, if that is $2 bytes; what was there is kept if $3 is `keep`; $4 is
/// the mode, or nothing for the one that it has. Answers what can be read afterwards.
const REPLACE: &str = r#"set -eu
umask 077
[ -f "$1" ] || exit 44
f=$(readlink -f -- "$1")
owner=$(stat -c %u -- "$f")
mode=${4:-$(stat -c %a -- "$f")}
new=$(mktemp -- "$f.XXXXXX")
kept=
trap 'rm -f -- "$new" $kept' EXIT
cat > "$new"
[ "$(wc -c < "$new")" -eq "$2" ] || exit 45
like() {
    chown "$owner:$(stat -c %g -- "$f")" "$1" 2>/dev/null || [ "$(id -u)" -eq "$owner" ] || exit 46
    chmod "$mode" "$1"
    sync "$1" 2>/dev/null || sync
}
like "$new"
if [ "$3" = keep ]; then
    kept=$(mktemp -- "$f.XXXXXX")
    cat -- "$f" > "$kept"
    like "$kept"
    mv -f -- "$kept" "$f.previous"
    kept=
fi
mv -f -- "$new" "$f"
trap - EXIT
exec cat -- "$f""#;

/// Takes away from everybody but its owner what they may do with the file.
const TIGHTEN: &str = r#"[ -f "$1" ] || exit 44; exec chmod go= -- "$(readlink -f -- "$1")""#;

/// A file on another host.
pub struct FarFile<'a> {
    world: &'a World,
    host: String,
    path: String,
}

impl<'a> FarFile<'a> {
    /// The file of that path on that host; a relative one begins at the home of whoever logs in there.
    pub fn new(world: &'a World, host: &str, path: &str) -> Result<Self, Fault> {
        ssh::require_host(host)?;
        let path = if path.starts_with('-') { format!("./{path}") } else { path.to_owned() };
        Ok(Self { world, host: host.to_owned(), path })
    }

    /// What is in it.
    pub async fn read(&self) -> Result<String, Fault> {
        self.run(READ, &[], None).await
    }

    /// Replaces it whole or not at all, and proves by reading it back that it was. Its owner stays; so does its mode, unless
    /// it is to be `private`. What was there is kept as `PATH.previous` if that is wanted.
    pub async fn replace(&self, text: &str, previous: bool, private: bool) -> Result<(), Fault> {
        let size = text.len().to_string();
        let rest = [size.as_str(), if previous { "keep" } else { "" }, if private { "600" } else { "" }];
        if self.run(REPLACE, &rest, Some(text)).await? == text {
            return Ok(());
        }
        Err(Fault::fatal("files.write", format!("{self} does not say what was written to it"))
            .hinted("somebody else writes to it at the same time; look at it there"))
    }

    /// Takes away from everybody but its owner what they may do with it.
    pub async fn tighten(&self) -> Result<(), Fault> {
        self.run(TIGHTEN, &[], None).await.map(drop)
    }

    async fn run(&self, script: &str, rest: &[&str], input: Option<&str>) -> Result<String, Fault> {
        let words = ["sh", "-c", script, "sh", &self.path].into_iter().chain(rest.iter().copied());
        let line = format!("exec {}", ssh::quoted(words)?);
        let launch = Launch {
            run: ssh::line(self.world, &self.host, line)?,
            cwd: "/".into(),
            env: ssh::environment(self.world),
            input: input.map(str::to_owned),
            output: None,
        };
        let cannot = |why: &str| Fault::fatal("files.write", format!("{self}: {why}"));
        let started = Prepared::start(&self.world.program, launch).await;
        let finished = started.map_err(|error| cannot(&error.to_string()))?.run(Some(LIMIT)).await;
        let said: Vec<String> = finished.stderr.tail().lines().map(str::to_owned).collect();
        let code = match &finished.end {
            End::Ended { code: Some(code), .. } => *code,
            End::NotBegun { why, .. } => {
                return Err(cannot(&format!("`ssh` could not be started: {why}")).hinted("install openssh-client"));
            }
            _ => return Err(Fault::retryable("ssh.unreachable", format!("{self}: no answer in time"))),
        };
        match code {
            0 => {}
            255 => {
                let lost = || Fault::retryable("ssh.unreachable", format!("{self}: the connection was lost"));
                return Err(ssh::refused(&self.host, None, &said).unwrap_or_else(lost));
            }
            MISSING => {
                return Err(Fault::fatal("files.missing", format!("there is no {self}")).hinted(
                    "only a file that is there is edited; a relative path begins at the home of whoever logs in",
                ));
            }
            CUT => {
                return Err(Fault::retryable(
                    "files.cut",
                    format!("{self}: not all of it arrived; nothing was changed"),
                ));
            }
            FOREIGN => {
                return Err(cannot("it belongs to another user, who could not read it afterwards")
                    .hinted("log in as its owner"));
            }
            _ => return Err(cannot(said.last().map_or("it failed without a word", String::as_str))),
        }
        if finished.stdout.total() > finished.stdout.text().len() {
            return Err(cannot("it is too large for a file of settings"));
        }
        let text = finished.stdout.text();
        if text.contains('\u{FFFD}') {
            return Err(Fault::fatal("files.syntax", format!("{self} is no UTF-8")));
        }
        Ok(text)
    }
}

impl std::fmt::Display for FarFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.path)
    }
}
