//! The recipes of docs/recipes.md: every one asks its own questions, and one is run.

use standin_e2e::{ANTHROPIC_KEY, ECHO_KEY, GITHUB_TOKEN, Rig, binary};

/// What the recipes lend, and values of the shapes that their vendors give.
const VALUES: &[(&str, &str)] = &[
    ("ANTHROPIC_API_KEY", ANTHROPIC_KEY),
    ("GH_TOKEN", GITHUB_TOKEN),
    ("WIDGET_TOKEN", ECHO_KEY),
    ("DD_API_KEY", "0canary1canary2canary3canary4c00"),
    ("DD_APP_KEY", "0canary1canary2canary3canary4canary5c000"),
    ("SENTRY_AUTH_TOKEN", ECHO_KEY),
    ("SLACK_BOT_TOKEN", ECHO_KEY),
    ("LINEAR_API_KEY", ECHO_KEY),
];

/// Each configuration of the page, with what it is called.
fn recipes() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipes.md")).unwrap();
    let chapters = page.split("\n## ").skip(1);
    let blocks = chapters.filter_map(|chapter| {
        let block = chapter.split_once("```toml\n")?.1.split_once("```")?.0;
        Some((chapter.lines().next()?.to_owned(), block.to_owned()))
    });
    blocks.collect()
}

fn rig(hosts: &[&str]) -> Rig {
    VALUES.iter().fold(Rig::new(hosts), |rig, (name, value)| rig.variable(name, value))
}

#[test]
fn every_recipe_answers_its_questions() {
    let recipes = recipes();
    assert_eq!(recipes.len(), 9);
    let rig = rig(&[]);
    let standin = binary("standin").into_os_string().into_string().unwrap();
    for (name, text) in recipes {
        let file = rig.path("config.toml");
        std::fs::write(&file, &text).unwrap();
        let outcome = rig.on_host(&[&standin, "policy", "test", "--config", file.to_str().unwrap()]);
        let questions = text.matches("[[test]]").count();
        assert!(questions >= 3, "{name}");
        let all = format!("{questions} of {questions} as wanted\n");
        assert!(
            outcome.code == Some(0) && outcome.stdout.ends_with(&all),
            "{name}: {}{}",
            outcome.stdout,
            outcome.stderr
        );
    }
}

/// An admin's keys read, and nothing else.
#[test]
fn datadog_is_read_only() {
    let (_, text) = recipes().into_iter().find(|(name, _)| name.contains("Datadog")).unwrap();
    let rig = rig(&["api.datadoghq.com"]);
    let file = rig.path("config.toml");
    std::fs::write(&file, text).unwrap();
    let config = file.to_str().unwrap().to_owned();
    let ask = |method: &str, path: &str, key: &str| {
        format!(
            "curl -sS -o /dev/null -w '%{{http_code}}\\n' -X {method} -H \"DD-API-KEY: {key}\" -H \"DD-APPLICATION-KEY: $DD_APP_KEY\" \
             https://api.datadoghq.com{path}"
        )
    };
    let script = [
        ask("GET", "/api/v1/monitor", "$DD_API_KEY"),
        ask("POST", "/api/v1/monitor", "$DD_API_KEY"),
        ask("GET", "/api/v2/api_keys", "$DD_API_KEY"),
        ask("GET", "/api/v1/monitor", "an-attackers-own-key"),
    ];
    let outcome = rig.with(&["--config", &config]).script(&script.join("\n"));
    let passed: Vec<_> = outcome.stdout.lines().map(|status| status != "403").collect();
    assert_eq!(passed, [true, false, false, false], "{}\n{}", outcome.stdout, outcome.log);
    assert_eq!(outcome.seen.len(), 1);
    assert_eq!(outcome.seen[0].header("dd-api-key"), Some(VALUES[3].1));
    assert_eq!(outcome.seen[0].header("dd-application-key"), Some(VALUES[4].1));
    assert!(outcome.log.contains("credential.foreign"), "{}", outcome.log);
}
