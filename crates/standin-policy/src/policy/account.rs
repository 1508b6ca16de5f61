//! Why a verdict is what it is: every rule about the host, and what keeps it from meaning the request.

use super::{Effect, Entry, Grant, Narrowing, Policy, RequestFacts};
use standin_model::{Condition, PathPattern, RequestRule, Spellings};

/// A rule about a host, beside a request to it.
pub struct Considered<'a> {
    /// The rule.
    pub rule: &'a RequestRule,
    /// What it does with what it means.
    pub does: Does<'a>,
    /// The first of its paths that means the request's, if it names any.
    pub path: Option<&'a PathPattern>,
    /// In what the request differs from what the rule means. If in nothing, the rule means it.
    pub differs: Vec<Difference>,
    /// The conditions that keep it from meaning the request.
    pub missed: Vec<&'a Condition>,
}

/// What a rule does.
#[derive(Clone, Copy)]
pub enum Does<'a> {
    /// It allows.
    Allow,
    /// It allows, and lends a credential.
    Lend(&'a Grant),
    /// It allows, and lets no credential pass, since one is meant to be lent.
    Reserve,
    /// It denies, whatever else allows.
    Deny,
    /// It leaves what it means, which something else has to allow: a preset's, called so.
    Leave(&'a str),
}

/// A way in which a request is not what a rule means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The port.
    Port,
    /// The method.
    Method,
    /// The path.
    Path,
    /// What else has to hold, or may not be known.
    Condition,
}

impl Policy {
    /// Every rule about the host of a request that allows or denies something there, those that deny first.
    pub fn account<'a>(&'a self, facts: &RequestFacts<'_>) -> Vec<Considered<'a>> {
        let spellings = Spellings::of(facts.path);
        let names = |entry: &&Entry| entry.rule.hosts.iter().any(|pattern| pattern.matches(facts.host));
        let considered = self.about(facts.host).filter(names).filter_map(|entry| {
            let does = match &entry.effect {
                Effect::Allow => Does::Allow,
                Effect::Lend(grant) => Does::Lend(self.grant(*grant)),
                Effect::Reserve => Does::Reserve,
                Effect::Deny => Does::Deny,
                // It denies what is like the one request that it means.
                Effect::Tokens(_) if entry.evades(facts, &spellings) => Does::Deny,
                Effect::Tokens(_) | Effect::Conversation | Effect::Git(_) | Effect::Postgres(_) => return None,
            };
            let means: &dyn Fn(&PathPattern) -> bool = if entry.stops() {
                &|pattern| pattern.means(&spellings)
            } else {
                &|pattern| pattern.matches(facts.path)
            };
            let path = entry.rule.paths.iter().find(|pattern| means(pattern));
            let missed = match entry.effect {
                Effect::Tokens(_) => Vec::new(),
                _ => missed(&entry.rule, facts, entry.effect == Effect::Deny),
            };
            let differs = differs(entry, facts, entry.rule.paths.is_empty() || path.is_some(), missed.is_empty());
            Some(Considered { rule: &entry.rule, does, path, differs, missed })
        });
        let (mut first, rest): (Vec<_>, Vec<_>) = considered.partition(|one| matches!(one.does, Does::Deny));
        first.extend(self.narrowings_of(facts.host).flat_map(|narrowing| narrowing.account(facts)));
        first.extend(rest);
        first
    }

    /// The presets that leave nothing like this request.
    pub fn narrowed_by(&self, facts: &RequestFacts<'_>) -> Vec<&str> {
        let narrow = self.narrowings_of(facts.host).filter(|one| !one.leaves(facts));
        narrow.map(|one| one.label.as_str()).collect()
    }
}

impl Narrowing {
    fn account<'a>(&'a self, facts: &RequestFacts<'_>) -> impl Iterator<Item = Considered<'a>> {
        let here = self.rules.iter().filter(|rule| rule.hosts.iter().any(|pattern| pattern.matches(facts.host)));
        here.map(|rule| {
            let path = rule.paths.iter().find(|pattern| pattern.matches(facts.path));
            let same_path = rule.paths.is_empty() || path.is_some();
            let missed = missed(rule, facts, false);
            let (port, method) = (rule.ports.contains(facts.port), rule.methods.contain(facts.method));
            let differs = list([port, method, same_path, missed.is_empty()]);
            Considered { rule, does: Does::Leave(&self.label), path, differs, missed }
        })
    }
}

impl Considered<'_> {
    /// Whether it allows what it means.
    pub fn allows(&self) -> bool {
        matches!(self.does, Does::Allow | Does::Lend(_) | Does::Reserve)
    }
}

fn differs(entry: &Entry, facts: &RequestFacts<'_>, path: bool, holds: bool) -> Vec<Difference> {
    let rule = &entry.rule;
    let method = match entry.effect {
        // What is like the one request is denied with any method.
        Effect::Tokens(_) => true,
        Effect::Deny => rule.methods.contain_in_any_case(facts.method),
        _ => rule.methods.contain(facts.method),
    };
    list([rule.ports.contains(facts.port), method, path, holds])
}

