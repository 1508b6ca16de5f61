//! What GitHub's presets leave of each operation of its own description, and which groups it is in.
//!
//! The table was derived from `generated/api.github.com.json` of the npm package `@octokit/openapi` (MIT): its methods and paths, and
//! behind them what was looked through and is wanted. It has to be looked through again where the test says that something differs.

use super::super::danger::{self, Dangers};
use super::super::{Compiler, RawRule};
use super::{Operation, directory, policy_of};
use crate::{Policy, PolicyBuilder, RequestVerdict};
use standin_model::{DangerGroup, PresetUse};

/// The presets, in the order of the table's columns.
const PRESETS: [&str; 4] = [
    "github:read-only",
    "github:single-repo-read{owner=acme, repo=app}",
    "github:single-repo{owner=acme, repo=app}",
    "github:single-repo-pr{owner=acme, repo=app, branch=agent/*}",
];

/// An operation of that description, with something for each parameter.
fn instance(method: &str, path: &str, owner: &str) -> Operation {
    let host = if path.ends_with("/releases/{release_id}/assets") && method == "POST" { "uploads" } else { "api" };
    let segments = path.split('/').map(|segment| match segment {
        "{owner}" | "{org}" | "{template_owner}" => owner,
        "{repo}" | "{template_repo}" => "app",
        "{ref}" => "heads/agent/a",
        "{path}" => "src/main.rs",
        "{enablement}" => "disable_all",
        segment if segment.contains('{') => "x",
        segment => segment,
    });
    let path = segments.collect::<Vec<_>>().join("/");
    Operation::read(&format!("- {method} {host}[.]github[.]com{path}"))
}

/// Whether it is left: `+`, or `?` if its content is right, or not.
fn verdict(policy: &Policy, rules: &[standin_model::RequestRule], operation: &Operation) -> char {
    let facts = operation.facts();
    if matches!(policy.request(&facts), RequestVerdict::Allow { .. }) {
        return '+';
    }
    let means = |rule: &standin_model::RequestRule| {
        !rule.conditions.is_empty() && rule.admits_head(facts.host, facts.port, facts.method, facts.path)
    };
    let denied =
        policy.account(&facts).iter().any(|one| matches!(one.does, crate::Does::Deny) && one.differs.is_empty());
    if !denied && rules.iter().any(means) { '?' } else { '-' }
}

/// The policy that denies one group.
fn denying(group: DangerGroup) -> Policy {
    let mut policy = PolicyBuilder::default();
    let hosts = ["api.github.com", "uploads.github.com"].map(str::to_owned).to_vec();
    policy.allow(Compiler { id: "all" }.rule(RawRule { hosts, ..RawRule::default() }, "all").unwrap());
    let rules: Vec<_> = danger::of("github").map(|known: Dangers| known.rules(&[group]).collect()).unwrap();
    for rule in rules {
        policy.deny(rule);
    }
    policy.build()
}

#[test]
fn every_operation_of_githubs_own_description() {
    let text = std::fs::read_to_string(directory().join("github.openapi")).unwrap();
    let presets = PRESETS.map(|usage| {
        let usage = PresetUse::parse(usage).unwrap();
        let service = super::super::Catalogue::builtin().service("github").unwrap();
        let preset = service.presets.iter().find(|preset| preset.id == usage.preset).unwrap();
        (policy_of(&usage), preset.rules(&usage).unwrap())
    });
    let groups = DangerGroup::ALL.map(|group| (group, denying(group)));
    let mut differs = Vec::new();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for line in &lines {
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let operation = instance(method, path, "acme");
        let left: String = presets.iter().map(|(policy, rules)| verdict(policy, rules, &operation)).collect();
        let denies = |policy: &Policy| matches!(policy.request(&operation.facts()), RequestVerdict::Deny(_));
        let named: Vec<_> =
            groups.iter().filter(|(_, policy)| denies(policy)).map(|(group, _)| group.as_str()).collect();
        let found =
            format!("{method} {path} {left} {}", if named.is_empty() { "-".to_owned() } else { named.join(",") });
        if found != **line {
            differs.push(found);
        }
        let elsewhere = instance(method, path, "other");
        for (policy, rules) in presets[1..].iter().filter(|_| path.starts_with("/repos/{owner}")) {
            assert_eq!(verdict(policy, rules, &elsewhere), '-', "{method} {path} of another repository");
        }
    }
    assert_eq!(lines.len(), 1223);
    assert!(differs.is_empty(), "{} differ:\n{}", differs.len(), differs.join("\n"));
}
