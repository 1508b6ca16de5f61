//! gh's login: gh, and git with it, logged in as their owner is, with nothing but stand-ins.

use standin_e2e::{ECHO_KEY, GITHUB_TOKEN, Outcome, Rig};
use std::fs::{Permissions, create_dir_all, read_to_string, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The other account's, which nobody lends.
const OTHER_TOKEN: &str = "gho_Canary9Canary8Canary7Canary6Canary5C";

const HOSTS: &[&str] = &["github.com", "api.github.com", "ghe.example"];

/// What `gh auth login` leaves (2.40 and later, without a keyring): two accounts at github.com, one at a server of one's own.
fn file() -> String {
    format!(
        "github.com:\n    user: tester\n    users:\n        other:\n            oauth_token: {OTHER_TOKEN}\n        tester:\n            oauth_token: {GITHUB_TOKEN}\n    oauth_token: {GITHUB_TOKEN}\n    git_protocol: https\nghe.example:\n    oauth_token: {ECHO_KEY}\n    user: me\n"
    )
}

fn rig(contents: &str) -> Rig {
    let rig = Rig::new(HOSTS);
    let directory = rig.home().join(".config/gh");
    create_dir_all(&directory).unwrap();
    write(directory.join("hosts.yml"), contents).unwrap();
    write(directory.join("config.yml"), "version: \"1\"\naliases:\n    co: pr checkout\n").unwrap();
    rig
}

fn shows_the_token(outcome: &Outcome, host: &str, scheme: &str, token: &str) -> bool {
    let shown: Vec<_> =
        outcome.seen.iter().filter(|seen| seen.host == host).filter_map(|seen| seen.header("authorization")).collect();
    !shown.is_empty() && shown.iter().all(|value| *value == format!("{scheme} {token}"))
}

/// A repository at the origin.
fn repository(rig: &Rig) {
    let bare = rig.repositories().join("acme/app.git");
    let git = |arguments: &[&str]| assert!(Command::new("git").args(arguments).status().unwrap().success());
    git(&["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()]);
    git(&["-C", bare.to_str().unwrap(), "config", "http.receivepack", "true"]);
}

const CLONE_AND_PUSH: &str = "git clone -q https://github.com/acme/app.git && cd app &&
    git config user.email a@example.com && git config user.name a &&
    echo hello > file && git add file && git commit -q -m one && git push -q origin HEAD:main &&
    cd .. && git clone -q https://github.com/acme/app.git again && cat again/file";

/// base64 of `tester:` and of the real token's beginning.
const BASIC: &str = "Basic dGVzdGVyOmdocF9DYW5hcn";

#[test]
fn gh_is_logged_in() {
    let rig = rig(&file()).with(&["--login", "gh"]);
    let outcome = rig
        .script("gh api user --jq .login && gh auth status --hostname github.com 2>&1 && cp ~/.config/gh/* . && gh auth token")
        .succeeded();
    assert!(outcome.stdout.starts_with("tester\n"), "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.contains("Logged in to github.com as tester"), "{}", outcome.stdout);
    assert!(shows_the_token(&outcome, "api.github.com", "token", GITHUB_TOKEN), "{:?}", outcome.seen);
    assert!(outcome.stderr.contains("gh's login is a stand-in inside"), "{}", outcome.stderr);
    let stand_in = outcome.stdout.lines().last().unwrap();
    assert!(stand_in.starts_with("ghp_") && stand_in.len() == GITHUB_TOKEN.len(), "{stand_in}");
    // All but the tokens is what it is on the host.
    let inside = read_to_string(rig.workspace().join("hosts.yml")).unwrap();
    let token = |line: &str| line.trim_start().strip_prefix("oauth_token: ").map(ToOwned::to_owned);
    let tokens: Vec<_> = inside.lines().filter_map(token).collect();
    let [other, one, again, enterprise] = &tokens[..] else { panic!("{inside}") };
    assert!(one == stand_in && again == stand_in && other != stand_in, "{inside}");
    let expected = file().replace(OTHER_TOKEN, other).replace(GITHUB_TOKEN, stand_in).replace(ECHO_KEY, enterprise);
    assert_eq!(inside, expected);
    assert_eq!(read_to_string(rig.workspace().join("config.yml")).unwrap(), "version: \"1\"\n");
}

#[test]
fn git_asks_gh() {
    let rig = rig(&file()).with(&["--login", "gh"]);
    repository(&rig);
    let outcome = rig.script(CLONE_AND_PUSH).succeeded();
    assert_eq!(outcome.stdout, "hello\n", "{}", outcome.stderr);
    let shown: Vec<_> = outcome.seen.iter().filter_map(|seen| seen.header("authorization")).collect();
    assert!(!shown.is_empty() && shown.iter().all(|value| value.starts_with(BASIC)), "{shown:?}");
}

/// gh on the host hands the token out; inside there is no keyring, and gh does not look for one.
#[test]
fn a_login_in_the_keyring_is_lent() {
    let rig = rig("github.com:\n    user: tester\n    git_protocol: https\n");
    let outside = tempfile::tempdir().unwrap();
    let program = outside.path().join("bin/gh");
    create_dir_all(program.parent().unwrap()).unwrap();
    // This version of gh knows no keyring yet.
    let (value, asked) = (outside.path().join("value"), outside.path().join("asked"));
    write(&value, GITHUB_TOKEN).unwrap();
    let keyring = format!("echo \"$*\" >>{}; cat {}", asked.display(), value.display());
    let script =
        format!("#!/bin/sh\n[ \"$1 $2\" = 'auth token' ] && [ $# = 4 ] || exec /usr/bin/gh \"$@\"\n{keyring}\n");
    write(&program, script).unwrap();
    set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.parent().unwrap().display());
    let rig = rig.variable("PATH", &path).with(&["--login", "gh"]);
    repository(&rig);
    let outcome = rig.script(&format!("gh api user --jq .login && {CLONE_AND_PUSH}")).succeeded();
    assert_eq!(outcome.stdout, "tester\nhello\n", "{}", outcome.stderr);
    assert!(shows_the_token(&outcome, "api.github.com", "token", GITHUB_TOKEN), "{:?}", outcome.seen);
    let at_github: Vec<_> = outcome.seen.iter().filter(|seen| seen.host == "github.com").collect();
    assert!(at_github.iter().filter_map(|seen| seen.header("authorization")).all(|value| value.starts_with(BASIC)));
    assert!(read_to_string(&asked).unwrap().lines().all(|line| line == "auth token --hostname github.com"));
    // A new token is there for who asks next, with the same stand-in.
    let shown = rig.script("gh auth token").succeeded().stdout;
    std::fs::remove_file(&value).unwrap();
    let locked = rig.script("gh auth token; gh api user 2>&1 || true").succeeded();
    assert!(locked.stdout.starts_with(&shown) && locked.stdout.contains("502"), "{}{}", locked.stdout, locked.stderr);
    assert!(locked.seen.is_empty());
}

/// What gh's login has besides is good nowhere: neither another account's token, nor another host's.
#[test]
fn other_accounts_and_hosts_are_not_lent() {
    let rig = rig(&file()).with(&["--login", "gh"]);
    let outcome = rig
        .script(
            "other=$(sed -n '/other:/{n;s/.*: //p}' ~/.config/gh/hosts.yml); GH_TOKEN=$other gh api user 2>&1;
             gh api --hostname ghe.example user 2>&1; true",
        )
        .succeeded();
    assert!(outcome.seen.is_empty(), "{:?}", outcome.seen);
    assert!(outcome.stdout.matches("403").count() >= 1, "{}\n{}", outcome.stdout, outcome.log);
    assert!(outcome.stderr.contains("gh's login at ghe.example is good nowhere; lend it with"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("where it does not belong"), "nobody is alarmed: {}", outcome.stderr);
}

/// A grant of the user's lends what gh has for that host.
#[test]
fn a_server_of_ones_own_needs_a_grant() {
    let secret = "GHE=cmd:gh auth token --hostname ghe.example@ghe.example";
    let rig = rig(&file()).with(&["--login", "gh", "--secret", secret]);
    let outcome = rig.script("gh api --hostname ghe.example user && gh api user --jq .login").succeeded();
    assert!(outcome.stdout.ends_with("tester\n"), "{}", outcome.stdout);
    assert!(shows_the_token(&outcome, "ghe.example", "token", ECHO_KEY), "{:?}", outcome.seen);
    assert!(shows_the_token(&outcome, "api.github.com", "token", GITHUB_TOKEN), "{:?}", outcome.seen);
}

/// gh itself is lent it without being asked for, nobody else is; agents are told how.
#[test]
fn a_login_is_ghs() {
    let rig = rig(&file());
    let outcome = rig.run(&["gh", "api", "user", "--jq", ".login"]).succeeded();
    assert_eq!(outcome.stdout, "tester\n", "{}", outcome.stderr);
    let outcome = rig.script("ls -A ~; gh api user 2>&1").stdout;
    assert!(outcome.contains("gh auth login") && !outcome.contains(".config"), "{outcome}");
    write(rig.workspace().join("claude"), "#!/bin/sh\nls -A ~\n").unwrap();
    set_permissions(rig.workspace().join("claude"), Permissions::from_mode(0o755)).unwrap();
    let outcome = rig.run(&["./claude"]).succeeded();
    assert!(!outcome.stdout.contains(".config"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("gh's login is not lent; --login gh lends it"), "{}", outcome.stderr);
    let none = rig.with(&["--login", "none"]).run(&["gh", "api", "user"]);
    assert!(none.code != Some(0) && none.seen.is_empty(), "{}", none.stdout);
}

/// Who may write the file could log the owner's agent in as somebody else.
#[test]
fn a_file_in_the_workspace_is_refused() {
    let rig = Rig::new(HOSTS);
    write(
        rig.workspace().join("hosts.yml"),
        "github.com:\n    oauth_token: gho_0123456789abcdefghijABCDEFGHIJ012345\n",
    )
    .unwrap();
    let directory = rig.workspace().display().to_string();
    let outcome = rig.variable("GH_CONFIG_DIR", &directory).with(&["--login", "gh"]).script("true");
    assert_eq!(outcome.code, Some(125));
    assert!(outcome.stderr.contains("the sandbox may write there"), "{}", outcome.stderr);
}

/// A file that may hold a token in a place that is not known is not shown, and nothing is run.
#[test]
fn a_file_that_is_not_ghs_is_refused() {
    let rig = rig(&format!("github.com: {{oauth_token: {GITHUB_TOKEN}}}\n")).with(&["--login", "gh"]);
    let outcome = rig.script("true");
    assert_eq!(outcome.code, Some(125));
    assert!(outcome.stderr.contains("gh's login in") && outcome.stderr.contains("--login none"), "{}", outcome.stderr);
}
