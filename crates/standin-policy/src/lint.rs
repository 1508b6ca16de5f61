//! What is odd about the rules that somebody has written: they mean more than their owner thinks, or nothing.

use crate::catalogue::Catalogue;
use crate::catalogue::danger;
use crate::policy::Policy;
use serde::Serialize;
use standin_model::{Condition, DangerGroup, Host, HostPattern, Methods, Place, Ports, RequestRule};
use std::fmt;
use std::sync::OnceLock;

/// The rules of a configuration.
pub struct Own<'a> {
    /// Those that allow, without a credential.
    pub allow: Vec<&'a RequestRule>,
    /// Those that deny.
    pub deny: Vec<&'a RequestRule>,
    /// Those that lend, and what.
    pub grants: Vec<(&'a str, &'a RequestRule)>,
    /// The groups of dangerous operations that are denied everywhere.
    pub denied_groups: &'a [DangerGroup],
}

/// Something odd.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule, as records call it.
    pub rule: String,
    /// What kind of oddity.
    pub kind: Kind,
    /// What is odd.
    pub message: String,
    /// What to write instead.
    pub mend: String,
}

/// A kind of oddity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A wildcard where anybody can have a name.
    TenantWildcard,
    /// A service may be written to, and none of the user's credentials is granted there: an attacker's is good.
    ForeignAccount,
    /// Another rule means all of it.
    Covered,
    /// A rule that denies means all of it.
    Denied,
    /// It asks what a body says, and its methods have none.
    NoBody,
    /// It lends on a port that carries no TLS.
    Cleartext,
    /// A group is denied, and which operations there are in it is not known.
    UnknownGroup,
    /// A group is denied, and some operations in it cannot be told.
    PartialGroup,
}

/// Looks at each rule.
pub fn lint(own: &Own<'_>, policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let grants = || own.grants.iter().map(|(_, rule)| *rule);
    for rule in own.allow.iter().copied().chain(grants()) {
        findings.extend(tenants(rule));
        findings.extend(without_body(rule));
        findings.extend(denied(rule, &own.deny));
    }
    for (n, rule) in own.allow.iter().enumerate() {
        findings.extend(foreign(rule, policy));
        findings.extend(covered(rule, n, &own.allow));
    }
    for (n, (credential, rule)) in own.grants.iter().enumerate() {
        findings.extend(cleartext(rule));
        let same: Vec<_> = own.grants.iter().filter(|(other, _)| other == credential).map(|(_, rule)| *rule).collect();
        let before = own.grants[..n].iter().filter(|(other, _)| other == credential).count();
        findings.extend(covered(rule, before, &same));
    }
    if !own.denied_groups.is_empty() {
        findings.extend(unknown_groups(own, policy));
    }
    findings
}

/// What is allowed where a group that is denied holds nothing, because nobody has looked, or not all.
fn unknown_groups(own: &Own<'_>, policy: &Policy) -> Vec<Finding> {
    let known: Vec<_> = danger::all().collect();
    let lent = Catalogue::builtin().services().iter().map(|service| {
        let hosts = service.lent_widely().flat_map(|grant| &grant.rule.hosts).flat_map(some_hosts);
        (format!("{}:use", service.id), hosts.filter(|host| policy.lends_at(host, 443)).collect())
    });
    let rules = own.allow.iter().copied().chain(own.grants.iter().map(|(_, rule)| *rule));
    let rules = rules.map(|rule| (rule.label.clone(), rule.hosts.iter().flat_map(some_hosts).collect()));
    let about = |(rule, hosts): (String, Vec<Host>)| {
        let knows = |group: DangerGroup, host: &Host| known.iter().any(|dangers| dangers.knows(group, host));
        let partly = |group: DangerGroup, host: &Host| known.iter().any(|dangers| dangers.is_partial(group, host));
        let those = |is: &dyn Fn(DangerGroup, &Host) -> bool| -> Vec<DangerGroup> {
            let of_it = |group: &&DangerGroup| hosts.iter().any(|host| is(**group, host));
            own.denied_groups.iter().filter(of_it).copied().collect()
        };
        let (missing, partial) = (those(&|group, host| !knows(group, host)), those(&partly));
        let missing = (!missing.is_empty()).then(|| unknown_group(rule.clone(), &missing));
        let partial = (!partial.is_empty()).then(|| partial_group(rule, &partial));
        missing.into_iter().chain(partial)
    };
    lent.chain(rules).flat_map(about).collect()
}

