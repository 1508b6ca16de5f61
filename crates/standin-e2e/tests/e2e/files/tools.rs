//! git, npm and cargo do their work, and leave nothing on the host that was not asked for.

use super::{repository, shell};
use crate::direct::Caller;
use std::fs::{create_dir_all, write};

/// What git on the host says of the workspace.
fn status(caller: &Caller) -> String {
    let output = caller.program("/usr/bin/git").args(["status", "--porcelain", "--ignored"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn git_commits_and_switches() {
    let caller = Caller::new();
    repository(&caller, &caller.path("workspace"));
    let seen = shell(
        &caller,
        "git switch -q -c feature
echo two > file; mkdir -p src; echo x > src/x
git add -A; git commit -q -m two
git switch -q main; cat file
git merge -q --no-ff -m merge feature; cat file
git stash list; echo dirty > file; git stash -q; git stash pop -q; git checkout -q file
git tag v1; git branch -q -d feature
git gc -q; git log --oneline | wc -l",
    );
    assert_eq!(seen, "one\ntwo\n3\n");
    assert_eq!(status(&caller), "");
}

#[test]
fn git_says_why_it_cannot_change_its_configuration() {
    let caller = Caller::new();
    repository(&caller, &caller.path("workspace"));
    let script = "git config --local core.fsmonitor ./evil || git config core.hooksPath evil";
    let output = caller.standin(&["/bin/sh", "-c", script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("Permission denied"), "{said}");
    let config = std::fs::read_to_string(caller.path("workspace").join(".git/config")).unwrap();
    assert!(!config.contains("fsmonitor") && !config.contains("hooksPath"), "{config}");
    assert!(!caller.path("workspace").join(".git/config.lock").exists());
    assert_eq!(status(&caller), "");
}

#[test]
fn git_adds_worktrees_and_removes_them() {
    let caller = Caller::new();
    let workspace = caller.path("workspace");
    repository(&caller, &workspace);
    let seen = shell(
        &caller,
        "umask 777; mkdir shut; rmdir shut; umask 22; git worktree add -q -b side trees/wt; cat trees/wt/file
cd trees/wt; echo side > file; git commit -q -a -m side; git status --porcelain; git log --oneline | wc -l
cd ../..; git worktree add -q trees/gone; git worktree remove trees/gone; git worktree list | wc -l",
    );
    assert_eq!(seen, "one\n2\n2\n");
    // The host can go on there.
    let mut git = caller.program("/usr/bin/git");
    let output = git.current_dir(workspace.join("trees/wt")).args(["log", "-1", "--format=%s"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "side\n", "{output:?}");
    assert_eq!(status(&caller), "?? trees/\n");
}

#[test]
fn worktrees_are_tied_to_their_repository_only() {
    let caller = Caller::new();
    let workspace = caller.path("workspace");
    repository(&caller, &workspace);
    // A repository with a configuration of the agent's, and every way to lead git to it from a worktree.
    let script = "git worktree add -q -b side wt
cp -r .git/objects .git/refs .git/HEAD evil/ 2>/dev/null || { mkdir evil; cp -r .git/objects .git/refs .git/HEAD evil/; }
printf '[core]\\n\\tfsmonitor = ./payload\\n' > evil/config
echo 'gitdir: ../evil' > wt/.git
rm wt/.git; echo 'gitdir: ../evil' > wt/.git; cat wt/.git
echo ../../../evil > .git/worktrees/wt/commondir
rm .git/worktrees/wt/commondir; echo ../../../evil > .git/worktrees/wt/commondir; cat .git/worktrees/wt/commondir
mkdir other; echo 'gitdir: ../evil' > other/.git; ls -A other
echo x > .git/worktrees/wt/config; ln -s ../evil other/.git; mv evil other/.git; true";
    let output = caller.standin(&["/bin/sh", "-c", script]).output().unwrap();
    let pointer = format!("gitdir: {}/.git/worktrees/wt\n../..\n", workspace.display());
    assert_eq!(String::from_utf8_lossy(&output.stdout), pointer, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!workspace.join(".git/worktrees/wt/config").exists() && !workspace.join("other/.git").exists());
}

#[test]
fn git_may_follow_branches_and_clone() {
    let caller = Caller::new();
    let (workspace, library) = (caller.path("workspace"), caller.path("library"));
    create_dir_all(&library).unwrap();
    repository(&caller, &library);
    let prepare = format!("git clone -q {} . && git -C ../library branch -q topic && git fetch -q", library.display());
    assert!(caller.program("/bin/sh").args(["-ec", &prepare]).status().unwrap().success());
    let seen = shell(
        &caller,
        "git switch -q topic; git rev-parse --abbrev-ref '@{u}'
git clone -q . copy; cd copy; git config user.name a; git config user.email a@example.com; git remote add more ../x
echo x > new; git add new; git commit -q -m x; cd ..; rm -rf copy; git init -q made; ls -A",
    );
    assert_eq!(seen, "origin/topic\n.git\nfile\nmade\n");
    let script = "cd made; git config core.fsmonitor ./x; cd ..; git config remote.origin.url https://evil.example/
git remote add evil https://evil.example/; git config branch.topic.remote https://evil.example/
cp .git/config c; echo '[alias]' >> c; mv c .git/config; ls .git/config*; true";
    let output = caller.standin(&["/bin/sh", "-c", script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), ".git/config\n", "{}", String::from_utf8_lossy(&output.stderr));
    let written =
        ["made/.git/config", ".git/config"].map(|name| std::fs::read_to_string(workspace.join(name)).unwrap());
    assert!(!written.concat().contains("evil") && !written.concat().contains("fsmonitor"), "{written:?}");
    assert!(!written.concat().contains("alias"), "{written:?}");
}

#[test]
fn submodules_of_the_host_are_worked_in() {
    let caller = Caller::new();
    let library = caller.path("library");
    create_dir_all(&library).unwrap();
    repository(&caller, &library);
    repository(&caller, &caller.path("workspace"));
    let add = format!(
        "git -c protocol.file.allow=always submodule add -q {} sub && git commit -q -m sub && \
         git -C sub config user.name u && git -C sub config user.email u@example.com",
        library.display()
    );
    assert!(caller.program("/bin/sh").args(["-ec", &add]).status().unwrap().success());
    shell(&caller, "cd sub; echo inside > file; git commit -q -a -m inside; cd ..; git commit -q -a -m pointer");
    assert_eq!(status(&caller), "");
}

#[test]
fn npm_installs_packages_that_bring_settings_along() {
    let caller = Caller::new();
    let package = caller.path("workspace").join("vendored/brings");
    create_dir_all(package.join(".vscode")).unwrap();
    write(package.join(".vscode/settings.json"), "{}").unwrap();
    write(package.join("package.json"), r#"{"name":"brings","version":"1.0.0"}"#).unwrap();
    write(caller.path("workspace").join("package.json"), r#"{"name":"app","version":"1.0.0"}"#).unwrap();
    let seen = shell(
        &caller,
        "tarball=$(npm pack --silent ./vendored/brings)
npm install --silent --offline --no-audit --no-fund ./$tarball
ls -A node_modules/brings node_modules/brings/.vscode; rm -r node_modules; npm ci --silent --offline --no-audit; ls node_modules",
    );
    assert!(seen.contains("settings.json") && seen.ends_with("brings\n"), "{seen}");
}

#[test]
fn cargo_builds_with_a_script() {
    let caller = Caller::new();
    let workspace = caller.path("workspace");
    create_dir_all(workspace.join("src")).unwrap();
    write(workspace.join("Cargo.toml"), "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")
        .unwrap();
    let script = "fn main() { std::fs::write(std::env::var(\"OUT_DIR\").unwrap() + \"/t\", \"built\").unwrap(); }";
    write(workspace.join("build.rs"), script).unwrap();
    write(workspace.join("src/main.rs"), "fn main() { print!(include_str!(concat!(env!(\"OUT_DIR\"), \"/t\"))) }")
        .unwrap();
    // The toolchain is in the home of whoever builds these tests; `go_builds_and_tests` runs as anybody.
    let Ok(toolchain) = std::process::Command::new("rustc").args(["--print", "sysroot"]).output() else {
        eprintln!("not run: this user has no rustc");
        return;
    };
    let toolchain = String::from_utf8(toolchain.stdout).unwrap();
    let script = format!("PATH={0}/bin:$PATH; cargo run -q --offline", toolchain.trim());
    let mut standin = caller.program(standin_e2e::binary("standin"));
    let output = standin.args(["run", "--ro", toolchain.trim(), "--", "/bin/sh", "-ec", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "built", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn go_builds_and_tests() {
    let caller = Caller::new();
    let workspace = caller.path("workspace");
    write(workspace.join("go.mod"), "module app\n\ngo 1.19\n").unwrap();
    write(workspace.join("main.go"), "package main\n\nfunc main() { print(\"built\") }\n").unwrap();
    let test = "package main\n\nimport (\"os\"; \"testing\")\n
func TestWrites(t *testing.T) { if os.WriteFile(t.TempDir()+\"/x\", nil, 0o600) != nil { t.Fail() } }\n";
    write(workspace.join("main_test.go"), test).unwrap();
    let seen = shell(&caller, "go build -o app . && ./app 2>&1 && go test . | cut -f1; ls");
    assert_eq!(seen, "builtok  \napp\ngo.mod\nmain.go\nmain_test.go\n");
}

#[test]
fn bare_repositories_are_made_served_and_removed() {
    let caller = Caller::new();
    let script =
        "export GIT_AUTHOR_NAME=u GIT_AUTHOR_EMAIL=u@example.com GIT_COMMITTER_NAME=u GIT_COMMITTER_EMAIL=u@example.com
        git init -q --bare -b main store.git && git clone -q store.git work 2>/dev/null
        cd work && git commit -q --allow-empty -m one && git push -q origin HEAD:main && cd ..
        git clone -q --bare store.git copy.git && git clone -q --mirror store.git mirror.git
        git -C copy.git config user.name other && git -C copy.git log --format=%s main
        git -C mirror.git fetch -q && git -C store.git symbolic-ref HEAD refs/heads/main
        ls -A store.git | tr '\\n' ' '; rm -rf copy.git; ls";
    let seen = shell(&caller, script);
    assert!(seen.starts_with("one\nHEAD ") && seen.ends_with("mirror.git\nstore.git\nwork\n"), "{seen}");
    // In a later session, too: what tests leave behind.
    assert_eq!(shell(&caller, "rm -rf store.git mirror.git && ls"), "work\n");
    // A directory that only looks a bit like one, and a file that is called so.
    let ordinary = "mkdir -p docs/hooks app && echo x > docs/HEAD && echo 'a = 1' > app/config && echo x > app/head && cat app/config";
    assert_eq!(shell(&caller, ordinary), "a = 1\n");
}
