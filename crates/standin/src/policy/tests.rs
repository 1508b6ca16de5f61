//! `standin policy test`: the questions of a configuration, and whether they are answered as it wants.

use super::answer::Answer;
use super::question::Question;
use crate::exit::{self, Failure};
use crate::log::json_line;
use serde::Serialize;
use standin_config::{Config, PolicyTest};
use standin_policy::Policy;
use std::io::{self, BufWriter, Write};

#[derive(Serialize)]
struct Outcome<'a> {
    line: usize,
    request: String,
    passed: bool,
    /// What is not as it was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<String>,
    #[serde(flatten)]
    answer: &'a Answer,
}

/// Asks each, and prints what came of it.
pub(super) fn run(policy: &Policy, config: &Config, json: bool) -> Result<i32, Failure> {
    if config.tests.is_empty() {
        return Err(Failure::new("the configuration has no [[test]] table")
            .hint("docs/policy.md has its form")
            .code(exit::CHECK_FAILED));
    }
    let out = &mut BufWriter::new(io::stdout().lock());
    let mut failed = 0;
    for test in &config.tests {
        let PolicyTest { line, method, url, .. } = test;
        let mut question = Question::parse(method, url)?;
        test.headers.iter().try_for_each(|(name, value)| question.header(&format!("{name}: {value}")))?;
        for name in &test.push {
            question.push(name);
        }
        if let Some(body) = &test.body {
            question.body(body.clone());
        }
        let answer = Answer::to(&question, policy);
        let differs = differs(test, &answer);
        failed += usize::from(differs.is_some());
        let request = format!("{method} {url}");
        let outcome = Outcome { line: *line, request, passed: differs.is_none(), differs, answer: &answer };
        let written = if json { json_line(out, &outcome) } else { print(out, &outcome) };
        written.map_err(Failure::output)?;
    }
    if !json {
        writeln!(out, "{} of {} as wanted", config.tests.len() - failed, config.tests.len())
            .map_err(Failure::output)?;
    }
    out.flush().map_err(Failure::output)?;
    Ok(if failed == 0 { exit::SUCCESS } else { exit::CHECK_FAILED })
}

fn print(out: &mut impl Write, outcome: &Outcome<'_>) -> io::Result<()> {
    let Outcome { line, request, differs, answer, .. } = outcome;
    match differs {
        None => writeln!(out, "✓ {request}"),
        Some(differs) => writeln!(out, "✗ {request} (line {line}): {differs}\n    {answer}"),
    }
}

fn differs(test: &PolicyTest, answer: &Answer) -> Option<String> {
    if test.allowed != answer.is_allowed() {
        return Some(format!("wanted to be {}", if test.allowed { "allowed" } else { "denied" }));
    }
    // What a denial's rule is stands in its message.
    let (rule_agrees, credentials) = match answer {
        Answer::Allow { rule, credentials } => {
            (test.rule.as_ref().is_none_or(|wanted| wanted == rule), credentials.as_slice())
        }
        Answer::Deny { message, .. } => {
            let names = |rule: &String| message.ends_with(&format!("the rule `{rule}`"));
            (test.rule.as_ref().is_none_or(names), [].as_slice())
        }
    };
    if !rule_agrees {
        return test.rule.as_ref().map(|rule| format!("wanted by the rule `{rule}`"));
    }
    let wanted = test.credential.as_ref().filter(|wanted| !credentials.iter().any(|loan| loan.name == **wanted))?;
    Some(format!("wanted to carry `{wanted}`"))
}
