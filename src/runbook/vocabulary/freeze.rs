//! `freeze::…`: writes of a database frozen for a moment, and let go again whatever dies.

use super::call::{Answer, Options, title};
use super::{Call, Entry, Word, param};
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::Request;
use crate::model::request::freeze::{
    FreezeAble, FreezeArm, FreezeCommit, FreezeGuard, FreezeHolds, FreezeLast, FreezeLift, FreezeOpen, FreezeProve,
};

const SOURCE: super::Param = param("source", "the target whose writes are meant; its direct endpoint is used");
const SCHEMA: super::Param = param(
    "#{schema}",
    "the control schema of another run whose freeze is meant, as pg::control answered it; this run's own without it",
);
const BROKEN: (&str, &str) =
    ("freeze.broken", "it was released, by the deadline or otherwise, or somebody writes in spite of it");
const NONE: (&str, &str) = ("freeze.none", "the run never froze anything there");

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "freeze::able",
            signature: "freeze::able(source) -> #{ able, missing: [text, …], notes: [text, …] }",
            summary: "Whether the role of a target may freeze it, for a check long before. `missing` says each thing that it lacks or that stands in the way, and how to mend it.",
            params: &[SOURCE],
            errors: &[("target.pooled", "the target has no direct URL")],
            example: "let may = freeze::able(params.source); gate::that(\"may be frozen\", may.able, may.missing.reduce(|all, one| `${all} ${one}`, \"\"));",
        },
        least: 1,
        most: 1,
        run: able,
    },
    Entry {
        word: Word {
            name: "freeze::guard",
            signature: "freeze::guard(source, #{ deadline, pooler, resume, ssh, schema }) -> #{ deadline }",
            summary: "Starts a watchdog, a process of its own that outlives this one, before anything is stopped, paused or frozen. It releases everything as soon as this process is gone, however it went, or the server's clock reaches the deadline: writes of the database, the pooler's clients, then the command that starts the application. It survives a restart of the server, and a session asleep on the server does its part when even the watchdog is killed. Once freeze::commit was proved it releases nothing. Write it as a step of its own with `.hold(\"guarded\", …)` on freeze::holds, so that a resumed run begins here.",
            params: &[
                SOURCE,
                param("#{deadline}", "how long everything may stay stopped from now on; 10s without it"),
                param("#{pooler}", "the database at the pooler of `[pgbouncer]` whose clients are going to be paused"),
                param(
                    "#{resume}",
                    "command that starts the application again, as a list [program, argument, …]; it must do no harm when the application runs",
                ),
                param("#{ssh}", "host on which that command runs"),
                SCHEMA,
            ],
            errors: &[
                ("freeze.held", "another run freezes it, or the watchdog of an earlier attempt still releases"),
                ("freeze.committed", "writes there were ended for good; freeze::open takes that back"),
                ("freeze.already", "it is read-only by default by somebody else's doing"),
                ("freeze.watchdog", "the watchdog could not be started"),
                ("control.none", "the run has no control schema there: pg::control makes it"),
                ("pgbouncer.session", "the pooler pools sessions"),
            ],
            example: "step(\"guard\", || freeze::guard(params.source, #{ deadline: \"10s\", pooler: \"app\" })).hold(\"guarded\", \"guarded\");",
        },
        least: 1,
        most: 2,
        run: guard,
    },
    Entry {
        word: Word {
            name: "freeze::arm",
            signature: "freeze::arm(source, #{ allow, settle, schema }) -> #{ lsn, at, deadline, ended, roles }",
            summary: "Freezes the writes of what is guarded: the database and every role that may log in to it only read from now on, in one transaction that remembers what was set before; then everybody else's sessions from before are ended, since they keep the old setting. Replication and the run's own sessions go on. The run itself writes in transactions that say READ WRITE. What goes wrong releases everything at once.",
            params: &[
                SOURCE,
                param("#{allow}", "application names whose sessions are not ended, such as monitoring that only reads"),
                param("#{settle}", "how long sessions may take to go; 5s without it"),
                SCHEMA,
            ],
            errors: &[
                ("freeze.prepared", "prepared transactions could be committed whatever is frozen"),
                ("freeze.roles", "roles have a read-only setting of their own that may not be changed"),
                ("freeze.sessions", "sessions could not be ended in time, and are named"),
                BROKEN,
            ],
            example: "let frozen = freeze::arm(params.source, #{ allow: [\"pg_exporter\"], settle: \"5s\" });",
        },
        least: 1,
        most: 2,
        run: arm,
    },
    Entry {
        word: Word {
            name: "freeze::holds",
            signature: "freeze::holds(source, #{ schema }) -> true, or in words why not",
            summary: "Whether the freeze is unbroken at this moment, for a `.hold`: guarded by a watchdog of this very process and before the deadline; once armed, the settings are in place too, nobody else's session is from before, and none has begun to write. A committed one holds for ever.",
            params: &[SOURCE, SCHEMA],
            errors: &[],
            example: "fn frozen(made) { freeze::holds(params.source) }",
        },
        least: 1,
        most: 2,
        run: holds,
    },
    Entry {
        word: Word {
            name: "freeze::last",
            signature: "freeze::last(source, #{ schema }) -> #{ state, at, by, why, deadline, lsn } or ()",
            summary: "How the newest freeze of the run stands: `guarded`, `armed`, `lifted`, `committed` or `opened`, since when, and who released it and why.",
            params: &[SOURCE, SCHEMA],
            errors: &[],
            example: "let last = freeze::last(params.source); if last != () && last.state == \"lifted\" { flow::approve(`freeze again? ${last.why}`); }",
        },
        least: 1,
        most: 2,
        run: last,
    },
    Entry {
        word: Word {
            name: "freeze::prove",
            signature: "freeze::prove(source, #{ through }) -> #{ refused, said }",
            summary: "Tries to write in a session that begins now, and answers whether the server refused it because everything is read-only. Nothing is left behind either way.",
            params: &[
                SOURCE,
                param(
                    "#{through}",
                    "target of the same database through which it is tried, such as the application's own role",
                ),
            ],
            errors: &[
                ("freeze.elsewhere", "`through` is another database"),
                ("freeze.canary", "no answer: it waits at the paused pooler"),
            ],
            example: "let canary = freeze::prove(params.source); gate::that(\"writes are refused\", canary.refused, canary.said);",
        },
        least: 1,
        most: 2,
        run: prove,
    },
    Entry {
        word: Word {
            name: "freeze::commit",
            signature: "freeze::commit(source, #{ schema }) -> #{ at, lsn }",
            summary: "Ends every way to release: one transaction of the server proves that the freeze is unbroken and before its deadline, and says that it is for good. From here only forward. When it is refused, everything is released. After a crash the row says whether it was done.",
            params: &[SOURCE, SCHEMA],
            errors: &[BROKEN, NONE],
            example: "step(\"commit\", || freeze::commit(params.source)).point_of_no_return(\"consumers move\");",
        },
        least: 1,
        most: 2,
        run: commit,
    },
    Entry {
        word: Word {
            name: "freeze::lift",
            signature: "freeze::lift(source, #{ schema }) -> #{ state, at, by }",
            summary: "Releases everything now: writes of the database, the pooler's clients, the command that starts the application. One that is released already is fine.",
            params: &[SOURCE, SCHEMA],
            errors: &[("freeze.committed", "it is committed: from there only forward")],
            example: "freeze::lift(params.source);",
        },
        least: 1,
        most: 2,
        run: lift,
    },
    Entry {
        word: Word {
            name: "freeze::open",
            signature: "freeze::open(source, #{ schema }) -> #{ opened }",
            summary: "Makes a side writable again whose freeze was committed, as a way back needs it, and ends sessions that began while it was not. One that is open already is fine.",
            params: &[SOURCE, SCHEMA],
            errors: &[NONE, ("freeze.armed", "it is not committed: freeze::lift releases it")],
            example: "freeze::open(params.source, #{ schema: params.schema });",
        },
        least: 1,
        most: 2,
        run: open,
    },
];

