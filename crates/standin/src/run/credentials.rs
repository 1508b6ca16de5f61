//! Which credentials are lent, as what, and to whom: from the configuration ([`configured`]), from the environment, from
//! logins ([`gh`]). What is left of that, by [`presets`] and [`dangers`].

mod configured;
mod dangers;
mod gh;
mod presets;
mod rules;

pub(super) use rules::{Step, compile, newly_at};

use super::inputs::Inputs;
use super::keeper::Keeper;
use super::logins::{self, Found};
use super::secret_files::{self, Search, SecretFiles};
use super::signing;
use super::sources::Sources;
use super::ssh;
use crate::exit::Failure;
use standin_model::{CredentialName, Host, TokenKind};
use standin_net::Identity;
use standin_policy::Policy;
use standin_policy::catalogue::{Catalogue, Service};
use standin_sandbox::InlineFile;
use standin_secret::{Secret, StandIn};
use standin_secretfiles::shape::{last_part, looks_like_secret};
use standin_secretfiles::{Entry, Writing};
use standin_ssh::Ssh;
use standin_vault::key::StandInKey;
use standin_vault::login::{self, Minter};
use standin_vault::{Credential, SessionVault, SigningKey, mint};
use standin_workspace::printable;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a session lends.
pub(crate) struct Lent {
    pub(crate) policy: Policy,
    /// What of it was found here, and not configured.
    pub(super) found: Vec<Step>,
    pub(crate) vault: SessionVault,
    /// The variables under which the command sees stand-ins.
    pub(crate) variables: BTreeMap<String, StandIn>,
    /// The client certificates.
    pub(crate) identities: HashMap<CredentialName, Identity>,
    /// The SSH keys, if any.
    pub(crate) ssh: Option<Ssh>,
    /// Files with stand-ins in them.
    pub(super) files: SecretFiles,
    /// Files in which the command sees its login, or keys.
    pub(super) login_files: Vec<InlineFile>,
    /// The profile of the keys in those files.
    pub(super) aws_profile: Option<String>,
    /// Keeps the logins that are lent.
    pub(crate) keeper: Arc<Keeper>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
}

/// Whether sources are asked for values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Fetched,
    /// What is granted is all that counts.
    Left,
}

struct Gathering<'a> {
    inputs: &'a Inputs,
    values: Values,
    key: Arc<StandInKey>,
    minter: Minter,
    logins: Vec<Found>,
    found: Vec<Step>,
    credentials: Vec<Credential>,
    sources: Sources,
    variables: BTreeMap<String, StandIn>,
    services: BTreeSet<String>,
    /// Those for which a credential is lent.
    lent_services: BTreeSet<String>,
    identities: HashMap<CredentialName, Identity>,
    ssh: HashMap<CredentialName, standin_ssh::identity::Identity>,
    signing: Vec<SigningKey>,
    key_files: Vec<InlineFile>,
    aws_profile: Option<String>,
    notes: Vec<String>,
}

/// Gathers credentials, mints their stand-ins, compiles the policy.
pub(crate) fn gather(inputs: &Inputs, search: Search) -> Result<Lent, Failure> {
    gathered(inputs, search, Values::Fetched)
}

/// The policy that [`gather`] would compile, without asking a source for anything.
pub(crate) fn policy(inputs: &Inputs) -> Result<Policy, Failure> {
    Ok(gathered(inputs, Search::begin(inputs)?, Values::Left)?.policy)
}

