//! What each group holds, and that no spelling leads around it.

use super::super::Catalogue;
use super::super::operations::{Operation, tables};
use super::*;
use crate::{PolicyBuilder, RequestVerdict};
use standin_model::{PathPattern, Spellings};

/// The policies of somebody who allows all and denies one group, one for each.
struct Denying(Vec<(DangerGroup, crate::Policy)>);

impl Denying {
    fn each() -> Self {
        let policy = |group: DangerGroup| {
            let mut policy = PolicyBuilder::default();
            for (host, _) in FILES.iter().flat_map(|(id, _)| operations(id)).map(|one| (one.host.to_string(), one)) {
                let everything = RawRule { hosts: vec![host], ..RawRule::default() };
                policy.allow(Compiler { id: "all" }.rule(everything, "all").unwrap());
            }
            all().flat_map(|known| known.rules(&[group]).collect::<Vec<_>>()).for_each(|rule| policy.deny(rule));
            (group, policy.build())
        };
        Self(DangerGroup::ALL.into_iter().map(policy).collect())
    }

    /// The groups by which an operation is denied.
    fn groups_of(&self, operation: &Operation) -> Vec<DangerGroup> {
        let denied = |policy: &crate::Policy| matches!(policy.request(&operation.facts()), RequestVerdict::Deny(_));
        self.0.iter().filter(|(_, policy)| denied(policy)).map(|(group, _)| *group).collect()
    }
}

fn operations(service: &str) -> Vec<Operation> {
    let table = tables(&format!("{service}.txt")).remove("danger");
    table.unwrap_or_else(|| panic!("{service} has no table of dangers"))
}

fn marked(operation: &Operation) -> Vec<DangerGroup> {
    let marks = operation.mark.split(',').filter(|mark| *mark != "-");
    let mut groups: Vec<_> = marks.map(|mark| DangerGroup::parse(mark).unwrap()).collect();
    groups.sort();
    groups
}

#[test]
fn every_file_loads_and_is_of_a_service() {
    for (id, text) in FILES {
        let known = Dangers::parse(id, text).unwrap_or_else(|error| panic!("{id}: {error:?}"));
        let service = Catalogue::builtin().service(id).unwrap_or_else(|| panic!("{id} is no service"));
        for route in &known.routes {
            assert!(!route.groups.is_empty() && !route.rule.hosts.is_empty(), "{id}: {}", route.rule.label);
            let there = route.rule.hosts.iter().any(|host| known.hosts.contains(host));
            assert!(!there || !route.groups.iter().any(|group| known.none.contains(group)), "{id} has none, and some");
            for path in &route.rule.paths {
                assert_eq!(PathPattern::parse(path.as_str()).as_ref(), Ok(path), "{id}");
            }
        }
        let knows = |group: &DangerGroup| {
            known.hosts.iter().filter_map(HostPattern::as_exact).all(|host| known.knows(*group, host))
        };
        assert!(service.refused.iter().all(knows), "{id} refuses what is not known");
    }
    for service in Catalogue::builtin().services().iter().filter(|service| !service.refused.is_empty()) {
        assert!(of(&service.id).is_some(), "{} refuses what no file says", service.id);
    }
}

/// Somebody has looked wherever its credential or its login is good, but for a host that passes on to others.
#[test]
fn a_service_is_known_where_it_is_lent() {
    let mut unknown = Vec::new();
    for known in all() {
        let service = Catalogue::builtin().service(known.service).unwrap();
        let hosts = service.lent_widely().flat_map(|grant| &grant.rule.hosts);
        for host in hosts.filter_map(HostPattern::as_exact) {
            let missing: Vec<_> = DangerGroup::ALL.into_iter().filter(|group| !known.knows(*group, host)).collect();
            if !missing.is_empty() {
                unknown.push(format!("{host}: {missing:?}"));
            }
        }
    }
    assert_eq!(unknown.len(), 1, "{unknown:?}");
    assert!(unknown[0].starts_with("router.huggingface.co"), "{unknown:?}");
}

/// Each operation is in the groups that stand before it, and in no other; and there is one for each route.
#[test]
fn every_route_has_its_operations() {
    let denying = Denying::each();
    let mut wrong = Vec::new();
    for (id, text) in FILES {
        let operations = operations(id);
        for operation in &operations {
            let (found, marked) = (denying.groups_of(operation), marked(operation));
            if found != marked {
                wrong.push(format!("{} {}{}: {found:?}", operation.method, operation.host, operation.path));
            }
        }
        for route in &Dangers::parse(id, text).unwrap().routes {
            let means = |operation: &Operation| {
                let path = Spellings::of(&operation.path);
                route.rule.denies_request(&operation.host, 443, &operation.method, &path, &operation.told)
            };
            if !operations.iter().any(means) {
                let paths: Vec<_> = route.rule.paths.iter().map(PathPattern::as_str).collect();
                wrong.push(format!("{id}: no operation is in {:?} {paths:?}", route.groups));
            }
        }
        for (what, danger) in [("in a group", true), ("in none", false)] {
            let count = operations.iter().filter(|operation| (operation.mark != "-") == danger).count();
            if count < 10 {
                wrong.push(format!("{id}: {count} {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whoever asks in another spelling is refused as well.
#[test]
fn another_spelling_is_the_same_operation() {
    let denying = Denying::each();
    let mut tried = 0;
    for operation in FILES.iter().flat_map(|(id, _)| operations(id)) {
        let groups = marked(&operation);
        let Operation { mark, method, host, path, told } = operation;
        let (head, last) = path.split_at(path.rfind('/').unwrap());
        let last = &last[1..];
        let spelt = [
            (method.to_lowercase(), path.clone()),
            (method.clone(), format!("{path}/")),
            (method.clone(), path.to_uppercase()),
            (method.clone(), format!("{path};a=b")),
            (method.clone(), format!("{path}%2F")),
            (method.clone(), format!("{head}//{last}")),
            (method.clone(), format!("{head}/x/%2e%2e/{last}")),
        ];
        // Whoever decodes a slash in one place does so in the other, where it belongs to a name.
        let escaped = (!path.contains('%')).then(|| (method.clone(), format!("{head}%2f{last}")));
        for (method, path) in spelt.into_iter().chain(escaped) {
            let other = Operation { mark: mark.clone(), method, host: host.clone(), path, told: told.clone() };
            let denied = denying.groups_of(&other);
            let missing: Vec<_> = groups.iter().filter(|group| !denied.contains(group)).collect();
            assert!(missing.is_empty(), "{} {}{}: not {missing:?}", other.method, other.host, other.path);
            tried += groups.len().min(1);
        }
    }
    assert!(tried > 1000, "{tried}");
}
