//! Files that programs of the host execute or obey by their mere name: what a session leaves there, the host runs later.
//!
//! For whoever shows changes. That is a wider circle than what may not be changed at all: everything in [`protected`], in
//! packages too, and here what else deserves a look before it is taken over. What runs only because somebody asks for that
//! very thing (a Makefile, `package.json`'s scripts, `build.rs`, tests) is in neither: that is the code being worked on.
//! Names are compared as the most lenient of file systems would ([`protected::fold`]).

use crate::protected;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Why the host runs it; reads after "because".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason(&'static str);

impl Reason {
    /// The words.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

const GIT: &str = "git obeys it";
const POINTER: &str = "git takes its repository from there";
const HOOK: &str = "git's hooks run it";
const AGENT: &str = "agents take commands and servers from it";
const EDITOR: &str = "editors run tasks and programs that it names";
const SHELL: &str = "shells and their helpers run it";
const TOOL: &str = "build tools run programs that it names, whatever is built";
const CI: &str = "CI runs it, with the repository's secrets";
const STANDIN: &str = "it configures Standin";

impl From<protected::Reason> for Reason {
    fn from(reason: protected::Reason) -> Self {
        Self(match reason {
            protected::Reason::Git => GIT,
            protected::Reason::Agent => AGENT,
            protected::Reason::Editor => EDITOR,
            protected::Reason::Shell => SHELL,
            protected::Reason::Standin => STANDIN,
        })
    }
}

/// Names beyond the protected ones that mean it wherever they stand, and with all that is below them.
const ANYWHERE: &[(&str, &str)] = &[
    (".gitattributes", GIT),
    (".lfsconfig", GIT),
    (".githooks", HOOK),
    (".husky", HOOK),
    (".pre-commit-config.yaml", HOOK),
    ("lefthook.yml", HOOK),
    ("lefthook.yaml", HOOK),
    (".lefthook", HOOK),
    (".lefthook.yml", HOOK),
    (".claude", AGENT),
    (".codex", AGENT),
    (".cursor", AGENT),
    (".gemini", AGENT),
    (".opencode", AGENT),
    (".agents", AGENT),
    (".continue", AGENT),
    (".windsurf", AGENT),
    (".kiro", AGENT),
    (".roo", AGENT),
    (".amazonq", AGENT),
    (".vscode", EDITOR),
    (".vs", EDITOR),
    (".idea", EDITOR),
    (".zed", EDITOR),
    (".fleet", EDITOR),
    (".devcontainer", EDITOR),
    (".vimrc", EDITOR),
    (".direnv", SHELL),
    (".mise", SHELL),
    (".ssh", SHELL),
    (".gdbinit", TOOL),
    (".lldbinit", TOOL),
    (".rprofile", TOOL),
    (".irbrc", TOOL),
    (".pryrc", TOOL),
    (".npmrc", TOOL),
    (".yarnrc", TOOL),
    (".yarnrc.yml", TOOL),
    (".yarn", TOOL),
    (".pnpmfile.cjs", TOOL),
    (".cargo", TOOL),
    ("rust-toolchain", TOOL),
    ("rust-toolchain.toml", TOOL),
    (".bazelrc", TOOL),
    (".gitlab-ci.yml", CI),
    (".circleci", CI),
    (".buildkite", CI),
    (".travis.yml", CI),
    (".drone.yml", CI),
    (".woodpecker", CI),
    (".woodpecker.yml", CI),
    ("jenkinsfile", CI),
    ("azure-pipelines.yml", CI),
    ("bitbucket-pipelines.yml", CI),
];

/// The same for a name below another.
const BELOW: &[(&str, &str, &str)] =
    &[(".github", "workflows", CI), (".github", "actions", CI), (".config", "fish", SHELL)];

/// Endings of file names.
const ENDINGS: &[(&str, &str)] = &[(".sublime-project", EDITOR)];

/// What git keeps as data in its directory. All else in there is taken for something that it obeys.
const GIT_DATA: &[&str] = &[
    "objects",
    "refs",
    "logs",
    "index",
    "head",
    "orig_head",
    "fetch_head",
    "merge_head",
    "merge_msg",
    "merge_mode",
    "cherry_pick_head",
    "revert_head",
    "auto_merge",
    "commit_editmsg",
    "squash_msg",
    "packed-refs",
    "shallow",
    "description",
];
/// What git obeys in the directories of submodules and worktrees, which lie below its own.
const GIT_OBEYED: &[&str] = &[
    "config",
    "config.worktree",
    "commondir",
    "gitdir",
    "attributes",
    "alternates",
    "hooks",
    "sequencer",
    "rebase-merge",
    "rebase-apply",
];

/// Whether programs of the host run or obey what has this path, relative to a directory that people work in.
pub fn host_runs(path: &[u8]) -> Option<Reason> {
    let listed = || protected::listed(Path::new(OsStr::from_bytes(path))).map(Reason::from);
    beyond(path).or_else(listed)
}

/// What is not in the list of protected names, or is told more closely.
fn beyond(path: &[u8]) -> Option<Reason> {
    let folded = |name| String::from_utf8_lossy(&protected::fold(name)).into_owned();
    let names: Vec<String> = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).map(folded).collect();
    if let Some(at) = names.iter().position(|name| is_git(name)) {
        return in_git_directory(&names[at + 1..]).map(Reason);
    }
    let anywhere = |name: &String| ANYWHERE.iter().find(|(known, _)| known == name).map(|(_, why)| *why);
    if let Some(why) = names.iter().find_map(anywhere) {
        return Some(Reason(why));
    }
    let below = |pair: &[String]| BELOW.iter().find(|(a, b, _)| pair[0] == *a && pair[1] == *b).map(|(_, _, why)| *why);
    if let Some(why) = names.windows(2).find_map(below) {
        return Some(Reason(why));
    }
    let last = names.last()?;
    ENDINGS.iter().find(|(ending, _)| last.ends_with(ending)).map(|(_, why)| Reason(why))
}

/// The rest of a path after `.git`.
fn in_git_directory(rest: &[String]) -> Option<&'static str> {
    let [first, rest @ ..] = rest else { return Some(POINTER) };
    let obeyed = |name: &String| GIT_OBEYED.contains(&name.as_str());
    match first.as_str() {
        "modules" | "worktrees" => rest.iter().any(obeyed).then_some(GIT),
        "info" => {
            (rest.is_empty() || rest == ["exclude"] || rest == ["refs"]).then_some(()).map_or(Some(GIT), |()| None)
        }
        // Objects of another repository would be taken for this one's.
        "objects" if rest.first().is_some_and(|name| name == "info") && rest.len() > 1 => {
            rest.iter().any(obeyed).then_some(GIT)
        }
        "hooks" => Some(HOOK),
        name if GIT_DATA.contains(&name.strip_suffix(".lock").unwrap_or(name)) => None,
        _ => Some(GIT),
    }
}

