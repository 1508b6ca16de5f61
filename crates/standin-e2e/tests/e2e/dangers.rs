//! Groups of dangerous operations, and keys that have somebody's whole power.

use standin_e2e::{ECHO_KEY, GITHUB_TOKEN, Outcome, Rig, binary};
use std::process::Command;

/// A key of the shape of those that administer an organisation.
const ADMIN_KEY: &str = "sk-ant-admin01-canary0canary1canary2canary3canary4canary5canary6AA";

/// A service of the catalogue, and a key that it does not know.
const SLACK: &str = r#"
[[credential]]
service = "slack"
source  = "env:ECHO"

[[credential]]
name   = "files"
source = "env:OTHER"
env    = ["OTHER"]
[[credential.grant]]
hosts = ["files.slack.com"]
"#;

fn asked(rig: Rig, config: &str, requests: &[(&str, &str)], variable: &str) -> Outcome {
    let file = rig.path("config.toml");
    std::fs::write(&file, config).unwrap();
    let curl = |(method, url): &(&str, &str)| {
        format!(
            "curl -sS -o /dev/null -w '%{{http_code}} ' -X {method} -H \"Authorization: Bearer ${variable}\" 'https://{url}'"
        )
    };
    let script: Vec<_> = requests.iter().map(curl).collect();
    rig.with(&["--config", file.to_str().unwrap()]).script(&script.join("\n"))
}

/// Whether each was refused, and how many reached their origin.
fn refused(outcome: &Outcome) -> (Vec<bool>, usize) {
    (outcome.stdout.split_whitespace().map(|status| status == "403").collect(), outcome.seen.len())
}

#[test]
fn a_group_is_denied_at_every_service() {
    let rig = || {
        let rig = Rig::new(&["slack.com", "files.slack.com", "api.github.com"]);
        rig.variable("ECHO", ECHO_KEY).variable("OTHER", ECHO_KEY).variable("GH_TOKEN", GITHUB_TOKEN)
    };
    let requests = [
        ("POST", "slack.com/api/chat.postMessage"),
        ("POST", "slack.com/api/files.getUploadURLExternal"),
        ("GET", "slack.com/api/Files.getUploadURLExternal/"),
        ("GET", "slack.com/api/oauth.v2.access"),
    ];
    // Without the switch an upload is begun; what makes a token is refused with the service.
    let (without, reached) = refused(&asked(rig(), SLACK, &requests, "SLACK_BOT_TOKEN"));
    assert_eq!((without, reached), (vec![false, false, false, true], 3));
    let denying = format!("{SLACK}\n[policy]\ndeny = [\"exfil\", \"public\"]\n");
    let outcome = asked(rig(), &denying, &requests, "SLACK_BOT_TOKEN");
    assert_eq!(refused(&outcome), (vec![false, true, true, true], 1), "{}", outcome.log);
    assert!(outcome.log.contains("denied by the rule `slack:exfil`"), "{}", outcome.log);
    // It means the same elsewhere, and where the catalogue lends nothing.
    let outcome = asked(rig(), &denying, &[("POST", "files.slack.com/upload/v1/x")], "OTHER");
    assert_eq!(refused(&outcome), (vec![true], 0));
    let rig = rig();
    let file = rig.path("config.toml");
    std::fs::write(&file, &denying).unwrap();
    let standin = binary("standin").into_os_string().into_string().unwrap();
    let policy = |words: &[&str]| {
        rig.on_host(
            &[&[standin.as_str(), "policy", words[0], "--config", file.to_str().unwrap()], &words[1..]].concat(),
        )
    };
    let said = policy(&["explain", "POST", "https://slack.com/api/canvases.create"]);
    assert_eq!(said.code, Some(3));
    assert!(said.stdout.contains("✓ slack:exfil denies: any method on /api/canvases.*"), "{}", said.stdout);
    assert_eq!(policy(&["check", "POST", "https://api.github.com/repos/a/b/releases"]).code, Some(3));
    assert_eq!(policy(&["lint"]).succeeded().stdout, "nothing odd\n");
}

/// A preset holds whoever lends the key, and at every host of its service.
#[test]
fn a_preset_holds_for_grants_of_ones_own() {
    let rig = || Rig::new(&["api.vercel.com", "vercel.com"]).variable("OWN", ECHO_KEY);
    let own = r#"
[[credential]]
name   = "own"
source = "env:OWN"
env    = ["OWN"]
[[credential.grant]]
hosts = ["api.vercel.com", "vercel.com"]
"#;
    let requests = [
        ("GET", "api.vercel.com/v6/deployments"),
        ("GET", "api.vercel.com/v9/projects/p/env"),
        ("DELETE", "api.vercel.com/v9/projects/p"),
        ("DELETE", "vercel.com/api/v9/projects/p"),
    ];
    assert_eq!(refused(&asked(rig(), own, &requests, "OWN")), (vec![false; 4], 4));
    let outcome = asked(rig(), &format!("{own}\n[policy]\nuse = [\"vercel:read-only\"]\n"), &requests, "OWN");
    assert_eq!(refused(&outcome), (vec![false, true, true, true], 1), "{}", outcome.log);
}

