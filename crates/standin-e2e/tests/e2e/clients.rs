//! The clients that agents use. None is told anything: trust and capture are the sandbox's.

use standin_e2e::{ECHO_KEY, GITHUB_TOKEN, Rig, clients, registry};
use std::process::Command;

fn fetches(script: &str) {
    let outcome = Rig::new(&["plain.example"]).with(&["--allow", "plain.example"]).script(script).succeeded();
    assert!(outcome.stdout.contains("plain.example"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert_eq!(outcome.seen.len(), 1, "{:?}", outcome.seen);
}

#[test]
fn curl() {
    fetches("curl -sS https://plain.example/");
}

#[test]
fn wget() {
    fetches("wget -q -O - https://plain.example/");
}

#[test]
fn python() {
    fetches("python3 -c 'import urllib.request as u; print(u.urlopen(\"https://plain.example/\").read().decode())'");
}

#[test]
fn node() {
    fetches("node -e 'fetch(\"https://plain.example/\").then(r => r.text()).then(console.log)'");
}

#[test]
fn node_https() {
    fetches("node -e 'require(\"https\").get(\"https://plain.example/\", r => r.pipe(process.stdout))'");
}

#[test]
fn ruby() {
    fetches("ruby -r net/http -e 'puts Net::HTTP.get(URI(\"https://plain.example/\"))'");
}

#[test]
fn java() {
    fetches(
        "cat > Get.java <<'END'
import java.net.URI;
import java.net.http.*;
class Get {
    public static void main(String[] a) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(\"https://plain.example/\")).build();
        System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
    }
}
END
java Get.java",
    );
}

#[test]
fn go() {
    fetches(
        "cat > get.go <<'END'
package main

import (
\t\"fmt\"
\t\"io\"
\t\"net/http\"
)

func main() {
\tresponse, err := http.Get(\"https://plain.example/\")
\tif err != nil {
\t\tpanic(err)
\t}
\tbody, _ := io.ReadAll(response.Body)
\tfmt.Println(string(body))
}
END
go run get.go",
    );
}

#[test]
fn git_clones_and_pushes_with_a_stand_in() {
    let rig = Rig::new(&["github.com"]).variable("GH_TOKEN", GITHUB_TOKEN);
    let bare = rig.repositories().join("acme/app.git");
    let git = |arguments: &[&str]| assert!(Command::new("git").args(arguments).status().unwrap().success());
    git(&["init", "-q", "--bare", "-b", "main", bare.to_str().unwrap()]);
    git(&["-C", bare.to_str().unwrap(), "config", "http.receivepack", "true"]);
    let outcome = rig
        .script(
            "git clone -q https://x-access-token:$GH_TOKEN@github.com/acme/app.git && cd app &&
             git config user.email a@example.com && git config user.name a &&
             echo hello > file && git add file && git commit -q -m one && git push -q origin HEAD:main &&
             cd .. && rm -rf app && git clone -q https://x-access-token:$GH_TOKEN@github.com/acme/app.git again && cat again/file",
        )
        .succeeded();
    assert_eq!(outcome.stdout.trim(), "hello", "{}", outcome.stderr);
    // base64 of `x-access-token:` and the real token.
    assert!(
        outcome
            .seen
            .iter()
            .filter_map(|s| s.header("authorization"))
            .all(|v| v.starts_with("Basic eC1hY2Nlc3MtdG9rZW46Z2hwX0NhbmFyeT"))
    );
}

#[test]
fn npm_installs() {
    let registry = registry("npm");
    let outcome = Rig::new(&[&registry[0]])
        .script("npm install --no-audit --no-fund --no-update-notifier tiny && node -p 'require(\"tiny\")'");
    let outcome = outcome.succeeded();
    assert!(outcome.stdout.ends_with("tiny\n"), "{}", outcome.stdout);
}

#[test]
fn npm_cannot_publish() {
    let registry = registry("npm");
    let outcome = Rig::new(&[&registry[0]]).variable("REGISTRY", &registry[0]).with(&["--env", "REGISTRY"]).script(
        "echo '{\"name\":\"leak\",\"version\":\"1.0.0\"}' > package.json &&
         echo \"//$REGISTRY/:_authToken=attacker\" > .npmrc && npm publish 2>&1",
    );
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.seen.iter().all(|seen| seen.method == "GET"), "{:?}", outcome.seen);
    assert!(outcome.log.contains("http.request_not_allowed"), "{}\n{}", outcome.log, outcome.stdout);
}

/// npm publishes the packages and versions that a rule means, under the tags that it means.
#[test]
fn npm_publishes_what_a_rule_means() {
    let rules = "
[[credential]]
name   = \"widget\"
source = \"env:WIDGET_TOKEN\"
env    = [\"WIDGET_TOKEN\"]
[[credential.grant]]
hosts   = [\"registry.example.com\"]
methods = [\"GET\"]
[[credential.grant]]
hosts   = [\"registry.example.com\"]
publish = { registry = \"npm\", packages = [\"@acme/*\"], versions = [\"1.*\"], tags = [\"next\"] }
";
    let publish = |name: &str, version: &str, tag: &str| {
        format!("echo '{{\"name\":\"{name}\",\"version\":\"{version}\"}}' > package.json; npm publish --tag {tag} 2>&1")
    };
    let script = [
        "printf 'registry=https://registry.example.com/\n//registry.example.com/:_authToken=%s\n' $WIDGET_TOKEN > .npmrc"
            .to_owned(),
        publish("@acme/widget", "2.0.0", "next"),
        publish("left-pad", "1.0.0", "next"),
        publish("@acme/widget", "1.0.0", "latest"),
        publish("@acme/widget", "1.2.0", "next"),
    ];
    let rig = Rig::new(&["registry.example.com"]).variable("WIDGET_TOKEN", ECHO_KEY);
    let file = rig.path("config.toml");
    std::fs::write(&file, rules).unwrap();
    let outcome = rig.with(&["--config", file.to_str().unwrap()]).script(&script.join("\n"));
    let put: Vec<_> = outcome.seen.iter().filter(|seen| seen.method == "PUT").collect();
    assert_eq!(put.len(), 1, "{}\n{}", outcome.stdout, outcome.log);
    assert_eq!(put[0].target, "/@acme%2Fwidget");
    assert_eq!(put[0].header("authorization"), Some(format!("Bearer {ECHO_KEY}").as_str()));
    assert!(outcome.log.contains("http.request_not_allowed"), "{}\n{}", outcome.log, outcome.stdout);
}

#[test]
fn pip_installs() {
    let hosts = registry("pypi");
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    let outcome = Rig::new(&hosts)
        .script("python3 -m venv v && v/bin/pip install -q --disable-pip-version-check tiny && v/bin/python -c 'import tiny; print(tiny.NAME)'")
        .succeeded();
    assert_eq!(outcome.stdout.trim(), "tiny", "{}", outcome.stderr);
}

#[test]
fn gh_works_with_a_stand_in() {
    let outcome = Rig::new(&["api.github.com"])
        .variable("GH_TOKEN", GITHUB_TOKEN)
        .script("gh api user --jq .login && echo stand-in:$GH_TOKEN")
        .succeeded();
    let (login, stand_in) = outcome.stdout.trim().split_once("\nstand-in:").expect("both lines");
    assert_eq!(login, "tester", "{}", outcome.stderr);
    assert!(outcome.origin_got("authorization", &format!("token {GITHUB_TOKEN}")), "{:?}", outcome.seen);
    assert!(stand_in.starts_with("ghp_") && stand_in.len() == GITHUB_TOKEN.len(), "{stand_in}");
    assert_ne!(stand_in, GITHUB_TOKEN);
}

/// The index and the files are on two hosts; `vendor` takes from both, without a compiler.
#[test]
fn cargo_fetches() {
    let hosts = registry("crates-io");
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    let clients = clients();
    let outcome = Rig::new(&hosts)
        .with(&["--ro", &clients])
        .script(&format!(
            "mkdir src && touch src/lib.rs && cat > Cargo.toml <<'END' && {clients}/bin/cargo vendor -q && cat vendor/tiny/src/lib.rs
[package]
name = \"a\"
edition = \"2021\"
[dependencies]
tiny = \"1\"
END"
        ))
        .succeeded();
    assert!(outcome.stdout.ends_with("pub const NAME: &str = \"tiny\";\n"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert!(outcome.seen.iter().all(|seen| seen.version == "HTTP/2.0"), "{:?}", outcome.seen);
}
