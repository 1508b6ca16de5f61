//! GitLab's way to replace a token: it asks for its successor, which is given once, and is worth nothing from then on.
//!
//! By curl, a program: what it is told comes on its standard input, so no token is in an argument, and no settings of the user's
//! (`-q`) make it trust another server or speak of what it sends.

use crate::source::program::{RunError, Surroundings, run};
use standin_model::JsonPointer;
use standin_secret::{Manner, Secret};
use standin_wire::body::{Value as Found, find_in_json};
use std::ffi::OsStr;
use std::io;
use std::process::Stdio;
use time::{Date, Month, OffsetDateTime};
use zeroize::Zeroizing;

/// Where a token speaks of itself.
const SELF: &str = "/api/v4/personal_access_tokens/self";
/// The longest that a token may be good for, in days (GitLab's own bound is 365, or 400).
const MOST_DAYS: i64 = 365;
/// How long one is asked for that says nothing of its own life, in days.
const USUAL_DAYS: i64 = 90;
/// curl's exit code where the server's answer is an error (`--fail`).
const REFUSED: i32 = 22;

/// Why there is no successor. Nothing of a token is in it.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// curl cannot be run.
    #[error("cannot run curl; install it")]
    Program(#[source] io::Error),
    /// It did not come through.
    #[error("{host} cannot be asked: curl ended with {code}")]
    NotAsked {
        /// The server.
        host: String,
        /// curl's exit code (its manual names them).
        code: i32,
    },
    /// It took too long.
    #[error("{host} gave no answer within {seconds} s; look at the token's page before you try again")]
    Deadline {
        /// The server.
        host: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The server does not know the token, which was replaced or revoked before.
    #[error("{host} does not take the token that there is; make one by hand")]
    Unknown {
        /// The server.
        host: String,
    },
    /// It may not do this.
    #[error("{host} does not let this token ask for its successor: that takes the scope `self_rotate` or `api`")]
    Refused {
        /// The server.
        host: String,
    },
    /// The answer holds no token.
    #[error(
        "{host} gave something else than a token; look at the token's page, for the old one may be worth nothing now"
    )]
    NotUnderstood {
        /// The server.
        host: String,
    },
}

/// GitLab's server.
pub struct GitLab {
    host: String,
    surroundings: Surroundings,
}

impl GitLab {
    /// At this host.
    pub fn new(host: &str, surroundings: Surroundings) -> Self {
        Self { host: host.to_owned(), surroundings }
    }

    /// The token's successor, good for as long as the token was. The token itself is worth nothing from then on.
    pub fn rotate(&self, token: &Secret, today: Date) -> Result<Secret, RotateError> {
        let known = self.ask("GET", SELF, token, "").map_err(|error| match error {
            RotateError::Refused { host } => RotateError::Unknown { host },
            error => error,
        })?;
        let (made, until) = (text(&known, "/created_at"), text(&known, "/expires_at"));
        let until = expiry(made.as_ref().map(|text| text.as_str()), until.as_ref().map(|text| text.as_str()), today);
        let answer = self.ask("POST", &format!("{SELF}/rotate"), token, &format!("expires_at={until}"))?;
        let new = text(&answer, "/token").filter(|new| !new.is_empty());
        new.map(|new| Secret::copy_of(new.as_bytes()))
            .ok_or_else(|| RotateError::NotUnderstood { host: self.host.clone() })
    }

    fn ask(&self, method: &str, path: &str, token: &Secret, form: &str) -> Result<Zeroizing<Vec<u8>>, RotateError> {
        let host = || self.host.clone();
        let Some(token) = std::str::from_utf8(token.expose()).ok().filter(|token| is_plain(token)) else {
            return Err(RotateError::Unknown { host: host() });
        };
        let told = Zeroizing::new(format!(
            "url = \"https://{}{path}\"\nrequest = {method}\nheader = \"PRIVATE-TOKEN: {token}\"\n{}",
            self.host,
            if form.is_empty() { String::new() } else { format!("data = \"{form}\"\n") },
        ));
        // -q is known as the first only.
        let words = ["-q", "--silent", "--fail", "--proto", "=https", "--config", "-"].map(Into::into);
        let mut command = self.surroundings.command(OsStr::new("curl"), &words);
        command.stderr(Stdio::null());
        match run(command, told.as_bytes(), Manner::MayAsk, self.surroundings.patience) {
            Ok((status, answer)) if status.success() => Ok(answer),
            Ok((status, _)) if status.code() == Some(REFUSED) => Err(RotateError::Refused { host: host() }),
            Ok((status, _)) => Err(RotateError::NotAsked { host: host(), code: status.code().unwrap_or(-1) }),
            Err(RunError::Spawn(source)) => Err(RotateError::Program(source)),
            Err(RunError::Deadline) => {
                Err(RotateError::Deadline { host: host(), seconds: self.surroundings.patience.as_secs() })
            }
        }
    }
}

/// Whether a token means in curl's settings what it is.
fn is_plain(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

fn text(json: &[u8], at: &str) -> Option<Zeroizing<String>> {
    match find_in_json(json, &JsonPointer::parse(at)?).ok()??.value {
        Found::Text(text) => Some(Zeroizing::new(text)),
        _ => None,
    }
}

/// As long from today as the token was good for: without being told, GitLab takes a week.
fn expiry(made: Option<&str>, until: Option<&str>, today: Date) -> String {
    let life = made.and_then(date).zip(until.and_then(date)).map(|(made, until)| (until - made).whole_days());
    let days = life.filter(|days| *days > 0).unwrap_or(USUAL_DAYS).min(MOST_DAYS);
    (today + time::Duration::days(days)).to_string()
}

/// The day that a text of ISO 8601 begins with.
fn date(text: &str) -> Option<Date> {
    let mut parts = text.get(..10)?.splitn(3, '-');
    let (year, month, day) =
        (parts.next()?.parse().ok()?, parts.next()?.parse::<u8>().ok()?, parts.next()?.parse().ok()?);
    Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()
}

/// The day that it is.
pub fn today() -> Date {
    OffsetDateTime::now_utc().date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_good_for_as_long() {
        let today = Date::from_calendar_date(2026, Month::November, 28).unwrap();
        for (made, until, expected) in [
            (Some("2026-11-01T09:30:00.000Z"), Some("2026-12-31"), "2027-01-27"),
            (Some("2020-01-01T00:00:00Z"), Some("2026-12-31"), "2027-11-28"),
            (Some("2026-11-01"), None, "2027-02-26"),
            (Some("2026-12-31"), Some("2026-11-01"), "2027-02-26"),
            (Some("soon"), Some("ä"), "2027-02-26"),
        ] {
            assert_eq!(expiry(made, until, today), expected);
        }
    }

    #[test]
    fn a_token_is_no_setting_of_curls() {
        assert!(is_plain("glpat-abc_DEF.01.0w1"));
        for token in ["", "a\"\noutput = \"/tmp/x", "a\\", "a b", "a\u{7f}"] {
            assert!(!is_plain(token), "{token:?}");
        }
    }
}
