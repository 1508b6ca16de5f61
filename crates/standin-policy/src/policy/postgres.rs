//! PostgreSQL: who may be whom at which database, with whose password.

use super::{Effect, Entry, Policy, PolicyBuilder, shown_name};
use standin_model::{CredentialName, Denial, DenyReason, Host, PostgresGrant, PostgresRule};
use std::sync::Arc;

/// Most grants named in the explanation of a refusal.
const MAX_SHOWN: usize = 8;
/// Longest name that is repeated, in bytes: PostgreSQL cuts longer ones.
const MAX_NAME: usize = 63;

/// One grant of a database's password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostgresId(usize);

/// What such a grant lends.
pub struct PostgresLoan {
    /// The credential whose value is the password.
    pub credential: CredentialName,
    /// For what.
    pub postgres: PostgresRule,
}

/// What is known of a client.
pub struct PostgresFacts<'a> {
    /// The host that was dialled.
    pub host: &'a Host,
    /// The port that was dialled.
    pub port: u16,
    /// Who it wants to be.
    pub user: &'a str,
    /// At which database.
    pub database: &'a str,
}

/// The answer about such a client.
#[derive(Debug)]
pub enum PostgresVerdict {
    /// It may, if it has the stand-in of one of these grants: each with the rule that says so.
    Allow(Vec<(PostgresId, Arc<str>)>),
    /// It may not.
    Deny(Denial),
}

impl PolicyBuilder {
    /// Allows PostgreSQL to what a grant names, and lends it a password.
    pub fn postgres(&mut self, credential: CredentialName, grant: PostgresGrant) {
        let id = PostgresId(self.0.postgres.len());
        self.0.postgres.push(PostgresLoan { credential, postgres: grant.postgres });
        self.add(grant.rule, Effect::Postgres(id));
    }
}

impl Policy {
    /// Whether PostgreSQL is spoken with this host and port at all.
    pub fn speaks_postgres(&self, host: &Host, port: u16) -> Result<(), Denial> {
        match self.postgres_grants(host, port).next() {
            Some(_) => Ok(()),
            None => Err(refuse_host(host, port)),
        }
    }

    /// May this user be at this database, and with which passwords?
    pub fn postgres(&self, facts: &PostgresFacts<'_>) -> PostgresVerdict {
        let grants = self.postgres_grants(facts.host, facts.port);
        let means = |id: PostgresId| self.postgres_loan(id).postgres.means(facts.user, facts.database);
        let meant: Vec<_> =
            grants.filter(|(_, id)| means(*id)).map(|(entry, id)| (id, Arc::clone(&entry.label))).collect();
        if meant.is_empty() {
            PostgresVerdict::Deny(self.refuse_postgres(facts))
        } else {
            PostgresVerdict::Allow(meant)
        }
    }

    /// What a grant lends.
    pub fn postgres_loan(&self, id: PostgresId) -> &PostgresLoan {
        &self.postgres[id.0]
    }

    /// What is allowed where no request of HTTP is.
    pub(super) fn without_http(&self, host: &Host, port: u16) -> String {
        let protocol = if self.postgres_grants(host, port).next().is_some() { "PostgreSQL" } else { "git over SSH" };
        format!("{protocol}, and no request")
    }

    fn postgres_grants<'a>(&'a self, host: &'a Host, port: u16) -> impl Iterator<Item = (&'a Entry, PostgresId)> {
        self.about(host).filter_map(move |entry| match entry.effect {
            Effect::Postgres(id) if entry.rule.admits_connection(host, port) => Some((entry, id)),
            _ => None,
        })
    }

    fn refuse_postgres(&self, facts: &PostgresFacts<'_>) -> Denial {
        let PostgresFacts { host, port, user, database } = *facts;
        let meant = self.postgres_grants(host, port).map(|(_, id)| describe(&self.postgres_loan(id).postgres));
        let mut shown: Vec<String> = meant.collect();
        let more = if shown.len() > MAX_SHOWN { " and others" } else { "" };
        shown.truncate(MAX_SHOWN);
        let message = format!(
            "the user {} at the database {} of {host} is not granted; granted: {}{more}",
            shown_name(user, MAX_NAME),
            shown_name(database, MAX_NAME),
            shown.join("; ")
        );
        Denial::new(DenyReason::PostgresRequest, message)
    }
}

