//! `standin policy`: what it says is what a session does.

use standin_e2e::{ECHO_KEY, GITHUB_TOKEN, Rig, binary};
use std::process::Command;

const CONFIG: &str = r#"
[[credential]]
name   = "echo"
source = "env:ECHO"
env    = ["ECHO"]
[[credential.grant]]
hosts   = ["echo.example"]
methods = ["GET", "POST"]
paths   = ["/v1/**"]

[[allow]]
hosts = ["*.other.example"]

[[deny]]
hosts = ["shut.other.example"]

[[deny]]
hosts   = ["a.other.example", "echo.example"]
methods = ["POST"]
paths   = ["/**/admin/**"]

[[test]]
request    = "POST https://echo.example/v1/x"
verdict    = "allow"
rule       = "echo.grant[1]"
credential = "echo"

[[test]]
request = "POST https://echo.example/v1/%61dmin/x"
verdict = "deny"
rule    = "deny[2]"

[[test]]
request = "GET https://api.github.com/user"
verdict = "allow"
"#;

/// Requests, and whether they pass.
const REQUESTS: &[(&str, &str, bool)] = &[
    ("GET", "https://echo.example/v1/x", true),
    ("GET", "https://echo.example/v1/a/../x?admin", true),
    ("POST", "https://echo.example/v1/ADMIN/x", false),
    ("GET", "https://echo.example/v1/admin/x", true),
    ("PUT", "https://echo.example/v1/x", false),
    ("GET", "https://echo.example/v2", false),
    ("GET", "https://a.other.example/", true),
    ("POST", "https://a.other.example/x;y/admin%2Fz", false),
    ("GET", "https://shut.other.example/", false),
    ("GET", "https://b.a.other.example/", false),
    ("GET", "http://a.other.example/", false),
    ("TRACE", "https://a.other.example/", false),
    ("GET", "https://api.github.com/user", true),
    ("DELETE", "https://api.github.com/repos/a/b", false),
    ("POST", "https://api.github.com/gists", false),
    ("GET", "https://unknown.example/", false),
    ("GET", "https://9.9.9.9/", false),
];

fn rig() -> (Rig, String) {
    let hosts = ["echo.example", "a.other.example", "shut.other.example", "b.a.other.example", "api.github.com"];
    let rig = Rig::new(&hosts).variable("ECHO", ECHO_KEY).variable("GH_TOKEN", GITHUB_TOKEN);
    let file = rig.path("config.toml");
    std::fs::write(&file, CONFIG).unwrap();
    (rig, file.to_str().unwrap().to_owned())
}

fn ask(rig: &Rig, file: &str, verb: &str, question: &[&str]) -> standin_e2e::Outcome {
    let standin = binary("standin").into_os_string().into_string().unwrap();
    let mut words = vec![standin.as_str(), "policy", verb, "--config", file];
    words.extend(question);
    rig.on_host(&words)
}

#[test]
fn what_is_said_is_what_is_done() {
    let (rig, file) = rig();
    let curl = |(method, url, _): &(&str, &str, bool)| {
        format!("curl -sSk --path-as-is -o /dev/null -w '%{{http_code}}\\n' -X {method} '{url}';")
    };
    let script: Vec<String> = REQUESTS.iter().map(curl).collect();
    let rig = rig.with(&["--config", &file]);
    let outcome = rig.script(&script.join("\n"));
    // What has no credential with it gets 401 from its origin.
    let done: Vec<bool> = outcome.stdout.lines().map(|status| matches!(status, "200" | "401")).collect();
    let wanted: Vec<bool> = REQUESTS.iter().map(|(_, _, passes)| *passes).collect();
    assert_eq!(done, wanted, "{}\n{}", outcome.stdout, outcome.log);
    for (method, url, passes) in REQUESTS {
        for verb in ["check", "explain"] {
            let said = ask(&rig, &file, verb, &[method, url]);
            let code = if *passes { 0 } else { 3 };
            assert_eq!(said.code, Some(code), "{verb} {method} {url}: {}{}", said.stdout, said.stderr);
            assert!(said.stdout.contains(if *passes { "allowed by" } else { "denied: " }), "{}", said.stdout);
            assert_eq!(said.seen.len(), 0, "nothing is connected to");
        }
    }
}

