//! Reaching both sides of a move: a run's schema in them, a target that the run fills, ways to servers that are elsewhere.

mod control;
mod env;
mod filled;
mod frozen;
mod pooler;
mod tools;
mod tunnel;

use crate::program::project::Project;
use crate::support::{Cluster, Database};

/// A project with the targets `source` and `target`.
pub fn project(source: &Database, target: &Database) -> Project {
    let project = Project::on(source);
    let toml = format!("[targets.source]\nurl = \"{}\"\n[targets.target]\nurl = \"{}\"\n", source.url, target.url);
    project.file("runsheet.toml", &toml);
    project
}

/// Writes a runbook with these steps and the parameters `source` and `target`.
pub fn runbook(project: &Project, name: &str, steps: &str) {
    let head = format!(
        "runbook(\"{name}\", \"1.0.0\", #{{ about: \"a test\", params: #{{ source: target(\"from\", #{{ or: \"source\" }}), \
         target: target(\"to\", #{{ or: \"target\" }}) }}, lock: [] }});\n"
    );
    project.file(&format!("runbooks/{name}.rhai"), &format!("{head}{steps}\n"));
}

/// Objects of every kind that a database can hold without any extension's programs.
pub const EVERYTHING: &str = "
    create schema shop;
    create type shop.state as enum ('open', 'sent');
    create domain shop.email as text check (value like '%@%');
    create type shop.money2 as (amount numeric, currency text);
    create type shop.span as range (subtype = date);
    create sequence shop.numbers;
    create function shop.next() returns bigint language sql as $$ select nextval('shop.numbers') $$;
    create table shop.orders (id bigint primary key default shop.next(), mail shop.email, state shop.state,
        serial bigint generated always as identity, total shop.money2);
    create table shop.lines (id serial primary key, ordered bigint references shop.orders, note text);
    create index lines_note on shop.lines (lower(note));
    create table events (at date, what text) partition by range (at);
    create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
    create view shop.open_orders as select * from shop.orders where state = 'open';
    create materialized view shop.totals as select count(*) from shop.orders;
    create function shop.touch() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger touch before update on shop.orders for each row execute function shop.touch();
    create procedure tidy() language sql as $$ delete from shop.lines where note is null $$;
    create aggregate shop.product(numeric) (sfunc = numeric_mul, stype = numeric);
    create operator shop.=== (leftarg = text, rightarg = text, function = texteq);
    create collation shop.german from \"C\";
    create text search configuration shop.words (copy = simple);
    create extension pg_trgm;
    create index lines_trgm on shop.lines using gin (note gin_trgm_ops);
    create function forbid() returns event_trigger language plpgsql as $$ begin return; end $$;
    create event trigger watch on ddl_command_end execute function forbid();
    select lo_from_bytea(0, 'large');
    insert into shop.orders (mail, state) select 'a' || n || '@b', 'open' from generate_series(1, 50) n;
    insert into shop.lines (ordered, note) select n, 'note ' || n from generate_series(1, 50) n;
    insert into events values ('2026-05-05', 'x')";

/// An empty database on the second server.
pub fn empty(name: &str) -> Database {
    Cluster::second().database(name)
}

/// A database with [`EVERYTHING`] in it.
pub fn full(name: &str) -> Database {
    let database = Cluster::shared().database(name);
    database.sql(EVERYTHING);
    database
}

/// An empty database on the second server as managed services give them: the role owns it and is no superuser, and an
/// extension is there already.
pub fn managed(name: &str) -> Database {
    let database = empty(name);
    let (role, server) = (format!("owner_of_{}", database.name), Cluster::second().open("postgres"));
    server.sql(&format!(
        "create role {role} login password 'managed-password'; alter database {} owner to {role}",
        database.name
    ));
    database.sql(&format!(
        "create extension pg_trgm; comment on extension pg_trgm is 'theirs'; alter schema public owner to {role}"
    ));
    let port = Cluster::second().port;
    Database {
        url: format!("postgresql://{role}:managed-password@127.0.0.1:{port}/{}", database.name),
        name: database.name,
    }
}
