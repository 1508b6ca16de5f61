//! Formats in which a credential has a fixed place: netrc, URLs, PostgreSQL's, a file that is one.

use super::lines::{closing, lines, offset};
use super::plain;
use crate::Entry;
use crate::writing::Writing;
use std::ops::Range;

/// Passwords of `machine … login … password …`, called by their machines. curl reads quotes, others do not.
pub(super) fn netrc(text: &str) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut machine = "default".to_owned();
    let mut host = None;
    let mut words = words(text);
    while let Some(range) = words.next() {
        match &text[range] {
            "machine" => {
                machine = words.next().map_or_else(String::new, |range| text[range].trim_matches('"').to_owned());
                host = Some(machine.clone());
            }
            "default" => (machine, host) = ("default".to_owned(), None),
            // A login may be the credential itself (`login TOKEN password x-oauth-basic`).
            word @ ("login" | "account" | "password") => {
                let Some(range) = words.next() else { break };
                let range = unquoted(text, range);
                let name = if word == "password" { machine.clone() } else { format!("{machine}.{word}") };
                let writing = if text[..range.start].ends_with('"') { Writing::Quoted } else { Writing::Plain };
                let certain = word == "password" && &text[range.clone()] != "x-oauth-basic";
                all.push(Entry { writing, host: host.clone(), certain, ..plain(name, text, range) });
            }
            _ => {}
        }
    }
    all
}

/// Words, of which one in double quotes may hold blanks.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &text[at..];
        let start = at + offset(rest, rest.trim_start());
        let word = &text[start..];
        let first = word.chars().next()?;
        let length = if first == '"' {
            closing(&word[1..], first).map_or(word.len(), |end| end + 2)
        } else {
            word.find(char::is_whitespace).unwrap_or(word.len())
        };
        at = start + length;
        Some(start..at)
    })
}

fn unquoted(text: &str, range: Range<usize>) -> Range<usize> {
    let word = &text[range.clone()];
    if word.len() >= 2 && word.starts_with('"') && word.ends_with('"') { range.start + 1..range.end - 1 } else { range }
}

/// A URL a line, called by its host; the judge finds the password in it.
pub(super) fn urls(text: &str) -> Vec<Entry> {
    let mut all = Vec::new();
    for (at, line) in lines(text) {
        let start = at + offset(line, line.trim_start());
        let url = line.trim();
        let Some((_, rest)) = url.split_once("://") else { continue };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        all.push(plain(host.to_owned(), text, start..start + url.len()));
    }
    all
}

/// `host:port:database:user:password`, called by its host; a backslash escapes.
pub(super) fn pgpass(text: &str) -> Vec<Entry> {
    let mut all = Vec::new();
    for (start, line) in lines(text) {
        let mut escaped = false;
        let colons = line.match_indices(|c| {
            let is_colon = c == ':' && !escaped;
            escaped = c == '\\' && !escaped;
            is_colon
        });
        let Some((last, _)) = colons.take(4).nth(3) else { continue };
        let name = line.trim_start_matches('#').trim_start().split(':').next().unwrap_or_default().to_owned();
        let range = start + last + 1..start + line.len();
        all.push(Entry { host: Some(name.clone()), certain: true, ..plain(name, text, range) });
    }
    all
}

/// The whole file.
pub(super) fn whole(text: &str) -> Vec<Entry> {
    let start = offset(text, text.trim_start());
    let length = text.trim().len();
    vec![Entry { certain: true, ..plain("value".to_owned(), text, start..start + length) }]
}
