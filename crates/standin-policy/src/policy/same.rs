//! Whether two policies say the same about a host: then what is open there need not end when one takes the other's place.

use super::{Effect, Entry, Narrowing, Policy};
use standin_model::{
    AddressBlocks, Condition, CredentialName, GitRule, Host, Methods, PathPattern, Ports, PostgresRule, RequestRule,
    Slot,
};

/// What a rule says of one host. Neither what it is called nor which other hosts it names is part of that.
#[derive(PartialEq, Eq)]
struct Said<'a> {
    means: (bool, bool),
    ports: &'a Ports,
    methods: &'a Methods,
    paths: &'a [PathPattern],
    conditions: &'a [Condition],
    addresses: &'a AddressBlocks,
}

/// What follows from a rule, in words that two policies have in common.
#[derive(PartialEq, Eq)]
enum Follows<'a> {
    Allow,
    Deny,
    Reserve,
    Conversation,
    Tokens(&'a str),
    Lend(&'a CredentialName, &'a [Slot], bool),
    Git(&'a CredentialName, &'a GitRule),
    Postgres(&'a CredentialName, &'a PostgresRule),
}

impl Policy {
    /// Whether the other policy has the same rules about this host, in the same order. Where it is not plain that it has, the answer is no.
    pub fn says_the_same(&self, other: &Self, host: &Host) -> bool {
        self.reach == other.reach
            && self.about(host).map(|entry| self.said(entry, host)).eq(other.about(host).map(|e| other.said(e, host)))
            && self.left(host).eq(other.left(host))
    }

    fn said<'a>(&'a self, entry: &'a Entry, host: &Host) -> (Said<'a>, Follows<'a>) {
        let follows = match &entry.effect {
            Effect::Allow => Follows::Allow,
            Effect::Deny => Follows::Deny,
            Effect::Reserve => Follows::Reserve,
            Effect::Conversation => Follows::Conversation,
            Effect::Tokens(login) => Follows::Tokens(login),
            Effect::Lend(id) => {
                let grant = self.grant(*id);
                Follows::Lend(&grant.credential, &grant.slots, grant.always)
            }
            Effect::Git(id) => {
                let loan = self.git_loan(*id);
                Follows::Git(&loan.credential, &loan.git)
            }
            Effect::Postgres(id) => {
                let loan = self.postgres_loan(*id);
                Follows::Postgres(&loan.credential, &loan.postgres)
            }
        };
        (said(&entry.rule, host), follows)
    }

    /// What presets leave of a host.
    fn left<'a>(&'a self, host: &Host) -> impl Iterator<Item = Vec<Said<'a>>> {
        let of = |one: &'a Narrowing| one.rules.iter().map(|rule| said(rule, host)).collect();
        self.narrowings_of(host).map(of)
    }
}

fn said<'a>(rule: &'a RequestRule, host: &Host) -> Said<'a> {
    let RequestRule { label: _, hosts, ports, methods, paths, conditions, addresses } = rule;
    // A metadata service is meant by its own name only.
    let means = (hosts.iter().any(|p| p.matches(host)), hosts.iter().any(|p| p.as_exact() == Some(host)));
    Said { means, ports, methods, paths, conditions, addresses }
}

#[cfg(test)]
mod tests {
    use crate::{Policy, PolicyBuilder};
    use standin_model::{
        AddressBlocks, CredentialName, GrantRule, Host, HostPattern, Methods, Ports, RequestRule, Slot,
    };

    fn rule(label: &str, hosts: &[&str]) -> RequestRule {
        RequestRule {
            label: label.to_owned(),
            hosts: hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect(),
            ports: Ports::default(),
            methods: Methods::Any,
            paths: vec![],
            conditions: vec![],
            addresses: AddressBlocks::default(),
        }
    }

    fn policy(make: impl Fn(&mut PolicyBuilder)) -> Policy {
        let mut builder = PolicyBuilder::default();
        builder.allow(rule("allow[1]", &["a.example", "*.b.example"]));
        builder.grant(CredentialName::new("key"), lends(vec![]));
        make(&mut builder);
        builder.build()
    }

    fn lends(slots: Vec<Slot>) -> GrantRule {
        GrantRule { rule: rule("key.grant[1]", &["key.example"]), slots, always: false }
    }

    #[test]
    fn what_is_said_of_others_changes_nothing() {
        let host = |name| Host::parse(name).unwrap();
        let before = policy(|_| {});
        let check = |after: &Policy| {
            ["a.example", "x.b.example", "key.example", "nobody.example"]
                .map(|name| before.says_the_same(after, &host(name)))
        };
        assert_eq!(check(&before), [true; 4]);
        assert_eq!(check(&policy(|all| all.deny(rule("deny[1]", &["c.example"])))), [true; 4]);
        // Called otherwise, and in a list with others.
        let mut renamed = PolicyBuilder::default();
        renamed.allow(rule("allow[1]", &["c.example"]));
        renamed.allow(rule("allow[2]", &["a.example", "*.b.example", "d.example"]));
        renamed.grant(CredentialName::new("key"), lends(vec![]));
        assert_eq!(check(&renamed.build()), [true; 4]);
    }

    #[test]
    fn whatever_is_said_of_it_counts() {
        let host = |name| Host::parse(name).unwrap();
        let before = policy(|_| {});
        let differs = |after: &Policy, name| !before.says_the_same(after, &host(name));
        let denied = policy(|all| all.deny(rule("deny[1]", &["**.b.example"])));
        assert!(differs(&denied, "x.b.example") && !differs(&denied, "a.example"));
        assert!(differs(&policy(|all| all.reach(80)), "a.example"));
        let narrowed = policy(|all| all.narrow("preset".into(), vec![], vec![rule("left", &["a.example"])]));
        assert!(differs(&narrowed, "a.example") && !differs(&narrowed, "key.example"));
        assert!(differs(&Policy::default(), "a.example"));
        // Another slot, another credential, none.
        for (name, slots) in [("key", vec![Slot::WebSocket]), ("other", vec![])] {
            let mut builder = PolicyBuilder::default();
            builder.allow(rule("allow[1]", &["a.example", "*.b.example"]));
            builder.grant(CredentialName::new(name), lends(slots));
            assert!(differs(&builder.build(), "key.example"), "{name}");
        }
        // One label more than the other wildcard means.
        let mut wider = PolicyBuilder::default();
        wider.allow(rule("allow[1]", &["**.b.example"]));
        let (wider, narrow) = (wider.build(), before);
        assert!(!wider.says_the_same(&narrow, &host("x.y.b.example")));
    }
}
