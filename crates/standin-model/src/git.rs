//! Git over SSH: which service is asked of which repository, and which of them a grant means.
//!
//! What is not plainly a repository's path is none. The path ends up in a command line that some servers give to a shell, and
//! git itself reads `~`, a leading dash and `..` in a way of its own.

use crate::condition::Push;
use crate::pattern::{PathPattern, PatternError};
use crate::rule::RequestRule;
use std::fmt;

/// Longest path of a repository, in bytes.
const MAX_PATH: usize = 1024;

/// What is asked of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitService {
    /// `git-upload-pack`: clone and fetch.
    UploadPack,
    /// `git-receive-pack`: push.
    ReceivePack,
}

/// A repository's path, as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// As it was written.
    text: String,
    /// Whether it begins at the server's root, and not where its user is at home.
    absolute: bool,
    /// Without what does not matter: a slash at either end, `.git`.
    name: String,
}

/// Repositories, by their paths: `acme/app`, `acme/*`. One that begins with `/` means paths that do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryPattern {
    absolute: bool,
    pattern: PathPattern,
}

/// Which repositories a grant means, and what may be asked of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitRule {
    /// The user at the host, `git` nearly everywhere.
    pub user: String,
    /// The repositories; an empty list means none.
    pub repositories: Vec<RepositoryPattern>,
    /// Whether they may be changed.
    pub push: GitPush,
}

/// What of a repository may be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitPush {
    /// Nothing.
    Nothing,
    /// Every ref.
    Every,
    /// These refs.
    Some(Push),
}

/// A rule that lends an SSH key to what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitGrant {
    /// Where: hosts, ports and addresses. Its methods are none, so no request of HTTP is meant by it.
    pub rule: RequestRule,
    /// What.
    pub git: GitRule,
}

/// Why a text is not a repository's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// Nothing, or too much.
    #[error("a repository's path has 1 to {MAX_PATH} bytes")]
    Length,
    /// Something that a shell, git or a file system may read as something else.
    #[error("a repository's path has letters, digits and `._-+@%` only, and no part begins with `-`")]
    Characters,
    /// An escape of something that could stand there plainly, or separates parts: what is named then depends on who undoes it.
    #[error(
        "in a repository's path `%` escapes a space, one of `!&'(),` or what is not ASCII only, in two hexadecimal digits"
    )]
    Escape,
    /// `.`, `..`, `.git`, or nothing between two slashes.
    #[error("a repository's path has no part that is empty, `.`, `..` or `.git`")]
    Part,
}

impl GitService {
    /// The command, as clients send it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    /// Whether it changes the repository.
    pub fn writes(self) -> bool {
        self == Self::ReceivePack
    }
}

impl Repository {
    /// Reads a path strictly.
    pub fn parse(text: &str) -> Result<Self, RepositoryError> {
        if text.is_empty() || text.len() > MAX_PATH {
            return Err(RepositoryError::Length);
        }
        let (absolute, name) = text.strip_prefix('/').map_or((false, text), |rest| (true, rest));
        let name = name.strip_suffix('/').unwrap_or(name);
        name.split('/').try_for_each(part)?;
        let name = name.strip_suffix(".git").unwrap_or(name).to_owned();
        Ok(Self { text: text.to_owned(), absolute, name })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// One part of a path.
fn part(part: &str) -> Result<(), RepositoryError> {
    if part.is_empty() || part == "." || part == ".." || part.eq_ignore_ascii_case(".git") {
        return Err(RepositoryError::Part);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@%".contains(&byte);
    if part.starts_with('-') || !part.bytes().all(plain) {
        return Err(RepositoryError::Characters);
    }
    part.split('%').skip(1).try_for_each(escape)
}

/// What follows a `%`. Some services undo it (Azure DevOps, where projects have spaces in their names), so it names no other
/// repository when it is undone.
fn escape(rest: &str) -> Result<(), RepositoryError> {
    let byte = rest.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        Some(byte) if !byte.is_ascii() || b" !&'(),".contains(&byte) => Ok(()),
        _ => Err(RepositoryError::Escape),
    }
}

impl RepositoryPattern {
    /// Compiles one.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        // The wildcards aside it must be what a repository's path is, or it would never match.
        Repository::parse(&text.replace('*', "x")).map_err(|error| PatternError::Glob(error.to_string()))?;
        let (absolute, name) = text.strip_prefix('/').map_or((false, text), |rest| (true, rest));
        let name = name.strip_suffix('/').unwrap_or(name);
        let name = name.strip_suffix(".git").unwrap_or(name);
        Ok(Self { absolute, pattern: PathPattern::parse(&format!("/{name}"))? })
    }

    /// How a repository that is meant is asked for; nothing, if it is not. A path that is written from the root on, as `ssh://` URLs have
    /// it, is asked for as the pattern has it: on the usual services it is the same, and on a server with a plain shell it
    /// is the one that was granted.
    fn spell<'a>(&self, repository: &'a Repository) -> Option<&'a str> {
        let fits = (repository.absolute || !self.absolute) && self.pattern.matches(&format!("/{}", repository.name));
        let text = repository.text.as_str();
        fits.then(|| if self.absolute { text } else { text.strip_prefix('/').unwrap_or(text) })
    }
}

