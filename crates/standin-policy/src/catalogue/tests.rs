//! What the data files say holds together.

use super::*;
use standin_model::{NoEvidence, Spellings, TokenKind};
use std::collections::HashSet;

#[test]
fn every_file_loads_and_no_variable_means_two_services() {
    let mut variables = HashSet::new();
    for (id, text) in FILES {
        let service = Service::parse(id, text).unwrap_or_else(|error| panic!("{id}: {error:?}"));
        assert!(!service.grants.is_empty() || !service.allow.is_empty(), "{id} allows nothing");
        for variable in service.env {
            assert!(variables.insert(variable.clone()), "{variable} means two services");
        }
    }
}

/// Loading does not look at them, for it is part of every start.
#[test]
fn every_path_is_a_pattern() {
    for service in Catalogue::builtin().services() {
        let granted = service.grants.iter().map(|grant| &grant.rule);
        let rules = granted.chain(&service.allow).chain(&service.deny).chain(&service.conversations);
        for path in rules.flat_map(|rule| &rule.paths) {
            assert_eq!(PathPattern::parse(path.as_str()).as_ref(), Ok(path), "{}", service.id);
        }
    }
}

/// Whoever has to replace a credential is told where.
#[test]
fn every_credential_has_a_page_where_it_is_replaced() {
    for service in Catalogue::builtin().services() {
        assert_eq!(service.rotation.is_some(), !service.grants.is_empty(), "{}", service.id);
        let Some(rotation) = &service.rotation else { continue };
        let host = rotation.page.strip_prefix("https://").and_then(|rest| rest.split('/').next());
        assert!(host.is_some_and(|host| Host::parse(host).is_ok() && !rotation.ask.is_empty()), "{}", service.id);
    }
}

#[test]
fn registries_are_read_only() {
    for service in Catalogue::builtin().registries() {
        for rule in &service.allow {
            let Methods::Only(methods) = &rule.methods else { panic!("{} allows every method", service.id) };
            assert!(methods.iter().all(|m| m == "GET" || m == "HEAD"), "{}", service.id);
        }
    }
}

/// Requests that make another credential, hand one out, or change who sees what, as these services take them.
#[test]
fn what_leads_to_more_is_denied() {
    for (id, host, method, path) in [
        ("anthropic", "api.anthropic.com", "POST", "/api/oauth/claude_cli/create_api_key"),
        ("gemini", "generativelanguage.googleapis.com", "POST", "/v1alpha/auth_tokens"),
        ("github", "api.github.com", "POST", "/repos/o/r"), // means PATCH there
        ("github", "api.github.com", "PATCH", "/repos/o/r/"),
        ("github", "api.github.com", "POST", "/repositories/1/keys"),
        ("github", "github.com", "POST", "/login/device/code"),
        ("github", "github.com", "POST", "/Login/oauth/access_token"),
        ("github", "api.github.com", "PATCH", "/user/repository_invitations/1"),
        ("github", "api.github.com", "POST", "/orgs/o/actions/runners/registration-token"),
        ("github", "api.github.com", "GET", "/repos/o/r/secret-scanning/alerts/1"),
        ("gitlab", "gitlab.com", "POST", "/api/v4/projects/1/access_tokens.json"),
        ("gitlab", "gitlab.com", "POST", "/api/v4/projects/g%2Fp/deploy_tokens/"),
        ("gitlab", "gitlab.com", "GET", "/api/v4/projects/1/variables"),
        ("gitlab", "gitlab.com", "PUT", "/api/v4/projects/1"),
        ("openai", "api.openai.com", "POST", "/v1/realtime/client_secrets"),
        ("openai", "api.openai.com", "POST", "/v1/realtime%2Fclient_secrets"),
        ("openai", "api.openai.com", "POST", "/v1/realtime/transcription_sessions"),
        // Tokens, where nothing would take them out of the answer.
        ("anthropic", "api.anthropic.com", "POST", "/v1/oauth/token"),
        ("anthropic", "console.anthropic.com", "POST", "/v1/oauth/token"),
        ("gemini", "www.googleapis.com", "POST", "/oauth2/v4/token"),
        ("gemini", "accounts.google.com", "POST", "/o/oauth2/token"),
    ] {
        let denied = |path| {
            let (host, path) = (Host::parse(host).unwrap(), Spellings::of(path));
            let deny = &Catalogue::builtin().service(id).unwrap().deny;
            deny.iter().any(|rule| rule.denies_request(&host, 443, method, &path, &NoEvidence))
        };
        assert!(denied(path), "{method} {path}");
    }
}

