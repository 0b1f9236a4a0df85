//! The shipped runbooks of branches against a service that misbehaves in every way that it is known to, and killed at any
//! write of their journals: they come through, nothing is made twice, nothing is left over, nothing is deleted that was not
//! to be.
//!
//! A few seeds in the suite; `RUNSHEET_SEEDS=200` tries as many, `RUNSHEET_SEED` begins at another one, and `RUNSHEET_EVERY=1`
//! dies at each write. Small runbooks made for it are tried in `neon::chaos`.

mod carried;
mod crowd;
mod drills;
pub mod kills;
mod previews;
mod purge;
mod restores;
