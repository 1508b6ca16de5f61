//! Formats with a parser that keeps places: JSON and TOML.

use super::{plain, told_by_key};
use crate::Entry;
use crate::writing::Writing;
use jsonc_parser::ast::Value;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::ops::Range;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// Every string, called by its JSON pointer (RFC 6901).
pub(super) fn json(text: &str) -> Option<Vec<Entry>> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default()).ok()?;
    let mut all = Vec::new();
    walk_json(text, String::new(), "", &parsed.value?, &mut all);
    Some(all)
}

/// The parser bounds the depth.
fn walk_json(text: &str, path: String, key: &str, value: &Value<'_>, all: &mut Vec<Entry>) {
    match value {
        Value::StringLit(string) => {
            let range = string.range.start + 1..string.range.end.saturating_sub(1);
            all.push(string_entry(path, key, text, range, &string.value));
        }
        Value::Object(object) => {
            for property in &object.properties {
                let key = property.name.as_str();
                let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                walk_json(text, path, key, &property.value, all);
            }
        }
        Value::Array(array) => {
            for (number, element) in array.elements.iter().enumerate() {
                walk_json(text, format!("{path}/{number}"), key, element, all);
            }
        }
        Value::NumberLit(_) | Value::BooleanLit(_) | Value::NullKeyword(_) => {}
    }
}

/// A string of which `range` is what stands between its quotes.
fn string_entry(name: String, key: &str, text: &str, range: Range<usize>, value: &str) -> Entry {
    let entry =
        Entry { writing: Writing::Json, value: Zeroizing::new(value.as_bytes().to_vec()), ..plain(name, text, range) };
    told_by_key(entry, key)
}

/// Every string, called by its dotted key. A string in several lines makes the file not understood if it is a credential's:
/// the judge sees that its text and its value differ.
pub(super) fn toml(text: &str) -> Option<Vec<Entry>> {
    let table = DeTable::parse(text).ok()?;
    let mut all = Vec::new();
    for (key, value) in table.get_ref() {
        walk_toml(text, key.get_ref().to_string(), key.get_ref(), value.get_ref(), value.span(), &mut all);
    }
    Some(all)
}

fn walk_toml(text: &str, path: String, key: &str, value: &DeValue<'_>, span: Range<usize>, all: &mut Vec<Entry>) {
    match value {
        DeValue::String(string) => {
            let raw = text.get(span.clone()).unwrap_or_default();
            let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { 1 };
            if raw.len() < 2 * quotes {
                return;
            }
            let range = span.start + quotes..span.end - quotes;
            let mut entry = string_entry(path, key, text, range, string);
            if raw.starts_with('\'') && entry.writing == Writing::Json {
                entry.writing = Writing::Plain;
            }
            all.push(entry);
        }
        DeValue::Table(table) => {
            for (key, value) in table {
                let path = format!("{path}.{}", key.get_ref());
                walk_toml(text, path, key.get_ref(), value.get_ref(), value.span(), all);
            }
        }
        DeValue::Array(array) => {
            for (number, element) in array.iter().enumerate() {
                walk_toml(text, format!("{path}.{number}"), key, element.get_ref(), element.span(), all);
            }
        }
        _ => {}
    }
}