#[test]
fn a_group_that_is_none_starts_nothing() {
    let rig = Rig::new(&[]);
    let file = rig.path("config.toml");
    std::fs::write(&file, "[policy]\ndeny = [\"mint\", \"exfill\"]\n").unwrap();
    let said =
        Command::new(binary("standin")).args(["run", "--config"]).arg(&file).args(["--", "true"]).output().unwrap();
    let stderr = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(125), "{stderr}");
    for told in ["`exfill` is not understood: there is no such group; they are mint, escalate,", "config.toml:2:17"] {
        assert!(stderr.contains(told), "{stderr}");
    }
}

/// What is lent because a variable has it is what agents need. The rest has to be named.
#[test]
fn a_service_that_has_to_be_named_is_not_lent_from_the_environment() {
    let rig = Rig::new(&["slack.com"]).variable("SLACK_BOT_TOKEN", ECHO_KEY);
    let outcome = rig.script("curl -sS https://slack.com/api/auth.test; printenv SLACK_BOT_TOKEN || echo none");
    let refused = outcome.stdout.contains("net.host_not_allowed") && outcome.stdout.ends_with("none\n");
    assert!(refused && outcome.seen.is_empty(), "{}{}", outcome.stdout, outcome.stderr);
}

#[test]
fn an_admins_key_is_lent_to_operations_that_are_named_only() {
    let rig = |key: &str| Rig::new(&["api.anthropic.com"]).variable("KEY", key);
    let config = |narrow: &str| {
        format!(
            "[[credential]]\nname = \"key\"\nsource = \"env:KEY\"\nenv = [\"KEY\"]\n[[credential.grant]]\nhosts = [\"api.anthropic.com\"]\n{narrow}"
        )
    };
    let requests = [
        ("GET", "api.anthropic.com/v1/organizations/usage_report/messages"),
        ("POST", "api.anthropic.com/v1/organizations/invites"),
    ];
    // With another key: a rule that names a host only lends it to both, an invitation of the attacker among them.
    let outcome = asked(rig(ECHO_KEY), &config(""), &requests, "KEY");
    assert_eq!(refused(&outcome), (vec![false, false], 2), "{}", outcome.log);
    for narrow in [
        "",
        "methods = [\"GET\"]\n",
        "paths = [\"/v1/organizations/invites\"]\n",
        "methods = [\"GET\"]\npaths = [\"/v1/**\"]\n",
        "methods = [\"GET\"]\npaths = [\"/v1/*/*\"]\n",
    ] {
        let outcome = asked(rig(ADMIN_KEY), &config(narrow), &requests, "KEY");
        assert_eq!((outcome.code, outcome.seen.len()), (Some(125), 0), "{narrow}: {}", outcome.stderr);
        let told = "the credential `key` administers Anthropic, and is lent only by rules that name what it is for";
        assert!(outcome.stderr.contains(told), "{narrow}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("canary"), "{}", outcome.stderr);
    }
    let named = config("methods = [\"GET\"]\npaths = [\"/v1/organizations/usage_report/*\"]\n");
    let outcome = asked(rig(ADMIN_KEY), &named, &requests, "KEY");
    assert_eq!(refused(&outcome), (vec![false, true], 1), "{}", outcome.log);
    assert!(outcome.origin_got("authorization", &format!("Bearer {ADMIN_KEY}")));
    // Another host, a whole field, the service as a whole.
    for (key, config) in [
        (format!("Bearer {ADMIN_KEY}"), config("").replace("api.anthropic.com", "proxy.example")),
        (ADMIN_KEY.to_owned(), "[[credential]]\nservice = \"groq\"\nsource = \"env:KEY\"\n".to_owned()),
        ("sk_live_Canary0123456789abcdefAB".to_owned(), config("").replace("api.anthropic.com", "**.stripe.com")),
        (ADMIN_KEY.to_owned(), format!("{}service = \"anthropic\"\n", "[[credential]]\nsource = \"env:KEY\"\n")),
    ] {
        let outcome = asked(rig(&key), &config, &[], "KEY");
        assert_eq!(outcome.code, Some(125), "{config}: {}", outcome.stderr);
    }
}
