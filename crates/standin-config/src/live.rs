//! What of a changed configuration can hold for a session that runs, and what needs a new one.
//!
//! A session was made with some of its configuration: what the sandbox sees, which credentials stand in it, how the way out is made and believed.
//! Rules are asked anew for each exchange, so they can be others: what is allowed, denied, left by presets and told to models, where the
//! session's credentials may go, and caps.

use crate::{Config, Credential};
use std::fmt;

/// A part of a configuration that needs a new session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedsSession {
    /// The line of the new file in which it stands; nothing if it is not there any more.
    pub line: Option<usize>,
    /// What it is.
    pub what: String,
}

/// Everything in `new`, whose file says `text`, that a session that was begun with `old` cannot have.
pub fn needs_session(old: &Config, new: &Config, text: &str) -> Vec<NeedsSession> {
    let mut found = Vec::new();
    let table = |name: &str, differs: bool| {
        differs.then(|| NeedsSession { line: line_of_table(text, name), what: format!("what [{name}] says") })
    };
    found.extend(table("upstream", old.upstream != new.upstream));
    found.extend(table("sandbox", old.backend != new.backend));
    found.extend(table("limits", old.limits != new.limits));
    found.extend(table("reach", old.reach != new.reach));
    found.extend(table("terminal", old.terminal != new.terminal));
    found.extend(table("files", old.files != new.files));
    found.extend(table("leaks", old.on_leak != new.on_leak));
    for credential in &new.credentials {
        let held = old.credentials.iter().find(|held| held.name == credential.name);
        let why = match held {
            None => Some("which it does not hold"),
            Some(held) => differs(held, credential),
        };
        found.extend(why.map(|why| NeedsSession {
            line: credential.line,
            what: format!("the credential `{}`, {why}", credential.name),
        }));
    }
    found.sort_by_key(|needs| needs.line);
    found
}

/// Whether a credential is another than the one of its name that is held, and not only good elsewhere.
fn differs(held: &Credential, new: &Credential) -> Option<&'static str> {
    // Everything is named, so that what is added here is thought about.
    let Credential {
        name: _,
        line: _,
        service,
        source,
        client_certificate,
        env,
        like,
        fetch,
        on_leak,
        grants: _,
        git,
        postgres,
    } = new;
    if *source != held.source || *client_certificate != held.client_certificate || *fetch != held.fetch {
        return Some("which comes from elsewhere now");
    }
    if *env != held.env || *like != held.like {
        return Some("which the command would see otherwise");
    }
    // Keys and databases' passwords are held in other ways than what goes into requests.
    if *service != held.service
        || git.is_empty() != held.git.is_empty()
        || postgres.is_empty() != held.postgres.is_empty()
    {
        return Some("which is of another kind now");
    }
    // A key that administers a service may be held for that alone.
    let named = |of: &Credential| of.grants.iter().all(|grant| grant.rule.names_operations());
    if !held.grants.is_empty() && named(held) && !named(new) {
        return Some("whose grants do not all name methods and paths any more");
    }
    (*on_leak != held.on_leak).then_some("whose `on_leak` is another")
}

/// The line at which a table begins.
fn line_of_table(text: &str, name: &str) -> Option<usize> {
    let begins = |line: &str| {
        let rest = line.trim_start().trim_start_matches('[').trim_start();
        line.trim_start().starts_with('[')
            && rest.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(']'))
    };
    text.lines().position(begins).map(|at| at + 1)
}

impl fmt::Display for NeedsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const HELD: &str = "
[[credential]]
name   = \"api\"
source = \"env:TOKEN\"
[[credential.grant]]
hosts = [\"api.example\"]

[[credential]]
name   = \"git\"
source = \"ssh-agent:\"
[[credential.grant]]
hosts = [\"git.example\"]
git   = { repositories = [\"a/b\"] }
";

    fn config(text: &str) -> Config {
        crate::parse(text, Path::new("/c.toml")).unwrap()
    }

    fn told(text: &str) -> Vec<String> {
        needs_session(&config(HELD), &config(text), text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rules_can_be_others() {
        let with = |more: &str| told(&format!("{HELD}{more}"));
        let none: [&str; 0] = [];
        assert_eq!(with(""), none);
        assert_eq!(with("[[allow]]\nhosts = [\"b.example\"]\n[[deny]]\nhosts = [\"c.example\"]"), none);
        assert_eq!(with("[caps]\nrequests = 3\n[policy]\nuse = [\"github:read-only\"]"), none);
        assert_eq!(
            with(
                "[[conversation]]\nhosts = [\"b.example\"]\n[[test]]\nrequest = \"GET https://b.example/\"\nverdict = \"deny\""
            ),
            none
        );
        // Good elsewhere, in another slot, or nowhere any more.
        assert_eq!(told(&HELD.replace("api.example\"]", "b.example\"]\nslots = [\"header:x-key\"]")), none);
        assert_eq!(told(&HELD.replace("a/b", "a/*")), none);
        assert_eq!(told(""), none);
    }

    #[test]
    fn the_rest_needs_a_new_session_and_is_named_with_its_line() {
        let one = "line 2: the credential `api`, which";
        assert_eq!(told(&HELD.replace("env:TOKEN", "env:OTHER")), [format!("{one} comes from elsewhere now")]);
        let seen = HELD.replace("env:TOKEN\"", "env:TOKEN\"\nenv = [\"TOKEN\"]");
        assert_eq!(told(&seen), [format!("{one} the command would see otherwise")]);
        let kind = HELD.replace(
            "hosts = [\"api.example\"]",
            "hosts = [\"api.example\"]\npostgres = { users = [\"a\"], databases = [\"b\"] }",
        );
        assert_eq!(told(&kind), [format!("{one} is of another kind now")]);
        let leak = HELD.replace("env:TOKEN\"", "env:TOKEN\"\non_leak = \"stop\"");
        assert_eq!(told(&leak), ["line 2: the credential `api`, whose `on_leak` is another"]);
        assert_eq!(told(&HELD.replace("\"api\"", "\"new\"")), ["line 2: the credential `new`, which it does not hold"]);
        for (table, line) in [
            ("[upstream]\nproxy = \"none\"", "what [upstream] says"),
            ("[sandbox]\nbackend = \"bwrap\"", "what [sandbox] says"),
            ("[limits]\npids = 100", "what [limits] says"),
            ("[[reach]]\nport = 80", "what [reach] says"),
            ("[terminal]\nallow = [\"title\"]", "what [terminal] says"),
            ("[files]\nshow = [\".env\"]", "what [files] says"),
            ("[leaks]\non_leak = \"revoke\"", "what [leaks] says"),
        ] {
            assert_eq!(told(&format!("{HELD}\n{table}")), [format!("line 15: {line}")]);
        }
        let gone = format!("{HELD}[limits]\npids = 100");
        let needs = needs_session(&config(&gone), &config(HELD), HELD);
        assert_eq!(needs, [NeedsSession { line: None, what: "what [limits] says".to_owned() }]);
    }
}