/// The conditions of a rule that do not hold, or cannot hold if it denies.
fn missed<'a>(rule: &'a RequestRule, facts: &RequestFacts<'_>, denies: bool) -> Vec<&'a Condition> {
    let path = Spellings::of(facts.path);
    let holds = |condition: &Condition| {
        if denies { condition.may_hold(&path, facts.evidence) } else { condition.surely_holds(&path, facts.evidence) }
    };
    rule.conditions.iter().filter(|condition| !holds(condition)).collect()
}

/// In what they differ of these, in this order.
fn list(same: [bool; 4]) -> Vec<Difference> {
    let all = [Difference::Port, Difference::Method, Difference::Path, Difference::Condition];
    all.into_iter().zip(same).filter(|(_, same)| !same).map(|(difference, _)| difference).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{ConnectionVerdict, PolicyBuilder, RequestVerdict};
    use super::*;
    use proptest::prelude::*;
    use standin_model::{
        AddressBlocks, Commands, Condition, CredentialName, Evidence, Fact, GrantRule, Host, HostPattern, Methods,
        PathPattern, Place, Ports, Scheme, Test, TextPattern,
    };

    fn rules() -> impl Strategy<Value = Vec<(u8, RequestRule)>> {
        let host = prop::sample::select(vec!["a.example.com", "*.example.com", "**.example.com", "b.example.com"]);
        let methods = prop::sample::select(vec![None, Some("GET"), Some("POST")]);
        let path = prop::sample::select(vec![None, Some("/v1/**"), Some("/v1/x"), Some("/*/y")]);
        let ports = prop::sample::select(vec![Ports::Any, Ports::new(vec![443]), Ports::new(vec![8443])]);
        let word = Test::Text(Box::new(TextPattern::compiled_in("word")));
        let condition = prop::sample::select(vec![None, None, Some(Test::Absent), Some(word)]);
        let rule = (0u8..5, host, methods, path, ports, condition);
        let rule = rule.prop_map(|(kind, host, methods, path, ports, condition)| {
            let rule = RequestRule {
                label: String::new(),
                hosts: vec![HostPattern::parse(host).unwrap()],
                ports,
                methods: methods.map_or(Methods::Any, |method| Methods::only([method])),
                paths: path.into_iter().map(|path| PathPattern::parse(path).unwrap()).collect(),
                conditions: condition
                    .into_iter()
                    .map(|test| Condition::Value(Place::Header("x".to_owned()), test))
                    .collect(),
                addresses: AddressBlocks::default(),
            };
            (kind, rule)
        });
        prop::collection::vec(rule, 0..6)
    }

    /// The one header that is looked at.
    struct Header(Fact);

    impl Evidence for Header {
        fn value(&self, _: &Place) -> Fact {
            self.0.clone()
        }

        fn push(&self) -> Option<Commands> {
            None
        }
    }

    fn policy(rules: Vec<(u8, RequestRule)>) -> Policy {
        let mut builder = PolicyBuilder::default();
        for (kind, rule) in rules {
            match kind {
                0 => builder.allow(rule),
                1 => builder.deny(rule),
                2 => builder.reserve(rule),
                3 => builder.narrow("preset".to_owned(), Vec::new(), vec![rule]),
                _ => builder.grant(CredentialName::new("key"), GrantRule { rule, slots: Vec::new(), always: false }),
            }
        }
        builder.build()
    }

    proptest! {
        /// The account and the verdict are two ways through the rules; they come to one end.
        #[test]
        fn an_account_agrees_with_the_verdict(
            rules in rules(),
            host in prop::sample::select(vec!["a.example.com", "b.example.com", "c.a.example.com", "example.com"]),
            port in prop::sample::select(vec![443u16, 8443]),
            method in prop::sample::select(vec!["GET", "POST", "get"]),
            path in prop::sample::select(vec!["/v1/x", "/V1/x", "/v1/y", "/w"]),
            header in prop::sample::select(vec![
                Fact::Absent, Fact::Unknown, Fact::Text("word".to_owned()), Fact::Text("WORD".to_owned()),
            ]),
        ) {
            let (policy, host) = (policy(rules), Host::parse(host).unwrap());
            let header = Header(header);
            let facts = RequestFacts { host: &host, port, scheme: Scheme::Https, method, path, evidence: &header };
            let account = policy.account(&facts);
            let means = |denies: bool| {
                let does = |one: &&Considered<'_>| if denies { matches!(one.does, Does::Deny) } else { one.allows() };
                account.iter().filter(does).any(|one| one.differs.is_empty())
            };
            let allowed = matches!(policy.connection(&host, port), ConnectionVerdict::Allow { .. })
                && matches!(policy.request(&facts), RequestVerdict::Allow { .. });
            // Each narrowing here is of one rule.
            let leave = |one: &Considered<'_>| !matches!(one.does, Does::Leave(_)) || one.differs.is_empty();
            prop_assert_eq!(policy.narrowed_by(&facts).is_empty(), account.iter().all(leave));
            prop_assert_eq!(allowed, means(false) && !means(true) && account.iter().all(leave));
        }
    }
}