fn gathered(inputs: &Inputs, search: Search, values: Values) -> Result<Lent, Failure> {
    let key = StandInKey::load_or_create(&inputs.state).map_err(|e| Failure::because("cannot make stand-ins", &e))?;
    let key = Arc::new(key);
    let mut gathering = Gathering {
        inputs,
        values,
        minter: Minter::new(Arc::clone(&key), inputs.workspace.clone()),
        key,
        logins: Vec::new(),
        found: Vec::new(),
        credentials: Vec::new(),
        sources: Sources::default(),
        variables: BTreeMap::new(),
        services: BTreeSet::new(),
        lent_services: BTreeSet::new(),
        identities: HashMap::new(),
        ssh: HashMap::new(),
        signing: Vec::new(),
        key_files: Vec::new(),
        aws_profile: None,
        notes: Vec::new(),
    };
    for credential in &inputs.config.credentials {
        gathering.configured(credential)?;
    }
    gathering.known_in_environment();
    gathering.signing_keys()?;
    logins::keep_out_of_sight(inputs)?;
    for service in logins::wanted(inputs)? {
        gathering.login(service)?;
    }
    gathering.gh()?;
    // After all else: what stands in a file and is lent already has its stand-in.
    let files = gathering.in_files(search)?;
    gathering.own_service();
    gathering.note_dropped();
    let policy = compile(&inputs.config, &gathering.found)?;
    let ssh = ssh::session(inputs, std::mem::take(&mut gathering.ssh))?;
    let Gathering { minter, mut logins, found, credentials, variables, identities, mut notes, .. } = gathering;
    let mut login_files = gathering.key_files;
    login_files.extend(logins.iter_mut().flat_map(|found| std::mem::take(&mut found.files)));
    let keeper = Arc::new(Keeper::new(minter, logins));
    let vault = SessionVault::new(credentials).signing_with(gathering.signing);
    let databases = inputs.config.credentials.iter().filter(|credential| !credential.postgres.is_empty());
    let vault = vault.elsewhere(databases.map(|credential| CredentialName::new(credential.name.as_str())).collect());
    let aws_profile = gathering.aws_profile;
    if !standin_secret::all_locked() {
        notes.push(
            "some secrets may be swapped out: the system bounds what may be locked in memory (`ulimit -l`)".to_owned(),
        );
    }
    Ok(Lent { policy, found, vault, variables, identities, ssh, files, login_files, aws_profile, keeper, notes })
}