/// The resource of a target's writes: the database, and who may do what on its server.
fn resources(source: &str) -> Vec<Resource> {
    vec![Resource::database(source), Resource::server(source)]
}

fn look(word: &str, request: &impl serde::Serialize, shown: &str, source: &str) -> Action {
    Action::read(word, request, title(shown), resources(source))
}

fn change(word: &str, request: &impl serde::Serialize, shown: &str, class: Recovery, source: &str) -> Action {
    Action::change(word, request, title(shown), class, resources(source))
}

fn schema(options: &Options<'_, '_>) -> Result<Option<String>, super::call::Error> {
    options.handle("schema")
}

fn able(call: &Call<'_>) -> Answer {
    let request = FreezeAble { source: call.text(0)? };
    let shown = format!("whether {} may be frozen", request.source);
    call.give(&call.perform(look(FreezeAble::WORD, &request, &shown, &request.source))?)
}

fn guard(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let options = call.options(1, &["deadline", "pooler", "resume", "ssh", "schema"])?;
    let deadline = options.seconds("deadline")?.unwrap_or(10.0);
    if deadline < 1.0 {
        return Err(call.misuse("option `deadline` must be a second at least"));
    }
    let resume = options.texts("resume")?.unwrap_or_default();
    let ssh = options.text("ssh")?;
    if ssh.is_some() && resume.is_empty() {
        return Err(call.misuse("option `ssh` goes with `resume`"));
    }
    if resume.iter().any(|word| crate::model::secret::contains_handle(word)) {
        return Err(call.misuse("a secret must not be an argument, which everyone on the machine can read"));
    }
    let request = FreezeGuard {
        schema: schema(&options)?,
        deadline,
        pooler: options.text("pooler")?.filter(|name| !name.is_empty()),
        resume,
        ssh,
        source,
    };
    let shown = format!("guard {}: everything is released after {deadline} s", request.source);
    let mut action = change(FreezeGuard::WORD, &request, &shown, Recovery::Repeatable, &request.source);
    if let Some(pooler) = &request.pooler {
        action.reads.push(Resource::new(format!("pgbouncer/{pooler}")));
    }
    call.give(&call.perform(action)?)
}