#[test]
fn what_would_make_it_pass_does() {
    let (rig, file) = rig();
    let question = ["PUT", "https://echo.example/v1/x"];
    let said = ask(&rig, &file, "explain", &question);
    assert!(said.stdout.contains("`echo.grant[1]` is nearest: another method would do"), "{}", said.stdout);
    let rule = said.stdout.split_once("in the configuration:\n").unwrap().1;
    std::fs::write(&file, format!("{CONFIG}\n{rule}")).unwrap();
    assert_eq!(ask(&rig, &file, "check", &question).succeeded().stdout, "allowed by `allow[2]`\n");
}

#[test]
fn a_configuration_tests_itself() {
    let (rig, file) = rig();
    let outcome = ask(&rig, &file, "test", &[]).succeeded();
    assert!(outcome.stdout.ends_with("3 of 3 as wanted\n"), "{}", outcome.stdout);
    std::fs::write(&file, CONFIG.replace("\"a.other.example\", \"echo.example\"", "\"a.other.example\"")).unwrap();
    let outcome = ask(&rig, &file, "test", &["--json"]);
    assert_eq!(outcome.code, Some(1));
    let failed: Vec<serde_json::Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|test: &serde_json::Value| test["passed"] == false)
        .collect();
    assert_eq!(failed.len(), 1, "{}", outcome.stdout);
    assert_eq!(failed[0]["differs"], "wanted to be denied");
}

