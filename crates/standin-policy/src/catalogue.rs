//! The services Standin knows: under which variables their credentials come, where they are good, what is refused.
//!
//! One data file a service, in `catalogue/`. Hosts are written defanged (`example[.]org`) and restored here.

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
    AddressBlocks, GrantRule, Host, HostPattern, JsonPointer, Login, Methods, PathPattern, PatternError, Ports,
    RequestRule, Slot, SlotError,
};
use std::sync::OnceLock;

macro_rules! files {
    ($($id:literal),+ $(,)?) => { &[$(($id, include_str!(concat!("../catalogue/", $id, ".toml")))),+] };
}

/// The data files.
const FILES: &[(&str, &str)] = files![
    "anthropic",
    "aws",
    "crates-io",
    "debian",
    "deepseek",
    "gemini",
    "github",
    "gitlab",
    "go",
    "groq",
    "huggingface",
    "maven",
    "mistral",
    "npm",
    "openai",
    "openrouter",
    "pypi",
    "rubygems",
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
    /// Beginnings of credentials that are never lent: those that administer an organisation.
    pub never: Vec<String>,
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

    /// The service whose clients look at this variable.
    pub fn by_env(&self, variable: &str) -> Option<&Service> {
        self.0.iter().find(|service| service.env.iter().any(|name| name == variable))
    }

    /// The service whose credentials begin so: the longest beginning counts, for some vendors' begin as others' do.
    pub fn by_value(&self, value: &[u8]) -> Option<&Service> {
        let begun = |service: &Service| {
            let begins = service.begins.iter().chain(&service.never);
            begins.filter(|begin| value.starts_with(begin.as_bytes())).map(String::len).max()
        };
        self.0
            .iter()
            .filter_map(|service| Some((begun(service)?, service)))
            .max_by_key(|(length, _)| *length)
            .map(|found| found.1)
    }

    /// The service that grants its credential at this host: one that is told, not one that is signed with.
    pub fn by_host(&self, host: &Host) -> Option<&Service> {
        let granted = |service: &&Service| {
            service.signing.is_none()
                && service.grants.iter().any(|grant| grant.rule.hosts.iter().any(|pattern| pattern.matches(host)))
        };
        self.0.iter().find(granted)
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

    /// Whether this value may be lent at all.
    pub fn lends(&self, value: &[u8]) -> bool {
        !self.never.iter().any(|prefix| value.starts_with(prefix.as_bytes()))
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
        let bad = |source| CatalogueError::Pattern { id: self.id.to_owned(), source };
        let hosts = raw.hosts.iter().map(|host| HostPattern::parse(&host.replace("[.]", ".")));
        Ok(RequestRule {
            label: format!("{}:{what}", self.id),
            hosts: hosts.collect::<Result<_, _>>().map_err(bad)?,
            ports: if raw.ports.is_empty() { Ports::default() } else { Ports::new(raw.ports) },
            methods: if raw.methods.is_empty() { Methods::Any } else { Methods::only(raw.methods) },
            paths: raw.paths.iter().map(|path| PathPattern::compiled_in(path)).collect(),
            addresses: AddressBlocks::default(),
        })
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
mod tests {
    use super::*;
    use standin_model::{Spellings, TokenKind};
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
                deny.iter().any(|rule| rule.denies_request(&host, 443, method, &path))
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
            assert!(!deny.iter().any(|rule| rule.denies_request(&host, 443, method, &path)), "{}", path.written());
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
            rules.any(|rule| rule.admits_request(&host, 443, "POST", path))
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
            assert_eq!(go.allow[0].admits_request(&host, 443, "GET", path), allowed, "{path}");
        }
    }
}