impl Gathering<'_> {
    /// Credentials that the catalogue knows by the name of their variable, and by their shape where the name says too little.
    fn known_in_environment(&mut self) {
        for service in Catalogue::builtin().unasked() {
            for variable in service.env.iter().chain(&service.perhaps) {
                let value = self.inputs.value(variable).filter(|value| !value.is_empty());
                let Some(value) = value.filter(|value| service.is_in(variable, value)) else { continue };
                if self.variables.contains_key(variable) || self.inputs.pass.contains(variable) {
                    continue;
                }
                if let Some(administered) = Catalogue::builtin().administered(&value, &[]) {
                    self.notes.push(format!("{variable} administers {}, so it is not lent", administered.name));
                    continue;
                }
                let secret = Secret::new(value.trim_ascii().to_vec());
                let name = self.free_name(service, variable);
                let stand_in = mint::like_secret(&self.key, &self.inputs.workspace, &name, &secret);
                self.grant_service(service, &name);
                self.notes
                    .push(format!("{variable} is a stand-in inside; the real one goes to {} only", hosts(service)));
                self.lend(Credential::held(name, stand_in, Arc::new(secret)), vec![variable.clone()]);
            }
        }
    }

    /// Keys that requests are signed with. None of their parts goes anywhere as it is.
    fn signing_keys(&mut self) -> Result<(), Failure> {
        for (service, signing) in Catalogue::builtin().signing() {
            let Some(found) = signing::find(self.inputs, signing)? else { continue };
            let name = self.free_name(service, &signing.secret);
            let part = |part: &str| CredentialName::new(format!("{name}:{part}"));
            let mint = |name: &CredentialName, secret: &Secret| {
                mint::like_secret(&self.key, &self.inputs.workspace, name, secret)
            };
            let parts =
                [(part("id"), Some(found.id)), (name.clone(), Some(found.secret)), (part("token"), found.token)];
            let stand_ins = parts.each_ref().map(|(name, value)| value.as_ref().map(|value| mint(name, value)));
            let token = stand_ins[2].is_some().then(|| part("token"));
            self.signing.push(SigningKey { secret: name.clone(), id: part("id"), token });
            self.grant_service(service, &name);
            let of = match &found.profile {
                None => signing.id.clone(),
                Some(profile) => format!("the key of the profile `{profile}`"),
            };
            self.notes.push(format!(
                "{of} is a stand-in inside; requests to {} are signed anew with the real one",
                service.name
            ));
            let shown = stand_ins.each_ref().map(|stand_in| stand_in.as_ref().map(StandIn::as_str));
            if let ([Some(id), Some(secret), token], Some(profile)) = (shown, &found.profile) {
                self.key_files.extend(signing::files(self.inputs, profile, id, secret, token));
            }
            let variables = [&signing.id, &signing.secret, &signing.token];
            for (((name, value), stand_in), variable) in parts.into_iter().zip(stand_ins).zip(variables) {
                let (Some(value), Some(stand_in)) = (value, stand_in) else { continue };
                let variables = if found.profile.is_none() { vec![variable.clone()] } else { Vec::new() };
                self.lend(Credential::held(name, stand_in, Arc::new(value)), variables);
            }
            self.aws_profile = found.profile;
        }
        Ok(())
    }

    /// Secrets in files: what is lent already has its stand-in, what the catalogue knows is lent, all else gets a stand-in that
    /// is good nowhere.
    fn in_files(&mut self, search: Search) -> Result<SecretFiles, Failure> {
        let inputs = self.inputs;
        // Whoever made the repository, or an earlier session, may have put a key of its own there. Where the user's is lent it stays the
        // only one.
        let own = self.lent_services.clone();
        let mut unknown = Vec::new();
        // What is not looked for elsewhere still has one stand-in in all files.
        let mut written: Vec<(Zeroizing<Vec<u8>>, String)> = Vec::new();
        let files = secret_files::gather(inputs, search, |path, entry| {
            let known = self.credentials.iter().find(|known| known.secret.expose() == entry.value.as_slice());
            if let Some(known) = known {
                return Ok(known.stand_in.as_str().to_owned());
            }
            if let Some((_, text)) = written.iter().find(|(value, _)| *value == entry.value) {
                return Ok(text.clone());
            }
            let place = Place::of(path, inputs);
            if let Some(service) = service_of(entry) {
                if let Some(administered) = Catalogue::builtin().administered(&entry.value, &[]) {
                    self.notes.push(format!(
                        "{} administers {}, so it is not lent",
                        place.of_entry(entry),
                        administered.name
                    ));
                } else if own.contains(&service.id) {
                    let (place, service) = (place.of_entry(entry), &service.name);
                    self.notes.push(format!("{place} is not your own credential for {service}, so it is not lent"));
                } else {
                    return Ok(self.known_in_file(service, &place, entry));
                }
            } else {
                unknown.push((place.of_entry(entry), entry.writing == Writing::Percent));
            }
            let text = self.unknown_in_file(&place, entry);
            written.push((entry.value.clone(), text.clone()));
            Ok(text)
        })?;
        self.note_files(&files, &unknown);
        Ok(files)
    }

    /// Lends a credential that the catalogue knows.
    fn known_in_file(&mut self, service: &'static Service, place: &Place, entry: &Entry) -> String {
        let name = self.free_name(service, &place.of_entry(entry));
        let secret = Secret::new(entry.value.to_vec());
        let stand_in = mint::like_secret(&self.key, &self.inputs.workspace, &name, &secret);
        self.grant_service(service, &name);
        let (place, hosts) = (place.of_entry(entry), hosts(service));
        self.notes.push(format!("{place} is a stand-in inside; the real one goes to {hosts} only"));
        let text = stand_in.as_str().to_owned();
        self.lend(Credential::held(name, stand_in, Arc::new(secret)), Vec::new());
        text
    }

    /// A stand-in that is good nowhere. What has one of its own length is looked for in answers, and so is the stand-in in
    /// requests; a shorter one would be found in other words.
    fn unknown_in_file(&mut self, place: &Place, entry: &Entry) -> String {
        let name = place.of_entry(entry);
        // A file may have several of one name.
        let same = self.credentials.iter().filter(|known| known.name.as_str().starts_with(&name)).count();
        let name = CredentialName::new(if same == 0 { name } else { format!("{name}:{}", same + 1) });
        let stand_in = mint::like_secret(&self.key, &self.inputs.workspace, &name, &plain_shape(&entry.value));
        let text = stand_in.as_str().to_owned();
        if text.len() == entry.value.len() && text.len() <= MAX_LOOKED_FOR {
            let secret = Arc::new(Secret::copy_of(&entry.value));
            self.lend(Credential::held(name, stand_in, secret), Vec::new());
        }
        text
    }

    fn note_files(&mut self, files: &SecretFiles, unknown: &[(String, bool)]) {
        let relative = |path: &PathBuf| Place::of(path, self.inputs).0;
        if !files.rewritten.is_empty() {
            let list: Vec<_> =
                files.rewritten.iter().map(|(path, count)| format!("{} ({count})", relative(path))).collect();
            self.notes.push(format!("secrets in files are stand-ins inside: {}", listed(&list)));
        }
        if !files.sockets.is_empty() {
            let list: Vec<_> = files.sockets.iter().map(relative).collect();
            let first = quoted(&list[0]);
            self.notes
                .push(format!("sockets that do not answer inside: {}; show one with --show {first}", listed(&list)));
        }
        if !files.hidden.is_empty() {
            let list: Vec<_> = files.hidden.iter().map(relative).collect();
            let first = quoted(&list[0]);
            self.notes.push(format!("hidden inside: {}; show one with --show {first}", listed(&list)));
        }
        if let Some((first, in_url)) = unknown.first() {
            let list: Vec<_> = unknown.iter().map(|(place, _)| place.clone()).collect();
            let name = first.rsplit(['#', '/', '.']).next().unwrap_or("NAME");
            let mut variable: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            // The variable of that name holds the URL.
            variable.push_str(if *in_url { "_PASSWORD" } else { "" });
            let lend = quoted(&format!("{variable}=file:{first}@HOST"));
            self.notes.push(format!("of them good nowhere: {}; lend one with --secret {lend}", listed(&list)));
        }
    }

    /// A login that the service's agent keeps, or that is made inside.
    fn login(&mut self, service: &'static Service) -> Result<(), Failure> {
        let Some(spec) = Catalogue::builtin().service(&service.id).and_then(|service| service.login.as_ref()) else {
            return Ok(());
        };
        let (found, note) = logins::find(self.inputs, spec, &self.minter)?;
        self.notes.extend(note);
        // Where nobody has logged in somebody may do so inside.
        let meant = |kind| found.held.is_empty() || found.held.get(kind).is_some();
        for token in spec.form.tokens.iter().filter(|token| meant(token.kind)) {
            for grant in &token.grants {
                self.found.push(Step::Grant(login::name(spec, token.kind), grant.clone()));
            }
        }
        let credentials = self.minter.credentials(spec, &found.held);
        if let Some(key) = found.held.get(TokenKind::Key) {
            refuse_admin(&login::name(spec, TokenKind::Key), key)?;
        }
        if credentials.is_empty() {
            self.without_credential(service);
        } else {
            self.is_used(service, true);
            self.found.push(Step::Rules(service));
        }
        self.credentials.extend(credentials);
        self.logins.push(found);
        Ok(())
    }

    /// What an agent is an agent of can be reached even if no credential for it is lent.
    fn own_service(&mut self) {
        let program = self.inputs.program.file_name().unwrap_or_default().to_string_lossy();
        if let Some(service) = Catalogue::builtin().by_agent(&program) {
            self.without_credential(service);
        }
    }

    /// A service that is meant to be used, unless a credential for it is lent already.
    fn without_credential(&mut self, service: &'static Service) {
        if self.services.contains(&service.id) {
            return;
        }
        self.is_used(service, false);
        self.found.push(Step::Reserve(service));
        let log_in = if service.login.is_some() { "log in, " } else { "" };
        self.notes.push(format!(
            "there is no credential for {}: {log_in}set one of {}, or name its source in the configuration",
            service.name,
            service.env.join(", ")
        ));
    }

    fn grant_service(&mut self, service: &'static Service, name: &CredentialName) {
        self.is_used(service, true);
        self.found.push(Step::Service(service, name.clone()));
    }

    /// A service is used, and a credential for it lent or not.
    fn is_used(&mut self, service: &Service, lent: bool) {
        self.services.insert(service.id.clone());
        if lent {
            self.lent_services.insert(service.id.clone());
        }
    }

    fn lend(&mut self, credential: Credential, variables: Vec<String>) {
        self.variables.extend(variables.into_iter().map(|variable| (variable, credential.stand_in.clone())));
        self.credentials.push(credential);
    }

    /// The service's name, or with the variable's if that is taken.
    fn free_name(&self, service: &Service, variable: &str) -> CredentialName {
        let taken = self.credentials.iter().any(|c| c.name.as_str() == service.id);
        CredentialName::new(if taken { format!("{}:{variable}", service.id) } else { service.id.clone() })
    }

    fn note_dropped(&mut self) {
        let pass = &self.inputs.pass;
        let dropped: Vec<_> = self
            .inputs
            .environment
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value.to_string_lossy())))
            .filter(|(name, value)| looks_like_secret(name, value))
            .map(|(name, _)| name)
            .filter(|name| !self.variables.contains_key(*name) && !pass.iter().any(|p| p == name))
            .collect();
        if let Some(first) = dropped.first() {
            self.notes.push(format!(
                "left out, since they look like secrets: {}; lend one with --secret {first}=env:{first}@HOST, or pass it \
                 as it is with --env {first}",
                dropped.join(", ")
            ));
        }
    }
}

