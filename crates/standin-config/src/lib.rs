//! The configuration: read in two steps, refused as a whole if anything in it is wrong.
//!
//! First the raw shape (serde, unknown keys refused), then typed values, each error at its line and column with
//! the nearest valid key. Nothing here reads a file by itself or the environment: the binary hands texts in.

mod error;
mod flags;
mod live;
mod parse;

pub use error::ConfigError;
pub use flags::{FlagError, Publish, parse_allow, parse_publish, parse_reach, parse_secret};
pub use live::{NeedsSession, needs_session};
pub use parse::parse;

use serde::Deserialize;
use standin_model::{
    Backend, Bounds, Bypass, DangerGroup, GitGrant, GrantRule, OnLeak, ParentProxy, PostgresGrant, PresetUse,
    RequestRule, SessionCaps, TerminalFeature,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A whole configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The credentials that are lent.
    pub credentials: Vec<Credential>,
    /// What is allowed besides, without a credential.
    pub allow: Vec<RequestRule>,
    /// What is denied, whatever else allows it.
    pub deny: Vec<RequestRule>,
    /// Where what is sent is what a model is told, besides the services that are known for it.
    pub conversations: Vec<RequestRule>,
    /// How much a session may use.
    pub caps: SessionCaps,
    /// The way out of the host.
    pub upstream: Upstream,
    /// How much of the machine the command may use.
    pub limits: Bounds,
    /// Ports of the host's loopback that the sandbox may reach.
    pub reach: Vec<u16>,
    /// What the command may do to the caller's terminal besides showing text.
    pub terminal: Vec<TerminalFeature>,
    /// Files that hold secrets.
    pub files: Files,
    /// What is done when a stand-in is sent where it does not belong, unless its credential says otherwise.
    pub on_leak: OnLeak,
    /// What isolates the command.
    pub backend: Backend,
    /// What is left of services.
    pub presets: Vec<PresetUse>,
    /// What is denied of every service, by what it does.
    pub denied_groups: Vec<DangerGroup>,
    /// What is asked of the policy, and answered as its owner wants it.
    pub tests: Vec<PolicyTest>,
}

/// A request, and the verdict that its owner wants for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTest {
    /// The line of the file in which it stands.
    pub line: usize,
    /// Its method.
    pub method: String,
    /// Its URL.
    pub url: String,
    /// Fields of its head.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Option<String>,
    /// The refs that git pushes in it, in place of a body.
    pub push: Vec<String>,
    /// Whether it is to be allowed.
    pub allowed: bool,
    /// The rule that is to say so.
    pub rule: Option<String>,
    /// What it is to carry, if anything.
    pub credential: Option<String>,
}

/// What is done otherwise than by default with files that hold secrets. Relative paths are relative to the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Shown as they are.
    pub show: Vec<PathBuf>,
    /// Hidden.
    pub hide: Vec<PathBuf>,
}

/// How origins are reached and believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// The proxy behind which the host sits.
    pub proxy: Parent,
    /// The hosts that are reached without it.
    pub no_proxy: Option<Bypass>,
    /// Files of certificates that are believed besides the host's.
    pub roots: Vec<PathBuf>,
}

/// Which proxy the host sits behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Parent {
    /// The one that the host's environment names, if it names one.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// This one, and where the password for its user lives.
    Named(ParentProxy, Option<Source>),
}

/// One credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// What it is called.
    pub name: String,
    /// The line of the file in which it begins, if it is of a file.
    pub line: Option<usize>,
    /// The service of the catalogue that it belongs to.
    pub service: Option<String>,
    /// Where the real value lives, if there is one beside the client certificate.
    pub source: Option<Source>,
    /// Who we are to the origins of its grants.
    pub client_certificate: Option<ClientCertificate>,
    /// The variables under which the agent sees the stand-in.
    pub env: Vec<String>,
    /// The shape of the stand-in, as a pattern.
    pub like: Option<String>,
    /// When its value is fetched.
    pub fetch: Fetch,
    /// What is done when its stand-in is sent where it does not belong.
    pub on_leak: Option<OnLeak>,
    /// Where it may go.
    pub grants: Vec<GrantRule>,
    /// Where it authenticates over SSH, for git.
    pub git: Vec<GitGrant>,
    /// Where it is the password of a database.
    pub postgres: Vec<PostgresGrant>,
}

/// When a value is fetched from its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fetch {
    /// When a request is about to carry it, where its stand-in can be made without it.
    #[default]
    Use,
    /// Before the session starts, when it may still ask at the terminal.
    Start,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The file of the certificate and its chain, in PEM.
    pub cert: PathBuf,
    /// Where its key lives, in PEM.
    pub key: Source,
}

/// Where a real value lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `env:NAME`
    Env(String),
    /// `file:PATH`, or `file:PATH#NAME`, one value of a file.
    File(PathBuf, Option<String>),
    /// `cmd:COMMAND`, for `/bin/sh -c`
    Command(String),
    /// `cmd#MEMBER:COMMAND`: it prints JSON, perhaps with a time of expiry.
    Document(String, String),
    /// `age:NAME`: a secret that `standin secret set NAME` keeps.
    Safe(String),
    /// `keychain:SERVICE/ACCOUNT`, or `keychain:NAME=VALUE,…`: what names a secret of the desktop's keychain.
    Keychain(Vec<(String, String)>),
    /// `git:URL`, or `git:URL#NAME`: what git's credential helpers hold.
    Git(String, Option<String>),
    /// `op://VAULT/ITEM/FIELD`: 1Password's own reference.
    OnePassword(String),
    /// `bw:ITEM`, or `bw:ITEM#OBJECT`: an item of Bitwarden's.
    Bitwarden(String, Option<String>),
    /// `vault:PATH#FIELD`: a value that HashiCorp Vault or OpenBao keeps or makes.
    Leased(String, String),
    /// `sops:PATH`, or `sops:PATH#MEMBER`: a file that SOPS encrypted.
    Sops(PathBuf, Option<String>),
    /// `ssh-agent:`, or `ssh-agent:SHA256:FINGERPRINT`: all keys of the user's agent, or one. They never leave it.
    SshAgent(Option<String>),
}
