//! Files that hold secrets by what they are for: sources of credentials, copies of logins. And what is said of files.

use crate::direct::Caller;
use crate::secret_files::{SECRET, run};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use standin_e2e::Rig;
use std::fs::{create_dir_all, hard_link, write};
use std::os::unix::fs::symlink;

/// What a credential is fetched from holds a secret, whatever it is called and however the secret looks.
#[test]
fn the_sources_of_credentials_are_secret_files() {
    let caller = Caller::new();
    let workspace = caller.path("workspace");
    write(workspace.join("token.txt"), format!("{SECRET}\n")).unwrap();
    write(workspace.join("notes.toml"), "[db]\nname = \"orders\"\nphrase = \"plain words\"\n").unwrap();
    hard_link(workspace.join("token.txt"), workspace.join("second")).unwrap();
    let flags =
        ["--secret", "A=file:token.txt@api.example.com", "--secret", "B=file:notes.toml#db.phrase@api.example.com"];
    let script = "test \"$(cat token.txt)\" = \"$A\" && echo same; cat second notes.toml";
    let (seen, said) = run(&caller, &flags, script);
    assert!(seen.starts_with("same\n") && !seen.contains(SECRET) && !seen.contains("plain words"), "{seen}{said}");
    let (seen, said) = run(&caller, &[], "cat token.txt notes.toml");
    assert!(seen.contains(SECRET) && seen.contains("plain words"), "by their names they are none: {seen}{said}");
}

/// A session may leave a link where the next one's source is, or a pipe, which nobody writes into.
#[test]
fn no_link_of_the_workspace_says_what_is_fetched() {
    let caller = Caller::new();
    let (home, workspace) = (caller.path("home"), caller.path("workspace"));
    write(home.join("token"), SECRET).unwrap();
    symlink(home.join("token"), workspace.join("token")).unwrap();
    mknodat(CWD, workspace.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for name in ["token", "pipe"] {
        let (_, said) = run(&caller, &["--secret", &format!("A=file:{name}@api.example.com")], "true");
        assert!(said.contains("is not available") && said.contains("in what the sandbox may write"), "{said}");
    }
    // Within what is shown a link is as good as the file.
    write(workspace.join("real"), SECRET).unwrap();
    symlink("real", workspace.join("link")).unwrap();
    let (seen, said) = run(&caller, &["--secret", "A=file:link@api.example.com"], "test -n \"$A\" && cat link");
    assert!(!seen.is_empty() && !seen.contains(SECRET), "{seen}{said}");
}

/// A login of the host's in a copy of the agent's directory.
#[test]
fn a_copy_of_a_login_is_a_secret_file() {
    let caller = Caller::new();
    let backup = caller.path("workspace").join("backup/.claude");
    create_dir_all(&backup).unwrap();
    let token = "sk-ant-ort01-Canary0123456789abcdefghijklmnopqrstuvwxyz";
    write(backup.join(".credentials.json"), format!("{{\"claudeAiOauth\":{{\"refreshToken\":\"{token}\"}}}}")).unwrap();
    let (seen, said) = run(&caller, &[], "cat backup/.claude/.credentials.json");
    assert!(seen.contains("refreshToken") && !seen.contains(token), "{seen}{said}");
}

/// Names of files and in files are an agent's, or of whoever made the repository, and so are the records with them.
#[test]
fn names_do_not_steer_the_terminal_and_no_shell() {
    let directory = "\u{1b}]52;c;eA==\u{7}\n'; touch x;'";
    let caller = Caller::new();
    let workspace = caller.path("workspace");
    create_dir_all(workspace.join(directory)).unwrap();
    write(workspace.join(directory).join(".env"), format!("APP_KEY={SECRET}\n")).unwrap();
    write(workspace.join(directory).join("x.pem"), "-----BEGIN PRIVATE KEY-----\n").unwrap();
    let token = "{\"\\u001b]0;x\\u0007token\": \"ghp_0123456789abcdefghijABCDEFGHIJ012345\"}";
    write(workspace.join("secrets.json"), token).unwrap();
    let (_, said) = run(&caller, &[], "true");
    assert!(!said.contains(['\u{1b}', '\u{7}']) && said.contains("033]52;c;"), "{said}");
    assert!(said.lines().all(|line| line.starts_with("standin: ")), "{said}");
    assert!(said.contains(r"'\''; touch x;'\''"), "what is there to be copied is quoted: {said}");
}

/// A key that came with the repository is no way around the refusal of foreign ones.
#[test]
fn a_key_of_a_file_does_not_stand_beside_the_users_own() {
    let own = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let foreign = "ghp_9876543210abcdefghijABCDEFGHIJ012345";
    let send = r#". ./.env; curl -sS -H "authorization: Bearer $GITHUB_TOKEN" https://api.github.com/user"#;
    let rig = Rig::new(&["api.github.com"]).variable("GITHUB_TOKEN", own);
    write(rig.workspace().join(".env"), format!("GITHUB_TOKEN={foreign}\n")).unwrap();
    let outcome = rig.script(send);
    assert!(!outcome.origin_got("authorization", &format!("Bearer {foreign}")), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("not your own credential for GitHub"), "{}", outcome.stderr);
    write(rig.workspace().join(".env"), format!("GITHUB_TOKEN={own}\n")).unwrap();
    let outcome = rig.script(send);
    assert!(outcome.origin_got("authorization", &format!("Bearer {own}")), "{}", outcome.stderr);
}

/// Another session, or whoever works on the host, renames a directory after files were looked for: here the proxy's password is
/// fetched at that time.
#[test]
fn a_secret_file_that_moves_while_a_session_starts_is_not_shown() {
    let caller = Caller::new();
    let workspace = caller.path("workspace");
    create_dir_all(workspace.join("conf")).unwrap();
    write(workspace.join("conf/.env"), format!("STRIPE_KEY={SECRET}\n")).unwrap();
    let (config, at) = (caller.path("config.toml"), workspace.display());
    let password = format!("cmd:mv {at}/conf {at}/moved; echo 0123456789abcdef");
    write(&config, format!("[upstream]\nproxy = \"http://me@127.0.0.1:9\"\npassword = \"{password}\"\n")).unwrap();
    let (seen, said) = run(&caller, &["--cow", "--config", config.to_str().unwrap()], "cat moved/.env");
    assert!(seen.is_empty() && said.contains("nothing was run"), "{seen}{said}");
    let (seen, said) = run(&caller, &["--cow"], "cat moved/.env");
    assert!(seen.starts_with("STRIPE_KEY=") && !seen.contains(SECRET), "{seen}{said}");
}
