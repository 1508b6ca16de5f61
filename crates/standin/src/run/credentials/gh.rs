//! gh's login: a token for each host that gh keeps in a file, or in the desktop's keyring.
//!
//! It is lent where gh itself is run, or where it is asked for: what it is good for is all that its owner may do at GitHub, so no agent
//! has it for being an agent. Lent is the account that gh uses at github.com. What the file has besides (other accounts, other hosts) is
//! good nowhere, but where a grant of the user's is for that host.

use super::super::inputs::Inputs;
use super::super::{logins, view};
use super::{Gathering, hosts, refuse_admin};
use crate::exit::Failure;
use standin_config::{Credential as Configured, Fetch, Source};
use standin_model::{CredentialName, Host};
use standin_policy::catalogue::{Catalogue, Service};
use standin_sandbox::InlineFile;
use standin_secret::Secret;
use standin_secretfiles::Entry;
use standin_vault::login::hosts::{Account, Hosts};
use standin_vault::login::store;
use standin_vault::{Credential, mint};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The client, as `--login` names it.
const GH: &str = "gh";
/// Its service.
const SERVICE: &str = "github";
/// The host whose accounts are the service's.
const HOST: &str = "github.com";
/// Where it keeps its settings, in the home.
const DIRECTORY: &str = ".config/gh";
/// What it writes when it has written an account as its newer versions have it: without that they write it anew.
const VERSION: &str = "version:";
/// What `gh auth setup-git` writes: git asks gh for the password.
const HELPER: &str = "[credential \"https://github.com\"]\n\thelper =\n\thelper = !gh auth git-credential\n";

impl Gathering<'_> {
    /// gh's login, where it is wanted.
    pub(super) fn gh(&mut self) -> Result<(), Failure> {
        let inputs = self.inputs;
        let Some(service) = Catalogue::builtin().service(SERVICE) else { return Ok(()) };
        // gh goes by a variable before it looks at its file.
        let has_variable = |name: &String| self.variables.contains_key(name) || inputs.pass.contains(name);
        if service.env.iter().any(has_variable) {
            return Ok(());
        }
        let path = file_of(inputs);
        if !is_wanted(inputs) {
            self.note_gh(&path);
            return Ok(());
        }
        if view::is_steered(&path, inputs) {
            let path = path.display();
            return Err(Failure::new(format!("gh's login in {path} cannot be lent: the sandbox may write there"))
                .hint("--login none lends no login"));
        }
        let cannot = |error: &(dyn std::error::Error + 'static)| {
            Failure::because(format!("gh's login in {} cannot be lent", path.display()), error)
                .hint("--login none lends no login")
        };
        let contents = store::read(&path).map_err(|error| cannot(&error))?;
        let contents = contents.unwrap_or_default();
        let logins = Hosts::read(&contents).map_err(|error| cannot(&error))?;
        let mut stand_ins = BTreeMap::new();
        for account in logins.accounts() {
            let stand_in = match account.host.as_str() {
                HOST => Some(self.github_account(service, account)?),
                host => self.granted_at(host),
            };
            if let Some(stand_in) = stand_in {
                stand_ins.insert(account.host.clone(), stand_in);
            } else {
                let host = &account.host;
                self.notes.push(format!(
                    "gh's login at {host} is good nowhere; lend it with --secret 'GH_ENTERPRISE_TOKEN=cmd:gh auth token --hostname {host}@{host}'"
                ));
            }
        }
        if !stand_ins.contains_key(HOST) {
            self.without_credential(service);
        }
        if !stand_ins.is_empty() {
            let shown =
                logins.shown(&contents, |host| stand_ins.get(host).map(String::as_str), |place| self.nowhere(place));
            self.key_files.extend(files(inputs, &path, shown));
        }
        Ok(())
    }

    /// Lends the account that gh uses at github.com; its stand-in.
    fn github_account(&mut self, service: &'static Service, account: &Account) -> Result<String, Failure> {
        let name = self.free_name(service, GH);
        let credential = if let Some(token) = &account.token {
            refuse_admin(&name, token)?;
            let stand_in = mint::like_secret(&self.key, &self.inputs.workspace, &name, token);
            Credential::held(name.clone(), stand_in, Arc::new(Secret::copy_of(token.expose())))
        } else {
            let source = Source::Command(format!("gh auth token --hostname {HOST}"));
            let mend = "gh keeps this login in the desktop's keyring; unlock that, or --login none lends no login";
            self.sourced(&source, &from_keyring(&name, &source), &name).map_err(|failure| failure.hint(mend))?
        };
        self.grant_service(service, &name);
        let stand_in = credential.stand_in.as_str().to_owned();
        self.notes.push(format!("gh's login is a stand-in inside; the real one goes to {} only", hosts(service)));
        self.lend(credential, Vec::new());
        Ok(stand_in)
    }

    /// The stand-in of the credential that the user grants at this host, if there is one.
    fn granted_at(&self, host: &str) -> Option<String> {
        let host = Host::parse(host).ok()?;
        let is_for_it = |configured: &&Configured| {
            let mut patterns = configured.grants.iter().flat_map(|grant| &grant.rule.hosts);
            configured.source.is_some() && patterns.any(|pattern| pattern.matches(&host))
        };
        let configured = self.inputs.config.credentials.iter().find(is_for_it)?;
        let lent = self.credentials.iter().find(|lent| lent.name.as_str() == configured.name)?;
        Some(lent.stand_in.as_str().to_owned())
    }

    /// What stands in the place of a secret that is not lent. It is not known to the proxy: a program that tries all accounts
    /// (`gh auth status`) is refused, and nobody is alarmed.
    fn nowhere(&self, place: &Entry) -> String {
        if let Some(known) = self.credentials.iter().find(|known| known.secret.expose() == place.value.as_slice()) {
            return known.stand_in.as_str().to_owned();
        }
        let name = CredentialName::new(format!("{SERVICE}:{GH}:{}", place.name));
        let value = Secret::copy_of(&place.value);
        mint::like_secret(&self.key, &self.inputs.workspace, &name, &value).as_str().to_owned()
    }

    /// Agents use gh, and git with it: says how that is lent.
    fn note_gh(&mut self, path: &Path) {
        let is_none = self.inputs.logins.iter().any(|name| name == logins::NONE);
        let program = self.inputs.program.file_name().unwrap_or_default().to_string_lossy();
        let is_agent = Catalogue::builtin().by_agent(&program).is_some();
        if is_agent && !is_none && !self.lent_services.contains(SERVICE) && path.exists() {
            self.notes.push("gh's login is not lent; --login gh lends it, for gh and for git at GitHub".to_owned());
        }
    }
}

