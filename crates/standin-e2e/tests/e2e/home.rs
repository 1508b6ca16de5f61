//! The home stays outside, by whatever name it is called, and so do Standin's own files.

use crate::direct::Caller;
use standin_e2e::{Rig, binary};
use std::fs::{create_dir_all, write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

fn has_file(home: &Path, name: &str) {
    let path = home.join(name);
    create_dir_all(path.parent().unwrap()).unwrap();
    write(path, "token").unwrap();
}

/// Runs it; what it printed, and what Standin said.
fn outcome(command: &mut Command) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn tokens_beside_tools_are_not_shown() {
    let caller = Caller::new();
    let home = caller.path("home");
    has_file(&home, ".fly/config.yml");
    has_file(&home, ".local/share/keyring");
    has_file(&home, "tools/lib");
    for bin in [".fly/bin", ".local/bin", "tools/bin"] {
        create_dir_all(home.join(bin)).unwrap();
    }
    let entries = [".fly/bin", ".local/share/../bin", "tools/bin"].map(|entry| home.join(entry).display().to_string());
    let script = "cd; ls -d .fly/* .local/* tools/*";
    let mut standin = caller.standin(&["/bin/sh", "-c", script]);
    let (seen, said) = outcome(standin.env("PATH", format!("{}:/usr/bin:/bin", entries.join(":"))));
    assert_eq!(seen, ".fly/bin\n.local/bin\ntools/bin\ntools/lib\n", "{said}");
}

/// What package managers have fetched is there, and nobody on the host uses what an agent puts in its place.
#[test]
fn caches_are_shown_and_keep_what_they_are() {
    let caller = Caller::new();
    let home = caller.path("home");
    for name in [".cargo/registry/cache/a.crate", ".npm/_cacache/index", ".cache/pip/b/c", ".cache/huggingface/token"] {
        has_file(&home, name);
    }
    has_file(&home, ".cargo/credentials.toml");
    has_file(&home, ".cargo/registry/index/clone/.git/config");
    symlink(home.join(".cargo"), home.join(".m2")).unwrap();
    create_dir_all(home.join(".cargo/repository")).unwrap();
    let change = "cd; find . -type f | sort; echo planted > .cargo/registry/cache/a.crate; rm .npm/_cacache/index; \
                  mkdir .cache/pip/new; mv .cache/pip/b .cache/pip/d; echo more > .cache/pip/d/e; \
                  cat .cargo/registry/cache/a.crate .cache/pip/d/*; ls -A .npm/_cacache .m2";
    let (seen, said) = outcome(&mut caller.standin(&["/bin/sh", "-c", change]));
    let expected = "./.cache/pip/b/c\n./.cargo/registry/cache/a.crate\n./.npm/_cacache/index\nplanted\ntokenmore\n.npm/_cacache:\n";
    assert_eq!(seen, expected, "{said}");
    let kept = |name: &str| std::fs::read_to_string(home.join(name)).unwrap();
    assert_eq!([kept(".cargo/registry/cache/a.crate"), kept(".npm/_cacache/index")], ["token", "token"]);
    assert!(home.join(".cache/pip/b/c").exists() && !home.join(".cache/pip/new").exists());
    // Outside of a sandbox the same is done.
    assert!(Command::new("/bin/sh").args(["-c", change]).env("HOME", &home).output().unwrap().status.code().is_some());
    assert_eq!(kept(".cargo/registry/cache/a.crate"), "planted\n");
    // Who wants one shown otherwise, or not at all, says so.
    let look = ["/bin/sh", "-c", "cd; cat .cargo/registry/cache/a.crate; echo mine > .cargo/registry/mine"];
    let cargo = home.join(".cargo/registry").display().to_string();
    for (option, there, written) in [("--hide", false, false), ("--ro", true, false), ("--rw", true, true)] {
        let (seen, said) = outcome(&mut caller.run(&[option, &cargo], &look));
        assert_eq!(seen == "planted\n", there, "{option} {seen} {said}");
        assert_eq!(home.join(".cargo/registry/mine").exists(), written, "{option} {said}");
    }
}

#[test]
fn a_home_behind_a_link_is_a_home() {
    let caller = Caller::new();
    let (real, link) = (caller.path("home"), caller.path("link"));
    has_file(&real, ".ssh/id");
    create_dir_all(real.join("bin")).unwrap();
    symlink(&real, &link).unwrap();
    let look = ["/bin/cat", real.join(".ssh/id").to_str().unwrap()].map(ToOwned::to_owned);
    let look = look.each_ref().map(String::as_str);
    // On the PATH, without the link.
    let path = format!("{}:/usr/bin:/bin", real.join("bin").display());
    let (seen, said) = outcome(caller.standin(&look).env("HOME", &link).env("PATH", path));
    assert!(seen.is_empty() && said.contains("No such file"), "{seen} {said}");
    // As the workspace.
    let (seen, said) = outcome(caller.standin(&look).env("HOME", &link).current_dir(&real));
    assert!(seen.is_empty() && said.contains("holds your home"), "{seen} {said}");
}

#[test]
fn a_directory_is_not_passed_on_as_a_stream() {
    let caller = Caller::new();
    let directory = std::fs::File::open(caller.path("home")).unwrap();
    let (seen, said) = outcome(caller.standin(&["/bin/ls", "/proc/self/fd/0/"]).stdin(directory));
    assert!(seen.is_empty() && said.contains("stdin is a directory"), "{seen} {said}");
}

#[test]
fn nobody_inside_writes_our_own_files() {
    let caller = Caller::new();
    let home = caller.path("home");
    create_dir_all(home.join(".config/standin")).unwrap();
    let plain = |directory: &Path| outcome(caller.standin(&["/bin/true"]).current_dir(directory)).1;
    assert!(plain(&home.join(".config")).contains("which the sandbox must not write"));
    assert!(plain(&caller.path("state")).contains("which the sandbox must not write"));
    // Settings kept in a repository that is the workspace.
    let workspace = caller.path("workspace");
    std::fs::rename(home.join(".config/standin"), workspace.join("settings")).unwrap();
    symlink(workspace.join("settings"), home.join(".config/standin")).unwrap();
    assert!(plain(&workspace).contains("which the sandbox must not write"));
}

/// An executable that shows what lies beside it.
fn has_program(at: &Path) {
    write(at, "#!/bin/sh\nls -A \"$(dirname \"$(readlink -f \"$0\")\")\"; cat ~/.claude/.credentials.json\n").unwrap();
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn no_way_of_showing_the_home_shows_a_login() {
    let caller = Caller::new();
    let home = caller.path("home");
    has_file(&home, ".claude/.credentials.json");
    let program = home.join(".claude/statusline");
    has_program(&program);
    let plain = ["/bin/cat", home.join(".claude/.credentials.json").to_str().unwrap()].map(ToOwned::to_owned);
    let plain = plain.each_ref().map(String::as_str);
    let on_the_path = format!("{}:/usr/bin:/bin", home.join(".claude").display());
    let mut asked_for = caller.program(binary("standin"));
    asked_for.args(["run", "--ro"]).arg(&home).arg("--").args(plain);
    for standin in [
        // The directory of the program, one on the PATH, all of the home.
        &mut caller.standin(&[program.to_str().unwrap()]),
        caller.standin(&plain).env("PATH", on_the_path),
        &mut asked_for,
    ] {
        let (seen, said) = outcome(standin);
        assert!(seen.is_empty() && said.contains("which the sandbox must not see"), "{seen} {said}");
    }
}

#[test]
fn no_link_of_the_workspace_says_where_tools_lie() {
    let caller = Caller::new();
    let (home, workspace) = (caller.path("home"), caller.path("workspace"));
    has_file(&home, "other/notes");
    has_program(&home.join("other/tool"));
    // As an earlier session may have left them.
    symlink(home.join("other/tool"), workspace.join("build")).unwrap();
    symlink(home.join("other"), workspace.join("bin")).unwrap();
    let (seen, said) = outcome(&mut caller.standin(&["./build"]));
    assert!(seen.is_empty() && said.contains("No such file"), "{seen} {said}");
    let path = format!("{}:/usr/bin:/bin", workspace.join("bin").display());
    let (seen, said) = outcome(caller.standin(&["ls", home.join("other").to_str().unwrap()]).env("PATH", &path));
    assert!(seen.is_empty() && said.contains("No such file"), "{seen} {said}");
    // The caller's own word counts as ever.
    let (seen, said) = outcome(&mut caller.standin(&[home.join("other/tool").to_str().unwrap()]));
    assert!(seen.contains("notes"), "{seen} {said}");
}

#[test]
fn a_program_among_our_own_files_shows_none_of_them() {
    let caller = Caller::new();
    let own = caller.path("state").join("standin");
    create_dir_all(&own).unwrap();
    has_program(&own.join("tool"));
    let (seen, said) = outcome(&mut caller.standin(&[own.join("tool").to_str().unwrap()]));
    assert!(seen.is_empty() && said.contains("No such file"), "{seen} {said}");
}

/// What is shown instead of the agent's own files lies in the sandbox, not on them.
#[test]
fn what_an_agent_sees_of_its_login_is_not_written_on_the_host() {
    let caller = Caller::new();
    let home = caller.path("home");
    let token = "sk-ant-oat01-0123456789abcdefghijklmnopqrstuvwxyz0123456789";
    let login = format!("{{\"claudeAiOauth\":{{\"accessToken\":\"{token}\",\"expiresAt\":1999999999999}}}}");
    create_dir_all(home.join(".claude")).unwrap();
    write(home.join(".claude/.credentials.json"), &login).unwrap();
    let state = r#"{"hasCompletedOnboarding":true,"projects":{"/p":{"history":["mine"]}}}"#;
    write(home.join(".claude.json"), state).unwrap();
    let run = |shown: &Path| {
        let mut standin = caller.program(binary("standin"));
        outcome(
            standin
                .args(["run", "--login", "claude", "--rw"])
                .arg(shown)
                .args(["--", "cat"])
                .arg(home.join(".claude.json")),
        )
    };
    // Its settings, shown as they are.
    let (seen, said) = run(&home.join(".claude.json"));
    assert_eq!(
        (seen.as_str(), std::fs::read_to_string(home.join(".claude.json")).unwrap().as_str()),
        (state, state),
        "{said}"
    );
    // Its directory, where the login is one that was made inside.
    let own = caller.path("state").join("standin/logins");
    create_dir_all(&own).unwrap();
    for private in [&own, own.parent().unwrap()] {
        std::fs::set_permissions(private, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    std::fs::rename(home.join(".claude/.credentials.json"), own.join("anthropic.json")).unwrap();
    std::fs::set_permissions(own.join("anthropic.json"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let (seen, said) = run(&home.join(".claude"));
    assert!(seen.is_empty() && said.contains("in what is shown of the host"), "{seen} {said}");
    assert_eq!(std::fs::read_dir(home.join(".claude")).unwrap().count(), 0);
}

/// Of two sessions one has the other's workspace in its own, and puts a link there while the other one starts: here a source of that
/// one does it, for it runs at that time.
#[test]
fn a_workspace_that_becomes_a_link_is_not_followed() {
    let caller = Caller::new();
    let (home, inner) = (caller.path("home"), caller.path("workspace/inner"));
    has_file(&home, "notes/diary");
    create_dir_all(&inner).unwrap();
    let swap =
        format!("mv {0} {0}.old && ln -s {1}/notes {0} && echo 0123456789abcdef", inner.display(), home.display());
    for flag in [&[][..], &["--cow"]] {
        let mut standin = caller.program(binary("standin"));
        let secret = format!("A=cmd:{swap}@api.example.com");
        let command = ["--secret", &secret, "--", "/bin/sh", "-c", "cat diary; touch made"];
        let (seen, said) = outcome(standin.current_dir(&inner).arg("run").args(flag).args(command));
        assert!(seen.is_empty() && said.contains("nothing was run"), "{seen} {said}");
        assert!(!home.join("notes/made").exists());
        std::fs::remove_file(&inner).unwrap();
        std::fs::rename(inner.with_extension("old"), &inner).unwrap();
        // A source whose value had a shape already is not asked at the start.
        std::fs::remove_dir_all(caller.path("state").join("standin/shapes")).unwrap();
    }
}

/// An authority of the command's own would vouch for any host.
#[test]
fn whom_we_believe_is_not_said_in_what_the_sandbox_may_write() {
    let rig = Rig::new(&["echo.example"]);
    write(rig.workspace().join("roots.pem"), "").unwrap();
    let standin = binary("standin").display().to_string();
    let fetch = "cp own.pem roots.pem; curl -s -o got https://echo.example/";
    // The rig's authority stands for the command's.
    let script =
        format!("cp \"$SSL_CERT_FILE\" own.pem; export \"$0\"; {standin} run --allow echo.example -- sh -c '{fetch}'");
    let config = rig.home().join(".config/standin");
    create_dir_all(&config).unwrap();
    for (named, configured) in [
        ("SSL_CERT_FILE=roots.pem".to_owned(), String::new()),
        (format!("SSL_CERT_DIR=/etc/ssl/certs:{}", rig.workspace().display()), String::new()),
        ("X=".to_owned(), format!("[upstream]\nroots = [\"{}/own.pem\"]\n", rig.workspace().display())),
    ] {
        write(config.join("config.toml"), configured).unwrap();
        let outcome = rig.on_host(&["sh", "-c", &script, &named]);
        assert_eq!(outcome.code, Some(125), "{named}\n{}\n{}", outcome.stderr, outcome.log);
        assert!(outcome.stderr.contains("says which hosts are believed"), "{named}\n{}", outcome.stderr);
        assert!(outcome.seen.is_empty() && !rig.workspace().join("got").exists(), "{named}");
    }
}
