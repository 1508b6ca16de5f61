//! Formats of lines: dotenv, ini, and YAML as far as it is written so.
//!
//! What is commented out is read, too: an old key often still works.

use super::{plain, told_by_key};
use crate::Entry;
use crate::shape;
use crate::writing::Writing;
use std::ops::Range;
use zeroize::Zeroizing;

/// A line without its end, and where it begins.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line.trim_end_matches(['\n', '\r']))
    })
}

/// What follows the marks of a comment, and how much they are.
fn uncommented<'a>(line: &'a str, marks: &[char]) -> (&'a str, bool) {
    let rest = line.trim_start();
    let bare = rest.trim_start_matches(marks).trim_start();
    (bare, bare.len() != rest.len() && rest.starts_with(marks))
}

/// Where `rest`, which ends a line, begins in it.
pub(super) fn offset(line: &str, rest: &str) -> usize {
    line.len() - rest.len()
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// `NAME=value`, `export NAME="value"`, values in quotes over several lines.
pub(super) fn dotenv(text: &str) -> Option<Vec<Entry>> {
    let mut all = Vec::new();
    let mut skip_to = 0;
    for (start, line) in lines(text) {
        if start < skip_to {
            continue;
        }
        let (bare, is_comment) = uncommented(line, &['#']);
        let start = start + offset(line, bare);
        let line = bare;
        let bare = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let Some((name, _)) = bare.split_once(['=', ':']) else { continue };
        if !is_name(name.trim_end()) {
            continue;
        }
        let from = start + offset(line, bare) + name.len() + 1;
        // A comment ends with its line, an assignment where its value ends.
        let limit = if is_comment { start + line.len() } else { text.len() };
        skip_to = assignments(&text[..limit], name.trim_end(), from, start + line.len(), &mut all)?;
    }
    Some(all)
}

/// The value at `from`, and further assignments in its line (shells have several). Gives where the last one ends; nothing if
/// a secret's quote is not closed.
fn assignments(text: &str, name: &str, from: usize, line_end: usize, all: &mut Vec<Entry>) -> Option<usize> {
    let (mut name, mut from) = (name, from);
    loop {
        let line = &text[from..line_end];
        let value = line.trim_start_matches([' ', '\t']);
        let start = from + offset(line, value);
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
        let closed = quote.map(|quote| (quote, closing(&text[start + 1..], quote)));
        let end = match closed {
            Some((quote, Some(length))) => {
                all.push(quoted(name.to_owned(), text, start + 1..start + 1 + length, quote));
                start + length + 2
            }
            Some((_, None)) if shape::is_secret_name(name) => return None,
            // An apostrophe.
            Some((_, None)) => line_end,
            None => {
                let length = unquoted(value);
                all.push(plain(name.to_owned(), text, start..start + length));
                start + length
            }
        };
        let rest = text.get(end..line_end).unwrap_or_default();
        let next = rest.trim_start();
        let Some((following, _)) = next.split_once('=').filter(|(following, _)| is_name(following)) else {
            return Some(end.max(line_end));
        };
        (name, from) = (following, end + offset(rest, next) + following.len() + 1);
    }
}

/// How long a value without quotes is: up to a comment, or to another assignment.
fn unquoted(value: &str) -> usize {
    let comment = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
    let value = &value[..comment];
    let another = value.match_indices([' ', '\t']).map(|(at, _)| at).find(|at| {
        let next = value[*at..].trim_start();
        next.split_once('=').is_some_and(|(name, _)| is_name(name))
    });
    value[..another.unwrap_or(value.len())].trim_end().len()
}

/// How far the closing quote is.
pub(super) fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        if escaped {
            escaped = false;
            return None;
        }
        escaped = c == '\\' && quote == '"';
        (c == quote).then_some(at)
    })
}

/// An entry between quotes. In double quotes a backslash escapes.
fn quoted(name: String, text: &str, range: Range<usize>, quote: char) -> Entry {
    let raw = &text[range.clone()];
    if quote != '"' {
        return plain(name, text, range);
    }
    let mut value = Zeroizing::new(Vec::with_capacity(raw.len()));
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        value.push(match (byte, byte == b'\\') {
            (_, true) => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(other) => other,
                None => b'\\',
            },
            (byte, false) => byte,
        });
    }
    Entry { name, range, value, writing: Writing::Quoted, host: None, certain: false }
}

