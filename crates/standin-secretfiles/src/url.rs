//! Credentials in URLs: a password before the host, values of parameters, the end of a webhook.

use crate::shape::{is_marked, is_plain, is_random};
use std::ops::Range;

/// Parameters of URLs that are credentials.
const PARAMETERS: &[&str] = &[
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "client_secret",
    "key",
    "oauth_client_secret",
    "pass",
    "passwd",
    "password",
    "pwd",
    "sas",
    "secret",
    "sig",
    "signature",
    "sslpassword",
    "token",
];
/// Hosts whose URLs are credentials by their last segments.
const WEBHOOKS: &[&str] =
    &["hooks.slack.com/", "discord.com/api/webhooks/", "discordapp.com/api/webhooks/", "webhook.office.com/"];

/// A part of a URL.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// Its place in the value; percent-encoded there.
    pub range: Range<usize>,
    /// The host that it is for.
    pub host: Option<String>,
}

/// The credentials in a URL; nothing if it is no URL.
pub(crate) fn parts(value: &str) -> Option<Vec<Part>> {
    let (scheme, rest) = value.split_once("://")?;
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b':');
    if scheme.is_empty() || !scheme.bytes().all(valid) {
        return None;
    }
    let start = scheme.len() + 3;
    let end = authority_end(scheme, rest);
    let authority = &rest[..end];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host =
        host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(h, _)| h);
    let mut parts = Vec::new();
    let mut add = |range: Range<usize>| {
        let text = &value[range.clone()];
        if !is_plain(text) {
            parts.push(Part { range, host: Some(host.to_owned()) });
        }
    };
    if let Some((login, _)) = authority.rsplit_once('@') {
        match login.split_once(':') {
            Some((user, password)) => {
                // `https://TOKEN:x-oauth-basic@host`
                if is_marked(user) || is_random(user) {
                    add(start..start + user.len());
                }
                add(start + user.len() + 1..start + user.len() + 1 + password.len());
            }
            None if is_marked(login) || login.len() >= 16 => add(start..start + login.len()),
            None => {}
        }
    }
    for range in parameters(value, start + end) {
        add(range);
    }
    if WEBHOOKS.iter().any(|hook| rest.starts_with(hook) || host.ends_with(hook.trim_end_matches('/'))) {
        let path = value[start + end..].split(['?', '#']).next().unwrap_or_default();
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let at = start + end + path.trim_end_matches('/').len() - last.len();
        if last.len() >= 16 {
            add(at..at + last.len());
        }
    }
    Some(parts)
}

/// Where the authority of a URL ends, its scheme left out. A password may hold what should have been escaped there (`/`, `@`), so
/// the last @ counts, where one in the path is unlikely.
fn authority_end(scheme: &str, rest: &str) -> usize {
    let before_query = rest.split('?').next().unwrap_or(rest);
    let first = before_query.find(['/', '#']).unwrap_or(before_query.len());
    let login = !before_query[..first].contains('@')
        && before_query[..first].rsplit_once(':').is_some_and(|(_, port)| !port.bytes().all(|b| b.is_ascii_digit()));
    match before_query.rfind('@').filter(|_| login || !scheme.starts_with("http")) {
        Some(at) => at + before_query[at..].find(['/', '#']).unwrap_or(before_query.len() - at),
        None => first,
    }
}

/// Values of parameters that are credentials.
fn parameters(value: &str, from: usize) -> Vec<Range<usize>> {
    let Some(query) = value[from..].find('?').map(|at| from + at + 1) else { return Vec::new() };
    let mut at = query;
    let mut found = Vec::new();
    for pair in value[query..].split(['&', '#', ';']) {
        if let Some((name, text)) = pair.split_once('=')
            && PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
            && !text.is_empty()
        {
            found.push(at + name.len() + 1..at + pair.len());
        }
        at += pair.len() + 1;
    }
    found
}
