//! The file as it is written: every table and key, before any of it is understood.

use serde::Deserialize;
use standin_model as model;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::Spanned;

/// Every key there is, for suggestions.
pub(super) const KEYS: &[&str] = &[
    "credential",
    "allow",
    "deny",
    "conversation",
    "name",
    "service",
    "source",
    "env",
    "like",
    "fetch",
    "grant",
    "hosts",
    "query",
    "headers",
    "form",
    "json",
    "is",
    "min",
    "max",
    "absent",
    "not",
    "graphql",
    "publish",
    "registry",
    "packages",
    "versions",
    "tags",
    "mutation",
    "subscription",
    "refs",
    "delete",
    "ports",
    "methods",
    "paths",
    "slots",
    "always",
    "git",
    "user",
    "repositories",
    "push",
    "postgres",
    "users",
    "databases",
    "plaintext",
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
    "terminal",
    "reach",
    "port",
    "limits",
    "memory",
    "pids",
    "cpus",
    "tmp",
    "files",
    "show",
    "hide",
    "leaks",
    "sandbox",
    "backend",
    "on_leak",
    "policy",
    "use",
    "test",
    "request",
    "verdict",
    "body",
    "rule",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) credential: Vec<Spanned<Credential>>,
    #[serde(default)]
    pub(super) allow: Vec<Spanned<Rule>>,
    #[serde(default)]
    pub(super) deny: Vec<Requests>,
    #[serde(default)]
    pub(super) conversation: Vec<Requests>,
    pub(super) upstream: Option<Upstream>,
    #[serde(default)]
    pub(super) caps: SessionCaps,
    #[serde(default)]
    pub(super) terminal: Terminal,
    #[serde(default)]
    pub(super) reach: Vec<Reach>,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) files: Files,
    #[serde(default)]
    pub(super) leaks: Leaks,
    #[serde(default)]
    pub(super) sandbox: Sandbox,
    #[serde(default)]
    pub(super) policy: Policy,
    #[serde(default)]
    pub(super) test: Vec<Test>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    #[serde(default, rename = "use")]
    pub(super) used: Vec<Spanned<String>>,
    #[serde(default, rename = "deny")]
    pub(super) denied: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    pub(super) request: Spanned<String>,
    pub(super) verdict: Spanned<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) push: Vec<String>,
    pub(super) rule: Option<String>,
    pub(super) credential: Option<String>,
}

