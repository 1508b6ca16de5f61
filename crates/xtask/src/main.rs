//! The project's own chores, as `cargo xtask …`.

mod bench;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Measure Standin beside a direct connection, a bare TLS relay, hudsucker and mitmproxy
    Bench(bench::Arguments),
}

/// What a chore may fail with; people read it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[expect(clippy::print_stderr, reason = "a command line speaks to people")]
fn main() -> ExitCode {
    // The bench's other processes are this program in other roles; decided before any thread is started.
    let result = match bench::role(std::env::args_os().nth(1).as_deref()) {
        Some(role) => role(),
        None => match Cli::parse().chore {
            Chore::Bench(arguments) => bench::bench(&arguments),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