/// A file, as people call it: relative to the workspace, if it is there. In one line: it is part of what they are told, and of names.
struct Place(String);

impl Place {
    fn of(path: &Path, inputs: &Inputs) -> Self {
        Self(printable::name(path.strip_prefix(&inputs.workspace).unwrap_or(path)))
    }

    /// The selector of a value, as `file:` sources have it.
    fn of_entry(&self, entry: &Entry) -> String {
        format!("{}#{}", self.0, printable::line(entry.name.as_bytes()).0)
    }
}

/// Longest value of a file that is looked for in what comes back, in bytes.
const MAX_LOOKED_FOR: usize = 4096;
/// Most names in a list for people.
const MAX_LISTED: usize = 8;

/// Whose credential a value is: at the host that the file names, by its beginning, by its variable.
fn service_of(entry: &Entry) -> Option<&'static Service> {
    let catalogue = Catalogue::builtin();
    let by_value = catalogue.by_value(&entry.value);
    match &entry.host {
        Some(host) => {
            let by_host = Host::parse(host).ok().and_then(|host| catalogue.by_host(&host))?;
            by_value.is_none_or(|service| service.id == by_host.id).then_some(by_host)
        }
        None => by_value.or_else(|| catalogue.by_env(last_part(&entry.name))),
    }
}

