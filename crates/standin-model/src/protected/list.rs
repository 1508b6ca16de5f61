//! The names, as data.
//!
//! In it: what a program of the host runs or obeys *on its own*, when a person enters the directory, opens it in an editor,
//! starts an agent in it, or uses git for something else. Not in it: what a person runs knowingly (`package.json`,
//! `Makefile`, `build.rs`, workflows of CI), texts that only advise (`AGENTS.md`, `CLAUDE.md`, rules of editors), and
//! `.gitattributes`: it may name filters, which only a protected configuration defines.

use self::Reason::{Agent, Editor, Git, Shell, Standin};
use self::Scope::{Everywhere, Opened, Pointer};

/// Who obeys a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// git.
    Git,
    /// A coding agent, or a program that it starts.
    Agent,
    /// An editor.
    Editor,
    /// A shell, or what hooks into it.
    Shell,
    /// Standin.
    Standin,
}

impl Reason {
    /// Reads after the name of the file.
    pub fn text(self) -> &'static str {
        match self {
            Self::Git => "git on the host runs commands or obeys settings from it",
            Self::Agent => "agents on the host run commands or obey settings from it",
            Self::Editor => "editors on the host run commands or obey settings from it",
            Self::Shell => "shells on the host run it",
            Self::Standin => "it configures Standin",
        }
    }
}

/// Where a name counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Everywhere,
    /// Where somebody may open the directory: not below those that package managers fill.
    Opened,
    /// Everywhere, but only if it is not a directory.
    Pointer,
}