/// `.git`, and the short name under which NTFS may know it.
fn is_git(name: &str) -> bool {
    let short = name.strip_prefix("git~").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    name == ".git" || short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_runs_is_known_by_name() {
        for (path, expected) in [
            (".git", Some(POINTER)),
            ("sub/.git", Some(POINTER)),
            (".git/config", Some(GIT)),
            (".git/config.worktree", Some(GIT)),
            (".git/hooks", Some(HOOK)),
            (".git/hooks/pre-commit", Some(HOOK)),
            (".git/info/attributes", Some(GIT)),
            (".git/info/exclude", None),
            (".git/objects/info/alternates", Some(GIT)),
            (".git/objects/info/packs", None),
            (".git/objects/ab/cdef", None),
            (".git/refs/heads/main", None),
            (".git/index", None),
            (".git/index.lock", None),
            (".git/HEAD", None),
            (".git/COMMIT_EDITMSG", None),
            (".git/logs/HEAD", None),
            (".git/rebase-merge/git-rebase-todo", Some(GIT)),
            (".git/whatever-comes", Some(GIT)),
            (".git/branches/origin", Some(GIT)),
            (".git/modules/refs/config", Some(GIT)),
            (".git/modules/a/b/hooks/post-checkout", Some(GIT)),
            (".git/modules/a/HEAD", None),
            (".git/worktrees/w/gitdir", Some(GIT)),
            (".GIT/hooks/x", Some(HOOK)),
            (".g\u{200c}it/config", Some(GIT)),
            ("git~1/config", Some(GIT)),
            (".git./config", Some(GIT)),
            (".git::$INDEX_ALLOCATION/config", Some(GIT)),
            (".gitignore", None),
            (".gitmodules", Some(GIT)),
            ("a/.gitattributes", Some(GIT)),
            (".claude/settings.json", Some(AGENT)),
            ("deep/down/.mcp.json", Some(AGENT)),
            (".vscode/tasks.json", Some(EDITOR)),
            ("x.code-workspace", Some(EDITOR)),
            (".envrc", Some(SHELL)),
            (".envrc/below", Some(SHELL)),
            ("node_modules/x/.envrc", Some(SHELL)),
            (".standin.toml", Some(STANDIN)),
            (".github/hooks/x", Some(AGENT)),
            ("sub/.Bash_Aliases", Some(SHELL)),
            (".git/modules/a/config.standin", Some(GIT)),
            (".Bashrc", Some(SHELL)),
            (".config/fish/config.fish", Some(SHELL)),
            (".config/other", None),
            (".cargo/config.toml", Some(TOOL)),
            (".github/workflows/ci.yml", Some(CI)),
            (".github/CODEOWNERS", None),
            ("Makefile", None),
            ("package.json", None),
            ("src/main.rs", None),
            ("...", None),
            ("", None),
        ] {
            assert_eq!(host_runs(path.as_bytes()).map(Reason::as_str), expected, "{path}");
        }
        assert_eq!(host_runs(b".vscode/\xff"), Some(Reason(EDITOR)));
    }
}