/// A value of the same shape without what files and URLs would escape, for its stand-in to be the same in all of them.
fn plain_shape(value: &[u8]) -> Secret {
    let plain = |byte: &u8| match byte {
        b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' => *byte,
        byte if byte.is_ascii_alphanumeric() || !byte.is_ascii_graphic() => *byte,
        _ => b'_',
    };
    Secret::new(value.iter().map(plain).collect())
}

/// A list for people, which does not grow without end.
fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(MAX_LISTED);
    let some = names.iter().take(MAX_LISTED).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { some } else { format!("{some} and {more} more") }
}

/// A word as a shell takes it, for it is there to be copied.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn refuse_admin(name: &CredentialName, secret: &Secret) -> Result<(), Failure> {
    match Catalogue::builtin().administered(secret.expose(), &[]) {
        Some(service) => Err(refused_admin(service, name)),
        None => Ok(()),
    }
}

fn refused_admin(service: &Service, name: &CredentialName) -> Failure {
    let what = format!(
        "the credential `{name}` administers {}, and is lent only by rules that name what it is for",
        service.name
    );
    Failure::new(what).hint(
        "make a key for this work alone; or leave `service` out, and give each of its grants `methods` and `paths` (no `**`, more words than `*`)",
    )
}

fn hosts(service: &Service) -> String {
    let hosts = service.grants.iter().flat_map(|grant| &grant.rule.hosts).map(ToString::to_string);
    hosts.collect::<Vec<_>>().join(", ")
}
