//! Which configuration git may be given from inside: what `git clone`, `git switch` and `git push -u` write.
//!
//! Not a parser of git's format but of the part of it that git itself writes: a line that is not understood is not harmless.

use std::collections::BTreeSet;

/// What a repository that was made inside may be configured with: sections and their keys.
const OF_NEW: &[(&str, &[&str])] = &[
    (
        "core",
        &[
            "repositoryformatversion",
            "filemode",
            "bare",
            "logallrefupdates",
            "ignorecase",
            "precomposeunicode",
            "symlinks",
            "autocrlf",
            "eol",
        ],
    ),
    ("extensions", &["objectformat", "refstorage"]),
    ("user", &["name", "email"]),
    // Not `promisor`: with that, whatever git does in the repository may reach for the remote.
    ("remote", &["url", "fetch", "mirror", "tagopt", "prune"]),
    ("branch", BRANCH_KEYS),
    ("pull", &["rebase", "ff"]),
    ("push", &["default", "autosetupremote"]),
];
const BRANCH_KEYS: &[&str] = &["remote", "merge", "rebase"];

/// Whether a repository that was made inside may have this configuration.
pub fn harmless_for_new(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let mut section = None;
    text.lines().all(|line| match parse(line) {
        Some(Line::Section(name, _)) => {
            section = OF_NEW.iter().find(|(known, _)| *known == name);
            section.is_some()
        }
        Some(Line::Entry(key, value)) => section.is_some_and(|(name, keys)| {
            keys.contains(&key.as_str()) && !value.starts_with('-') && !(*name == "remote" && value.contains("::"))
        }),
        Some(Line::Empty) => true,
        None => false,
    })
}

/// Whether a repository of the host may get this configuration in the place of the one it has: all that differs is which
/// of its own remotes a branch follows.
pub fn harmless_change(old: &[u8], new: &[u8]) -> bool {
    let (Ok(old), Ok(new)) = (std::str::from_utf8(old), std::str::from_utf8(new)) else { return false };
    // A value that goes on in the next line could swallow what looks like a section.
    if old.lines().any(|line| line.ends_with('\\')) {
        return false;
    }
    let (old, new) = (Halves::of(old), Halves::of(new));
    let remotes: BTreeSet<_> = old.rest.iter().filter_map(|line| remote(line)).chain([".".to_owned()]).collect();
    let follows = |line: &str| match parse(line) {
        Some(Line::Section("branch", Some(_)) | Line::Empty) => true,
        Some(Line::Entry(key, value)) => match key.as_str() {
            "remote" => remotes.contains(value),
            "merge" => value.starts_with("refs/heads/"),
            "rebase" => matches!(value, "true" | "false"),
            _ => false,
        },
        _ => false,
    };
    old.rest == new.rest
        && new
            .branches
            .iter()
            .all(|(section, line)| follows(line) && follows(section) || old.branches.contains(&(*section, *line)))
}

/// The lines of sections about branches, each with its section's, and all others.
struct Halves<'a> {
    branches: BTreeSet<(&'a str, &'a str)>,
    rest: Vec<&'a str>,
}

impl<'a> Halves<'a> {
    fn of(text: &'a str) -> Self {
        let mut halves = Self { branches: BTreeSet::new(), rest: Vec::new() };
        let mut section = "";
        for line in text.lines() {
            if line.trim_start().starts_with('[') {
                section = line;
            }
            if section.starts_with("[branch \"") {
                halves.branches.insert((section, line));
            } else {
                halves.rest.push(line);
            }
        }
        halves
    }
}

fn remote(line: &str) -> Option<String> {
    match parse(line) {
        Some(Line::Section("remote", Some(name))) => Some(name.to_owned()),
        _ => None,
    }
}

enum Line<'a> {
    Empty,
    Section(&'a str, Option<&'a str>),
    /// The key in lower case.
    Entry(String, &'a str),
}

