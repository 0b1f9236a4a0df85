//! The requests of the `neon` words. A branch is named by its id, or by its exact name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Request;
use crate::model::Value;

macro_rules! request {
    ($(#[$about:meta])* $name:ident = $word:literal { $($(#[$field_about:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            $($(#[$field_about])* pub $field: $kind),*
        }

        impl Request for $name {
            const WORD: &'static str = $word;
        }
    };
}

request! {
    /// What the project is. Answers a map.
    NeonProject = "neon::project" {}
}

request! {
    /// How far back the history reaches. Answers `{ before, after }`.
    NeonSetHistory = "neon::set_history" {
        /// Seconds.
        seconds: u64,
    }
}

request! {
    /// All branches whose name begins so. Answers branch maps.
    NeonBranches = "neon::branches" {
        /// Empty for all.
        prefix: String,
    }
}

request! {
    /// One branch. Answers its map, or nothing.
    NeonBranch = "neon::branch" {
        /// Id or exact name.
        branch: String,
    }
}

request! {
    /// The branch that a target is on. Answers its map.
    NeonBranchOf = "neon::branch_of" {
        /// The target.
        target: String,
    }
}

request! {
    /// Whether Neon hosts a target. Answers true or false.
    NeonHosts = "neon::hosts" {
        /// The target.
        target: String,
    }
}

request! {
    /// A new branch. Answers `{ id, name, parent, lsn, timestamp, endpoint, target }`.
    NeonCreateBranch = "neon::create_branch" {
        /// Its name; one that tells the run without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The target whose branch it begins at, and whose database and role it is then used with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// The branch that it begins at; the default branch without both.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
        /// The moment at which it begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
        /// The point of the log at which it begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lsn: Option<String>,
        /// Seconds after which it goes by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl: Option<f64>,
        /// Whether it can be connected to.
        compute: bool,
        /// Whether it is protected.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        protected: bool,
        /// Whether it gets the schema only.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        schema_only: bool,
        /// Whether it is to outlive its run.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        keep: bool,
        /// What is written on it, beside who made it.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        annotation: BTreeMap<String, String>,
    }
}

request! {
    /// Deletes a branch of this run's own. Answers `{ deleted }`.
    NeonDropBranch = "neon::drop_branch" {
        /// Id, or `BASE:br-…`.
        made: String,
    }
}

request! {
    /// Deletes what this run and finished ones made. Answers `{ deleted, kept }`.
    NeonSweep = "neon::sweep" {
        /// Whether only this run's.
        own: bool,
    }
}

request! {
    /// Deletes a branch as it was read. Answers `{ deleted, gone, why, recoverable_until }`.
    NeonDeleteBranch = "neon::delete_branch" {
        /// The branch map, reduced to what must be unchanged.
        branch: Value,
    }
}

request! {
    /// Brings back a deleted branch. Answers its map.
    NeonRecoverBranch = "neon::recover_branch" {
        /// Its id.
        branch: String,
    }
}

request! {
    /// Changes what a branch is called, and how long it lives. Answers what it says of itself then.
    NeonUpdateBranch = "neon::update_branch" {
        /// Its id.
        branch: String,
        /// Another name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Whether it is protected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protected: Option<bool>,
        /// Seconds after which it goes by itself; 0 for never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl: Option<f64>,
        /// When it goes by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<String>,
    }
}

request! {
    /// Puts a branch back to an earlier state, in place. Answers `{ preserved, branch }`.
    NeonRestoreBranch = "neon::restore_branch" {
        /// The branch that is put back.
        branch: String,
        /// The branch whose history it is taken from; its own without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
        /// The point of the log.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lsn: Option<String>,
        /// Name under which the state of now is kept.
        preserve: String,
        /// The target that is on the branch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    }
}

request! {
    /// The computes of a branch. Answers maps.
    NeonEndpoints = "neon::endpoints" {
        /// The branch.
        branch: String,
    }
}

request! {
    /// Starts a compute. Answers its map.
    NeonStartEndpoint = "neon::start_endpoint" {
        /// `ep-…`.
        endpoint: String,
    }
}

request! {
    /// Puts a compute to sleep. Answers its map.
    NeonSuspendEndpoint = "neon::suspend_endpoint" {
        /// `ep-…`.
        endpoint: String,
    }
}

request! {
    /// Keeps a compute from starting, or lets it again. Answers its map.
    NeonDisableEndpoint = "neon::disable_endpoint" {
        /// `ep-…`.
        endpoint: String,
        /// Which of both.
        disabled: bool,
    }
}

request! {
    /// The roles of a branch. Answers maps.
    NeonRoles = "neon::roles" {
        /// The branch.
        branch: String,
    }
}

request! {
    /// The databases of a branch. Answers maps.
    NeonDatabases = "neon::databases" {
        /// The branch.
        branch: String,
    }
}

request! {
    /// Another password of a role. Answers its handle.
    NeonResetPassword = "neon::reset_password" {
        /// The branch.
        branch: String,
        /// The role.
        role: String,
    }
}

request! {
    /// The password of a role. Answers its handle.
    NeonRevealPassword = "neon::reveal_password" {
        /// The branch.
        branch: String,
        /// The role.
        role: String,
        /// Whether it stands for one that was set before and is to be known by that name.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fresh: bool,
    }
}

request! {
    /// A URL of a branch. Answers its handle.
    NeonUrl = "neon::url" {
        /// The branch.
        branch: String,
        /// The database; the only one without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        database: Option<String>,
        /// The role; the database's owner without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<String>,
        /// Whether through the pooler.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pooled: bool,
        /// What to say as `schema`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<String>,
    }
}

request! {
    /// What the service is doing and did. Answers maps, newest first.
    NeonOperations = "neon::operations" {
        /// Only what works on this branch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
        /// At most so many.
        limit: u64,
    }
}

request! {
    /// How the schemas of two branches differ. Answers a unified diff; empty when they do not.
    NeonCompareSchema = "neon::compare_schema" {
        /// The branch.
        branch: String,
        /// The branch it is compared with; its parent without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<String>,
        /// The database; the only one without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        database: Option<String>,
        /// The moment of the branch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
        /// The moment of its base.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_at: Option<String>,
    }
}
