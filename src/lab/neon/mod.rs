//! A stand-in for Neon's control plane, and for the little of GitHub that is asked beside it, on one port of loopback.
//!
//! What it answers, refuses and counts follows the service's published API; what is not known of that can be set. It keeps
//! everything in memory: when its process ends, its projects are gone. Data lie behind the two traits in [`backing`].
//!
//! | route | what it does |
//! |---|---|
//! | `POST /lab/projects` `{ name, databases, database, role, branch, created_at, history_seconds, seed, knobs }` | makes a project; answers id, key, default branch, endpoint, URIs |
//! | `GET`, `DELETE /lab/projects/P` | everything there is, was made, was removed, and what was asked how often; or its end |
//! | `POST /lab/projects/P/branches` `[{ name, id, parent, created_at, updated_at, last_active, active, protected, default, annotation, restricted, expires_at, state }]` | puts branches there, past every rule; thousands in one call |
//! | `PATCH /lab/projects/P/branches/B` | the same fields, and `removed`: what somebody else does meanwhile |
//! | `PATCH /lab/projects/P/knobs` | limits, plan and timing: [`knobs::Knobs`] |
//! | `POST /lab/projects/P/chaos` `{ seed, rates }` or `{ seed, all }` | misbehaviour: [`chaos::Rates`] |
//! | `POST /lab/projects/P/fates` `[[action, fate]]` | how the next operations end |
//! | `POST /lab/projects/P/operations` `{ count }` | the service begins operations by itself |
//! | `POST /lab/projects/P/tick` `{ count }` | brings operations on, where `manual` is set |
//! | `POST /lab/projects/P/stretch` `{ anchor, factor }` | shows a minute of history as a day; set it before anything else is dated |
//! | `POST /lab/projects/P/keys` `{ rights }` | another key: `all`, `read`, `none` |
//! | `POST /lab/projects/P/schemas` `{ branch, database, sql }` | what a schema is said to be, without databases |
//! | `POST /lab/projects/P/sql` `{ branch, database, sql }` | statements as superuser |
//! | `POST /lab/github/O/R` `{ pulls: { N: { state, closed_at, merged, status } }, status, token }` | a repository |

pub mod backing;
mod branches;
mod call;
mod changes;
pub mod chaos;
mod clock;
mod configure;
pub mod daemon;
mod databases;
mod endpoints;
mod github;
mod janitor;
pub mod knobs;
mod knobs_routes;
mod making;
mod names;
mod operations;
mod paper;
mod plane;
mod points;
mod projects;
mod rate;
mod refusal;
mod restore;
mod roles;
mod rules;
mod schema;
mod seeding;
mod serve;
mod state;
pub mod storage;
mod uri;
mod view;
mod work;

/// Seconds as whole milliseconds.
fn milliseconds(seconds: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a few days of milliseconds")]
    let milliseconds = (seconds * 1000.0) as i64;
    milliseconds
}