/// A table, since a key of the file itself that stands after a credential would be that credential's.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Leaks {
    pub(super) on_leak: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sandbox {
    pub(super) backend: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) memory: Option<Spanned<toml::Value>>,
    pub(super) pids: Option<Spanned<toml::Value>>,
    pub(super) cpus: Option<Spanned<toml::Value>>,
    pub(super) tmp: Option<Spanned<toml::Value>>,
    pub(super) spare: Option<Spanned<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reach {
    pub(super) port: Spanned<u16>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Terminal {
    #[serde(default)]
    pub(super) allow: Vec<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Files {
    #[serde(default)]
    pub(super) show: Vec<PathBuf>,
    #[serde(default)]
    pub(super) hide: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionCaps {
    pub(super) requests: Option<u64>,
    pub(super) bytes_out: Option<u64>,
    pub(super) connections: Option<u64>,
    #[serde(default)]
    pub(super) each_host: Caps,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Caps {
    pub(super) requests: Option<u64>,
    pub(super) bytes_out: Option<u64>,
    pub(super) connections: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    pub(super) proxy: Option<Spanned<String>>,
    pub(super) password: Option<Spanned<String>>,
    pub(super) no_proxy: Option<Vec<String>>,
    #[serde(default)]
    pub(super) roots: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credential {
    pub(super) name: Option<Spanned<String>>,
    pub(super) service: Option<String>,
    pub(super) source: Option<Spanned<String>>,
    pub(super) client_certificate: Option<Certificate>,
    #[serde(default)]
    pub(super) env: Vec<String>,
    pub(super) like: Option<String>,
    #[serde(default)]
    pub(super) fetch: crate::Fetch,
    pub(super) on_leak: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) grant: Vec<Spanned<Grant>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificate {
    pub(super) cert: PathBuf,
    pub(super) key: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    pub(super) hosts: Spanned<Vec<Spanned<String>>>,
    pub(super) ports: Option<Vec<u16>>,
    pub(super) methods: Option<Vec<Spanned<String>>>,
    pub(super) paths: Option<Vec<Spanned<String>>>,
    pub(super) addresses: Option<Vec<Spanned<String>>>,
    pub(super) query: Option<Spanned<model::WrittenValues>>,
    pub(super) headers: Option<Spanned<model::WrittenValues>>,
    pub(super) form: Option<Spanned<model::WrittenValues>>,
    pub(super) json: Option<Spanned<model::WrittenValues>>,
    pub(super) push: Option<Spanned<model::WrittenPush>>,
    pub(super) graphql: Option<Spanned<model::WrittenGraphQl>>,
    pub(super) publish: Option<Spanned<model::WrittenPublish>>,
    pub(super) slots: Option<Vec<Spanned<String>>>,
    pub(super) always: Option<Spanned<bool>>,
    pub(super) git: Option<Spanned<Git>>,
    pub(super) postgres: Option<Spanned<Postgres>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Postgres {
    pub(super) users: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) databases: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    pub(super) plaintext: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Git {
    pub(super) user: Option<Spanned<String>>,
    pub(super) repositories: Spanned<Vec<Spanned<String>>>,
    pub(super) push: Option<Spanned<GitPush>>,
}

/// What may be pushed over SSH.
#[derive(Deserialize)]
#[serde(untagged, expecting = "write `true`, a list of refs, or a table of `refs` and `delete`")]
pub(super) enum GitPush {
    Any(bool),
    Some(model::WrittenPush),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) hosts: Spanned<Vec<Spanned<String>>>,
    pub(super) ports: Option<Vec<u16>>,
    pub(super) methods: Option<Vec<Spanned<String>>>,
    pub(super) paths: Option<Vec<Spanned<String>>>,
    pub(super) addresses: Option<Vec<Spanned<String>>>,
    pub(super) query: Option<Spanned<model::WrittenValues>>,
    pub(super) headers: Option<Spanned<model::WrittenValues>>,
    pub(super) form: Option<Spanned<model::WrittenValues>>,
    pub(super) json: Option<Spanned<model::WrittenValues>>,
    pub(super) push: Option<Spanned<model::WrittenPush>>,
    pub(super) graphql: Option<Spanned<model::WrittenGraphQl>>,
    pub(super) publish: Option<Spanned<model::WrittenPublish>>,
}

/// Requests that are meant by what allows nothing, and so names no addresses.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requests {
    pub(super) hosts: Spanned<Vec<Spanned<String>>>,
    pub(super) ports: Option<Vec<u16>>,
    pub(super) methods: Option<Vec<Spanned<String>>>,
    pub(super) paths: Option<Vec<Spanned<String>>>,
    pub(super) query: Option<Spanned<model::WrittenValues>>,
    pub(super) headers: Option<Spanned<model::WrittenValues>>,
    pub(super) form: Option<Spanned<model::WrittenValues>>,
    pub(super) json: Option<Spanned<model::WrittenValues>>,
    pub(super) push: Option<Spanned<model::WrittenPush>>,
    pub(super) graphql: Option<Spanned<model::WrittenGraphQl>>,
    pub(super) publish: Option<Spanned<model::WrittenPublish>>,
}

impl Grant {
    /// Whether something in it is about requests of HTTP.
    pub(super) fn is_about_http(&self) -> bool {
        let heads = self.methods.is_some() || self.paths.is_some() || self.slots.is_some() || self.always.is_some();
        let values = [&self.query, &self.headers, &self.form, &self.json];
        heads
            || self.push.is_some()
            || self.graphql.is_some()
            || self.publish.is_some()
            || values.iter().any(|values| values.is_some())
    }
}

impl Rule {
    /// Whatever is asked there.
    pub(super) fn anything_at(
        hosts: Spanned<Vec<Spanned<String>>>,
        ports: Option<Vec<u16>>,
        addresses: Option<Vec<Spanned<String>>>,
    ) -> Self {
        let (methods, paths, push, graphql, publish) = (None, None, None, None, None);
        Self {
            hosts,
            ports,
            methods,
            paths,
            addresses,
            query: None,
            headers: None,
            form: None,
            json: None,
            push,
            graphql,
            publish,
        }
    }
}

impl From<Requests> for Rule {
    fn from(raw: Requests) -> Self {
        let Requests { hosts, ports, methods, paths, query, headers, form, json, push, graphql, publish } = raw;
        Self { hosts, ports, methods, paths, addresses: None, query, headers, form, json, push, graphql, publish }
    }
}

impl From<SessionCaps> for model::SessionCaps {
    fn from(raw: SessionCaps) -> Self {
        let SessionCaps { requests, bytes_out, connections, each_host } = raw;
        let each_host = model::Caps {
            requests: each_host.requests,
            bytes_out: each_host.bytes_out,
            connections: each_host.connections,
        };
        Self { session: model::Caps { requests, bytes_out, connections }, each_host }
    }
}
