//! What `check-repo` finds in repositories of a real git, and what git does with it.

use standin_workspace::repository::check;
use std::fs::{self, create_dir_all, write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

fn git(directory: &Path, words: &[&str]) {
    let mut git = Command::new("git");
    git.current_dir(directory).args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]);
    let output = git.args(words).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "{words:?} {}", String::from_utf8_lossy(&output.stderr));
}

fn repository() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("r");
    create_dir_all(&at).unwrap();
    git(&at, &["init", "-q", "."]);
    write(at.join("file"), "x").unwrap();
    git(&at, &["add", "."]);
    git(&at, &["commit", "-qm", "one"]);
    directory
}

/// `path:line`, sorted.
fn found(directory: &Path) -> Vec<String> {
    let line = |line: Option<usize>| line.map_or_else(String::new, |line| format!(":{line}"));
    check(directory).unwrap().iter().map(|found| format!("{}{}", found.path.display(), line(found.line))).collect()
}

#[test]
fn a_plain_repository_with_submodules_and_worktrees_is_clean() {
    let directory = repository();
    let at = directory.path().join("r");
    git(directory.path(), &["clone", "-q", "r", "other"]);
    git(&at, &["submodule", "add", "-q", "../other", "sub/module"]);
    git(&at, &["worktree", "add", "-q", "inner-tree"]);
    create_dir_all(at.join("node_modules/.bin")).unwrap();
    symlink("../tool/cli.js", at.join("node_modules/.bin/tool")).unwrap();
    write(at.join("package.json"), "{\"scripts\":{\"postinstall\":\"x\"}}").unwrap();
    assert_eq!(found(&at), Vec::<String>::new());
    // A worktree elsewhere has its repository elsewhere.
    git(&at, &["worktree", "add", "-q", "../tree"]);
    assert_eq!(found(&directory.path().join("tree")), [".git:1"]);
}

#[test]
fn what_git_would_run_is_found_and_not_run() {
    let directory = repository();
    let at = directory.path().join("r");
    let marker = directory.path().join("marker");
    let program = directory.path().join("program");
    write(&program, format!("#!/bin/sh\ntouch '{}'\n", marker.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    git(&at, &["config", "core.fsmonitor", program.to_str().unwrap()]);
    let lines = fs::read_to_string(at.join(".git/config")).unwrap().lines().count();
    assert_eq!(found(&at), [format!(".git/config:{lines}")]);
    assert!(!marker.exists(), "looking runs nothing");
    // The attack is real.
    git(&at, &["status"]);
    assert!(marker.exists());
    fs::remove_file(&marker).unwrap();
    // What is said to mend it does.
    let mend = check(&at).unwrap()[0].mend.clone();
    assert!(Command::new("sh").current_dir(&at).args(["-c", &mend]).status().unwrap().success());
    assert!(found(&at).is_empty());
    git(&at, &["status"]);
    assert!(!marker.exists());
}

#[test]
fn every_place_is_looked_at() {
    let directory = repository();
    let at = directory.path().join("r");
    git(directory.path(), &["clone", "-q", "r", "other"]);
    git(&at, &["submodule", "add", "-q", "../other", "sub"]);
    let own = fs::read_to_string(at.join(".git/config")).unwrap().lines().count();
    let add = |path: &str, text: &str| {
        let path = at.join(path);
        create_dir_all(path.parent().unwrap()).unwrap();
        let before = fs::read_to_string(&path).unwrap_or_default();
        write(path, before + text).unwrap();
    };
    add(".git/config", "[include]\n\tpath = ../tracked.config\n[include]\n\tpath = /elsewhere\n");
    add("tracked.config", "[alias]\n\tst = !x\n[include]\n\tpath = .git/config\n[include]\n\tpath = tracked.config\n");
    add(".git/config.worktree", "[core]\n\tpager = x\n");
    add(".git/hooks/post-checkout", "#!/bin/sh\n");
    fs::set_permissions(at.join(".git/hooks/post-checkout"), fs::Permissions::from_mode(0o755)).unwrap();
    add(".git/hooks/not-executable", "#!/bin/sh\n");
    add(".git/rebase-merge/git-rebase-todo", "pick 1234\nexec x\n");
    let module = fs::read_to_string(at.join(".git/modules/sub/config")).unwrap().lines().count();
    add(".git/modules/sub/config", "[core]\n\teditor = x\n");
    add(".gitmodules", "\tupdate = !x\n");
    for path in ["deep/bare/HEAD", "deep/bare/objects/x", "deep/bare/refs/x"] {
        add(path, "");
    }
    add("deep/bare/config", "[core]\n\tfsmonitor = x\n");
    add("pointer/.git", "gitdir: /elsewhere\n");
    create_dir_all(at.join("linked")).unwrap();
    symlink("/elsewhere", at.join("linked/.git")).unwrap();
    symlink("../../out", at.join("deep/link")).unwrap();
    symlink("hooks/post-checkout", at.join(".git/MERGE_MSG")).unwrap();
    add(".GIT/config", "[core]\n\tpager = x\n");
    add(".envrc", "");
    add("a/.vscode/tasks.json", "{\"tasks\":[{\n\"runOptions\":{\"runOn\":\"folderOpen\"}}]}");
    add(".claude/settings.json", "{\n\n\"hooks\":{\"Stop\":[1]}}");
    let expected = [
        ".GIT".to_owned(),
        ".GIT/config:2".to_owned(),
        ".claude/settings.json:3".to_owned(),
        ".envrc".to_owned(),
        ".git/MERGE_MSG".to_owned(),
        format!(".git/config:{}", own + 2),
        format!(".git/config:{}", own + 4),
        ".git/config.worktree:2".to_owned(),
        ".git/hooks/post-checkout".to_owned(),
        format!(".git/modules/sub/config:{}", module + 2),
        ".git/rebase-merge/git-rebase-todo:2".to_owned(),
        ".gitmodules:4".to_owned(),
        "a/.vscode/tasks.json:2".to_owned(),
        "deep/bare".to_owned(),
        "deep/bare/config:2".to_owned(),
        "deep/link".to_owned(),
        "linked/.git".to_owned(),
        "pointer/.git:1".to_owned(),
        "tracked.config:2".to_owned(),
        "tracked.config:4".to_owned(),
        "tracked.config:6".to_owned(),
    ];
    assert_eq!(found(&at), expected);
}

#[test]
fn what_cannot_be_read_is_found() {
    let directory = repository();
    let at = directory.path().join("r");
    write(at.join(".git/config.worktree"), vec![b'\n'; 2_000_000]).unwrap();
    write(at.join(".mcp.json"), "{").unwrap();
    fs::remove_file(at.join(".git/config")).unwrap();
    write(at.join(".git/config"), "[core\n").unwrap();
    assert_eq!(found(&at), [".git/config", ".git/config.worktree", ".mcp.json"]);
}
