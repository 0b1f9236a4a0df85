//! `sql::…` and `template`: statements on a target.

use super::super::sources::template_path;
use super::super::sql_lexer::Statement;
use super::super::sql_text::{Rendered, SqlText};
use super::call::{Answer, Error, Options, title};
use super::{Call, Entry, Word, param};
use crate::model::Value;
use crate::model::action::{Action, Recovery, Resource};
use crate::model::request::{Request, RowContract, SqlAdmin, SqlExec, SqlQuery};

const TARGET: super::Param = param("target", "name of the target, usually a parameter");
const SQL: super::Param =
    param("sql", "one literal, template(\"x.sql\") or sql::raw(text, why); `{{ x }}` is a value of `args`, quoted");
const ARGS: super::Param = param("args", "map of the values that the SQL names");
const TIMEOUT: super::Param = param("#{timeout}", "longest it may take: seconds, or text such as \"10m\"");

const POOLED: super::Param = param(
    "#{pooled}",
    "true to read by `url` of the target, which may be pooled, rather than `direct_url`: what an application sees there",
);

pub(crate) const WORDS: &[Entry] = &[
    Entry {
        word: Word {
            name: "sql::query",
            signature: "sql::query(target, sql, args, #{ pooled, timeout }) -> list of maps",
            summary: "Reads rows in a read-only transaction. Functions that change anything are refused, even those that a read-only transaction would let through.",
            params: &[TARGET, SQL, ARGS, POOLED, TIMEOUT],
            errors: &[
                ("sql.SQLSTATE", "what the server said"),
                ("sql.volatile", "the query calls a function that may change something"),
            ],
            example: "let rows = sql::query(params.app, \"select id from orders where state = {{ state }}\", #{ state: \"open\" });",
        },
        least: 2,
        most: 4,
        run: query,
    },
    Entry {
        word: Word {
            name: "sql::value",
            signature: "sql::value(target, sql, args, #{ pooled, timeout }) -> value",
            summary: "Reads the single value of the single row.",
            params: &[TARGET, SQL, ARGS, POOLED, TIMEOUT],
            errors: &[("sql.SQLSTATE", "what the server said"), ("sql.single", "not exactly one row with one column")],
            example: "let open = sql::value(params.app, \"select count(*) from orders\");",
        },
        least: 2,
        most: 4,
        run: query,
    },
    Entry {
        word: Word {
            name: "sql::exec",
            signature: "sql::exec(target, sql, args, #{ rows, timeout }) -> #{ rows, returned }",
            summary: "Changes in one transaction, exactly once, whatever is killed when. Several statements are separated by semicolons.",
            params: &[
                TARGET,
                SQL,
                ARGS,
                param(
                    "#{rows}",
                    "rows that a statement must touch: a number or \"1..500\" (both ends included); a list has one a statement",
                ),
                TIMEOUT,
            ],
            errors: &[
                ("sql.SQLSTATE", "what the server said; nothing was changed"),
                ("rows.contract", "another number of rows; nothing was changed"),
            ],
            example: "sql::exec(params.app, \"update orders set state = 'done' where id = {{ id }}\", #{ id: 7 }, #{ rows: 1 });",
        },
        least: 2,
        most: 4,
        run: exec,
    },
    Entry {
        word: Word {
            name: "sql::admin",
            signature: "sql::admin(target, sql, args, #{ probe, timeout }) -> #{ rows, returned }",
            summary: "One statement outside of a transaction: VACUUM, CREATE DATABASE, CREATE INDEX CONCURRENTLY, or a function whose effect a rollback would not take back.",
            params: &[
                TARGET,
                SQL,
                ARGS,
                param(
                    "#{probe}",
                    "name of a function of the runbook that answers, after a crash, whether it was done: true, false, or \"partial\"",
                ),
                TIMEOUT,
            ],
            errors: &[("sql.SQLSTATE", "what the server said")],
            example: "sql::admin(params.app, \"vacuum orders\", #{}, #{ probe: \"vacuumed\" });",
        },
        least: 2,
        most: 4,
        run: admin,
    },
    Entry {
        word: Word {
            name: "sql::raw",
            signature: "sql::raw(text, why) -> SQL",
            summary: "Lets SQL through that was put together in the runbook. The plan shows it with its reason.",
            params: &[param("text", "SQL"), param("why", "why it is neither a literal nor a template")],
            errors: &[],
            example: "sql::exec(params.app, sql::raw(generated, \"one statement a partition, names from the catalog\"));",
        },
        least: 2,
        most: 2,
        run: raw,
    },
    Entry {
        word: Word {
            name: "template",
            signature: "template(\"x.sql\") -> SQL",
            summary: "SQL from `templates/x.sql`, accepted wherever SQL is.",
            params: &[param("name", "path below `templates/`, a literal")],
            errors: &[],
            example: "sql::exec(params.app, template(\"close_orders.sql\"), #{ before: \"2026-01-01\" });",
        },
        least: 1,
        most: 1,
        run: template,
    },
];

/// The one statement of rendered SQL.
fn single(call: &Call<'_>, rendered: Rendered) -> Result<(Statement, Option<String>), Error> {
    let Rendered { mut statements, raw } = rendered;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok((statement, raw)),
        _ => Err(call.misuse("takes one statement, and this is several; use sql::exec for several changes")),
    }
}