#[test]
fn work_is_not_denied() {
    for (id, host, method, path) in [
        ("anthropic", "api.anthropic.com", "GET", "/api/oauth/profile"),
        ("gemini", "www.googleapis.com", "GET", "/oauth2/v2/userinfo"),
        ("github", "api.github.com", "POST", "/repos/o/r/pulls"),
        ("github", "api.github.com", "GET", "/repositories/1/pulls"),
        ("github", "api.github.com", "PUT", "/repos/o/r/contents/gists"),
        ("github", "github.com", "POST", "/o/r.git/git-receive-pack"),
        ("gitlab", "gitlab.com", "POST", "/api/v4/projects/g%2Fp/merge_requests"),
        ("openai", "api.openai.com", "GET", "/v1/realtime"),
    ] {
        let (host, path) = (Host::parse(host).unwrap(), Spellings::of(path));
        let deny = &Catalogue::builtin().service(id).unwrap().deny;
        assert!(
            !deny.iter().any(|rule| rule.denies_request(&host, 443, method, &path, &NoEvidence)),
            "{}",
            path.written()
        );
    }
}

/// What a login's data says fits together: a token to exchange, a place for it, and nothing secret that is shown.
#[test]
fn logins_are_whole() {
    let logins: Vec<_> = Catalogue::builtin().services().iter().filter_map(|s| s.login.as_ref()).collect();
    assert_eq!(
        logins.iter().map(|login| login.client.as_str()).collect::<Vec<_>>(),
        ["Claude Code", "Gemini CLI", "Codex"]
    );
    for login in logins {
        let token = |kind| login.form.tokens.iter().find(|token| token.kind == kind);
        let (access, refresh) = (token(TokenKind::Access).unwrap(), token(TokenKind::Refresh).unwrap());
        assert!(access.grants.iter().all(|grant| grant.slots == [Slot::parse("header:authorization").unwrap()]));
        assert_eq!(refresh.grants.len(), 1);
        assert_eq!(refresh.grants[0].rule, login.endpoint.rule);
        assert!(login.form.tokens.iter().all(|token| !login.form.shown.contains(&token.at)), "{}", login.id);
        let is_token = |name: &String| TokenKind::GIVEN.iter().any(|(_, member)| member == name);
        assert!(!login.endpoint.passes.iter().any(is_token), "{}", login.id);
    }
}

/// Models answer at some hosts of these services, and at all of some. What keeps files or code is none of them.
#[test]
fn conversations_are_where_models_answer() {
    let told = |host: &str, path: &str| {
        let host = Host::parse(host).unwrap();
        let mut rules = Catalogue::builtin().services().iter().flat_map(|service| &service.conversations);
        rules.any(|rule| rule.admits_request(&host, 443, "POST", path, &NoEvidence))
    };
    for (host, path) in [
        ("api.anthropic.com", "/v1/messages"),
        ("api.openai.com", "/v1/responses"),
        ("eu.api.openai.com", "/v1/responses"),
        ("chatgpt.com", "/backend-api/codex/responses"),
        ("generativelanguage.googleapis.com", "/v1beta/models/x:generateContent"),
        ("cloudcode-pa.googleapis.com", "/v1internal:generateContent"),
        ("openrouter.ai", "/api/v1/chat/completions"),
        ("router.huggingface.co", "/v1/chat/completions"),
        ("api.x.ai", "/v1/chat/completions"),
        ("api.groq.com", "/openai/v1/chat/completions"),
        ("api.mistral.ai", "/v1/chat/completions"),
        ("api.deepseek.com", "/chat/completions"),
    ] {
        assert!(told(host, path), "{host}{path}");
    }
    for (host, path) in [
        ("chatgpt.com", "/backend-api/conversation"),
        ("auth.openai.com", "/oauth/token"),
        ("platform.claude.com", "/v1/oauth/token"),
        ("oauth2.googleapis.com", "/token"),
        ("huggingface.co", "/api/datasets/me/x/commit/main"),
        ("api.github.com", "/repos/o/r/issues"),
        ("gitlab.com", "/api/v4/projects"),
    ] {
        assert!(!told(host, path), "{host}{path}");
    }
}

