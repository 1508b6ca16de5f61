//! What each preset leaves, and what it does not.

use super::super::Catalogue;
use super::*;
use crate::{PolicyBuilder, RequestFacts, RequestVerdict};
use standin_model::{Commands, CredentialName, Evidence, Fact, Host, PathPattern, Place, RefUpdate, Scheme};

/// What a request says beyond where it goes, as words; without any nothing can be told.
struct Told<'a>(Vec<&'a str>, &'a str);

impl Evidence for Told<'_> {
    fn value(&self, place: &Place) -> Fact {
        let pointer = match place {
            Place::Json(pointer) => pointer,
            Place::Query(name) if self.1.starts_with(&format!("{name}=")) => return Fact::Unknown,
            _ => return Fact::Absent,
        };
        let mut members = self.0.iter().filter_map(|word| word.split_once('='));
        match members.find(|(name, _)| *name == pointer.as_str()) {
            Some((_, text)) => Fact::Text(text.to_owned()),
            None if self.0.is_empty() => Fact::Unknown,
            None => Fact::Absent,
        }
    }

    fn push(&self) -> Option<Commands> {
        let update =
            |word: &&str| RefUpdate { name: word.trim_start_matches('-').to_owned(), deletes: word.starts_with('-') };
        (!self.0.is_empty()).then(|| Commands(self.0.iter().map(update).collect()))
    }
}

/// What is left of a service whose credential is lent, in the order of the questions.
fn verdicts(usage: &str, questions: &[&str]) -> Vec<bool> {
    let usage = PresetUse::parse(usage).unwrap();
    let service = Catalogue::builtin().service(&usage.service).unwrap();
    let preset = service.presets.iter().find(|preset| preset.id == usage.preset).unwrap();
    let mut policy = PolicyBuilder::default();
    let tokens = service.login.iter().flat_map(|login| &login.form.tokens);
    for grant in service.grants.iter().chain(tokens.flat_map(|token| &token.grants)) {
        policy.grant(CredentialName::new("key"), grant.clone());
    }
    service.allow.iter().for_each(|rule| policy.allow(rule.clone()));
    service.deny.iter().for_each(|rule| policy.deny(rule.clone()));
    let hosts = service.grants.iter().flat_map(|grant| grant.rule.hosts.iter().cloned()).collect();
    policy.narrow(usage.to_string(), hosts, preset.rules(&usage).unwrap());
    let policy = policy.build();
    let allowed = |question: &&str| {
        // What is known of a body stands behind the URL: `/branch=main`, or the refs of a push, where one that is deleted has a `-`.
        let mut words = question.split(' ');
        let (method, url) = (words.next().unwrap(), words.next().unwrap());
        let (host, path) = url.split_at(url.find('/').unwrap());
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let evidence = Told(words.collect(), query);
        let host = Host::parse(host).unwrap();
        let facts = RequestFacts { host: &host, port: 443, scheme: Scheme::Https, method, path, evidence: &evidence };
        matches!(policy.request(&facts), RequestVerdict::Allow { .. })
    };
    questions.iter().map(allowed).collect()
}

fn check(usage: &str, left: &[&str], refused: &[&str]) {
    for (questions, wanted) in [(left, true), (refused, false)] {
        for (question, allowed) in questions.iter().zip(verdicts(usage, questions)) {
            assert_eq!(allowed, wanted, "{usage}: {question}");
        }
    }
}

#[test]
fn every_path_is_a_pattern() {
    for service in Catalogue::builtin().services() {
        for preset in &service.presets {
            let values = preset.parameters.iter().map(|name| format!("{name}=x")).collect::<Vec<_>>().join(", ");
            let usage = PresetUse::parse(&format!("{}:{}{{{values}}}", service.id, preset.id)).unwrap();
            for rule in preset.rules(&usage).unwrap() {
                for path in &rule.paths {
                    assert!(PathPattern::parse(path.as_str()).is_ok(), "{usage}: {}", path.as_str());
                    assert!(!path.as_str().contains(['{', '}']), "{usage}: {}", path.as_str());
                }
            }
        }
    }
}