/// A line as git writes it.
fn parse(line: &str) -> Option<Line<'_>> {
    let plain = |text: &str| !text.contains(['"', '\\', '#', ';', '\r', '\0']) && text.trim() == text;
    if line.is_empty() {
        return Some(Line::Empty);
    }
    if let Some(inner) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
        let word = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
        return match inner.split_once(" \"") {
            None => word(inner).then_some(Line::Section(inner, None)),
            Some((name, rest)) => {
                let sub = rest.strip_suffix('"').filter(|sub| plain(sub) && !sub.is_empty())?;
                word(name).then_some(Line::Section(name, Some(sub)))
            }
        };
    }
    let (key, value) = line.strip_prefix('\t')?.split_once(" = ")?;
    let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_key && plain(value)).then(|| Line::Entry(key.to_ascii_lowercase(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLONED: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n\
        [remote \"origin\"]\n\turl = https://example.com/a.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\
        [branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n";

    #[test]
    fn a_clone_is_harmless_and_commands_are_not() {
        assert!(harmless_for_new(CLONED.as_bytes()));
        assert!(harmless_for_new(b"[user]\n\tname = A B\n"));
        for line in [
            "\tfsmonitor = x",
            "\thooksPath = x",
            "\tsshCommand = x",
            "[alias]\n\tx = !x",
            "[include]\n\tpath = x",
            "[include] path = x",
            "[includeIf \"gitdir:x\"]\n\tpath = x",
            "[filter \"x\"]\n\tclean = x",
            "[remote \"x\"]\n\turl = ext::sh -c x",
            "[remote \"x\"]\n\tuploadpack = x",
            "[remote \"x\"]\n\tpromisor = true",
            "[remote \"x\"]\n\turl = -x",
            "[core]\n\tbare = false \\\n\tfsmonitor = x",
            "[core] fsmonitor = x",
            "[core]\n\tfilemode = \"x",
            "[CORE]\n\tfsmonitor = x",
            "[core]\r\tfsmonitor = x",
        ] {
            let text = format!("[core]\n\tfilemode = true\n{line}\n");
            assert!(!harmless_for_new(text.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_hosts_branches_may_follow_its_remotes() {
        let changed = |new: &str| harmless_change(CLONED.as_bytes(), new.as_bytes());
        let with = |more: &str| changed(&format!("{CLONED}{more}"));
        assert!(changed(CLONED));
        assert!(with("[branch \"x\"]\n\tremote = origin\n\tmerge = refs/heads/x\n\trebase = true\n"));
        assert!(with("[branch \"x\"]\n\tremote = .\n\tmerge = refs/heads/main\n"));
        assert!(changed(CLONED.split("[branch").next().unwrap()));
        assert!(!with("[branch \"x\"]\n\tremote = https://evil.example/\n"));
        assert!(!with("[branch \"x\"]\n\tpushRemote = origin\n"));
        assert!(!with("[branch \"x\"]\n[core]\n\tfsmonitor = x\n"));
        assert!(!with("[branch \"x\"] \n\tremote = origin\n"));
        assert!(!with("[remote \"evil\"]\n\turl = https://evil.example/\n"));
        assert!(!with("\tfsmonitor = x\n"));
        assert!(!changed(&CLONED.replace("example.com", "evil.example")));
        assert!(!changed(""));
        // What the host wrote there in another way stays, or goes.
        let odd = format!("{CLONED}[branch \"y\"]\n\tdescription = \"a \\\"b\\\"\"\n");
        let more = format!("{odd}[branch \"x\"]\n\tremote = origin\n");
        assert!(harmless_change(odd.as_bytes(), more.as_bytes()) && harmless_change(odd.as_bytes(), CLONED.as_bytes()));
        // Or is left alone, where lines go on.
        let long = format!("{CLONED}[alias]\n\tx = a \\\nb\n");
        assert!(!harmless_change(long.as_bytes(), format!("{long}[branch \"x\"]\n\tremote = origin\n").as_bytes()));
    }
}
