//! `standin policy`: what a session's policy would say, without a session.

mod answer;
mod explain;
mod lint;
mod question;
mod tests;

use crate::cli::{
    PolicyCommand, PolicyLintArguments, PolicyTestArguments, QuestionArguments, RunArguments, SessionArguments,
};
use crate::exit::{self, Failure};
use crate::log::json_line;
use crate::run;
use answer::Answer;
use question::Question;
use standin_policy::Policy;
use standin_policy::catalogue::{Catalogue, Preset};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

/// Asks.
pub(crate) fn policy(command: PolicyCommand) -> Result<i32, Failure> {
    match command {
        PolicyCommand::Presets => presets(),
        PolicyCommand::Check(arguments) => check(*arguments),
        PolicyCommand::Explain(arguments) => explain(*arguments),
        PolicyCommand::Lint(PolicyLintArguments { about }) => {
            let json = about.json;
            let (policy, config) = run::policy(&session(about))?;
            lint::run(&policy, &config, json)
        }
        PolicyCommand::Test(PolicyTestArguments { about }) => {
            let json = about.json;
            let (policy, config) = run::policy(&session(about))?;
            tests::run(&policy, &config, json)
        }
    }
}

fn check(arguments: QuestionArguments) -> Result<i32, Failure> {
    let (question, policy, json) = asked(arguments)?;
    let answer = Answer::to(&question, &policy);
    let out = &mut io::stdout().lock();
    let written = if json { json_line(out, &answer) } else { writeln!(out, "{answer}") };
    written.map_err(Failure::output).map(|()| answer.exit_code())
}

fn explain(arguments: QuestionArguments) -> Result<i32, Failure> {
    let (question, policy, json) = asked(arguments)?;
    let explanation = explain::Explanation::of(&question, &policy);
    let out = &mut io::stdout().lock();
    let written = if json { json_line(out, &explanation) } else { write!(out, "{explanation}") };
    written.map_err(Failure::output).map(|()| explanation.answer.exit_code())
}

/// What is asked of whom, and whether a program reads the answer.
fn asked(arguments: QuestionArguments) -> Result<(Question, Policy, bool), Failure> {
    let QuestionArguments { method, url, header, body, push, about } = arguments;
    let mut question = Question::parse(&method, &url)?;
    header.iter().try_for_each(|field| question.header(field))?;
    for name in &push {
        question.push(name);
    }
    if let Some(path) = body {
        question.body(read(&path)?);
    }
    let json = about.json;
    let (policy, _) = run::policy(&session(about))?;
    Ok((question, policy, json))
}

/// The body that is asked about.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let read = match path.to_str() {
        Some("-") => io::stdin().lock().read_to_end(&mut body),
        _ => File::open(path).and_then(|mut file| file.read_to_end(&mut body)),
    };
    read.map(|_| body)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())).code(exit::USAGE))
}

fn presets() -> Result<i32, Failure> {
    let out = &mut BufWriter::new(io::stdout().lock());
    for service in Catalogue::builtin().services() {
        for Preset { id, about, parameters, .. } in &service.presets {
            let parameters: Vec<_> = parameters.iter().map(|name| format!("{name}=…")).collect();
            let parameters =
                if parameters.is_empty() { String::new() } else { format!("{{{}}}", parameters.join(", ")) };
            writeln!(out, "{}:{id}{parameters}\n    {}: {about}", service.id, service.name).map_err(Failure::output)?;
        }
    }
    out.flush().map_err(Failure::output).map(|()| exit::SUCCESS)
}

/// The session that is meant. Where no command is named it is one that no agent is.
fn session(SessionArguments { rules, command, .. }: SessionArguments) -> RunArguments {
    let command = if command.is_empty() { vec!["sh".into()] } else { command };
    RunArguments { rules, command, ..RunArguments::default() }
}

impl Answer {
    fn exit_code(&self) -> i32 {
        if self.is_allowed() { exit::SUCCESS } else { exit::DENIED }
    }
}