fn arm(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let options = call.options(1, &["allow", "settle", "schema"])?;
    let request = FreezeArm {
        schema: schema(&options)?,
        allow: options.texts("allow")?.unwrap_or_default(),
        settle: options.seconds("settle")?.unwrap_or(5.0),
        source,
    };
    let shown = format!("freeze the writes of {}", request.source);
    call.give(&call.perform(change(FreezeArm::WORD, &request, &shown, Recovery::Repeatable, &request.source))?)
}

fn holds(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let request = FreezeHolds { schema: schema(&call.options(1, &["schema"])?)?, source };
    let shown = format!("whether the freeze of {} holds", request.source);
    call.give(&call.perform(look(FreezeHolds::WORD, &request, &shown, &request.source))?)
}

fn last(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let request = FreezeLast { schema: schema(&call.options(1, &["schema"])?)?, source };
    let shown = format!("how the last freeze of {} stands", request.source);
    call.give(&call.perform(look(FreezeLast::WORD, &request, &shown, &request.source))?)
}

fn prove(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let through = call.options(1, &["through"])?.text("through")?;
    let request = FreezeProve { source, through };
    let shown = format!("a write on {} that must fail", request.through.as_ref().unwrap_or(&request.source));
    call.give(&call.perform(look(FreezeProve::WORD, &request, &shown, &request.source))?)
}

fn commit(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let request = FreezeCommit { schema: schema(&call.options(1, &["schema"])?)?, source };
    let shown = format!("commit the freeze of {}: from here only forward", request.source);
    call.give(&call.perform(change(FreezeCommit::WORD, &request, &shown, Recovery::Provable, &request.source))?)
}

fn lift(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let request = FreezeLift { schema: schema(&call.options(1, &["schema"])?)?, source };
    let shown = format!("release the writes of {}", request.source);
    call.give(&call.perform(change(FreezeLift::WORD, &request, &shown, Recovery::Repeatable, &request.source))?)
}

fn open(call: &Call<'_>) -> Answer {
    let source = call.text(0)?;
    let request = FreezeOpen { schema: schema(&call.options(1, &["schema"])?)?, source };
    let shown = format!("make {} writable again", request.source);
    call.give(&call.perform(change(FreezeOpen::WORD, &request, &shown, Recovery::Repeatable, &request.source))?)
}
