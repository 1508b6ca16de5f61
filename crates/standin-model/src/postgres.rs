//! PostgreSQL: who may be whom at which database.

use crate::rule::RequestRule;

/// Which databases a grant means, and what may be done there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostgresRule {
    /// The users that a client may be there; an empty list means any.
    pub users: Vec<String>,
    /// The databases; an empty list means any.
    pub databases: Vec<String>,
    /// Whether the server is reached without TLS: at addresses that are not public, and no others.
    pub plaintext: bool,
}

/// A rule that lends a password to what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresGrant {
    /// Where: hosts, ports and addresses. Its methods are none, so no request of HTTP is meant by it.
    pub rule: RequestRule,
    /// What.
    pub postgres: PostgresRule,
}

impl PostgresRule {
    /// Whether this user may be at this database.
    pub fn means(&self, user: &str, database: &str) -> bool {
        let among = |names: &[String], name| names.is_empty() || names.iter().any(|known| known == name);
        among(&self.users, user) && among(&self.databases, database)
    }
}