fn describe(rule: &PostgresRule) -> String {
    let list = |names: &[String]| if names.is_empty() { "any".to_owned() } else { names.join(" or ") };
    format!("user {} at database {}", list(&rule.users), list(&rule.databases))
}

fn refuse_host(host: &Host, port: u16) -> Denial {
    let ports = if port == 5432 { String::new() } else { format!(", ports = [{port}]") };
    let message = format!(
        "no password is granted for PostgreSQL at {host}; its owner can add a [[credential]] with the password's source and a \
         [[credential.grant]] with hosts = [\"{host}\"]{ports}, postgres = {{ databases = [\"NAME\"] }} (docs/postgresql.md)"
    );
    Denial::new(DenyReason::PostgresNotGranted, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConnectionVerdict, RequestFacts, RequestVerdict};
    use standin_model::{AddressBlocks, HostPattern, Methods, NoEvidence, Ports, RequestRule, Scheme};

    fn grant(label: &str, users: &[&str], databases: &[&str]) -> PostgresGrant {
        let rule = RequestRule {
            label: label.to_owned(),
            hosts: vec![HostPattern::parse("db.example").unwrap()],
            ports: Ports::new(vec![5432]),
            methods: Methods::Only(Vec::new()),
            paths: Vec::new(),
            conditions: Vec::new(),
            addresses: AddressBlocks::default(),
        };
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let (users, databases) = (names(users), names(databases));
        PostgresGrant { rule, postgres: PostgresRule { users, databases, ..PostgresRule::default() } }
    }

    fn policy() -> Policy {
        let mut builder = PolicyBuilder::default();
        builder.postgres(CredentialName::new("one"), grant("one", &["app"], &["shop", "app"]));
        builder.postgres(CredentialName::new("two"), grant("two", &[], &["shop"]));
        builder.build()
    }

    fn ask(user: &str, database: &str) -> String {
        let (policy, host) = (policy(), Host::parse("db.example").unwrap());
        match policy.postgres(&PostgresFacts { host: &host, port: 5432, user, database }) {
            PostgresVerdict::Allow(grants) => {
                let names = grants.iter().map(|(id, rule)| {
                    assert_eq!(policy.postgres_loan(*id).credential.as_str(), &**rule);
                    rule.to_string()
                });
                names.collect::<Vec<_>>().join(" ")
            }
            PostgresVerdict::Deny(denial) => denial.to_string(),
        }
    }

    #[test]
    fn a_database_is_granted_or_not() {
        assert_eq!(
            (ask("app", "shop"), ask("app", "app"), ask("me", "shop")),
            ("one two".into(), "one".into(), "two".into())
        );
        let refused = |user, database| {
            format!(
                "postgres.request_not_allowed: the user {user} at the database {database} of db.example is not granted; \
                 granted: user app at database shop or app; user any at database shop"
            )
        };
        assert_eq!(ask("app", "postgres"), refused("app", "postgres"));
        assert_eq!(ask("APP", "app"), refused("APP", "app"));
        assert_eq!(ask("a\x1b[0m", "x y"), refused("?", "?"));
    }

    #[test]
    fn one_protocol_is_not_the_other() {
        let policy = policy();
        let host = Host::parse("db.example").unwrap();
        assert!(policy.speaks_postgres(&host, 5432).is_ok());
        assert!(matches!(policy.connection(&host, 5432), ConnectionVerdict::Allow { .. }));
        let facts = RequestFacts {
            host: &host,
            port: 5432,
            scheme: Scheme::Https,
            method: "GET",
            path: "/",
            evidence: &NoEvidence,
        };
        let RequestVerdict::Deny(denial) = policy.request(&facts) else { panic!("a request of HTTP passed") };
        assert_eq!(denial.message, "GET / is not allowed at db.example; allowed: PostgreSQL, and no request");
        for (host, port) in [("db.example", 443), ("other.example", 5432)] {
            let denial = policy.speaks_postgres(&Host::parse(host).unwrap(), port).unwrap_err();
            assert_eq!(denial.reason, DenyReason::PostgresNotGranted);
        }
    }
}