/// A token that may do everything pushes to some branches of one repository, and git says why it does not elsewhere.
#[test]
fn one_repository_and_some_branches() {
    let rig = Rig::new(&["github.com", "api.github.com"]).variable("GH_TOKEN", GITHUB_TOKEN);
    for name in ["app", "other"] {
        let bare = rig.repositories().join(format!("acme/{name}.git"));
        let git = |arguments: &[&str]| assert!(Command::new("git").args(arguments).status().unwrap().success());
        git(&["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()]);
        git(&["-C", bare.to_str().unwrap(), "config", "http.receivepack", "true"]);
    }
    // Without the preset all of it is done, but that git's own server keeps its first branch. The API knows no refs.
    let script = "
        git clone -q https://x-access-token:$GH_TOKEN@github.com/acme/app.git first 2>/dev/null && cd first &&
        git config user.email a@example.com && git config user.name a &&
        basename \"$PWD\" > file && git add file && git commit -q -m one
        push() { git push -q \"$@\" >>../told 2>&1 && echo yes || echo no; }
        push origin HEAD:refs/heads/agent/a
        push origin HEAD:refs/heads/main
        push origin HEAD:refs/heads/agent/b HEAD:refs/heads/other
        push origin HEAD:refs/tags/v1
        push origin :refs/heads/main
        push origin :refs/heads/agent/a
        push https://x-access-token:$GH_TOKEN@github.com/acme/other.git HEAD:refs/heads/agent/a
        curl -sS -o /dev/null -w '%{http_code}\\n' -H \"Authorization: token $GH_TOKEN\" -H 'Content-Type: application/json' \\
            -d '{\"ref\":\"refs/heads/main\"}' https://api.github.com/repos/acme/app/git/refs
        curl -sS -o /dev/null -w '%{http_code}\\n' -H \"Authorization: token $GH_TOKEN\" -H 'Content-Type: application/json' \\
            -d '{\"ref\":\"refs/heads/agent/c\"}' https://api.github.com/repos/acme/app/git/refs
        cat ../told";
    let outcome = rig.script(script).succeeded();
    assert!(outcome.stdout.starts_with("yes\nyes\nyes\nyes\nno\nyes\nyes\n404\n404\n"), "{}", outcome.stdout);
    let rig = rig.with(&["--use", "github:single-repo-pr{owner=acme, repo=app, branch=agent/*}"]);
    let outcome = rig.script(&format!("rm told; {}", script.replace("first", "second"))).succeeded();
    let says = outcome
        .stdout
        .find("remote: ")
        .unwrap_or_else(|| panic!("git does not say why: {}\n{}", outcome.stdout, outcome.log));
    let (done, told) = outcome.stdout.split_at(says);
    assert_eq!(done, "yes\nno\nno\nno\nno\nyes\nno\n403\n404\n", "{told}\n{}", outcome.log);
    assert!(
        told.contains(
            "remote: Standin: POST /acme/app.git/git-receive-pack at github.com is not in `github:single-repo-pr"
        ),
        "{told}"
    );
    assert!(told.contains("remote: Standin: GET /acme/other.git/info/refs at github.com"), "{told}");
    let refs = |name: &str| {
        let bare = rig.repositories().join(format!("acme/{name}.git"));
        let arguments = ["-C", bare.to_str().unwrap(), "for-each-ref", "--format=%(refname)"];
        String::from_utf8(Command::new("git").args(arguments).output().unwrap().stdout).unwrap()
    };
    // As the first run has left them.
    assert_eq!(refs("app"), "refs/heads/agent/b\nrefs/heads/main\nrefs/heads/other\nrefs/tags/v1\n");
    assert_eq!(refs("other"), "refs/heads/agent/a\n");
}

/// What means more than it seems to, or nothing.
#[test]
fn oddities_are_said() {
    let (rig, file) = rig();
    let lint = |options: &[&str]| ask(&rig, &file, "lint", options);
    assert_eq!(lint(&[]).succeeded().stdout, "nothing odd\n");
    let odd = "
[[allow]]
hosts = [\"**.github.io\"]
[[allow]]
hosts   = [\"b.other.example\"]
methods = [\"GET\"]
[[allow]]
hosts   = [\"shut.other.example\"]
";
    std::fs::write(&file, format!("{CONFIG}{odd}")).unwrap();
    let outcome = lint(&["--json", "--allow", "api.openai.com"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let found: Vec<_> =
        outcome.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect();
    let mut found: Vec<_> = found.iter().map(|one| format!("{} {}", one["rule"], one["kind"])).collect();
    found.sort();
    assert_eq!(
        found,
        [
            "\"--allow api.openai.com\" \"foreign_account\"",
            "\"allow[2]\" \"tenant_wildcard\"",
            "\"allow[3]\" \"covered\"",
            "\"allow[4]\" \"covered\"",
            "\"allow[4]\" \"denied\"",
        ]
    );
    assert!(
        lint(&[]).stdout.contains("✗ allow[2]: **.github.io means names that anybody can have"),
        "{}",
        lint(&[]).stdout
    );
}

/// Rules ask what a body says, and so does whoever asks about them.
#[test]
fn what_a_body_says() {
    let (rig, file) = rig();
    let rules = "
[[allow]]
hosts   = [\"a.other.example\"]
methods = [\"POST\"]
json    = { \"/model\" = \"small-*\", \"/max_tokens\" = { max = 100 } }
[[test]]
request = \"POST https://a.other.example/x\"
body    = '{\"model\": \"small-1\", \"max_tokens\": 100}'
verdict = \"allow\"
[[test]]
request = \"POST https://a.other.example/x\"
body    = '{\"model\": \"large-1\", \"max_tokens\": 100}'
verdict = \"deny\"
";
    std::fs::write(&file, CONFIG.replace("[\"*.other.example\"]", "[\"b.other.example\"]") + rules).unwrap();
    let outcome = ask(&rig, &file, "test", &[]);
    assert!(outcome.stdout.ends_with("5 of 5 as wanted\n"), "{}", outcome.stdout);
    let body = rig.path("body.json");
    for (text, code, missed) in [
        ("{\"model\":\"small-x\",\"max_tokens\":1}", 0, ""),
        ("{\"model\":\"small-x\",\"max_tokens\":101}", 3, "json `/max_tokens` -inf to 100: there is 101\n"),
        ("{}", 3, "json `/model` `small-*`: there is nothing\n"),
    ] {
        std::fs::write(&body, text).unwrap();
        let question = ["POST", "https://a.other.example/x", "--body", body.to_str().unwrap()];
        let said = ask(&rig, &file, "explain", &question);
        assert_eq!(said.code, Some(code), "{text}: {}{}", said.stdout, said.stderr);
        if code == 3 {
            assert!(said.stdout.contains("`allow[2]` is nearest: other content would do"), "{}", said.stdout);
            assert!(said.stdout.contains(missed), "{}", said.stdout);
        }
        let script = format!(
            "curl -sSk -o /dev/null -w '%{{http_code}}' -H 'Content-Type: application/json' -d '{text}' https://a.other.example/x"
        );
        let (rig, file) = (Rig::new(&["a.other.example"]).variable("ECHO", ECHO_KEY), &file);
        let done = rig.with(&["--config", file]).script(&script);
        assert_eq!(done.stdout, if code == 0 { "200" } else { "403" }, "{text}: {}", done.log);
    }
    let question = ["POST", "https://github.com/acme/app.git/git-receive-pack", "--push", "refs/heads/main"];
    for (preset, code) in [("main", 0), ("agent/*", 3)] {
        let usage = format!("github:single-repo-pr{{owner=acme, repo=app, branch={preset}}}");
        let said = ask(&rig, &file, "check", &[&question[..], &["--use", &usage]].concat());
        assert_eq!(said.code, Some(code), "{preset}: {}{}", said.stdout, said.stderr);
    }
}

/// A source may ask a person, cost something, or make a lease.
#[test]
fn no_source_is_asked() {
    let (rig, file) = rig();
    let asked = rig.path("asked");
    let source = format!("cmd:touch {}; echo tok_0123456789abcdef0123456789abcdef", asked.display());
    std::fs::write(&file, CONFIG.replace("env:ECHO", &source)).unwrap();
    assert!(ask(&rig, &file, "check", &["GET", "https://echo.example/v1/x"]).succeeded().stdout.contains("`echo`"));
    assert!(!asked.exists());
    // A session would.
    let rig = rig.with(&["--config", &file]);
    let session = rig.run(&["true"]).succeeded();
    assert!(asked.exists(), "{}", session.stderr);
}

#[test]
fn a_preset_leaves_one_repository() {
    let (rig, file) = rig();
    let asked = ["acme/app/issues", "acme/app/gists", "acme/other/issues"].map(|path| {
        let url = format!("https://api.github.com/repos/{path}");
        format!("curl -sS -o /dev/null -w '%{{http_code}} ' -H \"Authorization: token $GH_TOKEN\" {url}")
    });
    let preset = "github:single-repo{owner=acme, repo=app}";
    let rig = rig.with(&["--use", preset]);
    let outcome = rig.script(&asked.join(";")).succeeded();
    assert_eq!(outcome.stdout, "404 404 403 ", "the origin has neither, but was asked: {}", outcome.log);
    assert!(outcome.origin_got("authorization", &format!("token {GITHUB_TOKEN}")));
    let told = "GET /repos/acme/other/issues at api.github.com is not in `github:single-repo{owner=acme, repo=app}`, which leaves";
    assert!(outcome.log.contains(told), "{}", outcome.log);
    let said = ask(&rig, &file, "explain", &["--use", preset, "GET", "https://api.github.com/repos/acme/other/issues"]);
    assert_eq!(said.code, Some(3));
    assert!(said.stdout.contains("leaves nothing like it: use another preset, or none"), "{}", said.stdout);
    // Also what the user allows by name.
    std::fs::write(&file, format!("[policy]\nuse = [\"{preset}\"]\n[[allow]]\nhosts = [\"api.github.com\"]\n"))
        .unwrap();
    assert_eq!(ask(&rig, &file, "check", &["GET", "https://api.github.com/gists"]).code, Some(3));
}

#[test]
fn a_preset_that_is_not_known_starts_nothing() {
    for (preset, told) in [
        ("github:all", "GitHub has github:read-only"),
        ("github:single-repo{owner=acme}", "it needs `repo`"),
        ("nobody:read-only", "there is no preset `nobody:read-only`"),
    ] {
        let outcome = rig().0.with(&["--use", preset]).run(&["true"]);
        assert_eq!(outcome.code, Some(125), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(told), "{preset}: {}", outcome.stderr);
    }
}