impl GitRule {
    /// How this repository is asked for, if the rule means it.
    pub fn spell<'a>(&self, repository: &'a Repository) -> Option<&'a str> {
        self.repositories.iter().find_map(|pattern| pattern.spell(repository))
    }
}

impl fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.pattern.as_str();
        f.write_str(if self.absolute { text } else { text.trim_start_matches('/') })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_strictly() {
        for (text, expected) in [
            ("acme/app.git", Ok("acme/app")),
            ("/acme/app.git/", Ok("acme/app")),
            ("acme/.github", Ok("acme/.github")),
            ("v3/org/a%20b/c@d+e", Ok("v3/org/a%20b/c@d+e")),
            ("app..b", Ok("app..b")),
            ("acme/caf%C3%a9", Ok("acme/caf%C3%a9")),
            ("acme/..%2fevil%2Fapp", Err(RepositoryError::Escape)),
            ("acme/%2e%2e", Err(RepositoryError::Escape)),
            ("acme/a%5cb", Err(RepositoryError::Escape)),
            ("acme/a%00", Err(RepositoryError::Escape)),
            ("acme/%7Eroot", Err(RepositoryError::Escape)),
            ("acme/%2D-upload-pack", Err(RepositoryError::Escape)),
            ("acme/a%252fb", Err(RepositoryError::Escape)),
            ("acme/%61pp", Err(RepositoryError::Escape)),
            ("acme/a%", Err(RepositoryError::Escape)),
            ("acme/a%2", Err(RepositoryError::Escape)),
            ("acme/a%+2", Err(RepositoryError::Escape)),
            ("", Err(RepositoryError::Length)),
            ("/", Err(RepositoryError::Part)),
            ("acme//app", Err(RepositoryError::Part)),
            ("acme/../other", Err(RepositoryError::Part)),
            ("./app", Err(RepositoryError::Part)),
            ("acme/.GIT", Err(RepositoryError::Part)),
            (".git", Err(RepositoryError::Part)),
            ("~/app", Err(RepositoryError::Characters)),
            ("~root/app", Err(RepositoryError::Characters)),
            ("-oProxyCommand=x", Err(RepositoryError::Characters)),
            ("acme/--upload-pack", Err(RepositoryError::Characters)),
            ("acme/a b", Err(RepositoryError::Characters)),
            ("acme/a'b", Err(RepositoryError::Characters)),
            ("acme/a\nb", Err(RepositoryError::Characters)),
            ("acme/a\0b", Err(RepositoryError::Characters)),
            ("acme/a$b", Err(RepositoryError::Characters)),
            ("acme/a\\b", Err(RepositoryError::Characters)),
            ("acme/ä", Err(RepositoryError::Characters)),
        ] {
            assert_eq!(
                Repository::parse(text).as_ref().map(|r| r.name.as_str()),
                expected.as_ref().copied(),
                "{text:?}"
            );
        }
        assert_eq!(Repository::parse(&"a".repeat(MAX_PATH + 1)), Err(RepositoryError::Length));
    }

    #[test]
    fn what_is_meant_is_asked_for_as_it_was_granted() {
        for (pattern, path, expected) in [
            ("acme/*", "acme/app.git", Some("acme/app.git")),
            ("acme/*", "/acme/app", Some("acme/app")),
            ("acme/app.git", "acme/app", Some("acme/app")),
            ("acme/app", "acme/app.git", Some("acme/app.git")),
            ("/srv/git/*", "/srv/git/app", Some("/srv/git/app")),
            ("/srv/git/*", "srv/git/app", None),
            ("acme/*", "acme/group/app", None),
            ("acme/**", "acme/group/app", Some("acme/group/app")),
            ("acme/*", "evil/app", None),
            ("acme/*", "acme", None),
            ("acme/*", "acmeevil/app", None),
            ("acme/app", "acme/app2", None),
            ("acme/app", "ACME/app", None),
        ] {
            let rule = RepositoryPattern::parse(pattern).unwrap();
            assert_eq!(rule.spell(&Repository::parse(path).unwrap()), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn patterns_are_read_strictly() {
        for text in ["", "~/app", "acme/../x", "acme/[ab]", "acme/{a,b}", "acme/?", "a b", "/"] {
            assert!(RepositoryPattern::parse(text).is_err(), "{text}");
        }
        assert_eq!(RepositoryPattern::parse("/srv/*").unwrap().to_string(), "/srv/*");
        assert_eq!(RepositoryPattern::parse("acme/app.git").unwrap().to_string(), "acme/app");
    }
}
