use super::*;
use crate::Fetch;
use standin_model::{DangerGroup, Host};

fn check(text: &str, expected: &str) {
    let error = parse(text, Path::new("config.toml")).expect_err("the text is wrong");
    assert_eq!(error.to_string(), expected, "for:\n{text}");
}

#[test]
fn the_documented_format() {
    let config = parse(
        r#"
            [[credential]]
            name    = "internal"
            source  = "env:INTERNAL_TOKEN"
            fetch   = "start"
            on_leak = "stop"
            env     = ["INTERNAL_TOKEN"]
            like    = "tok_[A-Za-z0-9]{32}"
            [[credential.grant]]
            hosts   = ["api.example.com", "*.internal.example.com"]
            methods = ["GET", "post"]
            paths   = ["/v1/**"]
            slots   = ["header:authorization"]
            always  = true
            addresses = ["10.0.0.0/8"]
            [[credential.grant]]
            hosts   = ["login.example.com"]
            slots   = ["cookie:sid", "path:/bot{}", "form:client_secret", "json:/client/secret"]

            [[credential]]
            service = "github"
            source  = "file:token"

            [[credential]]
            name    = "corp"
            client_certificate = { cert = "me.pem", key = "cmd:pass show key" }
            [[credential.grant]]
            hosts   = ["corp.example.com"]

            [[allow]]
            hosts   = ["docs.rs", "*.rust-lang.org"]
            methods = ["GET", "HEAD"]

            [[deny]]
            hosts   = ["docs.rs"]
            paths   = ["/releases/**"]

            [[deny]]
            hosts   = ["**.rust-lang.org"]
            ports   = [8443]

            [policy]
            use = ["github:single-repo{owner=acme, repo=app}"]
            deny = ["mint", "secret-read"]

            [[test]]
            request = "GET https://docs.rs/tokio"
            verdict = "allow"
            rule    = "allow[1]"

            [[conversation]]
            hosts   = ["llm.example.com"]
            paths   = ["/v1/**"]

            [caps]
            bytes_out = 100_000_000
            [caps.each_host]
            requests = 5000

            [leaks]
            on_leak = "revoke"

            [files]
            show = ["tests/fixtures"]
            hide = ["notes.txt"]

            [upstream]
            proxy    = "http://me@proxy.example.com:3128"
            password = "env:PROXY_PASSWORD"
            no_proxy = ["internal.example.com", "10.0.0.0/8"]
            roots    = ["corp-ca.pem"]

            [terminal]
            allow    = ["clipboard", "title"]

            [[reach]]
            port     = 5432

            [limits]
            memory   = "8GiB"
            pids     = 4096
            cpus     = 1.5
            tmp      = "none"
            spare    = "2GiB"
        "#,
        Path::new("/etc/standin/config.toml"),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let [internal, github, corp] = config.credentials.as_slice() else { panic!("three credentials") };
    let certificate =
        ClientCertificate { cert: "/etc/standin/me.pem".into(), key: Source::Command("pass show key".into()) };
    assert_eq!((&corp.source, &corp.client_certificate), (&None, &Some(certificate)));
    assert_eq!((internal.fetch, github.fetch), (Fetch::Start, Fetch::Use));
    assert_eq!(internal.grants[0].rule.methods, Methods::only(["GET", "POST"]));
    assert_eq!(internal.grants[0].rule.label, "internal.grant[1]");
    assert_eq!(internal.grants.iter().map(|grant| grant.always).collect::<Vec<_>>(), [true, false]);
    let slots: Vec<_> = internal.grants[1].slots.iter().map(ToString::to_string).collect();
    assert_eq!(slots, ["cookie:sid", "path:/bot{}", "form:client_secret", "json:/client/secret"]);
    assert_eq!(
        (github.name.as_str(), &github.source),
        ("github", &Some(Source::File("/etc/standin/token".into(), None)))
    );
    assert_eq!(config.allow[0].hosts.len(), 2);
    assert_eq!((config.deny[0].label.as_str(), &config.deny[0].ports), ("deny[1]", &Ports::Any));
    assert_eq!(config.deny[1].ports, Ports::new(vec![8443]));
    assert_eq!(config.presets, [PresetUse::parse("github:single-repo{owner=acme, repo=app}").unwrap()]);
    assert_eq!(config.denied_groups, [DangerGroup::Mint, DangerGroup::SecretRead]);
    let test = &config.tests[0];
    assert_eq!((test.line, test.method.as_str(), test.url.as_str()), (47, "GET", "https://docs.rs/tokio"));
    assert_eq!((test.allowed, test.rule.as_deref(), test.credential.as_deref()), (true, Some("allow[1]"), None));
    assert_eq!(config.conversations[0].label, "conversation[1]");
    assert_eq!(config.conversations[0].paths.len(), 1);
    let files = Files { show: vec!["tests/fixtures".into()], hide: vec!["notes.txt".into()] };
    assert_eq!(config.files, files);
    assert_eq!((internal.on_leak, github.on_leak, config.on_leak), (Some(OnLeak::Stop), None, OnLeak::Revoke));
    assert_eq!((config.caps.session.bytes_out, config.caps.each_host.requests), (Some(100_000_000), Some(5000)));
    let (proxy, _) = ParentProxy::parse("http://me@proxy.example.com:3128").unwrap();
    assert_eq!(config.upstream.proxy, Parent::Named(proxy, Some(Source::Env("PROXY_PASSWORD".into()))));
    assert!(config.upstream.no_proxy.unwrap().covers(&Host::parse("a.internal.example.com").unwrap()));
    assert_eq!(config.upstream.roots, [Path::new("/etc/standin/corp-ca.pem")]);
    assert_eq!(config.reach, [5432]);
    let (memory, pids) = (Bound::At(8 << 30), Bound::At(4_096));
    let (cpu, spare) = (Bound::At(1_500), Bound::At(2 << 30));
    assert_eq!(config.limits, Bounds { memory, pids, cpu, tmp: Bound::Unlimited, spare });
    assert_eq!(config.terminal, [TerminalFeature::Clipboard, TerminalFeature::Title]);
}

#[test]
fn sources() {
    let some = |text: &str| Some(text.to_owned());
    for (text, expected) in [
        ("env:A", Some(Source::Env("A".into()))),
        ("file:a#b", Some(Source::File("/etc/a".into(), some("b")))),
        ("cmd:a # b", Some(Source::Command("a # b".into()))),
        ("cmd#/a/b:x: y", Some(Source::Document("/a/b".into(), "x: y".into()))),
        ("age:work/a", Some(Source::Safe("work/a".into()))),
        (
            "keychain:a/b/me",
            Some(Source::Keychain(vec![("service".into(), "a/b".into()), ("username".into(), "me".into())])),
        ),
        (
            "keychain:server=a,user=b",
            Some(Source::Keychain(vec![("server".into(), "a".into()), ("user".into(), "b".into())])),
        ),
        ("keychain:a", None),
        ("keychain:a/", None),
        ("keychain:a=,b=c", None),
        ("git:https://a.example/x", Some(Source::Git("https://a.example/x".into(), None))),
        ("op://a/b/c d", Some(Source::OnePassword("op://a/b/c d".into()))),
        ("bw:a b#username", Some(Source::Bitwarden("a b".into(), some("username")))),
        ("sops:a.yaml#/b/c", Some(Source::Sops("/etc/a.yaml".into(), some("/b/c")))),
        ("vault:secret/team/api#key", Some(Source::Leased("secret/team/api".into(), "key".into()))),
        ("vault:a/b#/c/d", Some(Source::Leased("a/b".into(), "/c/d".into()))),
        ("cmd#:x", None),
        ("git:http://a.example", None),
        ("op:a/b/c", None),
        ("bw:#x", None),
        ("bw:x#", None),
        ("vault", None),
        ("vault:a/b", None),
        ("vault:a/b#", None),
        ("vault:a/../sys/raw#x", None),
        ("vault:/a#x", None),
        ("vault:a//b#x", None),
        ("vault:a/%2e%2e/b#x", None),
        ("vault:a?list=true#x", None),
    ] {
        assert_eq!(Source::parse(text, Some(Path::new("/etc"))), expected, "{text}");
    }
}

#[test]
fn errors_show_the_place_and_the_mend() {
    check(
        "[[allow]]\nhost = [\"a.example\"]\n",
        "there is no key `host` here\n --> config.toml:2:1\n  |\n2 | host = [\"a.example\"]\n  | ^^^^\n  = hint: did you mean `hosts`?",
    );
    check(
        "[[allow]]\nhosts = [\"a b\"]\n",
        "`a b` is not understood: the host has a forbidden character ' '\n --> config.toml:2:10\n  |\n2 | hosts = [\"a b\"]\n  |          ^^^^^",
    );
    check(
        "[[allow]]\nhosts = []\n",
        "an empty list of hosts means nothing\n --> config.toml:2:9\n  |\n2 | hosts = []\n  |         ^^",
    );
    check("[[reach]]\nport = 0\n", "0 is not a port\n --> config.toml:2:8\n  |\n2 | port = 0\n  |        ^");
    check(
        "[limits]\nmemory = \"8G\"\n",
        "`8G` is not understood\n --> config.toml:2:10\n  |\n2 | memory = \"8G\"\n  |          ^^^^\n  = hint: write a size such as 8GiB, 512MiB or 2GB, or none",
    );
    check(
        "[policy]\ndeny = [\"mint\", \"exec \"]\n",
        "`exec ` is not understood: there is no such group; they are mint, escalate, secret-read, exfil, public, exec, server-egress, spend, destroy\n --> config.toml:2:17\n  |\n2 | deny = [\"mint\", \"exec \"]\n  |                 ^^^^^^^",
    );
    check(
        "[terminal]\nallow = [\"clip\"]\n",
        "`clip` is not understood: a terminal's features are clipboard, title, notifications and palette\n --> config.toml:2:10\n  |\n2 | allow = [\"clip\"]\n  |          ^^^^^^",
    );
    check(
        "[[credential]]\nname = \"a\"\nsource = \"vault:x\"\n[[credential.grant]]\nhosts = [\"a.example\"]\n",
        "`vault` is not a source\n --> config.toml:3:10\n  |\n3 | source = …\n  |          ^\n  = hint: write `env:NAME`, `file:PATH`, `cmd:COMMAND`, `age:NAME`, or another of docs/sources.md",
    );
    check(
        "[[credential]]\nname = \"a\"\nsource = \"env:A\"\n",
        "the credential `a` is granted to no host\n --> config.toml:1:1\n  |\n1 | [[credential]]\n  | ^^^^^^^^^^^^^^\n  = hint: add [[credential.grant]] with `hosts = [\"api.example.com\"]`",
    );
}

#[test]
fn always_needs_one_place() {
    let grant = |slots: &str| {
        format!(
            "[[credential]]\nname = \"a\"\nsource = \"env:A\"\n[[credential.grant]]\nhosts = [\"a.example\"]\n{slots}"
        )
    };
    check(
        &grant("always = true\n"),
        "`always` needs exactly one slot, a header or a query\n --> config.toml:6:10\n  |\n6 | always = true\n  |          ^^^^\n  = hint: name it: `slots = [\"header:x-api-key\"]`, or `query:NAME`",
    );
    for slots in [
        "[]",
        "[\"header:a\", \"header:b\"]",
        "[\"header:cookie\"]",
        "[\"cookie:a\"]",
        "[\"path:/bot{}\"]",
        "[\"form:a\"]",
        "[\"json:/a\"]",
        "[\"websocket\"]",
    ] {
        let error = parse(&grant(&format!("slots = {slots}\nalways = true\n")), Path::new("c")).unwrap_err();
        assert!(error.to_string().starts_with("`always` needs exactly one slot"), "{slots}: {error}");
    }
    for slots in ["header:authorization", "query:key"] {
        assert!(parse(&grant(&format!("slots = [\"{slots}\"]\nalways = true\n")), Path::new("c")).is_ok(), "{slots}");
    }
    let text = "[[credential]]\nname = \"a\"\nclient_certificate = { cert = \"a\", key = \"env:A\" }\n[[credential.grant]]\nhosts = [\"a.example\"]\nslots = [\"header:a\"]\nalways = true\n";
    let error = parse(text, Path::new("c")).unwrap_err().to_string();
    assert!(error.starts_with("`always`, and no `source`"), "{error}");
    check(
        &grant("slots = [\"path:/x\"]\n"),
        "`path:/x` is not understood: a path slot is the beginning of a path, up to the place of the credential, which is written `{}`: `path:/bot{}`, `path:/hooks/*/{}` (`*` is any one segment)\n --> config.toml:6:10\n  |\n6 | slots = [\"path:/x\"]\n  |          ^^^^^^^^^",
    );
}

#[test]
fn client_certificates() {
    let grant = "[[credential.grant]]\nhosts = [\"a.example\"]\n";
    check(
        &format!("[[credential]]\nname = \"a\"\n{grant}"),
        "the credential `a` comes from nowhere\n --> config.toml:1:1\n  |\n1 | [[credential]]\n  | ^^^^^^^^^^^^^^\n  = hint: add `source = \"env:NAME\"`, or a `client_certificate`",
    );
    let text =
        format!("[[credential]]\nname = \"a\"\nclient_certificate = {{ cert = \"a\", key = \"topsecret\" }}\n{grant}");
    let error = parse(&text, Path::new("c")).unwrap_err().to_string();
    assert!(error.contains("is not a source") && !error.contains("topsecret"), "{error}");
}

#[test]
fn the_way_out() {
    let parent = |text| parse(text, Path::new("c")).unwrap().upstream.proxy;
    assert_eq!(parent(""), Parent::Environment);
    assert_eq!(parent("[upstream]\nproxy = \"none\""), Parent::Direct);
    check(
        "[upstream]\nproxy = \"ftp://p.example:1\"\n",
        "only `http://` and `socks5://` proxies are spoken to\n --> config.toml:2:9\n  |\n2 | proxy = …\n  |         ^\n  = hint: write `http://user@proxy.example.com:3128` or `socks5://…`; `none` for no proxy",
    );
    check(
        "[upstream]\npasword = \"env:X\"\n",
        "there is no key `pasword` here\n --> config.toml:2:1\n  |\n2 | pasword = …\n  | ^^^^^^^\n  = hint: did you mean `password`?",
    );
    for (text, expected) in [
        ("proxy = \"http://me:topsecret@p.example:1\"", "a password does not belong in this file"),
        ("proxy = \"http://p.example:1\"\npassword = \"env:X\"", "a password, and no user it is for"),
        ("password = \"env:X\"", "a password, and no proxy with a user"),
        ("proxy = \"http://me@p.example:1\"\npassword = \"topsecret\"", "`…` is not a source"),
    ] {
        let error = parse(&format!("[upstream]\n{text}\n"), Path::new("c")).unwrap_err().to_string();
        assert!(error.starts_with(expected) && !error.contains("topsecret"), "{error}");
    }
}

#[test]
fn a_value_of_a_file() {
    let parse = |text| Source::parse(text, Some(Path::new("/d")));
    let of = |path: &str, name: &str| Some(Source::File(path.into(), Some(name.to_owned())));
    assert_eq!(parse("file:.env#API_KEY"), of("/d/.env", "API_KEY"));
    assert_eq!(parse("file:/a.json#/b/c#d"), of("/a.json", "/b/c#d"));
    assert_eq!((parse("file:#x"), parse("file:x#")), (None, None));
}

#[test]
fn a_misplaced_secret_is_not_repeated() {
    let text = "[[credential]]\nservice = \"github\"\nsource = \"ghp_realrealreal\"\n";
    let error = parse(text, Path::new("c")).expect_err("not a source").to_string();
    assert!(!error.contains("ghp_real"), "{error}");
}

#[test]
fn what_else_a_rule_asks() {
    let conditions = |text: &str| {
        let rule = |config: Config| config.allow.into_iter().chain(config.deny).next().unwrap();
        let rule = parse(text, Path::new("c")).map(rule).map_err(|error| error.to_string());
        rule.map(|rule| {
            let conditions: Vec<_> = rule.conditions.iter().map(ToString::to_string).collect();
            format!("{}: {}", rule.methods, conditions.join(" and "))
        })
    };
    let allow = |text: &str| conditions(&format!("[[allow]]\nhosts = [\"a.example\"]\n{text}"));
    for (text, expected) in [
        ("query = { state = \"open\", page = 1 }", "any method: query `page` 1 and query `state` `open`"),
        ("headers = { X-Org = [\"acme\", \"other\"] }", "any method: header `x-org` `acme` or `other`"),
        ("form = { \"a b\" = { absent = true, is = \"x*\" } }", "any method: form field `a b` absent or `x*`"),
        ("json = { \"/max_tokens\" = { max = 4096 } }", "any method: json `/max_tokens` -inf to 4096"),
        (
            "json = { \"/stream\" = true, \"/n\" = { min = 1.5, max = 2 } }",
            "any method: json `/n` 1.5 to 2 and json `/stream` true",
        ),
        (
            "json = { \"/n\" = { not = { max = 9 } }, \"/m\" = { not = [\"a\", true] } }",
            "any method: json `/m` not `a` or true and json `/n` not -inf to 9",
        ),
        ("push = [\"refs/heads/agent/**\"]", "GET, HEAD, POST: pushes to `refs/heads/agent/**` only"),
        (
            "methods = [\"POST\"]\npush = { refs = [\"refs/heads/a\", \"refs/tags/*\"], delete = true }",
            "POST: pushes to or deletes `refs/heads/a`, `refs/tags/*` only",
        ),
    ] {
        assert_eq!(allow(text).as_deref(), Ok(expected), "{text}");
    }
    let publish = "[[allow]]\nhosts = [\"a.example\"]\npublish = ";
    for (text, expected) in [
        ("{ registry = \"npm\", packages = [\"@acme/*\"] }", Ok("PUT: npm package `@acme/*` only")),
        (
            "{ registry = \"npm\", packages = [\"a\", \"b\"], versions = [\"1.*\"], tags = [\"next\"] }",
            Ok("PUT: npm package `a` or `b` only, version `1.*`, tag `next`"),
        ),
        ("{ registry = \"pypi\", packages = [\"acme-*\"] }", Ok("POST: pypi package `acme-*` only")),
        (
            "{ registry = \"pypi\", packages = [\"acme_widget\"] }",
            Err("`acme_widget` is no name as the registry keeps it"),
        ),
        ("{ registry = \"npm\", packages = [\"Acme\"] }", Err("`Acme` is no name as the registry keeps it")),
        ("{ registry = \"pypi\", packages = [\"a\"], tags = [\"x\"] }", Err("packages have tags at npm only")),
        ("{ registry = \"npm\", packages = [] }", Err("an empty list of packages means nothing")),
        ("{ registry = \"cargo\", packages = [\"a\"] }", Err("unknown variant `cargo`")),
    ] {
        match (conditions(&format!("{publish}{text}")), expected) {
            (Ok(told), Ok(expected)) => assert_eq!(told, expected),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{text}: {error}"),
            (told, _) => panic!("{text}: {told:?}"),
        }
    }
    let graphql = "[[allow]]\nhosts = [\"a.example\"]\npaths = [\"/graphql\"]\ngraphql = ";
    for (text, expected) in [
        ("[\"query\", \"subscription\"]", "any method: GraphQL of query, subscription only"),
        (
            "{ query = [\"*\"], mutation = [\"addComment\", \"close*\"] }",
            "any method: GraphQL of query, mutation `addComment` or `close*` only",
        ),
    ] {
        assert_eq!(conditions(&format!("{graphql}{text}")).as_deref(), Ok(expected));
    }
    let deny = "[[deny]]\nhosts = [\"a.example\"]\npush = [\"refs/heads/main\"]";
    assert_eq!(conditions(deny).as_deref(), Ok("any method: pushes to `refs/heads/main` only"));
    for (text, expected) in [
        (
            "json = { model = \"x\" }",
            "`model` is no place in JSON; write it as RFC 6901 has it: `/model`, `/messages/0/role`",
        ),
        ("headers = { \"a b\" = \"x\" }", "`a b` cannot be the name of a header"),
        ("query = { \"\" = \"x\" }", "a parameter and a field have a name"),
        ("query = { a = [] }", "nothing fulfils what is asked of `a`"),
        ("query = { a = {} }", "nothing fulfils what is asked of `a`"),
        ("json = { \"/a\" = { min = 2, max = 1 } }", "nothing fulfils what is asked of `/a`"),
        ("query = { a = \"[\" }", "`[` is not understood: not a pattern: unclosed character class; missing ']'"),
        ("push = [\"main\"]", "`main` is not the full name of a ref; write `refs/heads/main`"),
        ("push = []", "an empty list of refs means nothing"),
        ("json = { \"/a\" = { mx = 1 } }", "write a text, a number, `true` or `false`, a list of these, or a table"),
        ("graphql = [\"query\"]", "GraphQL is asked about at the paths that serve it"),
        ("paths = [\"/q\"]\ngraphql = []", "no operation of GraphQL is among what it means"),
        ("paths = [\"/q\"]\ngraphql = { query = [] }", "no operation of GraphQL is among what it means"),
        ("paths = [\"/q\"]\ngraphql = { query = [\"a.b\"] }", "`a.b` is not the name of a field at the top"),
        ("paths = [\"/q\"]\ngraphql = { queries = [\"a\"] }", "write a list of `query`, `mutation` and `subscription`"),
        ("push = true", "write a list of refs, or a table of `refs` and `delete`"),
    ] {
        let error = allow(text).unwrap_err();
        let line = format!("--> c:{}:", 2 + text.lines().count());
        assert!(error.starts_with(expected) && error.contains(&line), "{text}: {error}");
    }
}