/// A login's token is as good as a key, at hosts of its own perhaps.
#[test]
fn every_preset_holds_where_a_login_is_good() {
    let mut looked_at = 0;
    for service in Catalogue::builtin().services() {
        let tokens = service.login.iter().flat_map(|login| &login.form.tokens);
        // What a grant narrows to some paths itself is that login's own work: exchanging its tokens, asking who it is.
        let wide = tokens.flat_map(|token| &token.grants).filter(|grant| grant.rule.paths.is_empty());
        for host in wide.flat_map(|grant| &grant.rule.hosts) {
            for preset in &service.presets {
                let named = preset.rules.iter().flat_map(|rule| &rule.hosts).map(|host| host.replace("[.]", "."));
                let known = service.grants.iter().flat_map(|grant| &grant.rule.hosts).map(ToString::to_string);
                let mut hosts = named.chain(known);
                assert!(hosts.any(|known| known == host.to_string()), "{}:{} {host}", service.id, preset.id);
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 1, "{looked_at}");
}

/// Where a service's other presets hold, a new one does, too: else it leaves there all that is allowed.
#[test]
fn all_presets_of_a_service_hold_at_the_same_hosts() {
    for service in Catalogue::builtin().services() {
        let hosts = |preset: &Preset| {
            let filled = preset.filled(&Compiler { id: &service.id }, |_| Some("value")).unwrap();
            let lent = service.grants.iter().flat_map(|grant| &grant.rule.hosts);
            let named = filled.iter().flat_map(|rule| &rule.hosts).chain(lent).map(ToString::to_string);
            named.collect::<std::collections::BTreeSet<_>>()
        };
        let git = |preset: &Preset| hosts(preset).into_iter().filter(|host| host.contains("ssh.")).collect::<Vec<_>>();
        for preset in &service.presets {
            assert_eq!(git(preset), git(&service.presets[0]), "{}:{}", service.id, preset.id);
        }
    }
}

#[test]
fn its_parameters_are_given_and_no_others() {
    let service = Catalogue::builtin().service("github").unwrap();
    let preset = service.presets.iter().find(|preset| preset.id == "single-repo").unwrap();
    let rules = |usage: &str| preset.rules(&PresetUse::parse(usage).unwrap()).map(|rules| rules.len() > 1);
    assert_eq!(rules("github:single-repo{owner=a, repo=b}"), Ok(true));
    assert_eq!(rules("github:single-repo{owner=a}"), Err(PresetUseError::Missing("repo".into())));
    let pattern = Err(PresetUseError::Pattern("repo".into()));
    assert_eq!(rules("github:single-repo{owner=a, repo=b*}"), pattern);
    let unknown = Err(PresetUseError::Unknown("branch".into()));
    assert_eq!(rules("github:single-repo{owner=a, repo=b, branch=c}"), unknown);
}

#[test]
fn one_repository_of_github() {
    let left = [
        "GET api.github.com/repos/acme/app",
        "GET api.github.com/repos/acme/app/issues",
        "GET api.github.com/repos/acme/app/contents/src/main.rs",
        "GET api.github.com/repos/acme/app/actions/runs",
        "GET api.github.com/repos/acme/app/pulls/1/files",
        "HEAD api.github.com/repos/acme/app/commits/main",
        "GET api.github.com/rate_limit",
        "GET api.github.com/user",
        "GET github.com/acme/app/info/refs",
        "GET github.com/acme/app.git/info/refs",
        "POST github.com/acme/app.git/git-upload-pack",
    ];
    let work = [
        "POST api.github.com/repos/acme/app/pulls",
        "POST api.github.com/repos/acme/app/issues/1/comments",
        "PATCH api.github.com/repos/acme/app/git/refs/heads/agent",
        "PUT api.github.com/repos/acme/app/contents/README.md",
        "POST api.github.com/repos/acme/app/git/blobs",
        "POST github.com/acme/app.git/git-receive-pack",
        "POST github.com/acme/app.git/info/lfs/objects/batch",
        "POST uploads.github.com/repos/acme/app/releases/1/assets",
    ];
    let refused = [
        "GET api.github.com/repos/acme/other",
        "GET api.github.com/repos/acme/application/issues",
        "GET api.github.com/repos/other/app/issues",
        "GET api.github.com/user/repos",
        "GET api.github.com/search/code",
        "GET api.github.com/orgs/acme/repos",
        "GET api.github.com/repositories/1/issues",
        "POST api.github.com/graphql",
        "POST api.github.com/gists",
        "GET api.github.com/gists",
        "POST api.github.com/repos/acme/other/issues",
        "POST github.com/acme/other.git/git-upload-pack",
        "POST github.com/mallory/app.git/git-receive-pack",
        "GET github.com/settings/tokens",
        "GET github.com/acme/app/settings",
        // What the catalogue denies stays denied.
        "POST api.github.com/repos/acme/app/keys",
        "GET api.github.com/repos/acme/app/secret-scanning/alerts",
        "POST api.github.com/repos/acme/app/actions/workflows/1/dispatches",
        "DELETE api.github.com/repos/acme/app",
    ];
    check("github:single-repo{owner=acme, repo=app}", &[left.as_slice(), &work].concat(), &refused);
    check("github:single-repo-read{owner=acme, repo=app}", &left, &[work.as_slice(), &refused].concat());
}

/// A token that its owner uses for everything pushes to some branches of one repository, by whatever moves a ref.
#[test]
fn branches_of_one_repository_of_github() {
    let left = [
        "GET api.github.com/repos/acme/app",
        "GET api.github.com/repos/acme/app/pulls/1/files",
        "POST api.github.com/repos/acme/app/git/refs /ref=refs/heads/agent/a",
        "PATCH api.github.com/repos/acme/app/git/refs/heads/agent/a",
        "DELETE api.github.com/repos/acme/app/git/refs/heads/agent/a",
        "PUT api.github.com/repos/acme/app/contents/README.md /branch=agent/a /message=x",
        "DELETE api.github.com/repos/acme/app/contents/README.md /branch=agent/a",
        "POST api.github.com/repos/acme/app/git/blobs",
        "POST api.github.com/repos/acme/app/git/trees",
        "POST api.github.com/repos/acme/app/git/commits",
        "POST api.github.com/repos/acme/app/pulls",
        "PATCH api.github.com/repos/acme/app/pulls/1",
        "POST api.github.com/repos/acme/app/pulls/1/reviews /event=COMMENT",
        "POST api.github.com/repos/acme/app/pulls/1/reviews /body=x",
        "POST api.github.com/repos/acme/app/issues/1/comments",
        "GET github.com/acme/app.git/info/refs",
        "POST github.com/acme/app.git/git-upload-pack",
        "POST github.com/acme/app.git/git-receive-pack refs/heads/agent/a",
        "POST github.com/acme/app/git-receive-pack refs/heads/agent/a refs/heads/agent/b -refs/heads/agent/c",
    ];
    let refused = [
        "POST github.com/acme/app.git/git-receive-pack",
        "POST github.com/acme/app.git/git-receive-pack refs/heads/main",
        "POST github.com/acme/app.git/git-receive-pack refs/heads/agent/a refs/heads/main",
        "POST github.com/acme/app.git/git-receive-pack -refs/heads/main",
        "POST github.com/acme/app.git/git-receive-pack refs/heads/agent/a/b",
        "POST github.com/acme/app.git/git-receive-pack refs/tags/agent/a",
        "POST github.com/acme/other.git/git-receive-pack refs/heads/agent/a",
        "POST api.github.com/repos/acme/app/git/refs",
        "POST api.github.com/repos/acme/app/git/refs /ref=refs/heads/main",
        "POST api.github.com/repos/acme/app/git/refs /ref=refs/tags/agent/a",
        "PATCH api.github.com/repos/acme/app/git/refs/heads/main",
        "DELETE api.github.com/repos/acme/app/git/refs/heads/main",
        "PATCH api.github.com/repos/acme/app/git/refs/tags/agent/a",
        "PUT api.github.com/repos/acme/app/contents/README.md",
        "PUT api.github.com/repos/acme/app/contents/README.md /message=x",
        "PUT api.github.com/repos/acme/app/contents/README.md /branch=main",
        "PUT api.github.com/repos/acme/app/contents/README.md?branch=main /branch=agent/a",
        "POST api.github.com/repos/acme/app/git/refs?ref=refs/heads/main /ref=refs/heads/agent/a",
        "POST api.github.com/repos/acme/app/pulls/1/reviews /event=APPROVE",
        "POST api.github.com/repos/acme/app/issues/1/labels",
        "PUT api.github.com/repos/acme/app/pulls/1/merge",
        "PUT api.github.com/repos/acme/app/pulls/1/update-branch",
        "POST ssh.github.com/acme/app.git/git-receive-pack refs/heads/main",
        "POST api.github.com/repos/acme/app/merges /base=agent/a",
        "POST api.github.com/repos/acme/app/merge-upstream /branch=agent/a",
        "POST api.github.com/repos/acme/app/branches/agent%2Fa/rename",
        "POST api.github.com/repos/acme/app/releases",
        "POST api.github.com/repos/acme/app/git/tags",
        "POST api.github.com/repos/acme/app/actions/workflows/1/dispatches",
        "POST api.github.com/repos/acme/app/actions/runs/1/rerun",
        "PATCH api.github.com/repos/acme/app",
        "POST api.github.com/graphql",
        "POST uploads.github.com/repos/acme/app/releases/1/assets",
        "POST github.com/acme/app.git/info/lfs/objects/batch",
    ];
    check("github:single-repo-pr{owner=acme, repo=app, branch=agent/*}", &left, &refused);
}

#[test]
fn reading_at_github_and_gitlab() {
    let left = [
        "GET api.github.com/repos/acme/app/issues",
        "GET api.github.com/search/code",
        "GET api.github.com/user",
        "GET api.github.com/orgs/acme/repos",
        "GET api.github.com/notifications",
        "POST api.github.com/markdown",
        "GET github.com/acme/app.git/info/refs",
        "POST github.com/acme/app.git/git-upload-pack",
        "GET github.com/acme/app/releases/download/v1/app.tgz",
        "GET codeload.github.com/acme/app/tar.gz/main",
    ];
    let refused = [
        "POST api.github.com/graphql",
        "POST api.github.com/repos/acme/app/issues",
        "PUT api.github.com/repos/acme/app/contents/x",
        "PATCH api.github.com/user",
        "DELETE api.github.com/repos/acme/app/git/refs/heads/x",
        "POST api.github.com/repos/acme/app/pulls",
        "PUT api.github.com/repos/acme/app/pulls/1/merge",
        "PUT api.github.com/user/starred/acme/app",
        "POST github.com/acme/app.git/git-receive-pack",
        "POST github.com/acme/app.git/info/lfs/objects/batch",
        "POST uploads.github.com/repos/acme/app/releases/1/assets",
    ];
    check("github:read-only", &left, &refused);
    let left = [
        "GET gitlab.com/api/v4/projects",
        "GET gitlab.com/api/v4/projects/1",
        "GET gitlab.com/api/v4/projects/g%2Fp/merge_requests",
        "GET gitlab.com/api/v4/projects/1/repository/files/a/raw",
        "GET gitlab.com/api/v4/groups",
        "GET gitlab.com/api/v4/user",
        "HEAD gitlab.com/api/v4/version",
        "GET gitlab.com/api/v4/projects/1/pipelines",
        "GET gitlab.com/g/s/p.git/info/refs",
        "POST gitlab.com/g/s/p.git/git-upload-pack",
    ];
    let refused = [
        "POST gitlab.com/api/graphql",
        "POST gitlab.com/api/v4/projects",
        "POST gitlab.com/api/v4/projects/1/issues",
        "PUT gitlab.com/api/v4/projects/1/merge_requests/1/merge",
        "DELETE gitlab.com/api/v4/projects/1",
        "GET gitlab.com/api/v4/projects/1/variables",
        "POST gitlab.com/api/v4/projects/1/pipeline",
        "POST gitlab.com/g/p.git/git-receive-pack",
        "POST gitlab.com/g/p.git/info/lfs/objects/batch",
        "GET gitlab.com/-/user_settings/personal_access_tokens",
    ];
    check("gitlab:read-only", &left, &refused);
}

/// An attacker's way out of a model's API is what keeps something there.
#[test]
fn inference_at_anthropic() {
    let left = [
        "POST api.anthropic.com/v1/messages",
        "POST api.anthropic.com/v1/messages/count_tokens",
        "POST api.anthropic.com/v1/complete",
        "POST api.anthropic.com/v1/chat/completions",
        "GET api.anthropic.com/v1/models",
        "GET api.anthropic.com/v1/models/claude-x",
        "HEAD api.anthropic.com/v1/models",
        "GET api.anthropic.com/api/hello",
        "HEAD api.anthropic.com/api/hello",
        "GET api.anthropic.com/api/oauth/profile",
    ];
    let refused = [
        "POST api.anthropic.com/v1/files",
        "GET api.anthropic.com/v1/files",
        "GET api.anthropic.com/v1/files/f/content",
        "DELETE api.anthropic.com/v1/files/f",
        "POST api.anthropic.com/v1/messages/batches",
        "GET api.anthropic.com/v1/messages/batches/b/results",
        "POST api.anthropic.com/v1/skills",
        "GET api.anthropic.com/v1/organizations/me",
        "POST api.anthropic.com/v1/organizations/invites",
        "POST api.anthropic.com/api/oauth/claude_cli/create_api_key",
        "GET api.anthropic.com/v1/messages",
    ];
    check("anthropic:inference-only", &left, &refused);
}

#[test]
fn inference_at_openai() {
    let left = [
        "POST api.openai.com/v1/responses",
        "GET api.openai.com/v1/responses",
        "GET api.openai.com/v1/responses/r",
        "POST api.openai.com/v1/responses/compact",
        "POST api.openai.com/v1/chat/completions",
        "POST api.openai.com/v1/embeddings",
        "POST api.openai.com/v1/moderations",
        "GET api.openai.com/v1/models",
        "GET api.openai.com/v1/models/gpt-x",
        "POST eu.api.openai.com/v1/responses",
    ];
    let refused = [
        "POST api.openai.com/v1/files",
        "GET api.openai.com/v1/files",
        "POST api.openai.com/v1/uploads",
        "POST api.openai.com/v1/batches",
        "POST api.openai.com/v1/vector_stores",
        "POST api.openai.com/v1/fine_tuning/jobs",
        "POST api.openai.com/v1/assistants",
        "POST api.openai.com/v1/threads",
        "POST api.openai.com/v1/containers",
        "DELETE api.openai.com/v1/models/ft",
        "GET api.openai.com/v1/organization/admin_api_keys",
        "POST eu.api.openai.com/v1/files",
    ];
    check("openai:inference-only", &left, &refused);
}

#[test]
fn inference_at_gemini() {
    let at = "generativelanguage.googleapis.com";
    let left = ["v1", "v1beta"].iter().flat_map(|version| {
        let model = |what: &str| format!("POST {at}/{version}/models/gemini-x:{what}");
        let posts = ["generateContent", "streamGenerateContent", "countTokens", "embedContent"].map(model);
        posts.into_iter().chain([format!("GET {at}/{version}/models")])
    });
    let refused = [
        "POST /upload/v1beta/files",
        "GET /v1beta/files",
        "POST /v1beta/cachedContents",
        "POST /v1beta/tunedModels",
        "POST /v1beta/corpora",
        "POST /v1beta/models/gemini-x:batchGenerateContent",
        "POST /v1beta/models/gemini-x:predictLongRunning",
        "GET /v1beta/batches",
        "POST /v1alpha/auth_tokens",
        "DELETE /v1beta/models/x",
    ];
    let left: Vec<String> = left.collect();
    let refused = refused.map(|question| question.replacen(" /", &format!(" {at}/"), 1));
    let words = |list: &[String]| list.iter().map(|word| word.clone().leak() as &str).collect::<Vec<_>>();
    check("gemini:inference-only", &words(&left), &words(&refused));
    // With a login.
    check(
        "gemini:inference-only",
        &["POST cloudcode-pa.googleapis.com/v1internal:streamGenerateContent", "POST oauth2.googleapis.com/tokeninfo"],
        &[
            "POST cloudcode-pa.googleapis.com/v1internal:setCodeAssistGlobalUserSetting",
            "POST cloudcode-pa.googleapis.com/v1internal:onboardUser",
            "GET cloudcode-pa.googleapis.com/v1internal/projects",
        ],
    );
}
