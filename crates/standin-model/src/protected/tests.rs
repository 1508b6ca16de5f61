use super::*;

fn check(path: &str, kind: Kind) -> Role {
    role(Path::new(path), kind)
}

#[test]
fn names_have_roles_at_any_depth() {
    let protected = Role::Protected;
    let (git, agent, editor, shell) = (Reason::Git, Reason::Agent, Reason::Editor, Reason::Shell);
    for (path, expected) in [
        (".git", protected(git)),
        (".git/config", protected(git)),
        (".git/config.lock", Role::Free),
        (".git/HEAD", Role::Free),
        (".git/refs/heads/config", Role::Free),
        (".git/hooks/pre-commit", protected(git)),
        (".git/hooks/a/b", protected(git)),
        (".git/info/attributes", protected(git)),
        (".git/info/exclude", Role::Free),
        (".git/worktrees/x/commondir", protected(git)),
        (".git/worktrees/x/HEAD", Role::Free),
        (".git/worktrees/x/config.worktree", protected(git)),
        (".git/modules/a/b/config", protected(git)),
        (".git/modules/a/modules/b/hooks/x", protected(git)),
        (".git/modules/a/worktrees/w/commondir", protected(git)),
        (".git/modules/a/HEAD", Role::Ancestor(git)),
        ("a/b/.git/config", protected(git)),
        ("node_modules/x/.git/config", protected(git)),
        ("node_modules/x/.vscode/tasks.json", Role::Free),
        ("a/.vscode/tasks.json", protected(editor)),
        ("a/.vscode/other.json", Role::Free),
        (".claude/settings.local.json", protected(agent)),
        (".claude/settings.json/x", Role::Free),
        (".claude/worktrees/x/file", Role::Free),
        (".claude/hooks/deep/er.sh", protected(agent)),
        (".envrc", protected(shell)),
        ("x.code-workspace", protected(editor)),
        (".standin.toml", protected(Reason::Standin)),
        (".gitattributes", Role::Free),
        ("src/main.rs", Role::Free),
        ("git/config", Role::Free),
    ] {
        assert_eq!(check(path, Kind::Other), expected, "{path}");
    }
}

#[test]
fn directories_above_protected_names_are_ancestors() {
    for (path, expected) in [
        (".git", Role::Ancestor(Reason::Git)),
        (".git/hooks", Role::Ancestor(Reason::Git)),
        (".git/modules", Role::Ancestor(Reason::Git)),
        (".git/modules/a/b/c", Role::Ancestor(Reason::Git)),
        (".git/worktrees/x", Role::Ancestor(Reason::Git)),
        (".git/info", Role::Ancestor(Reason::Git)),
        (".git/objects", Role::Free),
        ("a/.vscode", Role::Ancestor(Reason::Editor)),
        (".claude", Role::Ancestor(Reason::Agent)),
        (".github", Role::Ancestor(Reason::Agent)),
        (".github/workflows", Role::Free),
        ("node_modules/x/.vscode", Role::Free),
        ("src", Role::Free),
    ] {
        assert_eq!(check(path, Kind::Directory), expected, "{path}");
    }
}

#[test]
fn other_spellings_are_the_same_name() {
    let protected = Role::Protected(Reason::Git);
    for path in [
        ".GIT/config",
        ".git/Config",
        ".git/CONFI\u{47}",
        ".git/con\u{fb01}g",
        ".g\u{200c}it/config",
        ".git/hoo\u{212a}s/pre-commit",
        ".git./config",
        ".git /config ",
        ".git::$INDEX_ALLOCATION/config",
        "GIT~1/config",
    ] {
        assert_eq!(check(path, Kind::Other), protected, "{path}");
    }
    assert_eq!(check(".v\u{17f}code/tasks.json", Kind::Other), Role::Protected(Reason::Editor));
}

#[test]
fn what_ties_worktrees_is_known() {
    for (path, expected) in [
        ("wt/.git", Some(Pointer::Worktree)),
        (".git/worktrees/wt/commondir", Some(Pointer::Common)),
        (".git/commondir", None),
        (".git/modules/x/commondir", None),
        (".git/worktrees/wt/config", None),
    ] {
        assert_eq!(pointer(Path::new(path)), expected, "{path}");
    }
}

#[test]
fn what_lies_in_gits_directories_is_known() {
    for path in [".git/x", "a/.GIT/objects/zz", ".git/modules/sub/logs/HEAD", "git~1/x"] {
        assert!(in_git(Path::new(path)), "{path}");
    }
    for path in [".git", "a/.git", ".github/x", "git/x", "x/.gitignore"] {
        assert!(!in_git(Path::new(path)), "{path}");
    }
    assert!(is_probe(b"tAb12cD") && !is_probe(b"tAb12c") && !is_probe(b"config1") && !is_probe(b"tAb12c."));
}

#[test]
fn what_a_bare_repository_obeys_is_judged_as_in_git() {
    let found = |path: &str| in_bare(Path::new(path)).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    assert_eq!(found("a/b/config"), [".git/config"]);
    assert_eq!(found("config"), [".git/config"]);
    assert_eq!(found("a/Hooks/post-update"), [".git/Hooks/post-update"]);
    assert_eq!(found("a/info/attributes"), [".git/info/attributes"]);
    assert_eq!(found("config/hooks/x/config"), [".git/hooks/x/config", ".git/config"]);
    assert_eq!(found("a/COMMONDIR./x"), Vec::<String>::new());
    assert_eq!(found("a/conf\u{200d}ig"), [".git/conf\u{200d}ig"]);
    for path in ["src/main.rs", "a/info/exclude", "configuration", "a/objects/config2", "hook/x"] {
        assert!(found(path).is_empty(), "{path}");
    }
    assert!(is_head(b"HEAD") && is_head(b"head.") && !is_head(b"HEAD.lock") && !is_head(b"header"));
}

#[test]
fn every_pattern_can_be_looked_up() {
    for Pattern(text, _, reason) in list::PATTERNS {
        assert!(!text.split('/').next().unwrap().contains('*'), "{text}");
        assert_eq!(*text, text.to_ascii_lowercase());
        let example = text.replace("**", "one/two").replace('*', "x");
        assert_eq!(check(&example, Kind::Other), Role::Protected(*reason), "{example}");
        let deeper = Path::new("a/b").join(&example);
        assert_eq!(role(&deeper, Kind::Other), Role::Protected(*reason), "{example}");
        for parent in Path::new(&example).ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()) {
            assert_ne!(role(parent, Kind::Directory), Role::Free, "{}", parent.display());
        }
    }
}

/// What may not be changed is shown as something that the host runs, where changes are looked at instead: in a copy.
#[test]
fn whatever_is_protected_wants_a_look() {
    for Pattern(text, ..) in list::PATTERNS {
        let example = text.replace("**", "x/y").replace('*', "x");
        assert!(matches!(check(&example, Kind::Other), Role::Protected(_)), "{example}");
        for path in [example.clone(), format!("deep/{}", example.to_uppercase()), format!("node_modules/p/{example}")] {
            assert!(crate::host_executed::host_runs(path.as_bytes()).is_some(), "{path}");
        }
    }
}
