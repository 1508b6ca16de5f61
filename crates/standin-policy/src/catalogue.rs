//! The services Standin knows: under which variables their credentials come, where they are good, what is refused.
//!
//! One data file a service, in `catalogue/`. Hosts are written defanged (`example[.]org`) and restored here.

/// Data files of a directory, with their names.
macro_rules! files {
    ($directory:literal; $($id:literal),+ $(,)?) => {
        &[$(($id, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $directory, "/", $id, ".toml")))),+]
    };
}

mod administers;
pub mod danger;
mod login;
mod preset;
pub mod rotation;
pub mod signing;

pub use preset::{Preset, PresetUseError};

use login::RawLogin;
use preset::RawPreset;
use rotation::{RawRotation, Rotation};
use serde::Deserialize;
use signing::{RawSigning, Signing};
use standin_model::{
    AddressBlocks, Condition, ConditionError, DangerGroup, GrantRule, Host, HostPattern, JsonPointer, Login, Methods,
    NoSuchGroup, PathPattern, PatternError, PlaceKind, Ports, RequestRule, Slot, SlotError, WrittenGraphQl,
    WrittenPush, WrittenValues,
};
use std::sync::OnceLock;

/// The data files.
const FILES: &[(&str, &str)] = files!["catalogue";
    "anthropic",
    "aws",
    "circleci",
    "cloudflare",
    "crates-io",
    "datadog",
    "debian",
    "deepseek",
    "digitalocean",
    "discord",
    "gemini",
    "github",
    "gitlab",
    "go",
    "groq",
    "huggingface",
    "maven",
    "mistral",
    "notion",
    "npm",
    "openai",
    "openrouter",
    "pagerduty",
    "pypi",
    "rubygems",
    "sendgrid",
    "sentry",
    "slack",
    "stripe",
    "supabase",
    "twilio",
    "vercel",
    "xai",
];

/// All known services.
pub struct Catalogue(Vec<Service>);

/// One service.
#[derive(Debug)]
pub struct Service {
    /// What it is called in configuration: `github`.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The variables under which its clients look for a credential, the usual one first.
    pub env: Vec<String>,
    /// Variables that may hold its credential, or somebody else's: it is this service's if it begins so.
    pub perhaps: Vec<String>,
    /// The programs that are agents of this service and need it whatever is lent.
    pub agents: Vec<String>,
    /// Beginnings of credentials that administer an organisation, or have the whole power of their owner: they are never lent to all
    /// of the service.
    pub never: Vec<String>,
    /// Whether other vendors' keys begin so, too: then those beginnings mean nothing but at its own hosts.
    pub shared: bool,
    /// Whether it is lent only where the configuration names it, and not because a variable or a file holds its credential.
    pub named: bool,
    /// The groups of dangerous operations that are refused at it whenever it is used.
    pub refused: Vec<DangerGroup>,
    /// Beginnings of credentials that are this service's and no other's.
    pub begins: Vec<String>,
    /// Where the credential is good.
    pub grants: Vec<GrantRule>,
    /// What its clients need besides, without the credential.
    pub allow: Vec<RequestRule>,
    /// What is refused at its hosts, whatever allows it.
    pub deny: Vec<RequestRule>,
    /// Where what is sent is what a model is told. It allows nothing, and holds in every session.
    pub conversations: Vec<RequestRule>,
    /// A public package registry: its `allow` rules hold in every session.
    pub registry: bool,
    /// What may be left of it.
    pub presets: Vec<Preset>,
    /// How its agent keeps a login.
    pub login: Option<Login>,
    /// How its requests are signed.
    pub signing: Option<Signing>,
    /// How its credential is replaced.
    pub rotation: Option<Rotation>,
}

