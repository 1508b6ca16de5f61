//! Verdicts, in the words in which they are told.

use super::*;
use proptest::prelude::*;
use standin_model::{HostPattern, NoEvidence, PathPattern, Ports};

fn rule(label: &str, hosts: &[&str], methods: &[&str], paths: &[&str]) -> RequestRule {
    RequestRule {
        label: label.to_owned(),
        hosts: hosts.iter().map(|h| HostPattern::parse(h).unwrap()).collect(),
        ports: Ports::default(),
        methods: if methods.is_empty() { Methods::Any } else { Methods::only(methods) },
        paths: paths.iter().map(|p| PathPattern::parse(p).unwrap()).collect(),
        conditions: Vec::new(),
        addresses: AddressBlocks::default(),
    }
}

fn policy() -> Policy {
    let mut builder = PolicyBuilder::default();
    builder.allow(rule("docs", &["docs.example", "*.docs.example"], &["GET", "HEAD"], &[]));
    let grant = GrantRule { rule: rule("api", &["api.example"], &[], &["/v1/**"]), slots: vec![], always: false };
    builder.grant(CredentialName::new("key"), grant);
    builder.deny(rule("api:admin", &["api.example"], &[], &["/v1/admin/**"]));
    builder.allow(rule("wide", &["**.google.internal", "10.0.0.5"], &[], &[]));
    builder.build()
}

fn facts<'a>(host: &'a Host, method: &'a str, path: &'a str) -> RequestFacts<'a> {
    RequestFacts { host, port: 443, scheme: Scheme::Https, method, path, evidence: &NoEvidence }
}

fn connection(host: &str, port: u16) -> String {
    match policy().connection(&Host::parse(host).unwrap(), port) {
        ConnectionVerdict::Allow { rule, .. } => rule.to_string(),
        ConnectionVerdict::Deny(denial) => denial.to_string(),
    }
}

fn request(method: &str, host: &str, path: &str) -> String {
    let host = Host::parse(host).unwrap();
    match policy().request(&facts(&host, method, path)) {
        RequestVerdict::Allow { rule, grants, .. } => format!("{rule} with {} grants", grants.len()),
        RequestVerdict::Deny(denial) => denial.to_string(),
    }
}

#[test]
fn connections() {
    assert_eq!(connection("docs.example", 443), "docs");
    assert_eq!(connection("a.docs.example", 443), "docs");
    assert_eq!(
        connection("docs.example", 22),
        "net.host_not_allowed: docs.example may be reached on port 443 only, not on 22"
    );
    assert_eq!(
        connection("a.b.docs.example", 443),
        "net.host_not_allowed: a.b.docs.example is not among the hosts this session may reach; its owner can add it \
         with `--allow a.b.docs.example`"
    );
    assert!(connection("9.9.9.9", 443).starts_with("net.ip_literal: "));
    assert_eq!(connection("10.0.0.5", 443), "wide");
    assert_eq!(connection("x.google.internal", 443), "wide");
    assert!(connection("metadata.google.internal", 443).starts_with("net.metadata_service: "));
}

#[test]
fn requests() {
    assert_eq!(request("GET", "docs.example", "/x"), "docs with 0 grants");
    assert_eq!(request("POST", "api.example", "/v1/x"), "api with 1 grants");
    assert_eq!(
        request("POST", "docs.example", "/x"),
        "http.request_not_allowed: POST /x is not allowed at docs.example; allowed: GET, HEAD"
    );
    assert_eq!(
        request("GET", "api.example", "/v2"),
        "http.request_not_allowed: GET /v2 is not allowed at api.example; allowed: any method on /v1/**"
    );
    assert_eq!(
        request("GET", "api.example", "/v1/admin/x"),
        "http.request_not_allowed: GET /v1/admin/x at api.example is denied by the rule `api:admin`"
    );
    assert_eq!(request("TRACE", "docs.example", "/"), "http.method_refused: TRACE is never sent");
    assert_eq!(request("tRACE", "docs.example", "/"), "http.method_refused: tRACE is never sent");
}

/// Whatever is asked there is denied: then nothing is asked, on no port and in no protocol.
#[test]
fn a_host_that_is_denied_is_not_reached() {
    let everything = RequestRule { ports: Ports::Any, ..rule("deny[1]", &["**.docs.example"], &[], &[]) };
    let verdicts = |denied: RequestRule| {
        let mut builder = PolicyBuilder::default();
        builder.allow(RequestRule { ports: Ports::Any, ..rule("all", &["a.docs.example", "docs.example"], &[], &[]) });
        builder.deny(denied);
        let policy = builder.build();
        ["a.docs.example", "docs.example"].map(|host| match policy.connection(&Host::parse(host).unwrap(), 8443) {
            ConnectionVerdict::Allow { rule, .. } => rule.to_string(),
            ConnectionVerdict::Deny(denial) => denial.to_string(),
        })
    };
    let refused = "net.host_not_allowed: a.docs.example is denied by the rule `deny[1]`";
    assert_eq!(verdicts(everything.clone()), [refused, "all"]);
    // A part of it is not the connection.
    for part in [
        RequestRule { methods: Methods::only(["GET"]), ..everything.clone() },
        RequestRule { paths: vec![PathPattern::parse("/x").unwrap()], ..everything.clone() },
        RequestRule { ports: Ports::new(vec![443]), ..everything },
    ] {
        assert_eq!(verdicts(part), ["all", "all"]);
    }
}