fn unknown_group(rule: String, missing: &[DangerGroup]) -> Finding {
    Finding {
        rule,
        kind: Kind::UnknownGroup,
        message: format!("it is not known which operations there are in {}: none is denied for that", names(missing)),
        mend: "deny them by rules of your own, or allow the operations that are needed and no others".to_owned(),
    }
}

fn partial_group(rule: String, partial: &[DangerGroup]) -> Finding {
    Finding {
        rule,
        kind: Kind::PartialGroup,
        message: format!(
            "not all of {} can be told: an address deep in what a model is sent is not seen, and the vendor fetches it",
            names(partial)
        ),
        mend: "where that must not be, allow a model that takes texts only".to_owned(),
    }
}

fn names(groups: &[DangerGroup]) -> String {
    groups.iter().map(|group| format!("`{group}`")).collect::<Vec<_>>().join(", ")
}

/// Some of the hosts that a pattern means, one of each depth that other patterns tell apart.
fn some_hosts(pattern: &HostPattern) -> Vec<Host> {
    let below = |head: &str| Host::parse(&format!("{head}.{}", pattern.wildcard_parent()?.as_str())).ok();
    let some = ["some", "some.some"].into_iter().filter_map(below).filter(|host| pattern.matches(host));
    pattern.as_exact().cloned().into_iter().chain(some).collect()
}

/// Names below which anybody can have one.
fn shared() -> &'static [Host] {
    static SHARED: OnceLock<Vec<Host>> = OnceLock::new();
    SHARED.get_or_init(|| {
        let lines = include_str!("../lists/tenants.txt").lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| Host::parse(&line.replace("[.]", ".")).expect("a test reads every line")).collect()
    })
}

fn tenants(rule: &RequestRule) -> Option<Finding> {
    let anybodys = |pattern: &&HostPattern| {
        let Some(parent) = pattern.wildcard_parent() else { return false };
        shared().iter().filter_map(Host::as_name).any(|suffix| {
            let below = parent.as_str().strip_suffix(suffix.as_str());
            let somebodys = Host::parse(&format!("somebody.{}", suffix.as_str()));
            below.is_some_and(|head| head.is_empty() || head.ends_with('.'))
                || somebodys.is_ok_and(|host| pattern.matches(&host))
        })
    };
    let pattern = rule.hosts.iter().find(anybodys)?;
    Some(Finding {
        rule: rule.label.clone(),
        kind: Kind::TenantWildcard,
        message: format!("{pattern} means names that anybody can have: what is sent there may be an attacker's"),
        mend: "name the hosts that are yours".to_owned(),
    })
}

fn foreign(rule: &RequestRule, policy: &Policy) -> Option<Finding> {
    let writes = ["POST", "PUT", "PATCH", "DELETE"].iter().any(|method| rule.methods.contain(method));
    if !writes {
        return None;
    }
    let services = Catalogue::builtin().services().iter().filter(|service| service.signing.is_none());
    let (service, host) = services
        .flat_map(|service| service.grants.iter().map(move |grant| (service, grant)))
        .flat_map(|(service, grant)| grant.rule.hosts.iter().filter_map(move |host| Some((service, host.as_exact()?))))
        .find(|(_, host)| {
            let ports: &[u16] = if rule.ports == Ports::Any { &[443] } else { rule.ports.named() };
            ports.iter().any(|port| rule.admits_connection(host, *port) && !policy.lends_at(host, *port))
        })?;
    Some(Finding {
        rule: rule.label.clone(),
        kind: Kind::ForeignAccount,
        message: format!(
            "{host} is {}'s, it may be written to, and no credential of yours is lent there: an attacker's own is good",
            service.name
        ),
        mend: "lend a credential there, or add methods = [\"GET\", \"HEAD\"]".to_owned(),
    })
}

fn covered(rule: &RequestRule, at: usize, all: &[&RequestRule]) -> Option<Finding> {
    // Of two that mean the same the first counts.
    let covers =
        |(n, other): &(usize, &&RequestRule)| *n != at && other.covers(rule) && (*n < at || !rule.covers(other));
    let (_, other) = all.iter().enumerate().find(covers)?;
    Some(Finding {
        rule: rule.label.clone(),
        kind: Kind::Covered,
        message: format!("`{}` means all that it means", other.label),
        mend: "leave it out, or make the other mean less".to_owned(),
    })
}

