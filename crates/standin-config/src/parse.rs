//! From text to a typed configuration.

use crate::{ClientCertificate, Config, ConfigError, Credential, Parent, Source, Upstream};
use serde::Deserialize;
use standin_model::{
    AddressBlocks, Bypass, Caps, GrantRule, HostPattern, Methods, ParentProxy, PathPattern, Ports, RequestRule,
    SessionCaps, Slot,
};
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Every key there is, for suggestions.
const KEYS: &[&str] = &[
    "credential",
    "allow",
    "name",
    "service",
    "source",
    "env",
    "like",
    "grant",
    "hosts",
    "ports",
    "methods",
    "paths",
    "slots",
    "always",
    "addresses",
    "caps",
    "requests",
    "bytes_out",
    "connections",
    "each_host",
    "upstream",
    "proxy",
    "password",
    "no_proxy",
    "roots",
    "client_certificate",
    "cert",
    "key",
];
/// How alike a key must be to be suggested (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.75;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    credential: Vec<Spanned<RawCredential>>,
    #[serde(default)]
    allow: Vec<Spanned<RawRule>>,
    upstream: Option<RawUpstream>,
    #[serde(default)]
    caps: RawSessionCaps,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSessionCaps {
    requests: Option<u64>,
    bytes_out: Option<u64>,
    connections: Option<u64>,
    #[serde(default)]
    each_host: RawCaps,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCaps {
    requests: Option<u64>,
    bytes_out: Option<u64>,
    connections: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUpstream {
    proxy: Option<Spanned<String>>,
    password: Option<Spanned<String>>,
    no_proxy: Option<Vec<String>>,
    #[serde(default)]
    roots: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCredential {
    name: Option<Spanned<String>>,
    service: Option<String>,
    source: Option<Spanned<String>>,
    client_certificate: Option<RawCertificate>,
    #[serde(default)]
    env: Vec<String>,
    like: Option<String>,
    #[serde(default)]
    grant: Vec<Spanned<RawGrant>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCertificate {
    cert: PathBuf,
    key: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGrant {
    hosts: Spanned<Vec<Spanned<String>>>,
    ports: Option<Vec<u16>>,
    methods: Option<Vec<Spanned<String>>>,
    paths: Option<Vec<Spanned<String>>>,
    addresses: Option<Vec<Spanned<String>>>,
    slots: Option<Vec<Spanned<String>>>,
    always: Option<Spanned<bool>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    hosts: Spanned<Vec<Spanned<String>>>,
    ports: Option<Vec<u16>>,
    methods: Option<Vec<Spanned<String>>>,
    paths: Option<Vec<Spanned<String>>>,
    addresses: Option<Vec<Spanned<String>>>,
}

/// Reads a configuration. `path` is for messages, and relative `file:` sources are relative to its directory.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let file = File { text, path };
    let raw: Raw = toml::from_str(text).map_err(|error| file.malformed(&error))?;
    let mut names = HashSet::new();
    let mut credentials = Vec::new();
    for credential in raw.credential {
        let span = credential.span();
        let credential = file.credential(credential, span.clone())?;
        if !names.insert(credential.name.clone()) {
            return Err(file.error(span, format!("there are two credentials named `{}`", credential.name), None));
        }
        credentials.push(credential);
    }
    let allow = raw.allow.into_iter().enumerate();
    let allow = allow.map(|(n, rule)| file.rule(format!("allow[{}]", n + 1), rule.into_inner()));
    let upstream = raw.upstream.map(|upstream| file.upstream(upstream)).transpose()?.unwrap_or_default();
    Ok(Config { credentials, allow: allow.collect::<Result<_, _>>()?, caps: raw.caps.into(), upstream })
}

impl From<RawSessionCaps> for SessionCaps {
    fn from(raw: RawSessionCaps) -> Self {
        let RawSessionCaps { requests, bytes_out, connections, each_host } = raw;
        let each_host =
            Caps { requests: each_host.requests, bytes_out: each_host.bytes_out, connections: each_host.connections };
        Self { session: Caps { requests, bytes_out, connections }, each_host }
    }
}

struct File<'a> {
    text: &'a str,
    path: &'a Path,
}

impl File<'_> {
    fn credential(&self, raw: Spanned<RawCredential>, span: Range<usize>) -> Result<Credential, ConfigError> {
        let raw = raw.into_inner();
        let name = match (&raw.name, &raw.service) {
            (Some(name), _) => name.get_ref().clone(),
            (None, Some(service)) => service.clone(),
            (None, None) => return Err(self.error(span, "a credential needs a `name` or a `service`".into(), None)),
        };
        if raw.service.is_none() && raw.grant.is_empty() {
            let hint = "add [[credential.grant]] with `hosts = [\"api.example.com\"]`".to_owned();
            return Err(self.error(span, format!("the credential `{name}` is granted to no host"), Some(hint)));
        }
        if raw.source.is_none() && raw.client_certificate.is_none() {
            let hint = "add `source = \"env:NAME\"`, or a `client_certificate`".to_owned();
            return Err(self.error(span, format!("the credential `{name}` comes from nowhere"), Some(hint)));
        }
        let sourced = raw.source.is_some();
        let grants = raw.grant.into_iter().enumerate();
        let grants =
            grants.map(|(n, grant)| self.grant(format!("{name}.grant[{}]", n + 1), grant.into_inner(), sourced));
        Ok(Credential {
            grants: grants.collect::<Result<_, _>>()?,
            source: raw.source.as_ref().map(|source| self.source(source)).transpose()?,
            client_certificate: raw.client_certificate.map(|raw| self.certificate(raw)).transpose()?,
            name,
            service: raw.service,
            env: raw.env,
            like: raw.like,
        })
    }

    /// A grant of a credential, which has a value of its own or only a client certificate.
    fn grant(&self, label: String, grant: RawGrant, sourced: bool) -> Result<GrantRule, ConfigError> {
        let slots = self.each(grant.slots.unwrap_or_default(), Slot::parse)?;
        let always = grant.always.as_ref().is_some_and(|always| *always.get_ref());
        if always {
            let span = grant.always.map(|always| always.span()).unwrap_or_default();
            let one = matches!(slots.as_slice(), [slot] if slot.can_be_filled());
            if !one {
                let hint = "name it: `slots = [\"header:x-api-key\"]`, or `query:NAME`".to_owned();
                return Err(self.error(
                    span,
                    "`always` needs exactly one slot, a header or a query".into(),
                    Some(hint),
                ));
            }
            if !sourced {
                let hint = "add `source = \"env:NAME\"` to the credential, or leave `always` out".to_owned();
                return Err(self.error(span, "`always`, and no `source` of what it puts there".into(), Some(hint)));
            }
        }
        let rule = RawRule {
            hosts: grant.hosts,
            ports: grant.ports,
            methods: grant.methods,
            paths: grant.paths,
            addresses: grant.addresses,
        };
        Ok(GrantRule { rule: self.rule(label, rule)?, slots, always })
    }

    fn certificate(&self, raw: RawCertificate) -> Result<ClientCertificate, ConfigError> {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        Ok(ClientCertificate { cert: directory.join(raw.cert), key: self.source(&raw.key)? })
    }

    fn upstream(&self, raw: RawUpstream) -> Result<Upstream, ConfigError> {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        Ok(Upstream {
            proxy: self.parent(raw.proxy, raw.password)?,
            no_proxy: raw.no_proxy.map(|list| Bypass::new(list.iter().map(String::as_str))),
            roots: raw.roots.iter().map(|path| directory.join(path)).collect(),
        })
    }

    fn parent(&self, proxy: Option<Spanned<String>>, password: Option<Spanned<String>>) -> Result<Parent, ConfigError> {
        let source = password.as_ref().map(|password| self.source(password)).transpose()?;
        let named = match proxy.as_ref().map(|text| (text, text.get_ref().as_str())) {
            Some((_, text)) if text != "none" => ParentProxy::parse(text),
            other => {
                let Some(password) = password else {
                    return Ok(other.map_or(Parent::Environment, |_| Parent::Direct));
                };
                return Err(self.error(password.span(), "a password, and no proxy with a user".into(), None));
            }
        };
        let span = proxy.map(|text| text.span()).unwrap_or_default();
        let hint =
            || Some("write `http://user@proxy.example.com:3128` or `socks5://…`; `none` for no proxy".to_owned());
        match named {
            Err(error) => Err(self.error(span, error.to_string(), hint())),
            Ok((_, Some(_))) => {
                let hint = "write the user only, and `password = \"env:NAME\"` (or `file:`, `cmd:`)".to_owned();
                Err(self.error(span, "a password does not belong in this file".into(), Some(hint)))
            }
            Ok((ParentProxy { user: None, .. }, None)) if source.is_some() => {
                Err(self.error(span, "a password, and no user it is for".into(), hint()))
            }
            Ok((proxy, None)) => Ok(Parent::Named(proxy, source)),
        }
    }

    fn source(&self, source: &Spanned<String>) -> Result<Source, ConfigError> {
        Source::parse(source.get_ref(), self.path.parent()).ok_or_else(|| {
            let hint = "write `env:NAME`, `file:PATH` or `cmd:COMMAND`".to_owned();
            self.error(source.span(), format!("`{}` is not a source", kind(source.get_ref())), Some(hint))
        })
    }

    fn rule(&self, label: String, raw: RawRule) -> Result<RequestRule, ConfigError> {
        if raw.hosts.get_ref().is_empty() {
            return Err(self.error(raw.hosts.span(), "an empty list of hosts allows nothing".into(), None));
        }
        let methods = match raw.methods {
            None => Methods::Any,
            Some(list) => Methods::only(self.each(list, method_name)?),
        };
        Ok(RequestRule {
            label,
            hosts: self.each(raw.hosts.into_inner(), HostPattern::parse)?,
            ports: raw.ports.map(Ports::new).unwrap_or_default(),
            methods,
            paths: self.each(raw.paths.unwrap_or_default(), PathPattern::parse)?,
            addresses: AddressBlocks::new(self.each(raw.addresses.unwrap_or_default(), str::parse)?),
        })
    }

    fn each<T, E: std::fmt::Display>(
        &self,
        list: Vec<Spanned<String>>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, ConfigError> {
        list.into_iter()
            .map(|text| {
                parse(text.get_ref()).map_err(|error| {
                    self.error(text.span(), format!("`{}` is not understood: {error}", text.get_ref()), None)
                })
            })
            .collect()
    }

    fn malformed(&self, error: &toml::de::Error) -> ConfigError {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().to_owned();
        let found = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')).map(|(key, _)| key);
        match found {
            Some(key) => self.error(span, format!("there is no key `{key}` here"), nearest(key)),
            None => self.error(span, message, None),
        }
    }

    fn error(&self, span: Range<usize>, message: String, hint: Option<String>) -> ConfigError {
        ConfigError::new(self.path, self.text, span, message, hint)
    }
}

impl Source {
    /// Reads `env:NAME`, `file:PATH` or `cmd:COMMAND`; a relative path is relative to `directory`.
    pub fn parse(text: &str, directory: Option<&Path>) -> Option<Self> {
        let (kind, rest) = text.split_once(':').filter(|(_, rest)| !rest.is_empty())?;
        match kind {
            "env" => Some(Self::Env(rest.to_owned())),
            "file" => Some(Self::File(directory.map_or_else(|| PathBuf::from(rest), |d| d.join(rest)))),
            "cmd" => Some(Self::Command(rest.to_owned())),
            _ => None,
        }
    }
}

/// What stands before the colon: all of a mistaken source that is shown, for somebody may have put the secret there.
fn kind(source: &str) -> &str {
    source.split_once(':').map_or("…", |(kind, _)| kind)
}

fn method_name(method: &str) -> Result<String, &'static str> {
    let valid = !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
    if valid { Ok(method.to_ascii_uppercase()) } else { Err("a method is a word such as GET") }
}

fn nearest(key: &str) -> Option<String> {
    let score = |candidate: &&&str| strsim::jaro_winkler(key, candidate);
    let best = KEYS.iter().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (strsim::jaro_winkler(key, best) > ALIKE).then(|| format!("did you mean `{best}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use standin_model::Host;

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

            [caps]
            bytes_out = 100_000_000
            [caps.each_host]
            requests = 5000

            [upstream]
            proxy    = "http://me@proxy.example.com:3128"
            password = "env:PROXY_PASSWORD"
            no_proxy = ["internal.example.com", "10.0.0.0/8"]
            roots    = ["corp-ca.pem"]
            "#,
            Path::new("/etc/standin/config.toml"),
        )
        .unwrap_or_else(|error| panic!("{error}"));
        let [internal, github, corp] = config.credentials.as_slice() else { panic!("three credentials") };
        let certificate =
            ClientCertificate { cert: "/etc/standin/me.pem".into(), key: Source::Command("pass show key".into()) };
        assert_eq!((&corp.source, &corp.client_certificate), (&None, &Some(certificate)));
        assert_eq!(internal.grants[0].rule.methods, Methods::only(["GET", "POST"]));
        assert_eq!(internal.grants[0].rule.label, "internal.grant[1]");
        assert_eq!(internal.grants.iter().map(|grant| grant.always).collect::<Vec<_>>(), [true, false]);
        let slots: Vec<_> = internal.grants[1].slots.iter().map(ToString::to_string).collect();
        assert_eq!(slots, ["cookie:sid", "path:/bot{}", "form:client_secret", "json:/client/secret"]);
        assert_eq!(
            (github.name.as_str(), &github.source),
            ("github", &Some(Source::File("/etc/standin/token".into())))
        );
        assert_eq!(config.allow[0].hosts.len(), 2);
        assert_eq!((config.caps.session.bytes_out, config.caps.each_host.requests), (Some(100_000_000), Some(5000)));
        let (proxy, _) = ParentProxy::parse("http://me@proxy.example.com:3128").unwrap();
        assert_eq!(config.upstream.proxy, Parent::Named(proxy, Some(Source::Env("PROXY_PASSWORD".into()))));
        assert!(config.upstream.no_proxy.unwrap().covers(&Host::parse("a.internal.example.com").unwrap()));
        assert_eq!(config.upstream.roots, [Path::new("/etc/standin/corp-ca.pem")]);
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
            "an empty list of hosts allows nothing\n --> config.toml:2:9\n  |\n2 | hosts = []\n  |         ^^",
        );
        check(
            "[[credential]]\nname = \"a\"\nsource = \"vault:x\"\n[[credential.grant]]\nhosts = [\"a.example\"]\n",
            "`vault` is not a source\n --> config.toml:3:10\n  |\n3 | source = …\n  |          ^\n  = hint: write `env:NAME`, `file:PATH` or `cmd:COMMAND`",
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
            assert!(
                parse(&grant(&format!("slots = [\"{slots}\"]\nalways = true\n")), Path::new("c")).is_ok(),
                "{slots}"
            );
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
        let text = format!(
            "[[credential]]\nname = \"a\"\nclient_certificate = {{ cert = \"a\", key = \"topsecret\" }}\n{grant}"
        );
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
    fn a_misplaced_secret_is_not_repeated() {
        let text = "[[credential]]\nservice = \"github\"\nsource = \"ghp_realrealreal\"\n";
        let error = parse(text, Path::new("c")).expect_err("not a source").to_string();
        assert!(!error.contains("ghp_real"), "{error}");
    }
}