/// A path at any depth: `*` is part of a name, `**` one name or more.
pub(super) struct Pattern(pub(super) &'static str, pub(super) Scope, pub(super) Reason);

/// In lower case; the first name is written out.
pub(super) const PATTERNS: &[Pattern] = &[
    // A file of this name points to a directory of git's.
    Pattern(".git", Pointer, Git),
    Pattern(".git/config", Everywhere, Git),
    // Ours: the copy that is about to take the configuration's place.
    Pattern(".git/config.standin", Everywhere, Git),
    Pattern(".git/modules/**/config.standin", Everywhere, Git),
    Pattern(".git/config.worktree", Everywhere, Git),
    Pattern(".git/commondir", Everywhere, Git),
    Pattern(".git/hooks/**", Everywhere, Git),
    Pattern(".git/info/attributes", Everywhere, Git),
    Pattern(".git/worktrees/*/config", Everywhere, Git),
    Pattern(".git/worktrees/*/config.worktree", Everywhere, Git),
    Pattern(".git/worktrees/*/commondir", Everywhere, Git),
    Pattern(".git/worktrees/*/hooks/**", Everywhere, Git),
    // Submodules have slashes in their names, and submodules and worktrees of their own.
    Pattern(".git/modules/**/config", Everywhere, Git),
    Pattern(".git/modules/**/config.worktree", Everywhere, Git),
    Pattern(".git/modules/**/commondir", Everywhere, Git),
    Pattern(".git/modules/**/hooks/**", Everywhere, Git),
    Pattern(".git/modules/**/info/attributes", Everywhere, Git),
    Pattern(".gitmodules", Opened, Git),
    Pattern(".gitconfig", Opened, Git),
    Pattern(".husky/**", Opened, Git),
    Pattern(".githooks/**", Opened, Git),
    Pattern(".claude/settings*.json", Opened, Agent),
    Pattern(".claude/hooks/**", Opened, Agent),
    Pattern(".claude/commands/**", Opened, Agent),
    Pattern(".claude/agents/**", Opened, Agent),
    Pattern(".claude/skills/**", Opened, Agent),
    Pattern(".claude/plugins/**", Opened, Agent),
    Pattern(".claude/*.sh", Opened, Agent),
    Pattern(".claude/*.py", Opened, Agent),
    Pattern(".claude/*.js", Opened, Agent),
    Pattern(".claude-plugin/**", Opened, Agent),
    Pattern(".mcp.json", Opened, Agent),
    Pattern(".codex/**", Opened, Agent),
    Pattern(".agents/skills/**", Opened, Agent),
    Pattern(".cursor/*.json", Opened, Agent),
    Pattern(".cursor/hooks/**", Opened, Agent),
    Pattern(".cursor/commands/**", Opened, Agent),
    Pattern(".cursor/agents/**", Opened, Agent),
    Pattern(".cursor/skills/**", Opened, Agent),
    Pattern(".gemini/settings.json", Opened, Agent),
    Pattern(".gemini/.env", Opened, Agent),
    Pattern(".gemini/hooks/**", Opened, Agent),
    Pattern(".gemini/commands/**", Opened, Agent),
    Pattern(".gemini/extensions/**", Opened, Agent),
    Pattern(".gemini/agents/**", Opened, Agent),
    Pattern(".gemini/skills/**", Opened, Agent),
    Pattern(".opencode/**", Opened, Agent),
    Pattern("opencode.json", Opened, Agent),
    Pattern("opencode.jsonc", Opened, Agent),
    Pattern(".github/hooks/**", Opened, Agent),
    Pattern(".amp/settings.json", Opened, Agent),
    Pattern(".continue/**", Opened, Agent),
    Pattern(".kiro/hooks/**", Opened, Agent),
    Pattern(".kiro/settings/**", Opened, Agent),
    Pattern(".qwen/settings.json", Opened, Agent),
    Pattern(".roo/mcp.json", Opened, Agent),
    Pattern(".windsurf/**", Opened, Agent),
    Pattern(".aider.conf.yml", Opened, Agent),
    Pattern(".vscode/settings.json", Opened, Editor),
    Pattern(".vscode/tasks.json", Opened, Editor),
    Pattern(".vscode/launch.json", Opened, Editor),
    Pattern(".vscode/mcp.json", Opened, Editor),
    Pattern(".idea/**", Opened, Editor),
    Pattern(".fleet/**", Opened, Editor),
    Pattern(".zed/settings.json", Opened, Editor),
    Pattern(".zed/tasks.json", Opened, Editor),
    Pattern(".zed/debug.json", Opened, Editor),
    Pattern(".devcontainer/**", Opened, Editor),
    Pattern(".devcontainer.json", Opened, Editor),
    Pattern(".exrc", Opened, Editor),
    Pattern(".nvimrc", Opened, Editor),
    Pattern(".nvim.lua", Opened, Editor),
    Pattern(".lvimrc", Opened, Editor),
    Pattern(".dir-locals.el", Opened, Editor),
    Pattern(".dir-locals-2.el", Opened, Editor),
    Pattern(".envrc", Opened, Shell),
    Pattern(".mise.toml", Opened, Shell),
    Pattern("mise.toml", Opened, Shell),
    Pattern(".mise/config.toml", Opened, Shell),
    Pattern(".config/mise/**", Opened, Shell),
    Pattern(".config/fish/**", Opened, Shell),
    Pattern(".bashrc", Opened, Shell),
    Pattern(".bash_profile", Opened, Shell),
    Pattern(".bash_login", Opened, Shell),
    Pattern(".bash_logout", Opened, Shell),
    Pattern(".bash_aliases", Opened, Shell),
    Pattern(".profile", Opened, Shell),
    Pattern(".kshrc", Opened, Shell),
    Pattern(".zshrc", Opened, Shell),
    Pattern(".zshenv", Opened, Shell),
    Pattern(".zprofile", Opened, Shell),
    Pattern(".zlogin", Opened, Shell),
    Pattern(".zlogout", Opened, Shell),
    Pattern(".standin.toml", Everywhere, Standin),
    Pattern(".standin/**", Everywhere, Standin),
];

/// Names that are known by their end.
const ENDINGS: &[(&[u8], Reason)] = &[(b".code-workspace", Editor)];

pub(super) fn endings(name: &[u8]) -> Option<Reason> {
    ENDINGS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, reason)| *reason)
}
