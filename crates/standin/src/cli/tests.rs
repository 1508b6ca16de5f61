//! That `--help` says what a command does, by example.

use super::*;
use clap::CommandFactory;

/// Commands that have none below them, with the words before them.
fn leaves(command: &clap::Command, words: &str, all: &mut Vec<(String, clap::Command)>) {
    let below: Vec<_> = command.get_subcommands().filter(|below| below.get_name() != "help").collect();
    if below.is_empty() {
        all.push((words.to_owned(), command.clone()));
    }
    for command in below {
        leaves(command, &format!("{words} {}", command.get_name()), all);
    }
}

fn every_command() -> Vec<(String, clap::Command)> {
    let mut all = Vec::new();
    let mut whole = Cli::command();
    whole.build();
    leaves(&whole, "standin", &mut all);
    assert!(all.len() > 15, "{}", all.len());
    all
}

/// What follows "Examples:", a line each.
fn examples(command: &clap::Command) -> Vec<String> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = text.strip_prefix("Examples:\n").unwrap_or_default().lines();
    lines.map(|line| line.trim().to_owned()).collect()
}

/// The words of an example's call, without what the shell does with its output and without what is said of it.
fn words(example: &str) -> Vec<String> {
    let from = example.find("standin").expect("a call of ours");
    let call = example[from..].split(" | ").next().unwrap_or_default();
    let call = call.split(" > ").next().unwrap_or_default();
    let call = call.split("        (").next().unwrap_or_default();
    call.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
}

#[test]
fn each_commands_help_shows_an_example_of_it() {
    for (words, mut command) in every_command() {
        let examples = examples(&command);
        assert!(examples.iter().any(|example| example.contains(&words)), "{words}: {examples:?}");
        let help = command.render_long_help().to_string();
        assert!(examples.iter().all(|example| help.contains(example)), "{words}: {help}");
    }
}

#[test]
fn examples_are_what_can_be_typed() {
    for example in every_command().iter().flat_map(|(_, command)| examples(command)) {
        let read = Cli::try_parse_from(words(&example));
        assert!(read.is_ok(), "{example}: {}", read.err().expect("it failed"));
    }
}

/// A comment on a variant of [`Command`] would take the place of what its arguments say of themselves, the second paragraph included.
#[test]
fn each_commands_help_says_more_than_the_list_of_commands() {
    for (words, mut command) in every_command() {
        let about = command.get_about().expect("one line").to_string();
        let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
        assert!(long.starts_with(&about) && long.len() > about.len() + 20, "{words}: {long:?}");
        assert!(!about.contains('\n') && about.len() < 120, "{words}: {about}");
        let (end, help) = (long.split_whitespace().next_back().unwrap_or_default(), command.render_long_help());
        assert!(help.to_string().contains(end), "{words}: {help}");
    }
}