/// Why a data file is not good.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Not TOML, or not of the schema.
    #[error("the catalogue's {id} is malformed")]
    Toml {
        /// The service.
        id: String,
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
    /// A pattern in it.
    #[error("the catalogue's {id} has a bad pattern")]
    Pattern {
        /// The service.
        id: String,
        /// What is wrong.
        source: PatternError,
    },
    /// A place in a file of JSON.
    #[error("the catalogue's {id} has the bad place `{pointer}`")]
    Pointer {
        /// The service.
        id: String,
        /// What it says.
        pointer: String,
    },
    /// What a rule asks of a request.
    #[error("the catalogue's {id} has a bad condition")]
    Condition {
        /// The service.
        id: String,
        /// Why.
        source: ConditionError,
    },
    /// A name of a group.
    #[error("the catalogue's {id} names a bad group")]
    Group {
        /// The service.
        id: String,
        /// What is wrong.
        source: NoSuchGroup,
    },
    /// A slot in it.
    #[error("the catalogue's {id} has a bad slot")]
    Slot {
        /// The service.
        id: String,
        /// What is wrong.
        source: SlotError,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawService {
    name: String,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    perhaps: Vec<String>,
    #[serde(default)]
    agents: Vec<String>,
    #[serde(default)]
    never: Vec<String>,
    #[serde(default)]
    begins: Vec<String>,
    #[serde(default)]
    registry: bool,
    #[serde(default)]
    shared: bool,
    #[serde(default)]
    named: bool,
    #[serde(default)]
    refused: Vec<String>,
    #[serde(default)]
    slots: Vec<String>,
    #[serde(default)]
    grant: Vec<RawRule>,
    #[serde(default)]
    allow: Vec<RawRule>,
    #[serde(default)]
    deny: Vec<RawRule>,
    #[serde(default)]
    conversation: Vec<RawRule>,
    #[serde(default)]
    preset: Vec<RawPreset>,
    login: Option<RawLogin>,
    signing: Option<RawSigning>,
    rotation: Option<RawRotation>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    hosts: Vec<String>,
    #[serde(default)]
    ports: Vec<u16>,
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
    push: Option<WrittenPush>,
    graphql: Option<WrittenGraphQl>,
}

/// Turns the parts of a service's data file into rules. What is wrong with one is said of that service.
struct Compiler<'a> {
    id: &'a str,
}

impl Catalogue {
    /// The catalogue that comes with Standin.
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Catalogue> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            let services = FILES.iter().map(|(id, text)| Service::parse(id, text)).collect::<Result<_, _>>();
            Self(services.expect("a test loads every file that is compiled in"))
        })
    }

    /// The service with this identifier.
    pub fn service(&self, id: &str) -> Option<&Service> {
        self.0.iter().find(|service| service.id == id)
    }

    /// The service whose clients look at this variable, if it is lent because of that.
    pub fn by_env(&self, variable: &str) -> Option<&Service> {
        self.unasked().find(|service| service.env.iter().any(|name| name == variable))
    }

    /// The services that are lent without being named.
    pub fn unasked(&self) -> impl Iterator<Item = &Service> {
        self.0.iter().filter(|service| !service.named)
    }

    /// The service whose credentials begin so: the longest beginning counts, for some vendors' begin as others' do.
    pub fn by_value(&self, value: &[u8]) -> Option<&Service> {
        let begun = |service: &Service| {
            let begins = service.begins.iter().chain(&service.never);
            begins.filter(|begin| value.starts_with(begin.as_bytes())).map(String::len).max()
        };
        self.unasked()
            .filter_map(|service| Some((begun(service)?, service)))
            .max_by_key(|(length, _)| *length)
            .map(|found| found.1)
    }

    /// The service that grants its credential at this host, if it is lent because of that: one that is told, not one that is signed with.
    pub fn by_host(&self, host: &Host) -> Option<&Service> {
        let granted = |service: &&Service| {
            service.signing.is_none()
                && service.grants.iter().any(|grant| grant.rule.hosts.iter().any(|pattern| pattern.matches(host)))
        };
        self.unasked().find(granted)
    }

    /// The services whose requests are signed.
    pub fn signing(&self) -> impl Iterator<Item = (&Service, &Signing)> {
        self.0.iter().filter_map(|service| Some((service, service.signing.as_ref()?)))
    }

    /// The service that this program is an agent of.
    pub fn by_agent(&self, program: &str) -> Option<&Service> {
        self.0.iter().find(|service| service.agents.iter().any(|name| name == program))
    }

    /// The public package registries.
    pub fn registries(&self) -> impl Iterator<Item = &Service> {
        self.0.iter().filter(|service| service.registry)
    }

    /// All of them.
    pub fn services(&self) -> &[Service] {
        &self.0
    }
}

impl Service {
    /// Whether a variable of this name and value holds its credential.
    pub fn is_in(&self, variable: &str, value: &[u8]) -> bool {
        let is = |name: &String| name == variable;
        let begins = || self.begins.iter().any(|begin| value.starts_with(begin.as_bytes()));
        self.env.iter().any(is) || (self.perhaps.iter().any(is) && begins())
    }

