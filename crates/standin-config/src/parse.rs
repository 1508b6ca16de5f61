//! From text to a typed configuration.

mod git;
mod postgres;
mod raw;

use crate::{ClientCertificate, Config, ConfigError, Credential, Files, Parent, PolicyTest, Source, Upstream};
use standin_model::{
    AddressBlocks, Backend, Bound, BoundError, Bounds, Bypass, Condition, ConditionError, DangerGroup, GrantRule,
    HostPattern, Methods, OnLeak, ParentProxy, PathPattern, PlaceKind, Ports, PresetUse, RequestRule, Slot,
    TerminalFeature, WrittenGraphQl, WrittenPublish, WrittenPush, WrittenValues,
};
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// How alike a key must be to be suggested (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.75;

/// Reads a configuration. `path` is for messages, and relative `file:` sources are relative to its directory.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let file = File { text, path };
    let raw: raw::Document = toml::from_str(text).map_err(|error| file.malformed(&error))?;
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
    let deny = raw.deny.into_iter().enumerate();
    let deny = deny.map(|(n, rule)| file.denial(format!("deny[{}]", n + 1), rule));
    let conversations = raw.conversation.into_iter().enumerate();
    let conversations = conversations.map(|(n, rule)| file.rule(format!("conversation[{}]", n + 1), rule.into()));
    let upstream = raw.upstream.map(|upstream| file.upstream(upstream)).transpose()?.unwrap_or_default();
    let raw::Files { show, hide } = raw.files;
    Ok(Config {
        credentials,
        allow: allow.collect::<Result<_, _>>()?,
        deny: deny.collect::<Result<_, _>>()?,
        conversations: conversations.collect::<Result<_, _>>()?,
        caps: raw.caps.into(),
        upstream,
        limits: file.limits(&raw.limits)?,
        reach: raw.reach.iter().map(|reach| file.port(&reach.port)).collect::<Result<_, _>>()?,
        terminal: file.each(raw.terminal.allow, TerminalFeature::parse)?,
        files: Files { show, hide },
        on_leak: file.one(raw.leaks.on_leak.as_ref(), OnLeak::parse)?.unwrap_or_default(),
        backend: file.one(raw.sandbox.backend.as_ref(), Backend::parse)?.unwrap_or_default(),
        presets: file.each(raw.policy.used, PresetUse::parse)?,
        denied_groups: file.each(raw.policy.denied, DangerGroup::parse)?,
        tests: raw.test.into_iter().map(|test| file.test(test)).collect::<Result<_, _>>()?,
    })
}

struct File<'a> {
    text: &'a str,
    path: &'a Path,
}