#[test]
fn admin_keys_are_not_lent() {
    let catalogue = Catalogue::builtin();
    assert!(!catalogue.service("anthropic").unwrap().lends(b"sk-ant-admin01-abc"));
    assert!(catalogue.service("anthropic").unwrap().lends(b"sk-ant-api03-abc"));
    assert!(!catalogue.service("openai").unwrap().lends(b"sk-admin-abc"));
    assert_eq!(catalogue.by_env("GH_TOKEN").unwrap().id, "github");
    assert_eq!(catalogue.by_agent("claude").unwrap().id, "anthropic");
}

#[test]
fn credentials_are_known_by_their_beginning_and_host() {
    let catalogue = Catalogue::builtin();
    for (value, expected) in [
        ("sk-ant-api03-abc", Some("anthropic")),
        ("sk-ant-admin01-abc", Some("anthropic")),
        ("sk-or-v1-abc", Some("openrouter")),
        ("sk-proj-abc", Some("openai")),
        ("sk-abc", None),
        ("github_pat_abc", Some("github")),
        ("AKIAABC", None),
    ] {
        assert_eq!(catalogue.by_value(value.as_bytes()).map(|s| s.id.as_str()), expected, "{value}");
    }
    let by_host = |host| catalogue.by_host(&Host::parse(host).unwrap()).map(|s| s.id.as_str());
    assert_eq!((by_host("github.com"), by_host("example.com")), (Some("github"), None));
    // What has to be named is not known by what happens to be there.
    assert!(catalogue.service("slack").unwrap().named && by_host("slack.com").is_none());
    assert!(catalogue.by_value(b"xoxb-0").is_none() && catalogue.by_env("SLACK_BOT_TOKEN").is_none());
    let administered = |value: &[u8], host| {
        let hosts = [HostPattern::parse(host).unwrap()];
        catalogue.administered(value, &hosts).map(|service| service.id.as_str())
    };
    assert_eq!(administered(b"Bearer sk-admin-0", "proxy.example"), Some("openai"));
    // Apps are configured with the one, and the other is a bot's.
    assert_eq!(administered(b"xoxe.xoxp-1-0", "slack.com"), Some("slack"));
    assert_eq!(administered(b"xoxe.xoxb-1-0", "slack.com"), None);
    // Others' keys begin so, too.
    assert_eq!(administered(b"sk_live_0", "**.stripe.com"), Some("stripe"));
    assert_eq!(
        (administered(b"sk_live_0", "api.example.com"), administered(b"rk_live_0", "api.stripe.com")),
        (None, None)
    );
}

/// The proxy of Go's modules would fetch from any host that its path names.
#[test]
fn the_module_proxy_is_asked_for_known_hosts_only() {
    let go = Catalogue::builtin().service("go").unwrap();
    let host = standin_model::Host::parse(&go.allow[0].hosts[0].to_string()).unwrap();
    for (path, allowed) in [
        ("/github.com/a/b/@v/list", true),
        ("/golang.org/toolchain/@v/v0.0.1-go1.25.0.linux-amd64.zip", true),
        ("/attacker.example/stolen/@v/list", false),
        ("/github.com.attacker.example/x/@v/list", false),
    ] {
        assert_eq!(go.allow[0].admits_request(&host, 443, "GET", path, &NoEvidence), allowed, "{path}");
    }
}
