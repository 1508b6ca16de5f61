//! What git pushes over HTTP: the commands at the beginning of a request to `…/git-receive-pack`.

use super::Evidence;
use crate::pattern::{PathPattern, TextPattern};
use crate::spelling::Spellings;
use std::fmt;
use std::sync::LazyLock;

/// Where git pushes to (gitprotocol-http, "Smart Service git-receive-pack").
static SERVICE: LazyLock<PathPattern> = LazyLock::new(|| PathPattern::compiled_in("/**/git-receive-pack"));

/// Which refs may be pushed to. What is not a push is not restrained by it.
///
/// Over HTTP it is a condition of a rule; over SSH it is a part of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// The refs, by their full names: `refs/heads/agent/**`.
    pub refs: Vec<TextPattern>,
    /// Whether they may be deleted, too.
    pub delete: bool,
}

/// What a push asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands(pub Vec<RefUpdate>);

/// One ref that is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// Its full name.
    pub name: String,
    /// Whether it is to be gone.
    pub deletes: bool,
}

impl Push {
    /// Whether a request to this path is a push, to any server.
    pub fn is_pushed(path: &Spellings<'_>) -> bool {
        SERVICE.means(path)
    }

    pub(super) fn surely_holds(&self, path: &Spellings<'_>, evidence: &dyn Evidence) -> bool {
        // A spelling that only some servers take for a push cannot be judged by what they read.
        let pushes = Self::is_pushed(path);
        let read = || SERVICE.matches(path.written()).then(|| evidence.push()).flatten();
        !pushes || read().is_some_and(|commands| self.refuses(&commands).is_none())
    }

    pub(super) fn may_hold(&self, path: &Spellings<'_>, evidence: &dyn Evidence) -> bool {
        let named = |update: &RefUpdate| self.refs.iter().any(|name| name.matches_in_any_case(&update.name));
        // `delete = false` keeps a rule that denies from nothing: who may not push there may not delete.
        Self::is_pushed(path) && evidence.push().is_none_or(|commands| commands.0.iter().any(named))
    }

    /// The first that is asked for and may not be.
    pub fn refuses<'a>(&self, commands: &'a Commands) -> Option<&'a RefUpdate> {
        commands.0.iter().find(|update| !self.means(update))
    }

    fn means(&self, update: &RefUpdate) -> bool {
        (self.delete || !update.deletes) && self.refs.iter().any(|name| name.matches(&update.name))
    }
}

impl fmt::Display for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refs: Vec<_> = self.refs.iter().map(|name| format!("`{}`", name.as_str())).collect();
        let verb = if self.delete { "pushes to or deletes" } else { "pushes to" };
        write!(f, "{verb} {} only", refs.join(", "))
    }
}

impl fmt::Display for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, RefUpdate { name, deletes }) in self.0.iter().enumerate() {
            write!(f, "{}{}{name}", if n == 0 { "" } else { ", " }, if *deletes { "-" } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::{Condition, Fact, Place};

    struct Pushed(Option<Commands>);

    impl Evidence for Pushed {
        fn value(&self, _: &Place) -> Fact {
            Fact::Unknown
        }

        fn push(&self) -> Option<Commands> {
            self.0.clone()
        }
    }

    fn commands(list: &[(&str, bool)]) -> Commands {
        Commands(list.iter().map(|(name, deletes)| RefUpdate { name: (*name).into(), deletes: *deletes }).collect())
    }

    /// All refs of a push are meant by what allows, one is enough for what denies.
    #[test]
    fn every_ref_counts() {
        let refs = vec![TextPattern::parse("refs/heads/agent/**").unwrap()];
        let condition = |delete| Condition::Push(Push { refs: refs.clone(), delete });
        let push = "/acme/app.git/git-receive-pack";
        for (path, delete, pushed, allows, denies) in [
            (push, false, Some(commands(&[("refs/heads/agent/a", false)])), true, true),
            (push, false, Some(commands(&[("refs/heads/agent/a", false), ("refs/heads/main", false)])), false, true),
            (push, false, Some(commands(&[("refs/heads/main", false)])), false, false),
            (push, false, Some(commands(&[("refs/heads/Agent/a", false)])), false, true),
            (push, false, Some(commands(&[("refs/heads/agent/a", true)])), false, true),
            (push, true, Some(commands(&[("refs/heads/agent/a", true)])), true, true),
            (push, false, Some(commands(&[])), true, false),
            (push, false, None, false, true),
            ("/acme/app.git/GIT-receive-pack", false, Some(commands(&[("refs/heads/agent/a", false)])), false, true),
            ("/acme/app.git/git-receive-pack/", false, Some(commands(&[])), false, false),
            ("/acme/app.git/git-upload-pack", false, None, true, false),
        ] {
            let (condition, path, evidence) = (condition(delete), Spellings::of(path), Pushed(pushed));
            let verdict = (condition.surely_holds(&path, &evidence), condition.may_hold(&path, &evidence));
            assert_eq!(verdict, (allows, denies), "{} {:?} {delete}", path.written(), evidence.0);
        }
    }
}
