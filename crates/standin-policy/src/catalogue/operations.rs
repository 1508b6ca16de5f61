//! Tables of real operations, `catalogue/operations/*.txt`, and what presets and groups say of each.
//!
//! A section begins with the use of a preset, or with `danger`. In a preset's, `+` stands before what it leaves and `-` before what it does
//! not; in `danger`, the groups that an operation is in, or `-` before one that is in none. What is known of a body stands behind the
//! URL: `/branch=main` a place in JSON, `refs/heads/main` a ref that is pushed, `-refs/heads/main` one that is deleted. `form` says that it
//! is a form, and `name=value` are its fields; all else is JSON. `@name=value` is a field of the head. `query:viewer` is what is run in GraphQL.

mod github;

use super::*;
use crate::{PolicyBuilder, RequestFacts, RequestVerdict};
use standin_model::{
    Commands, CredentialName, Evidence, Fact, Host, OperationKind, Operations, Place, PresetUse, RefUpdate, Scheme,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One operation of a table.
pub(super) struct Operation {
    /// What stands before it.
    pub(super) mark: String,
    pub(super) method: String,
    pub(super) host: Host,
    pub(super) path: String,
    pub(super) told: Told,
}

/// What a request says beyond where it goes, as words; without any nothing can be told.
#[derive(Clone, Default)]
pub(super) struct Told {
    words: Vec<String>,
    query: String,
}

/// The tables of a file, by what they are of.
pub(super) fn tables(file: &str) -> BTreeMap<String, Vec<Operation>> {
    let text = std::fs::read_to_string(directory().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut tables: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => section = name.to_owned(),
            None => tables.entry(section.clone()).or_default().push(Operation::read(line)),
        }
    }
    tables
}

pub(super) fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/catalogue/operations"))
}

/// The services that have a table.
fn services() -> Vec<String> {
    let files = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut services: Vec<_> = files.filter_map(|name| Some(name.strip_suffix(".txt")?.to_owned())).collect();
    services.sort();
    services
}

impl Operation {
    pub(super) fn read(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap_or_else(|| panic!("{line}: a mark, a method and a URL"));
        let (mark, method, url) = (word().to_owned(), word().to_owned(), word());
        let (host, path) = url.split_at(url.find('/').unwrap());
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let told = Told { words: words.map(str::to_owned).collect(), query: query.to_owned() };
        let host = Host::parse(&host.replace("[.]", ".")).unwrap();
        Self { mark, method, host, path: path.to_owned(), told }
    }

    pub(super) fn facts(&self) -> RequestFacts<'_> {
        let Self { method, host, path, told, .. } = self;
        RequestFacts { host, port: 443, scheme: Scheme::Https, method, path, evidence: told }
    }
}

impl Evidence for Told {
    fn value(&self, place: &Place) -> Fact {
        let pointer = match place {
            Place::Json(pointer) => pointer,
            Place::Query(name) => return self.parameter(name),
            Place::Header(name) => return self.field(name),
            Place::Form(_) if !self.is_form() => return Fact::Unknown,
            Place::Form(name) => return self.member(name),
        };
        if self.words.is_empty() { Fact::Unknown } else { self.member(pointer.as_str()) }
    }

    fn push(&self) -> Option<Commands> {
        let update =
            |word: &String| RefUpdate { name: word.trim_start_matches('-').to_owned(), deletes: word.starts_with('-') };
        (!self.words.is_empty()).then(|| Commands(self.words.iter().map(update).collect()))
    }

    fn graphql(&self) -> Option<Operations> {
        let run = |word: &String| match word.split_once(':')? {
            ("query", field) => Some((OperationKind::Query, field.to_owned())),
            ("mutation", field) => Some((OperationKind::Mutation, field.to_owned())),
            _ => None,
        };
        let run = self.words.iter().filter_map(run);
        let run: Vec<_> = run.map(|(kind, field)| standin_model::Operation { kind, fields: vec![field] }).collect();
        (!run.is_empty()).then_some(Operations(run))
    }
}

impl Told {
    fn is_form(&self) -> bool {
        self.words.iter().any(|word| word == "form")
    }

    fn field(&self, name: &str) -> Fact {
        let usual = if self.is_form() { "application/x-www-form-urlencoded" } else { "application/json" };
        match self.member(&format!("@{name}")) {
            Fact::Absent if name == "content-type" => Fact::Text(usual.to_owned()),
            field => field,
        }
    }

    fn member(&self, name: &str) -> Fact {
        let mut members = self.words.iter().filter_map(|word| word.split_once('='));
        members.find(|(it, _)| *it == name).map_or(Fact::Absent, |(_, text)| Fact::Text(text.to_owned()))
    }

    fn parameter(&self, name: &str) -> Fact {
        let pairs: Vec<_> = self.query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        // A list has several spellings (`name[]`, `name[0]`), of which none can be told.
        if pairs.iter().any(|(it, _)| it.strip_prefix(name).is_some_and(|rest| rest.starts_with('['))) {
            return Fact::Unknown;
        }
        pairs.iter().find(|(it, _)| *it == name).map_or(Fact::Absent, |(_, value)| Fact::Text((*value).to_owned()))
    }
}

/// The policy of somebody who lends the service's credential and uses a preset.
pub(super) fn policy_of(usage: &PresetUse) -> crate::Policy {
    let service = Catalogue::builtin().service(&usage.service).unwrap_or_else(|| panic!("no service of {usage}"));
    let preset = service.presets.iter().find(|preset| preset.id == usage.preset);
    let preset = preset.unwrap_or_else(|| panic!("no {usage}"));
    let mut policy = PolicyBuilder::default();
    let tokens = service.login.iter().flat_map(|login| &login.form.tokens);
    for grant in service.grants.iter().chain(tokens.flat_map(|token| &token.grants)) {
        policy.grant(CredentialName::new("key"), grant.clone());
    }
    service.allow.iter().for_each(|rule| policy.allow(rule.clone()));
    danger::refused(service).for_each(|rule| policy.deny(rule));
    policy.narrow(usage.to_string(), danger::places(service), preset.rules(usage).unwrap());
    policy.build()
}

#[test]
fn every_preset_leaves_what_its_table_says() {
    let mut used = Vec::new();
    for service in services() {
        for (section, operations) in tables(&format!("{service}.txt")) {
            if section == "danger" {
                continue;
            }
            let usage = PresetUse::parse(&section).unwrap_or_else(|error| panic!("{section}: {error}"));
            let policy = policy_of(&usage);
            for operation in &operations {
                let allowed = matches!(policy.request(&operation.facts()), RequestVerdict::Allow { .. });
                let wanted = operation.mark == "+";
                assert_eq!(allowed, wanted, "{section}: {} {}{}", operation.method, operation.host, operation.path);
            }
            for mark in ["+", "-"] {
                let count = operations.iter().filter(|operation| operation.mark == mark).count();
                assert!(count >= 10, "{section}: {count} with {mark}");
            }
            used.push(format!("{}:{}", usage.service, usage.preset));
        }
    }
    for service in Catalogue::builtin().services() {
        for preset in &service.presets {
            let name = format!("{}:{}", service.id, preset.id);
            assert!(used.contains(&name), "{name} has no table");
        }
    }
}