impl File<'_> {
    fn credential(&self, raw: Spanned<raw::Credential>, span: Range<usize>) -> Result<Credential, ConfigError> {
        let raw = raw.into_inner();
        let name = match (&raw.name, &raw.service) {
            (Some(name), _) => name.get_ref().clone(),
            (None, Some(service)) => service.clone(),
            (None, None) => return Err(self.error(span, "a credential needs a `name` or a `service`".into(), None)),
        };
        if raw.service.is_none() && raw.grant.is_empty() {
            let hint = "add [[credential.grant]] with `hosts = [\"api.example.com\"]`".to_owned();
            return Err(self.error(span.clone(), format!("the credential `{name}` is granted to no host"), Some(hint)));
        }
        if raw.source.is_none() && raw.client_certificate.is_none() {
            let hint = "add `source = \"env:NAME\"`, or a `client_certificate`".to_owned();
            return Err(self.error(span.clone(), format!("the credential `{name}` comes from nowhere"), Some(hint)));
        }
        self.suits_git(&name, &raw)?;
        self.suits_postgres(&name, &raw)?;
        let sourced = raw.source.is_some();
        let (mut grants, mut git, mut postgres) = (Vec::new(), Vec::new(), Vec::new());
        for (n, grant) in raw.grant.into_iter().enumerate() {
            let label = format!("{name}.grant[{}]", n + 1);
            match grant.into_inner() {
                grant if grant.git.is_some() => git.extend(self.git_grant(label, grant)?),
                grant if grant.postgres.is_some() => postgres.extend(self.postgres_grant(label, grant)?),
                grant => grants.push(self.grant(label, grant, sourced)?),
            }
        }
        Ok(Credential {
            grants,
            git,
            postgres,
            source: raw.source.as_ref().map(|source| self.any_source(source)).transpose()?,
            client_certificate: raw.client_certificate.map(|raw| self.certificate(raw)).transpose()?,
            name,
            line: Some(self.line(&span)),
            service: raw.service,
            env: raw.env,
            like: raw.like,
            fetch: raw.fetch,
            on_leak: self.one(raw.on_leak.as_ref(), OnLeak::parse)?,
        })
    }

    /// A grant of a credential, which has a value of its own or only a client certificate.
    fn grant(&self, label: String, grant: raw::Grant, sourced: bool) -> Result<GrantRule, ConfigError> {
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
        let rule = raw::Rule {
            hosts: grant.hosts,
            ports: grant.ports,
            methods: grant.methods,
            paths: grant.paths,
            addresses: grant.addresses,
            query: grant.query,
            headers: grant.headers,
            form: grant.form,
            json: grant.json,
            push: grant.push,
            graphql: grant.graphql,
            publish: grant.publish,
        };
        Ok(GrantRule { rule: self.rule(label, rule)?, slots, always })
    }

    fn certificate(&self, raw: raw::Certificate) -> Result<ClientCertificate, ConfigError> {
        let directory = self.path.parent().unwrap_or(Path::new(""));
        Ok(ClientCertificate { cert: directory.join(raw.cert), key: self.source(&raw.key)? })
    }

    fn upstream(&self, raw: raw::Upstream) -> Result<Upstream, ConfigError> {
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

    /// A source of a value.
    fn source(&self, source: &Spanned<String>) -> Result<Source, ConfigError> {
        match self.any_source(source)? {
            Source::SshAgent(_) => Err(self.error(source.span(), "an ssh-agent gives no value away".into(), None)),
            source => Ok(source),
        }
    }

    fn any_source(&self, source: &Spanned<String>) -> Result<Source, ConfigError> {
        Source::parse(source.get_ref(), self.path.parent()).ok_or_else(|| {
            let hint =
                "write `env:NAME`, `file:PATH`, `cmd:COMMAND`, `age:NAME`, or another of docs/sources.md".to_owned();
            self.error(source.span(), format!("`{}` is not a source", kind(source.get_ref())), Some(hint))
        })
    }

    /// What is denied is denied on every port and with every method, unless some are named, or only one publishes.
    fn denial(&self, label: String, raw: raw::Requests) -> Result<RequestRule, ConfigError> {
        let (anywhere, any_method) = (raw.ports.is_none(), raw.methods.is_none() && raw.publish.is_none());
        let mut rule = self.rule(label, raw.into())?;
        if anywhere {
            rule.ports = Ports::Any;
        }
        if any_method {
            rule.methods = Methods::Any;
        }
        Ok(rule)
    }

    fn rule(&self, label: String, raw: raw::Rule) -> Result<RequestRule, ConfigError> {
        if raw.hosts.get_ref().is_empty() {
            return Err(self.error(raw.hosts.span(), "an empty list of hosts means nothing".into(), None));
        }
        let methods = match raw.methods {
            // Other protocols that change a repository have other methods (WebDAV).
            None if raw.push.is_some() => Methods::only(["GET", "HEAD", "POST"]),
            None => raw.publish.as_ref().map_or(Methods::Any, |to| Methods::only([to.get_ref().registry.method()])),
            Some(list) => Methods::only(self.each(list, method_name)?),
        };
        let values = [
            (PlaceKind::Query, raw.query),
            (PlaceKind::Header, raw.headers),
            (PlaceKind::Form, raw.form),
            (PlaceKind::Json, raw.json),
        ];
        let (push, graphql, publish) = (raw.push, raw.graphql, raw.publish);
        // Anything else there would be GraphQL that cannot be read.
        if let Some(graphql) = graphql.as_ref().filter(|_| raw.paths.is_none()) {
            let hint = Some("write `paths = [\"/graphql\"]`, or where it is served".to_owned());
            return Err(self.error(graphql.span(), "GraphQL is asked about at the paths that serve it".into(), hint));
        }
        let conditions = self.conditions(values, push, graphql, publish)?;
        Ok(RequestRule {
            label,
            hosts: self.each(raw.hosts.into_inner(), HostPattern::parse)?,
            ports: raw.ports.map(Ports::new).unwrap_or_default(),
            methods,
            paths: self.each(raw.paths.unwrap_or_default(), PathPattern::parse)?,
            addresses: AddressBlocks::new(self.each(raw.addresses.unwrap_or_default(), str::parse)?),
            conditions,
        })
    }

    fn conditions(
        &self,
        values: [(PlaceKind, Option<Spanned<WrittenValues>>); 4],
        push: Option<Spanned<WrittenPush>>,
        graphql: Option<Spanned<WrittenGraphQl>>,
        publish: Option<Spanned<WrittenPublish>>,
    ) -> Result<Vec<Condition>, ConfigError> {
        let wrong = |span, error: ConditionError| self.error(span, error.to_string(), None);
        let mut conditions = Vec::new();
        for (kind, values) in values {
            let Some(values) = values else { continue };
            let span = values.span();
            conditions.extend(kind.conditions(values.into_inner()).map_err(|error| wrong(span, error))?);
        }
        if let Some(push) = push {
            let span = push.span();
            conditions.push(push.into_inner().condition().map_err(|error| wrong(span, error))?);
        }
        if let Some(graphql) = graphql {
            let span = graphql.span();
            conditions.push(graphql.into_inner().condition().map_err(|error| wrong(span, error))?);
        }
        if let Some(publish) = publish {
            let span = publish.span();
            conditions.push(publish.into_inner().condition().map_err(|error| wrong(span, error))?);
        }
        Ok(conditions)
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

    fn limits(&self, raw: &raw::Limits) -> Result<Bounds, ConfigError> {
        let bound = |value: &Option<Spanned<toml::Value>>, parse: fn(&str) -> Result<Bound, BoundError>| {
            let Some(value) = value else { return Ok(Bound::Usual) };
            let text = match value.get_ref() {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            parse(&text).map_err(|error| {
                self.error(value.span(), format!("`{text}` is not understood"), Some(error.to_string()))
            })
        };
        Ok(Bounds {
            memory: bound(&raw.memory, Bound::size)?,
            pids: bound(&raw.pids, Bound::count)?,
            cpu: bound(&raw.cpus, Bound::processors)?,
            tmp: bound(&raw.tmp, Bound::size)?,
            spare: bound(&raw.spare, Bound::size)?,
        })
    }

    /// One word out of a few, where there is one.
    fn one<T, E: std::fmt::Display>(
        &self,
        name: Option<&Spanned<String>>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(name) = name else { return Ok(None) };
        let told = |error: E| {
            self.error(name.span(), format!("`{}` is not understood", name.get_ref()), Some(error.to_string()))
        };
        parse(name.get_ref()).map(Some).map_err(told)
    }

    fn test(&self, raw: raw::Test) -> Result<PolicyTest, ConfigError> {
        let span = raw.request.span();
        let line = self.line(&span);
        let Some((method, url)) = raw.request.get_ref().split_once(' ') else {
            let hint = "write `GET https://api.example.com/v1/things`".to_owned();
            return Err(self.error(span, "a request is a method and a URL".into(), Some(hint)));
        };
        let allowed = match raw.verdict.get_ref().as_str() {
            "allow" => true,
            "deny" => false,
            _ => {
                let hint = Some("write `allow` or `deny`".to_owned());
                return Err(self.error(raw.verdict.span(), "this is no verdict".into(), hint));
            }
        };
        let (method, url) = (method.to_owned(), url.trim_start().to_owned());
        Ok(PolicyTest {
            line,
            method,
            url,
            headers: raw.headers,
            body: raw.body,
            push: raw.push,
            allowed,
            rule: raw.rule,
            credential: raw.credential,
        })
    }

    /// The line in which it begins.
    fn line(&self, span: &Range<usize>) -> usize {
        self.text[..span.start].matches('\n').count() + 1
    }

    fn port(&self, port: &Spanned<u16>) -> Result<u16, ConfigError> {
        match *port.get_ref() {
            0 => Err(self.error(port.span(), "0 is not a port".into(), None)),
            port => Ok(port),
        }
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
    /// Reads one as the variants of [`Source`] say; a relative path is relative to `directory`.
    pub fn parse(text: &str, directory: Option<&Path>) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        if kind == "ssh-agent" {
            let known = rest.is_empty() || rest.starts_with("SHA256:");
            return known.then(|| Self::SshAgent(Some(rest.to_owned()).filter(|key| !key.is_empty())));
        }
        if rest.is_empty() {
            return None;
        }
        // The home is filled in by who knows it.
        let own = directory.filter(|_| !rest.starts_with("~/"));
        let path = |path: &str| own.map_or_else(|| PathBuf::from(path), |directory| directory.join(path));
        if let Some(member) = kind.strip_prefix("cmd#").filter(|member| !member.is_empty()) {
            return Some(Self::Document(member.to_owned(), rest.to_owned()));
        }
        match kind {
            "env" => Some(Self::Env(rest.to_owned())),
            "file" => selected(rest).map(|(of, name)| Self::File(path(of), name)),
            "cmd" => Some(Self::Command(rest.to_owned())),
            "age" => Some(Self::Safe(rest.to_owned())),
            "keychain" => attributes(rest).map(Self::Keychain),
            "git" if rest.starts_with("https://") => selected(rest).map(|(url, name)| Self::Git(url.to_owned(), name)),
            "op" if rest.starts_with("//") => Some(Self::OnePassword(text.to_owned())),
            "bw" => selected(rest).map(|(item, object)| Self::Bitwarden(item.to_owned(), object)),
            "vault" => match selected(rest)? {
                (path, Some(field)) if is_plain(path) => Some(Self::Leased(path.to_owned(), field)),
                _ => None,
            },
            "sops" => selected(rest).map(|(of, member)| Self::Sops(path(of), member)),
            _ => None,
        }
    }
}

/// What is meant, and which value of it.
fn selected(text: &str) -> Option<(&str, Option<String>)> {
    match text.split_once('#') {
        Some((of, name)) if !of.is_empty() && !name.is_empty() => Some((of, Some(name.to_owned()))),
        Some(_) => None,
        None => Some((text, None)),
    }
}

/// What names a secret of the keychain: what is written as attributes, or a service's account by the attributes that most programs use.
fn attributes(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        (!name.is_empty() && !value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    };
    if text.contains('=') {
        return text.split(',').map(pair).collect();
    }
    let (service, account) = text.rsplit_once('/')?;
    let named = !service.is_empty() && !account.is_empty();
    named.then(|| vec![("service".to_owned(), service.to_owned()), ("username".to_owned(), account.to_owned())])
}

/// Whether a path means what stands there: it is part of a URL, with the reader's token.
fn is_plain(path: &str) -> bool {
    let odd = |byte: u8| byte.is_ascii_control() || b"?\\%".contains(&byte);
    !path.bytes().any(odd) && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
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
    let best = raw::KEYS.iter().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (strsim::jaro_winkler(key, best) > ALIKE).then(|| format!("did you mean `{best}`?"))
}

#[cfg(test)]
mod tests;
