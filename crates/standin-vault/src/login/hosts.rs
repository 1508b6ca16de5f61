//! gh's login: a file of YAML that has a token for each host, or leaves it to the desktop's keyring.
//!
//! Read are the lines of `key: value` that gh writes, and what is written in another way is no such file. What is secret in it is told
//! by the reader of secret files, too: what one of the two does not know is not shown.

use standin_secret::Secret;
use standin_secretfiles::{Entry, Format, Found, Writing, find, rewrite};
use std::ops::Range;
use zeroize::Zeroizing;

/// The member that holds a token.
const TOKEN: &str = "oauth_token";
/// The member that holds all accounts of a host, with a token each.
const ACCOUNTS: &str = "users";
/// How far gh indents.
const INDENT: usize = 4;

/// What is in a file.
pub struct Hosts {
    hosts: Vec<Account>,
    /// All that is secret, the tokens among it.
    secrets: Vec<Entry>,
}

/// The account that gh uses at a host.
pub struct Account {
    /// The host.
    pub host: String,
    /// Its token; nothing if the keyring has it.
    pub token: Option<Secret>,
    /// Where a line of the host's begins, and how far it is indented.
    at: usize,
    indent: usize,
    /// What the file says of the host.
    keys: Vec<String>,
}

/// Why a file is not gh's.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// It is not written as gh writes it.
    #[error("line {0} is not what gh writes")]
    Line(usize),
    /// It cannot be told what is secret in it.
    #[error("it cannot be told what is secret in it")]
    Secrets,
}

impl Hosts {
    /// Reads one.
    pub fn read(file: &[u8]) -> Result<Self, HostsError> {
        let text = std::str::from_utf8(file).map_err(|_| HostsError::Secrets)?;
        let secrets = match find(Format::Yaml, file) {
            Found::Nothing => Vec::new(),
            Found::Secrets(secrets) => secrets,
            Found::NotUnderstood => return Err(HostsError::Secrets),
        };
        let mut hosts = Vec::new();
        // Nobody is logged in.
        if text.trim() == "{}" {
            return Ok(Self { hosts, secrets });
        }
        let mut at = 0;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let range = at..at + line.len();
            at = range.end;
            enter(&mut hosts, &secrets, line, range).ok_or(HostsError::Line(number + 1))?;
        }
        Ok(Self { hosts, secrets })
    }

    /// The accounts that gh uses, one for each host.
    pub fn accounts(&self) -> &[Account] {
        &self.hosts
    }

    /// The same file with a stand-in for each account that has one, also where the keyring has the token, and with something else in
    /// the place of every other secret. All else is as it was.
    pub fn shown<'a>(
        &self,
        file: &[u8],
        stand_in: impl Fn(&str) -> Option<&'a str>,
        nowhere: impl Fn(&Entry) -> String,
    ) -> Vec<u8> {
        let mut places: Vec<Entry> = self.secrets.iter().map(copy).collect();
        places.extend(self.hosts.iter().filter(|account| account.token.is_none()).filter_map(|account| {
            stand_in(&account.host)?;
            Some(place(account))
        }));
        places.sort_by_key(|place| place.range.start);
        rewrite(file, &places, |place| {
            if place.range.is_empty() {
                let account = self.hosts.iter().find(|account| account.host == place.name);
                let (indent, stand_in) = (account.map_or(INDENT, |account| account.indent), stand_in(&place.name));
                return format!("{:indent$}{TOKEN}: {}\n", "", stand_in.unwrap_or_default());
            }
            let is_its = |account: &&Account| {
                account.token.as_ref().is_some_and(|token| token.expose() == place.value.as_slice())
            };
            let own = self.hosts.iter().filter(is_its).find_map(|account| stand_in(&account.host));
            own.map_or_else(|| nowhere(place), ToOwned::to_owned)
        })
    }
}

/// Takes a line in; nothing if gh does not write such a one.
fn enter(hosts: &mut Vec<Account>, secrets: &[Entry], line: &str, range: Range<usize>) -> Option<()> {
    let written = line.trim_end();
    let bare = written.trim_start_matches(' ');
    if bare.is_empty() || bare.starts_with('#') {
        return Some(());
    }
    let indent = written.len() - bare.len();
    let (key, value) = pair(bare)?;
    if indent == 0 {
        let is_new = hosts.iter().all(|account| account.host != key);
        hosts.push(Account { host: key.to_owned(), token: None, at: range.end, indent: INDENT, keys: Vec::new() });
        return (is_new && value.is_empty() && line.ends_with('\n')).then_some(());
    }
    let account = hosts.last_mut()?;
    if account.keys.is_empty() {
        account.indent = indent;
    }
    if indent > account.indent {
        return (account.keys.last()? == ACCOUNTS).then_some(());
    }
    let is_new = account.keys.iter().all(|known| known != key);
    account.keys.push(key.to_owned());
    if key == TOKEN {
        let secret =
            secrets.iter().find(|secret| range.start <= secret.range.start && secret.range.end <= range.end)?;
        account.token = Some(Secret::copy_of(&secret.value));
    }
    // The accounts are lines of their own.
    (is_new && indent == account.indent && (key != ACCOUNTS || value.is_empty())).then_some(())
}

