//! Standin runs coding agents without giving them keys.
//!
//! This crate is the command line: what was typed ([`cli`]), what it means ([`run`]), and how it ends. The
//! business is in the crates below it.

mod cli;
mod demo;
mod doctor;
mod exit;
mod log;
mod ourselves;
mod policy;
mod prompt;
mod random;
mod run;
mod scratch;
mod secret;
mod workspace;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use std::io::{self, Write};

fn main() {
    // Before anything else, and while there is one thread: the same program is the sandbox's first process, and
    // the demonstration's and the doctor's.
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(standin_sandbox::INIT_ARGUMENT.as_ref()) {
        standin_sandbox::init_main(arguments);
    }
    if let Some(code) = standin_sandbox::backend::gvisor::part(first.as_deref(), std::env::args_os().skip(2)) {
        std::process::exit(code);
    }
    if let Some(role) = demo::hidden_role(first.as_deref()).or_else(|| doctor::hidden_role(first.as_deref())) {
        exit::with(role());
    }
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("STANDIN_LOG"))
        .with_writer(io::stderr)
        .init();
    exit::with(dispatch(Cli::parse()))
}

fn dispatch(cli: Cli) -> Result<i32, exit::Failure> {
    match cli.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Demo => demo::demo(),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Reload(arguments) => run::reload(arguments.session.as_deref()),
        Command::Log(arguments) => log::log(&arguments),
        Command::Diff(arguments) => workspace::diff(&arguments),
        Command::Apply(arguments) => workspace::apply(&arguments),
        Command::Discard(arguments) => workspace::discard(&arguments),
        Command::CheckRepo(arguments) => workspace::check_repo::check_repo(&arguments),
        Command::Policy { command } => policy::policy(command),
        Command::Secret { command } => secret::secret(command),
        Command::Completions { shell } => {
            // In memory first: the generator panics where it cannot write.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "standin", &mut text);
            io::stdout().write_all(&text).map_err(exit::Failure::output)?;
            Ok(exit::SUCCESS)
        }
        Command::Man => {
            clap_mangen::Man::new(Cli::command()).render(&mut io::stdout()).map_err(exit::Failure::output)?;
            Ok(exit::SUCCESS)
        }
    }
}