/// Sections and `key = value`. A key is called `section.key`, one before any section by itself.
pub(super) fn ini(text: &str, separators: &[char]) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut section = String::new();
    for (start, line) in lines(text) {
        let (bare, _) = uncommented(line, &['#', ';', '!']);
        let start = start + offset(line, bare);
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            name.0.trim().clone_into(&mut section);
            section_urls(&mut all, text, start + 1..start + 1 + name.0.len());
            continue;
        }
        let Some((key, value)) = bare.split_once(separators) else { continue };
        let (key, found) = (key.trim(), value.trim());
        if key.is_empty() || found.is_empty() {
            continue;
        }
        let from = start + bare.len() - value.len() + offset(value, value.trim_start());
        let name = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
        let entry = in_line(name, text, from..from + found.len(), &[" #", " ;", "\t#", "\t;"]);
        all.push(told_by_key(entry, key));
    }
    all
}

/// git writes URLs into the names of sections: `[url "https://user:token@host/"]`.
fn section_urls(all: &mut Vec<Entry>, text: &str, range: Range<usize>) {
    let name = &text[range.clone()];
    let Some((before, rest)) = name.split_once('"') else { return };
    let Some((url, _)) = rest.split_once('"') else { return };
    let start = range.start + before.len() + 1;
    all.push(plain("section".to_owned(), text, start..start + url.len()));
}

/// A value that ends with its line: in quotes, or up to a comment.
fn in_line(name: String, text: &str, range: Range<usize>, comments: &[&str]) -> Entry {
    let value = &text[range.clone()];
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote
        && let Some(length) = closing(&value[1..], quote)
    {
        return quoted(name, text, range.start + 1..range.start + 1 + length, quote);
    }
    let end = comments.iter().filter_map(|mark| value.find(mark)).min().unwrap_or(value.len());
    let length = value[..end].trim_end().len();
    plain(name, text, range.start..range.start + length)
}

/// `key: value` and `- key: value`. A credential that is written in another way makes the file not understood.
pub(super) fn yaml(text: &str) -> Option<Vec<Entry>> {
    let mut all = Vec::new();
    let mut names = Names::default();
    for (start, line) in lines(text) {
        let (mut bare, is_comment) = uncommented(line, &['#']);
        while let Some(rest) = bare.strip_prefix("- ") {
            bare = rest.trim_start();
        }
        let indent = offset(line, bare);
        let start = start + indent;
        let Some((key, value)) = mapping(bare) else {
            // A list of values, a line of a block, JSON inside of YAML: judged as what they are.
            all.push(in_line("line".to_owned(), text, start..start + bare.trim_end().len(), &[" #"]));
            continue;
        };
        let key = key.trim().trim_matches(['"', '\'']);
        let found = value.trim();
        if !is_comment {
            names.enter(indent, key);
        }
        if found.is_empty() {
            continue;
        }
        let elsewhere = found.starts_with(['|', '>', '{', '[', '&', '*', '!']);
        if elsewhere && (shape::is_secret_name(key) || holds_secret_key(found)) {
            return None;
        }
        let from = start + bare.len() - value.len() + offset(value, value.trim_start());
        let entry = in_line(names.of(key, is_comment), text, from..from + found.len(), &[" #", "\t#"]);
        all.push(told_by_key(entry, key));
    }
    Some(all)
}

/// A key and what follows it: a colon ends a key before a blank or the line's end only.
fn mapping(line: &str) -> Option<(&str, &str)> {
    // Ruby's symbols begin with one.
    let from = usize::from(line.starts_with(':'));
    let at = line[from..].match_indices(':').map(|(at, _)| at + from).find(|at| {
        let rest = &line[at + 1..];
        rest.is_empty() || rest.starts_with([' ', '\t'])
    })?;
    Some((&line[from..at], &line[at + 1..]))
}

/// Whether a mapping within a line has a key of a credential.
fn holds_secret_key(text: &str) -> bool {
    text.split([',', '{', '}', '[', ']'])
        .filter_map(|part| part.split_once(':'))
        .any(|(key, _)| shape::is_secret_name(key.trim().trim_matches(['"', '\''])))
}

/// The keys above a line, by how far they stand in.
#[derive(Default)]
struct Names(Vec<(usize, String)>);

impl Names {
    fn enter(&mut self, indent: usize, key: &str) {
        self.0.retain(|(above, _)| *above < indent);
        self.0.push((indent, key.to_owned()));
    }

    fn of(&self, key: &str, is_comment: bool) -> String {
        if is_comment {
            return key.to_owned();
        }
        self.0.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>().join(".")
    }
}
