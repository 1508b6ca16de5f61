//! What happens with no configuration at all.

use standin_e2e::{ANTHROPIC_KEY, ECHO_KEY, GITHUB_TOKEN, OPENAI_KEY, Outcome, Rig, registry};
use std::collections::BTreeMap;

const KNOWN: &[(&str, &str, &str)] = &[
    ("ANTHROPIC_API_KEY", ANTHROPIC_KEY, "sk-ant-api03-"),
    ("OPENAI_API_KEY", OPENAI_KEY, "sk-proj-"),
    ("GH_TOKEN", GITHUB_TOKEN, "ghp_"),
];

fn rig() -> Rig {
    let rig = Rig::new(&["api.anthropic.com", "plain.example"]).variable("DB_PASSWORD", ECHO_KEY);
    KNOWN.iter().fold(rig, |rig, (name, value, _)| rig.variable(name, value))
}

fn environment(outcome: &Outcome) -> BTreeMap<String, String> {
    let pairs = outcome.stdout.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn known_credentials_become_stand_ins_of_their_shape() {
    let rig = rig();
    let (first, second) = (rig.run(&["env"]).succeeded(), rig.run(&["env"]).succeeded());
    let elsewhere = environment(&self::rig().run(&["env"]).succeeded());
    let (seen, again) = (environment(&first), environment(&second));
    for (name, real, prefix) in KNOWN {
        let stand_in = &seen[*name];
        assert!(stand_in.starts_with(prefix) && stand_in != real, "{name}={stand_in}");
        assert_eq!(stand_in.len(), real.len(), "{name}");
        assert_eq!(stand_in, &again[*name], "the same in this workspace, whenever it is asked");
        assert_ne!(stand_in, &elsewhere[*name], "another in another workspace, on another host");
        let told = format!("{name} is a stand-in inside");
        assert!(first.stderr.contains(&told), "{}", first.stderr);
    }
}

/// A variable whose name says too little is known by what is in it.
#[test]
fn a_token_for_publishing_may_be_read_with_and_publishes_nothing() {
    let token = format!("pypi-AgEIcHlwaS5vcmc{}", "b7Q-_x2".repeat(20));
    let hosts: Vec<String> = registry("pypi");
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let rig = Rig::new(&hosts)
        .variable("TWINE_PASSWORD", &token)
        .variable("UV_PUBLISH_TOKEN", "another-registrys-0123456789");
    let outcome = rig.script(&format!(
        "env; curl -sS -o /dev/null -u __token__:$TWINE_PASSWORD https://{host}/simple/x/; \
         curl -sS -o /dev/null -w '%{{http_code}}' -X POST -u __token__:$TWINE_PASSWORD https://{host}/legacy/",
        host = hosts[0]
    ));
    let outcome = outcome.succeeded();
    let stand_in = &environment(&outcome)["TWINE_PASSWORD"];
    assert!(stand_in.starts_with("pypi-AgEIcHlwaS5vcmc") && *stand_in != token, "{stand_in}");
    assert!(!environment(&outcome).contains_key("UV_PUBLISH_TOKEN"), "it is not PyPI's");
    assert!(outcome.stdout.ends_with("403"), "{}", outcome.stdout);
    assert_eq!(outcome.seen.len(), 1, "what publishes reached nobody");
    let basic = rig.on_host(&["sh", "-c", &format!("printf __token__:{token} | base64 -w0")]).succeeded();
    assert!(outcome.origin_got("authorization", &format!("Basic {}", basic.stdout)), "{:?}", outcome.seen);
}

#[test]
fn other_secrets_are_left_out_and_named_with_the_mend() {
    let outcome = rig().run(&["env"]).succeeded();
    assert!(!environment(&outcome).contains_key("DB_PASSWORD"));
    let told =
        "left out, since they look like secrets: DB_PASSWORD; lend one with --secret DB_PASSWORD=env:DB_PASSWORD@HOST";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
}

#[test]
fn a_stand_in_is_good_in_its_own_sessions_only() {
    let others = environment(&rig().run(&["env"]).succeeded());
    let rig = rig();
    let outcome = rig.script(&format!(
        "curl -sS -H 'x-api-key: {}' https://api.anthropic.com/v1/models; \
         curl -sS -o /dev/null -w '%{{http_code}}' -H \"x-api-key: $ANTHROPIC_API_KEY\" https://api.anthropic.com/api/hello",
        others["ANTHROPIC_API_KEY"]
    ));
    assert!(outcome.stdout.contains("credential.foreign") && outcome.stdout.ends_with("200"), "{}", outcome.stdout);
    assert_eq!(outcome.seen.len(), 1, "{:?}", outcome.seen);
    assert!(outcome.origin_got("x-api-key", ANTHROPIC_KEY));
}

#[test]
fn the_last_line_says_what_happened() {
    let outcome = rig().script(
        "curl -sS -o /dev/null -H \"x-api-key: $ANTHROPIC_API_KEY\" -d 12345 https://api.anthropic.com/api/x; \
         curl -sS -o /dev/null https://plain.example/",
    );
    let last = outcome.stderr.lines().last().unwrap_or_default();
    let told = "standin: 2 exchanges, 1 denied, used: anthropic, 5 B out, ";
    assert!(last.starts_with(told) && last.ends_with("see `standin log`"), "{last}");
}

#[test]
fn a_wrong_configuration_starts_nothing() {
    let rig = Rig::new(&["plain.example"]);
    let file = rig.workspace().join("config.toml");
    std::fs::write(&file, "[[allow]]\nhosts = [\"plain.example\"]\nmethod = [\"GET\"]\n").unwrap();
    let outcome = rig.with(&["--config", file.to_str().unwrap()]).run(&["touch", "started"]);
    assert_eq!(outcome.code, Some(125));
    assert!(!file.with_file_name("started").exists());
    let place = format!("{}:3:1", file.display());
    assert!(outcome.stderr.contains(&place) && outcome.stderr.contains("methods"), "{}", outcome.stderr);
}
