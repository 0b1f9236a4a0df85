//! Both login roles, as a rotation finds them, and a server that writes down every statement it is told.

use super::{FIRST, SECOND};
use crate::lab::SOURCE;
use crate::lab::book::Book;
use crate::lab::cluster::SUPERUSER;
use crate::lab::load::APP;
use crate::lab::programs::Programs;
use crate::lab::psql::Login;
use crate::model::fault::Fault;

/// Makes the roles, the first with this password, and the table that the client inserts into. Answers the password's verifier.
pub fn make(programs: &Programs, book: &Book, password: &str) -> Result<String, Fault> {
    let login = Login { port: book.port(SOURCE), role: SUPERUSER, password: &book.password, database: APP };
    login.run(programs, "making both roles of a rotation", "", &script(password))?;
    let verifier = format!("select rolpassword from pg_authid where rolname = '{FIRST}'");
    login.ask(programs, "reading the verifier", &verifier)
}

/// An earlier attempt may have come any far. The server's log is whole once it is searched for secrets, and has none from here.
fn script(password: &str) -> String {
    let role = |name: &str| {
        format!(
            "select 'create role {name}' where not exists (select from pg_roles where rolname = '{name}') \\gexec\n\
             grant {APP} to {name};\n"
        )
    };
    let (first, second) = (role(FIRST), role(SECOND));
    format!(
        "set log_statement = none; set log_min_error_statement = panic; set password_encryption = 'scram-sha-256';\n\
         {first}{second}\
         alter role {FIRST} login password '{password}';\n\
         alter role {SECOND} nologin password null;\n\
         set role {APP};\n\
         create table if not exists logins (\n\
             id bigint generated always as identity primary key, role name not null, path text not null,\n\
             at timestamptz not null default clock_timestamp());\n\
         reset role;\n\
         alter system set log_statement = 'all';\n\
         select pg_reload_conf();\n"
    )
}