/// A key and its value, both in one line.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_suffix(':').map(|key| (key, "")).or_else(|| line.split_once(": "))?;
    let bare = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:[]".contains(&byte);
    let elsewhere = value.trim_start().starts_with(['|', '>', '{', '[', '&', '*', '!', '#']);
    (!bare.is_empty() && !bare.starts_with('[') && bare.bytes().all(plain) && !elsewhere)
        .then_some((bare, value.trim()))
}

/// Where a line with a token goes.
fn place(account: &Account) -> Entry {
    let (name, range) = (account.host.clone(), account.at..account.at);
    Entry { name, range, value: Zeroizing::default(), writing: Writing::Plain, host: None, certain: false }
}

fn copy(entry: &Entry) -> Entry {
    let (name, range, value) = (entry.name.clone(), entry.range.clone(), entry.value.clone());
    Entry { name, range, value, writing: entry.writing.clone(), host: None, certain: entry.certain }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "gho_Real0Real1Real2Real3Real4Real5Real6R";
    const TWO: &str = "gho_Other0Other1Other2Other3Other4Other5";
    const THREE: &str = "ghp_Third0Third1Third2Third3Third4Third5";

    fn shown(file: &str) -> String {
        let hosts = Hosts::read(file.as_bytes()).unwrap();
        let of = |host: &str| (host == "github.com").then_some("STAND-IN");
        String::from_utf8(hosts.shown(file.as_bytes(), of, |_| "NOWHERE".to_owned())).unwrap()
    }

    fn tokens(file: &str) -> Vec<(String, Option<String>)> {
        let hosts = Hosts::read(file.as_bytes()).unwrap();
        let text = |token: &Secret| String::from_utf8(token.expose().to_vec()).unwrap();
        hosts.accounts().iter().map(|account| (account.host.clone(), account.token.as_ref().map(text))).collect()
    }

    /// As gh 2.23 writes it, and 2.40 and later with two accounts (`--insecure-storage`).
    #[test]
    fn what_is_no_token_stays_to_the_byte() {
        let old = format!(
            "github.com:\n    user: me\n    oauth_token: {ONE}\n    git_protocol: https\nghe.example:\n    oauth_token: '{THREE}'\n    user: me # not you\n"
        );
        let expected = old.replace(ONE, "STAND-IN").replace(THREE, "NOWHERE");
        assert_eq!(shown(&old), expected);
        assert_eq!(
            tokens(&old),
            [("github.com".into(), Some(ONE.into())), ("ghe.example".to_owned(), Some(THREE.into()))]
        );
        let new = format!(
            "# mine\ngithub.com:\n  git_protocol: ssh\n  users:\n    me:\n      oauth_token: {ONE}\n    other:\n      oauth_token: {TWO}\n  oauth_token: {ONE}\n  user: me\n"
        );
        assert_eq!(shown(&new), new.replace(ONE, "STAND-IN").replace(TWO, "NOWHERE"));
        assert_eq!(tokens(&new), [("github.com".into(), Some(ONE.into()))]);
    }

    /// As gh 2.24 and later write it where there is a keyring.
    #[test]
    fn a_token_that_the_keyring_has_gets_a_line() {
        let file = "github.com:\n    git_protocol: https\n    users:\n        me:\n        other:\n    user: me\nghe.example:\n    user: me\n";
        let expected = file.replace("github.com:\n", "github.com:\n    oauth_token: STAND-IN\n");
        assert_eq!(shown(file), expected);
        assert_eq!(tokens(file), [("github.com".into(), None), ("ghe.example".to_owned(), None)]);
        assert_eq!(shown("github.com:\n  user: me\n"), "github.com:\n  oauth_token: STAND-IN\n  user: me\n");
    }

    /// What is marked as a token, or repeats one, is none that is shown, wherever it stands.
    #[test]
    fn no_token_is_left() {
        let file = format!("# was {TWO}\ngithub.com:\n    oauth_token: {ONE} # {ONE}\n    user: {THREE}\n");
        let shown = shown(&file);
        assert!(![ONE, TWO, THREE].iter().any(|token| shown.contains(token)), "{shown}");
    }

    #[test]
    fn nobody_is_logged_in() {
        for file in ["", "\n", "{}\n", "# nothing\n"] {
            assert_eq!(shown(file), file);
            assert!(tokens(file).is_empty());
        }
    }

    #[test]
    fn what_gh_does_not_write_is_refused() {
        for file in [
            "github.com: {oauth_token: x}\n",
            "github.com:\n    oauth_token: |\n        abc\n",
            "github.com:\n    oauth_token:\n        abc\n",
            "github.com:\n    oauth_token: \"\"\n",
            "github.com:\n    oauth_token: a\n    oauth_token: b\n",
            "github.com:\n    user: a\ngithub.com:\n    user: b\n",
            "github.com:\n    user: a\n  oauth_token: b\n",
            "github.com:\n    user: a\n        oauth_token: b\n",
            "github.com:\n    users: {a: {oauth_token: b}}\n",
            "github.com:\n    - oauth_token: a\n",
            "github.com:\n\toauth_token: a\n",
            "github.com: &a\n    user: a\n",
            "---\ngithub.com:\n    user: a\n",
            "    user: a\n",
            "github.com:",
            "not yaml",
        ] {
            assert!(Hosts::read(file.as_bytes()).is_err(), "{file}");
        }
    }
}
