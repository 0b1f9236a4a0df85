//! Who may log in at a pooler, and with what: verifiers of passwords, and PgBouncer's user list.

mod users;
mod verifiers;
mod world;
