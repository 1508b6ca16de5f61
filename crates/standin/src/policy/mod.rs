//! `standin policy`: what a session's policy would say, without a session.

mod answer;
mod explain;
mod question;
mod tests;

use crate::cli::{PolicyCommand, QuestionArguments, RuleArguments, RunArguments};
use crate::exit::{self, Failure};
use crate::run;
use answer::Answer;
use question::Question;
use standin_policy::Policy;
use standin_policy::catalogue::{Catalogue, Preset};
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};

/// Asks.
pub(crate) fn policy(command: PolicyCommand) -> Result<i32, Failure> {
    match command {
        PolicyCommand::Presets => presets(),
        PolicyCommand::Check(arguments) => check(arguments),
        PolicyCommand::Explain(arguments) => explain(arguments),
        PolicyCommand::Test(arguments) => {
            let session = session(arguments.rules, arguments.command);
            let (policy, config) = run::policy(&session)?;
            tests::run(&policy, &config, arguments.json)
        }
    }
}

fn check(arguments: QuestionArguments) -> Result<i32, Failure> {
    let question = Question::parse(&arguments.method, &arguments.url)?;
    let policy = of(arguments.rules, arguments.command)?;
    let answer = Answer::to(&question, &policy);
    let out = &mut io::stdout().lock();
    let written = if arguments.json { json_line(out, &answer) } else { writeln!(out, "{answer}") };
    written.map_err(Failure::output).map(|()| answer.exit_code())
}

fn explain(arguments: QuestionArguments) -> Result<i32, Failure> {
    let question = Question::parse(&arguments.method, &arguments.url)?;
    let policy = of(arguments.rules, arguments.command)?;
    let explanation = explain::Explanation::of(&question, &policy);
    let out = &mut io::stdout().lock();
    let written = if arguments.json { json_line(out, &explanation) } else { write!(out, "{explanation}") };
    written.map_err(Failure::output).map(|()| explanation.answer.exit_code())
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

fn of(rules: RuleArguments, command: Vec<OsString>) -> Result<Policy, Failure> {
    run::policy(&session(rules, command)).map(|(policy, _)| policy)
}

/// The session that is meant. Where no command is named it is one that no agent is.
fn session(rules: RuleArguments, command: Vec<OsString>) -> RunArguments {
    let command = if command.is_empty() { vec!["sh".into()] } else { command };
    RunArguments { rules, command, ..RunArguments::default() }
}

fn json_line(out: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(value)?)
}

impl Answer {
    fn exit_code(&self) -> i32 {
        if self.is_allowed() { exit::SUCCESS } else { exit::DENIED }
    }
}