fn denied(rule: &RequestRule, deny: &[&RequestRule]) -> Option<Finding> {
    let denies = deny.iter().find(|other| other.covers(rule))?;
    Some(Finding {
        rule: rule.label.clone(),
        kind: Kind::Denied,
        message: format!("`{}` denies all that it means", denies.label),
        mend: "leave one of the two out".to_owned(),
    })
}

fn without_body(rule: &RequestRule) -> Option<Finding> {
    let in_body = |condition: &&Condition| {
        matches!(
            condition,
            Condition::Value(Place::Json(_) | Place::Form(_), _) | Condition::Push(_) | Condition::Publish(_)
        )
    };
    let condition = rule.conditions.iter().find(in_body)?;
    let Methods::Only(methods) = &rule.methods else { return None };
    let none = methods.iter().all(|method| ["GET", "HEAD", "OPTIONS"].contains(&method.as_str()));
    none.then(|| Finding {
        rule: rule.label.clone(),
        kind: Kind::NoBody,
        message: format!("it asks for {condition}, and {} have no body", rule.methods),
        mend: "name a method that has one".to_owned(),
    })
}

fn cleartext(rule: &RequestRule) -> Option<Finding> {
    rule.ports.named().contains(&80).then(|| Finding {
        rule: rule.label.clone(),
        kind: Kind::Cleartext,
        message: "a credential never goes out without TLS, and port 80 has none".to_owned(),
        mend: "leave port 80 out".to_owned(),
    })
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    {}", self.rule, self.message, self.mend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicyBuilder;
    use standin_model::{AddressBlocks, CredentialName, GrantRule, JsonPointer, PathPattern, Test};

    fn rule(label: &str, hosts: &[&str], methods: &[&str], paths: &[&str]) -> RequestRule {
        RequestRule {
            label: label.to_owned(),
            hosts: hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect(),
            ports: Ports::default(),
            methods: if methods.is_empty() { Methods::Any } else { Methods::only(methods) },
            paths: paths.iter().map(|path| PathPattern::parse(path).unwrap()).collect(),
            conditions: Vec::new(),
            addresses: AddressBlocks::default(),
        }
    }

    fn found(allow: &[RequestRule], deny: &[RequestRule], grants: &[RequestRule]) -> Vec<(String, Kind)> {
        with_groups(allow, deny, grants, &[])
    }

    fn with_groups(
        allow: &[RequestRule],
        deny: &[RequestRule],
        grants: &[RequestRule],
        denied_groups: &[DangerGroup],
    ) -> Vec<(String, Kind)> {
        let mut builder = PolicyBuilder::default();
        for rule in grants {
            let grant = GrantRule { rule: rule.clone(), slots: Vec::new(), always: false };
            builder.grant(CredentialName::new("key"), grant);
        }
        let own = Own {
            allow: allow.iter().collect(),
            deny: deny.iter().collect(),
            grants: grants.iter().map(|rule| ("key", rule)).collect(),
            denied_groups,
        };
        lint(&own, &builder.build()).into_iter().map(|finding| (finding.rule, finding.kind)).collect()
    }

    #[test]
    fn each_oddity_is_found_and_no_other() {
        let one = |kind| vec![("a".to_owned(), kind)];
        let reads = |hosts: &[&str]| rule("a", hosts, &["GET"], &[]);
        let none: &[RequestRule] = &[];
        for hosts in ["*.github.io", "**.vercel.app", "*.s3.amazonaws.com", "**.windows.net", "**.core.windows.net"] {
            assert_eq!(found(&[reads(&[hosts])], none, none), one(Kind::TenantWildcard), "{hosts}");
            assert_eq!(found(none, none, &[reads(&[hosts])]), one(Kind::TenantWildcard), "{hosts}");
        }
        for hosts in ["acme.github.io", "*.example.com", "*.mygithub.io", "*.windows.net"] {
            assert_eq!(found(&[reads(&[hosts])], none, none), [], "{hosts}");
        }
        let github = rule("a", &["api.github.com"], &[], &[]);
        assert_eq!(found(std::slice::from_ref(&github), none, none), one(Kind::ForeignAccount));
        assert_eq!(found(&[rule("a", &["**.github.com"], &["POST"], &[])], none, none), one(Kind::ForeignAccount));
        assert_eq!(found(&[reads(&["api.github.com"])], none, none), []);
        assert_eq!(found(std::slice::from_ref(&github), none, &[rule("b", &["api.github.com"], &[], &[])]), []);
        let (wide, narrow) =
            (rule("b", &["**.x.example"], &[], &[]), rule("a", &["y.x.example"], &["GET"], &["/v1/*"]));
        assert_eq!(found(&[narrow.clone(), wide.clone()], none, none), one(Kind::Covered));
        assert_eq!(found(&[wide.clone(), narrow.clone()], none, none), one(Kind::Covered));
        assert_eq!(found(none, none, &[narrow.clone(), wide.clone()]), one(Kind::Covered));
        assert_eq!(found(std::slice::from_ref(&narrow), none, std::slice::from_ref(&wide)), []);
        assert_eq!(
            found(&[RequestRule { label: "b".to_owned(), ..narrow.clone() }, narrow.clone()], none, none),
            one(Kind::Covered)
        );
        assert_eq!(found(std::slice::from_ref(&narrow), std::slice::from_ref(&wide), none), one(Kind::Denied));
        assert_eq!(found(std::slice::from_ref(&wide), std::slice::from_ref(&narrow), none), []);
        let asks = Condition::Value(Place::Json(JsonPointer::parse("/a").unwrap()), Test::Bool(true));
        let asking = |methods: &[&str]| RequestRule {
            conditions: vec![asks.clone()],
            ..rule("a", &["x.example"], methods, &[])
        };
        assert_eq!(found(&[asking(&["GET"])], none, none), one(Kind::NoBody));
        assert_eq!(found(&[asking(&["GET", "POST"])], none, none), []);
        let clear = RequestRule { ports: Ports::new(vec![80, 443]), ..rule("a", &["x.example"], &[], &[]) };
        assert_eq!(found(none, none, std::slice::from_ref(&clear)), one(Kind::Cleartext));
        assert_eq!(found(&[clear], none, none), []);
    }

    /// Who denies a group believes that nothing of it passes.
    #[test]
    fn groups_of_which_nothing_is_known_are_told() {
        let unknown = |of: &str| vec![(of.to_owned(), Kind::UnknownGroup)];
        let groups = [DangerGroup::Mint, DangerGroup::Exec];
        let at = |host: &str| rule("a", &[host], &["GET"], &[]);
        assert_eq!(with_groups(&[at("x.example")], &[], &[], &groups), unknown("a"));
        assert_eq!(with_groups(&[at("*.x.example")], &[], &[], &groups), unknown("a"));
        assert_eq!(with_groups(&[at("x.example")], &[], &[], &[]), []);
        assert_eq!(with_groups(&[at("slack.com")], &[], &[], &groups), []);
        // The service is lent to, and so is the rule about its host.
        let lent = with_groups(&[], &[], &[at("api.deepseek.com")], &groups);
        assert_eq!(lent, [unknown("deepseek:use"), unknown("a")].concat());
        for host in ["api.github.com", "github.com", "slack.com", "api.twilio.com", "huggingface.co"] {
            assert_eq!(with_groups(&[], &[], &[at(host)], &groups), [], "{host}");
        }
        assert_eq!(with_groups(&[at("**.slack.com")], &[], &[], &groups), []);
        // Something is known of their services, and not of all that is there.
        for host in ["studio.twilio.com", "serverless.twilio.com", "gist.github.com", "**.twilio.com", "*.github.com"] {
            assert_eq!(with_groups(&[], &[], &[at(host)], &groups), unknown("a"), "{host}");
        }
        let router = with_groups(&[], &[], &[at("router.huggingface.co")], &groups);
        assert_eq!(router, [unknown("huggingface:use"), unknown("a")].concat());
        // Where logins are good is known.
        for host in ["chatgpt.com", "cloudcode-pa.googleapis.com"] {
            assert_eq!(with_groups(&[], &[], &[at(host)], &groups), [], "{host}");
        }
    }

    /// What a model is sent may have an address in it that nothing asks for.
    #[test]
    fn a_group_that_is_not_told_whole_is_told() {
        let groups = [DangerGroup::ServerEgress, DangerGroup::Exec];
        let partial = |of: &str| (of.to_owned(), Kind::PartialGroup);
        let allow = [rule("a", &["api.openai.com"], &["GET"], &[])];
        assert_eq!(with_groups(&allow, &[], &[], &groups), [partial("a")]);
        assert_eq!(with_groups(&allow, &[], &[], &[DangerGroup::Mint]), []);
        let lent = with_groups(&[], &[], &[rule("a", &["chatgpt.com"], &["GET"], &[])], &groups);
        assert_eq!(lent, [partial("openai:use"), partial("a")]);
    }

    #[test]
    fn every_shared_name_is_a_name() {
        assert!(shared().len() > 50 && shared().iter().all(|host| host.as_name().is_some()));
    }
}