    fn parse(id: &str, text: &str) -> Result<Self, CatalogueError> {
        let raw: RawService = toml::from_str(text)
            .map_err(|source| CatalogueError::Toml { id: id.to_owned(), source: Box::new(source) })?;
        let compiler = Compiler { id };
        let slots = raw.slots.iter().map(|slot| compiler.slot(slot)).collect::<Result<Vec<_>, _>>()?;
        let rules = |what: &str, raw: Vec<RawRule>| {
            let several = raw.len() > 1;
            let label = |n: usize| if several { format!("{what}[{}]", n + 1) } else { what.to_owned() };
            raw.into_iter().enumerate().map(|(n, rule)| compiler.rule(rule, &label(n))).collect::<Result<Vec<_>, _>>()
        };
        let lend = |rule| GrantRule { rule, slots: slots.clone(), always: false };
        let grants: Vec<_> = rules("use", raw.grant)?.into_iter().map(lend).collect();
        let login = raw.login.map(|login| login.compile(&compiler, &grants)).transpose()?;
        Ok(Self {
            id: id.to_owned(),
            name: raw.name,
            env: raw.env,
            perhaps: raw.perhaps,
            agents: raw.agents,
            never: raw.never,
            shared: raw.shared,
            named: raw.named,
            refused: compiler.groups(&raw.refused)?,
            begins: raw.begins,
            grants,
            login,
            signing: raw.signing.map(RawSigning::compile),
            rotation: raw.rotation.map(RawRotation::compile),
            allow: rules("public", raw.allow)?,
            deny: rules("deny", raw.deny)?,
            conversations: rules("conversation", raw.conversation)?,
            presets: raw.preset.into_iter().map(|preset| preset.compile(&compiler)).collect::<Result<_, _>>()?,
            registry: raw.registry,
        })
    }
}

impl Compiler<'_> {
    /// A rule, called by the service and what it is for.
    fn rule(&self, raw: RawRule, what: &str) -> Result<RequestRule, CatalogueError> {
        Ok(RequestRule {
            label: format!("{}:{what}", self.id),
            hosts: self.hosts(&raw.hosts)?,
            ports: if raw.ports.is_empty() { Ports::default() } else { Ports::new(raw.ports) },
            methods: if raw.methods.is_empty() { Methods::Any } else { Methods::only(raw.methods) },
            paths: raw.paths.iter().map(|path| PathPattern::compiled_in(path)).collect(),
            conditions: self.conditions([raw.query, raw.headers, raw.form, raw.json], raw.push, raw.graphql)?,
            addresses: AddressBlocks::default(),
        })
    }

    fn hosts(&self, written: &[String]) -> Result<Vec<HostPattern>, CatalogueError> {
        let bad = |source| CatalogueError::Pattern { id: self.id.to_owned(), source };
        written.iter().map(|host| HostPattern::parse(&host.replace("[.]", "."))).collect::<Result<_, _>>().map_err(bad)
    }

    fn conditions(
        &self,
        values: [WrittenValues; 4],
        push: Option<WrittenPush>,
        graphql: Option<WrittenGraphQl>,
    ) -> Result<Vec<Condition>, CatalogueError> {
        let kinds = [PlaceKind::Query, PlaceKind::Header, PlaceKind::Form, PlaceKind::Json];
        let values = kinds.into_iter().zip(values);
        let values = values.map(|(kind, values)| kind.conditions(values));
        let push = push.map(|push| push.condition().map(|push| vec![push]));
        let graphql = graphql.map(|graphql| graphql.condition().map(|graphql| vec![graphql]));
        let all = values.chain(push).chain(graphql).collect::<Result<Vec<_>, _>>();
        let bad = |source| CatalogueError::Condition { id: self.id.to_owned(), source };
        Ok(all.map_err(bad)?.concat())
    }

    fn groups(&self, names: &[String]) -> Result<Vec<DangerGroup>, CatalogueError> {
        let bad = |source| CatalogueError::Group { id: self.id.to_owned(), source };
        names.iter().map(|name| DangerGroup::parse(name)).collect::<Result<_, _>>().map_err(bad)
    }

    fn slot(&self, text: &str) -> Result<Slot, CatalogueError> {
        if text == "sigv4" {
            return Ok(Slot::SigV4);
        }
        Slot::parse(text).map_err(|source| CatalogueError::Slot { id: self.id.to_owned(), source })
    }

    fn pointer(&self, text: &str) -> Result<JsonPointer, CatalogueError> {
        let bad = || CatalogueError::Pointer { id: self.id.to_owned(), pointer: text.to_owned() };
        JsonPointer::parse(text).ok_or_else(bad)
    }
}

#[cfg(test)]
mod operations;
#[cfg(test)]
mod tests;
