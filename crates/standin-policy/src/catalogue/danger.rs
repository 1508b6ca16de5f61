//! What is dangerous to ask of the services, in groups that mean the same at each of them.
//!
//! One data file a service, in `catalogue/danger/`, read when somebody asks: most sessions deny no group. A route is denied in every
//! spelling that some server takes for it, as every rule that denies is.

use super::{CatalogueError, Compiler, RawRule, Service};
use serde::Deserialize;
use standin_model::{DangerGroup, GrantRule, Host, HostPattern, Ports, RequestRule, WrittenGraphQl, WrittenValues};
use std::collections::BTreeMap;

/// The data files.
const FILES: &[(&str, &str)] = files!["catalogue/danger";
    "anthropic",
    "circleci",
    "cloudflare",
    "crates-io",
    "datadog",
    "digitalocean",
    "discord",
    "gemini",
    "github",
    "gitlab",
    "groq",
    "huggingface",
    "mistral",
    "notion",
    "npm",
    "openai",
    "openrouter",
    "pagerduty",
    "pypi",
    "sendgrid",
    "sentry",
    "slack",
    "stripe",
    "supabase",
    "twilio",
    "vercel",
    "xai",
];

/// What is known of one service's dangers.
#[derive(Debug)]
pub struct Dangers {
    /// The service.
    pub service: &'static str,
    /// Where its API is, and nothing else.
    pub hosts: Vec<HostPattern>,
    routes: Vec<Route>,
    none: Vec<DangerGroup>,
    partial: Vec<DangerGroup>,
    looked: Vec<HostPattern>,
}

/// Operations of a service, and the groups that they are in.
#[derive(Debug)]
struct Route {
    groups: Vec<DangerGroup>,
    rule: RequestRule,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDangers {
    /// Where its routes are that name no hosts.
    hosts: Vec<String>,
    /// Groups of which it has been looked for operations at those hosts, and none found.
    #[serde(default)]
    none: Vec<String>,
    /// Groups of which some operations cannot be told, for what makes them so stands deep in a body.
    #[serde(default)]
    partial: Vec<String>,
    /// Other hosts that have been looked through: what no route has there is in no group.
    #[serde(default)]
    looked: Vec<String>,
    /// Other beginnings under which it has what is under one: `/repos/*/*` is `/repositories/*` at GitHub.
    #[serde(default)]
    also: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    route: Vec<RawRoute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRoute {
    groups: Vec<String>,
    /// Where the vendor says what it does.
    #[expect(dead_code, reason = "for whoever reads the file, and a test that each has one")]
    source: String,
    hosts: Option<Vec<String>>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    query: WrittenValues,
    #[serde(default)]
    headers: WrittenValues,
    #[serde(default)]
    form: WrittenValues,
    #[serde(default)]
    json: WrittenValues,
    graphql: Option<WrittenGraphQl>,
}

/// The services whose dangers are known.
pub fn all() -> impl Iterator<Item = Dangers> {
    FILES.iter().map(|(id, text)| Dangers::parse(id, text).expect("a test loads every file that is compiled in"))
}

/// What is known of this service.
pub fn of(service: &str) -> Option<Dangers> {
    let (id, text) = FILES.iter().find(|(id, _)| *id == service)?;
    Some(Dangers::parse(id, text).expect("a test loads every file that is compiled in"))
}

/// Where a service's API is: where the catalogue grants its credential, and where else a grant of one's own may lend it.
pub fn places(service: &Service) -> Vec<HostPattern> {
    let granted = service.grants.iter().flat_map(|grant| grant.rule.hosts.iter().cloned());
    granted.chain(of(&service.id).into_iter().flat_map(|known| known.hosts)).collect()
}

/// What is refused of a service wherever it is used: its own denials, and the groups that it names.
pub fn refused(service: &Service) -> impl Iterator<Item = RequestRule> {
    let known = if service.refused.is_empty() { None } else { of(&service.id) };
    let known = known.into_iter();
    service.deny.iter().cloned().chain(known.flat_map(|known| known.rules(&service.refused)))
}

impl Dangers {
    /// The rules for what is in one of these groups, called by the first of them: `slack:mint`.
    pub fn rules(self, groups: &[DangerGroup]) -> impl Iterator<Item = RequestRule> {
        self.routes.into_iter().filter_map(move |route| {
            let group = groups.iter().find(|group| route.groups.contains(group))?;
            Some(RequestRule { label: format!("{}:{group}", self.service), ..route.rule })
        })
    }

    /// Whether it is known which operations at this host are in this group, be it none.
    pub fn knows(&self, group: DangerGroup, host: &Host) -> bool {
        let among = |hosts: &[HostPattern]| hosts.iter().any(|pattern| pattern.matches(host));
        among(&self.looked)
            || (self.none.contains(&group) && among(&self.hosts))
            || self.routes.iter().any(|route| route.groups.contains(&group) && among(&route.rule.hosts))
    }

    /// Whether operations of this group may be at this host that are not told from others.
    pub fn is_partial(&self, group: DangerGroup, host: &Host) -> bool {
        self.partial.contains(&group) && self.knows(group, host)
    }

    fn parse(service: &'static str, text: &str) -> Result<Self, CatalogueError> {
        let raw: RawDangers = toml::from_str(text)
            .map_err(|source| CatalogueError::Toml { id: service.to_owned(), source: Box::new(source) })?;
        let compiler = Compiler { id: service };
        let route = |route| compiler.route(route, &raw.hosts, &raw.also);
        Ok(Self {
            service,
            hosts: compiler.hosts(&raw.hosts)?,
            none: compiler.groups(&raw.none)?,
            partial: compiler.groups(&raw.partial)?,
            looked: compiler.hosts(&raw.looked)?,
            routes: raw.route.into_iter().map(route).collect::<Result<_, _>>()?,
        })
    }
}

impl Service {
    /// What lends its credential, or a token of its login, to more than operations that are named one by one.
    pub fn lent_widely(&self) -> impl Iterator<Item = &GrantRule> {
        let tokens = self.login.iter().flat_map(|login| &login.form.tokens).flat_map(|token| &token.grants);
        let widely = |grant: &&GrantRule| {
            grant.rule.paths.is_empty() || grant.rule.paths.iter().any(|path| path.as_str().contains('*'))
        };
        self.grants.iter().chain(tokens).filter(widely)
    }
}

impl Compiler<'_> {
    fn route(
        &self,
        raw: RawRoute,
        hosts: &[String],
        also: &BTreeMap<String, Vec<String>>,
    ) -> Result<Route, CatalogueError> {
        let RawRoute { groups, hosts: own, mut methods, mut paths, query, headers, form, json, graphql, .. } = raw;
        let hosts = own.unwrap_or_else(|| hosts.to_vec());
        // By asking for the head alone one learns what is there.
        if methods.iter().any(|method| method == "GET") {
            methods.push("HEAD".to_owned());
        }
        let begun = |path: &String| -> Vec<String> {
            let rest = also.iter().filter_map(|(beginning, others)| Some((path.strip_prefix(beginning)?, others)));
            rest.flat_map(|(rest, others)| others.iter().map(move |other| format!("{other}{rest}"))).collect()
        };
        paths.extend(paths.iter().flat_map(begun).collect::<Vec<_>>());
        let rule =
            RawRule { hosts, methods, paths, query, headers, form, json, push: None, graphql, ports: Vec::new() };
        // A host may answer on other ports, too, if the owner allows them.
        let rule = RequestRule { ports: Ports::Any, ..self.rule(rule, "danger")? };
        Ok(Route { groups: self.groups(&groups)?, rule })
    }
}

#[cfg(test)]
mod tests;
