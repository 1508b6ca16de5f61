//! Why an answer is what it is, and what would make it another one.

use super::answer::Answer;
use super::question::Question;
use serde::Serialize;
use standin_model::{Authority, Host, PathPattern, Ports, Spellings};
use standin_policy::{Considered, Difference, Does, Policy, RequestFacts};
use std::fmt;

/// Most paths of a rule that are listed.
const MAX_SHOWN: usize = 4;

/// An answer with its reasons.
#[derive(Serialize)]
pub(super) struct Explanation {
    request: String,
    #[serde(flatten)]
    pub(super) answer: Answer,
    /// Every rule about the host.
    rules: Vec<Reason>,
    /// What would make it pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mend: Vec<String>,
}

/// A rule, and whether it means the request.
#[derive(Serialize)]
struct Reason {
    rule: String,
    does: String,
    means: String,
    /// In what the request is not what it means.
    differs: Vec<&'static str>,
    /// What it asks for and what the request has, if only that keeps it from meaning it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missed: Vec<String>,
}

impl Explanation {
    /// Asks, and asks why.
    pub(super) fn of(question: &Question, policy: &Policy) -> Self {
        let Authority { host, port } = &question.authority;
        let answer = Answer::to(question, policy);
        let request = |path| format!("{} {}://{host}:{port}{path}", question.method, question.scheme.as_str());
        let Ok(target) = &question.target else {
            return Self { request: request(""), answer, rules: Vec::new(), mend: Vec::new() };
        };
        question.ask(target, policy, |facts| {
            let account = policy.account(facts);
            let mend = if answer.is_allowed() { Vec::new() } else { mend(facts, &account, &policy.narrowed_by(facts)) };
            Self {
                request: request(&target.path),
                answer,
                rules: account.iter().map(|one| Reason::of(one, facts)).collect(),
                mend,
            }
        })
    }
}

impl Reason {
    fn of(considered: &Considered<'_>, facts: &RequestFacts<'_>) -> Self {
        let does = match considered.does {
            Does::Allow => "allows".to_owned(),
            Does::Lend(grant) => format!("lends `{}`", grant.credential),
            Does::Reserve => "allows, without a credential".to_owned(),
            Does::Deny => "denies".to_owned(),
            Does::Leave(preset) => format!("of `{preset}` leaves"),
        };
        let differs = considered.differs.iter().copied().map(word).collect();
        let path = Spellings::of(facts.path);
        let only = considered.differs == [Difference::Condition];
        let missed = considered.missed.iter().filter(|_| only);
        let missed = missed
            .map(|condition| format!("{condition}: there is {}", condition.found(&path, facts.evidence)))
            .collect();
        Self { rule: considered.rule.label.clone(), does, means: means(considered), differs, missed }
    }
}

/// What somebody could write or leave out.
fn mend(facts: &RequestFacts<'_>, account: &[Considered<'_>], narrowed: &[&str]) -> Vec<String> {
    let denies = |one: &&Considered<'_>| one.differs.is_empty() && matches!(one.does, Does::Deny);
    if let Some(denies) = account.iter().find(denies) {
        return vec![format!("no rule goes before `{}`: it would have to mean less", denies.rule.label)];
    }
    let leaves_nothing = |preset: &&str| format!("`{preset}` leaves nothing like it: use another preset, or none");
    let mut mends: Vec<_> = narrowed.iter().map(leaves_nothing).collect();
    if account.iter().any(|one| one.differs.is_empty() && one.allows()) {
        return mends;
    }
    let misses = account.iter().filter(|one| one.allows() && !one.differs.is_empty());
    mends.extend(misses.min_by_key(|one| one.differs.len()).map(|nearest| {
        format!("`{}` is nearest: {} would do", nearest.rule.label, others(nearest.differs.iter().copied().map(word)))
    }));
    mends.push(rule_for(facts));
    mends
}

/// The rule that allows a request and nothing else.
fn rule_for(facts: &RequestFacts<'_>) -> String {
    let RequestFacts { host, port, method, path, .. } = facts;
    let ports = if *port == 443 { String::new() } else { format!("\n    ports   = [{port}]") };
    let host = match host {
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => name.to_string(),
    };
    format!(
        "in the configuration:\n    [[allow]]\n    hosts   = [\"{host}\"]{ports}\n    methods = [\"{method}\"]\n    \
         paths   = [\"{path}\"]"
    )
}

fn word(difference: Difference) -> &'static str {
    match difference {
        Difference::Port => "port",
        Difference::Method => "method",
        Difference::Path => "path",
        Difference::Condition => "content",
    }
}

/// `another port and other content`.
fn others<'a>(differs: impl Iterator<Item = &'a str>) -> String {
    let other = |what| if what == "content" { "other content".to_owned() } else { format!("another {what}") };
    differs.map(other).collect::<Vec<_>>().join(" and ")
}

/// What a rule means. Of its paths the one that is asked for, if it is among them.
fn means(considered: &Considered<'_>) -> String {
    let rule = considered.rule;
    let methods = rule.methods.to_string();
    let paths = match considered.path {
        Some(path) => format!(" on {}", path.as_str()),
        None if rule.paths.is_empty() => String::new(),
        None => {
            let some: Vec<_> = rule.paths.iter().take(MAX_SHOWN).map(PathPattern::as_str).collect();
            let more = rule.paths.len().saturating_sub(MAX_SHOWN);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            format!(" on {}{more}", some.join(", "))
        }
    };
    let ports = match &rule.ports {
        Ports::Only(list) if list != &[443] => {
            let list: Vec<_> = list.iter().map(ToString::to_string).collect();
            format!(", port {}", list.join(", "))
        }
        Ports::Only(_) => String::new(),
        Ports::Any => ", every port".to_owned(),
    };
    let conditions: Vec<_> = rule.conditions.iter().map(ToString::to_string).collect();
    let conditions = if conditions.is_empty() { String::new() } else { format!(", with {}", conditions.join(" and ")) };
    methods + &paths + &ports + &conditions
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.request, self.answer)?;
        match self.rules.len() {
            0 => writeln!(f, "\nNo rule is about this host.")?,
            _ => writeln!(f, "\nRules about this host:")?,
        }
        for Reason { rule, does, means, differs, missed } in &self.rules {
            let (mark, differs) = match differs.as_slice() {
                [] => ("✓", "this is meant".to_owned()),
                differs => ("–", others(differs.iter().copied())),
            };
            writeln!(f, "  {mark} {rule} {does}: {means} ({differs})")?;
            missed.iter().try_for_each(|missed| writeln!(f, "      {missed}"))?;
        }
        if !self.mend.is_empty() {
            writeln!(f, "\nTo let it pass:")?;
        }
        self.mend.iter().try_for_each(|mend| writeln!(f, "  {mend}"))
    }
}