/// `select from orders on app`: what it does and to what, from its first words.
fn sql_title(statement: &Statement, target: &str) -> String {
    let mut line = String::new();
    for word in statement.sql.split_whitespace() {
        if line.chars().count() + word.chars().count() > 66 {
            line.push_str(" …");
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    title(&format!("{line} on {target}"))
}

/// Whether a statement looks at or changes what the whole server shares.
fn server_wide(statement: &Statement) -> bool {
    statement.words.iter().any(|word| {
        word.starts_with("PG_") || matches!(word.as_str(), "INFORMATION_SCHEMA" | "CURRENT_SETTING" | "SHOW")
    })
}

fn changes_server(statement: &Statement) -> bool {
    let verb = statement.words.first().map(String::as_str);
    matches!(verb, Some("GRANT" | "REVOKE" | "COMMENT"))
        || (matches!(verb, Some("CREATE" | "ALTER" | "DROP"))
            && statement
                .words
                .get(1)
                .is_some_and(|object| matches!(object.as_str(), "ROLE" | "USER" | "GROUP" | "DATABASE" | "SYSTEM")))
        || server_wide(statement)
}

fn resources(target: &str, server: bool) -> Vec<Resource> {
    let mut resources = vec![Resource::database(target)];
    if server {
        resources.push(Resource::server(target));
    }
    resources
}

fn query(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let options = call.options(3, &["pooled", "timeout"])?;
    let (statement, raw) = single(call, call.sql(1, 2)?)?;
    let reads = resources(&target, server_wide(&statement));
    let shown = sql_title(&statement, &target);
    let is_value = call.word().name == "sql::value";
    let request = SqlQuery { target, sql: statement.sql, single: is_value, raw, pooled: options.flag("pooled")? };
    let mut action = Action::read(SqlQuery::WORD, &request, shown, reads);
    action.timeout = options.seconds("timeout")?;
    call.give(&call.perform(action)?)
}

fn exec(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let options = call.options(3, &["rows", "timeout"])?;
    let rendered = call.sql(1, 2)?;
    let rows = contracts(call, &options, rendered.statements.len())?;
    let writes = resources(&target, rendered.statements.iter().any(changes_server));
    let mut shown = rendered.statements.first().map_or_else(String::new, |first| sql_title(first, &target));
    if rendered.statements.len() > 1 {
        shown = title(&format!("{} statements: {shown}", rendered.statements.len()));
    }
    let statements = rendered.statements.into_iter().map(|statement| statement.sql).collect();
    let request = SqlExec { target, statements, rows, raw: rendered.raw };
    let mut action = Action::change(SqlExec::WORD, &request, shown, Recovery::Provable, writes);
    action.timeout = options.seconds("timeout")?;
    call.give(&call.perform(action)?)
}

fn admin(call: &Call<'_>) -> Answer {
    let target = call.text(0)?;
    let options = call.options(3, &["probe", "timeout"])?;
    let (statement, raw) = single(call, call.sql(1, 2)?)?;
    let probe = options.function("probe")?;
    let class = if probe.is_some() { Recovery::Provable } else { Recovery::Ask };
    let shown = sql_title(&statement, &target);
    let writes = resources(&target, true);
    let request = SqlAdmin { target, sql: statement.sql, raw };
    let mut action = Action::change(SqlAdmin::WORD, &request, shown, class, writes);
    action.probe = probe;
    action.timeout = options.seconds("timeout")?;
    call.give(&call.perform(action)?)
}

/// The row contract of each statement; one that is given for several statements counts for each.
fn contracts(call: &Call<'_>, options: &Options<'_, '_>, statements: usize) -> Result<Vec<RowContract>, Error> {
    let one = |value: &Value| {
        let read = match value {
            Value::Number(number) => number.as_u64().map(|rows| RowContract { least: rows, most: rows }),
            Value::String(text) => {
                let (least, most) = text.split_once("..").unwrap_or((text, text));
                let most = most.trim_start_matches('=');
                least.trim().parse().ok().zip(most.trim().parse().ok()).map(|(least, most)| RowContract { least, most })
            }
            _ => None,
        };
        read.filter(|contract| contract.least <= contract.most).ok_or_else(|| {
            call.misuse(format!("option `rows`: {value} is neither a number nor a range such as \"1..500\""))
        })
    };
    match options.value("rows")? {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() == statements => items.iter().map(one).collect(),
        Some(Value::Array(items)) => {
            Err(call.misuse(format!("option `rows` has {} entries for {statements} statements", items.len())))
        }
        Some(value) => Ok(vec![one(&value)?; statements]),
    }
}

fn raw(call: &Call<'_>) -> Answer {
    let (text, why) = (call.text(0)?, call.text(1)?);
    if why.trim().is_empty() {
        return Err(call.misuse("`why` must say why"));
    }
    Ok(call.wrap(SqlText { text, file: None, raw: Some(why) }))
}

fn template(call: &Call<'_>) -> Answer {
    let path = template_path(&call.text(0)?).map_err(|why| call.misuse(why))?;
    let Some(text) = call.book.sources.files.get(&path) else {
        return Err(call.misuse(format!("`{path}` is not among the files of this runbook")));
    };
    Ok(call.wrap(SqlText { text: text.clone(), file: Some(path), raw: None }))
}