#[test]
fn what_is_denied_is_denied_in_every_spelling() {
    for path in ["/v1/Admin/x", "/v1%2Fadmin/x", "/v1/admin;a/x", "/v1/admin/x.json", "/v1/%2561dmin/x"] {
        let verdict = request("post", "api.example", path);
        assert!(verdict.ends_with("is denied by the rule `api:admin`"), "{path}: {verdict}");
    }
    assert_eq!(request("POST", "api.example", "/v1/administrator"), "api with 1 grants");
    // Allowed is what is written.
    let verdicts = [request("GET", "api.example", "/V1/x"), request("get", "docs.example", "/x")];
    assert!(verdicts.iter().all(|verdict| verdict.starts_with("http.request_not_allowed: ")));
}

/// Real tokens are in the answer: only the one request is made whose answer they are taken out of.
#[test]
fn tokens_are_exchanged_by_one_request_only() {
    let at = || rule("svc:tokens", &["auth.example"], &["POST"], &["/oauth/token"]);
    let verdict = |builder: PolicyBuilder, method: &str, path: &str| {
        let (policy, host) = (builder.build(), Host::parse("auth.example").unwrap());
        let verdict = policy.request(&facts(&host, method, path));
        match verdict {
            RequestVerdict::Allow { login, .. } => format!("{login:?}"),
            RequestVerdict::Deny(denial) => denial.to_string(),
        }
    };
    let opened = || {
        let mut builder = PolicyBuilder::default();
        builder.allow(rule("owner", &["auth.example"], &[], &[]));
        builder.tokens("svc", at());
        builder
    };
    assert_eq!(verdict(opened(), "POST", "/oauth/token"), "Some(\"svc\")");
    assert_eq!(verdict(opened(), "POST", "/oauth/other"), "None");
    for (method, path) in [
        ("GET", "/oauth/token"),
        ("PUT", "/oauth/token"),
        ("POST", "/oauth/token/"),
        ("POST", "/OAuth/Token"),
        ("POST", "/oauth//token"),
        ("POST", "/oauth%2Ftoken"),
        ("POST", "/oauth/token;x"),
    ] {
        let verdict = verdict(opened(), method, path);
        assert!(verdict.ends_with("is denied by the rule `svc:tokens`"), "{method} {path}: {verdict}");
    }
    let mut alone = PolicyBuilder::default();
    alone.tokens("svc", at());
    assert!(verdict(alone, "POST", "/oauth/token").starts_with("http.request_not_allowed"));
}

#[test]
fn a_reserved_host_is_reachable_and_guarded() {
    let mut builder = PolicyBuilder::default();
    builder.reserve(rule("own", &["own.example"], &[], &[]));
    let (policy, host) = (builder.build(), Host::parse("own.example").unwrap());
    let facts = facts(&host, "GET", "/");
    let verdict = policy.request(&facts);
    assert!(matches!(verdict, RequestVerdict::Allow { grants, granted_host: true, .. } if grants.is_empty()));
}

/// Where a model is told something: another path, method or port of that host is no such place, nor is it allowed by that.
#[test]
fn a_conversation_is_said_and_not_allowed() {
    let about = || rule("model", &["llm.example"], &["POST"], &["/v1/**"]);
    let asked = |builder: PolicyBuilder, method, path| {
        let host = Host::parse("llm.example").unwrap();
        let facts = facts(&host, method, path);
        match builder.build().request(&facts) {
            RequestVerdict::Allow { conversation, .. } => Some(conversation),
            RequestVerdict::Deny(_) => None,
        }
    };
    for (method, path, expected) in [
        ("POST", "/v1/messages", true),
        ("PUT", "/v1/messages", false),
        ("POST", "/v2/messages", false),
        ("POST", "/V1/messages", false),
    ] {
        let mut alone = PolicyBuilder::default();
        alone.conversation(about());
        assert_eq!(asked(alone, method, path), None);
        let mut opened = PolicyBuilder::default();
        opened.conversation(about());
        opened.allow(rule("owner", &["llm.example"], &[], &[]));
        assert_eq!(asked(opened, method, path), Some(expected), "{method} {path}");
    }
}

#[test]
fn nothing_is_allowed_by_nothing() {
    let host = Host::parse("a.example").unwrap();
    assert!(matches!(Policy::default().connection(&host, 443), ConnectionVerdict::Deny(_)));
    let facts = facts(&host, "GET", "/");
    assert!(matches!(Policy::default().request(&facts), RequestVerdict::Deny(_)));
}

proptest! {
    /// The index decides as a walk over all rules would.
    #[test]
    fn the_index_changes_no_verdict(
        patterns in prop::collection::vec("(\\*\\.|\\*\\*\\.)?([ab]\\.){0,2}[ab]\\.x", 1..6),
        host in "([ab]\\.){0,4}x",
    ) {
        let Ok(host) = Host::parse(&host) else { return Ok(()) };
        let rules: Vec<_> = patterns.iter().map(|p| rule(p, &[p], &[], &[])).collect();
        let reference = rules.iter().any(|rule| rule.admits_connection(&host, 443));
        let mut builder = PolicyBuilder::default();
        for rule in rules {
            builder.allow(rule);
        }
        let allowed = matches!(builder.build().connection(&host, 443), ConnectionVerdict::Allow { .. });
        prop_assert_eq!(allowed, reference);
    }
}