/// Whether gh is run, or its login was asked for.
fn is_wanted(inputs: &Inputs) -> bool {
    let named = |name: &str| inputs.logins.iter().any(|login| login == name);
    let is_run = inputs.program.file_name().is_some_and(|name| name == GH);
    !named(logins::NONE) && (is_run || named(GH) || named(SERVICE))
}

/// gh's file on the host.
fn file_of(inputs: &Inputs) -> PathBuf {
    let named = |name: &str| inputs.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let directory = named("GH_CONFIG_DIR").or_else(|| Some(named("XDG_CONFIG_HOME")?.join(GH)));
    directory.unwrap_or_else(|| inputs.home.join(DIRECTORY)).join("hosts.yml")
}

/// What is put into the home inside: gh's file, and that git asks gh. Not where the host's own is shown: there it has stand-ins in it.
fn files(inputs: &Inputs, path: &Path, shown: Vec<u8>) -> Vec<InlineFile> {
    let mut files = vec![("gh/hosts.yml", shown), ("git/config", HELPER.into())];
    let settings = store::read(&path.with_file_name("config.yml")).ok().flatten().unwrap_or_default();
    let version = settings.split_inclusive(|byte| *byte == b'\n').find(|line| line.starts_with(VERSION.as_bytes()));
    files.extend(version.map(|line| ("gh/config.yml", line.to_vec())));
    let files = files.into_iter().map(|(name, contents)| (inputs.home.join(".config").join(name), contents));
    let is_shown = |path: &Path| inputs.writable.iter().chain(&inputs.read_only).any(|shown| path.starts_with(shown));
    files.filter(|(path, _)| !is_shown(path)).map(|(path, contents)| InlineFile { path, contents }).collect()
}

/// The credential that gh hands out on the host.
fn from_keyring(name: &CredentialName, source: &Source) -> Configured {
    Configured {
        name: name.as_str().to_owned(),
        service: Some(SERVICE.to_owned()),
        source: Some(source.clone()),
        client_certificate: None,
        env: Vec::new(),
        like: None,
        fetch: Fetch::Use,
        on_leak: None,
        line: None,
        grants: Vec::new(),
        git: Vec::new(),
        postgres: Vec::new(),
    }
}
