//! Logins that agents keep in the home: which are lent, where they are, and what the agent sees of them.

use super::inputs::Inputs;
use super::view;
use crate::exit::Failure;
use standin_model::{Login, StateFile, TokenKind};
use standin_policy::catalogue::{Catalogue, Service};
use standin_sandbox::InlineFile;
use standin_sandbox::plan::SYSTEM;
use standin_vault::login::form;
use standin_vault::login::store::{self, Store};
use standin_vault::login::{Minter, Tokens};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Lends no login.
pub(super) const NONE: &str = "none";

/// A login, or the place for one.
pub(super) struct Found {
    pub(super) spec: &'static Login,
    /// The client's file on the host.
    pub(super) clients: Store,
    /// Ours, for a login that was made inside.
    pub(super) own: Store,
    /// Whether ours is the one that is lent.
    pub(super) made_inside: bool,
    /// What is lent; nothing if nobody has logged in.
    pub(super) held: Tokens,
    /// What the agent sees of it.
    pub(super) files: Vec<InlineFile>,
}

/// The services whose logins are lent: that of the agent that is run, and those that were named.
pub(super) fn wanted(inputs: &Inputs) -> Result<Vec<&'static Service>, Failure> {
    if inputs.logins.iter().any(|name| name == NONE) {
        return Ok(Vec::new());
    }
    let catalogue = Catalogue::builtin();
    let program = inputs.program.file_name().unwrap_or_default().to_string_lossy();
    let mut wanted: Vec<&Service> = catalogue.by_agent(&program).into_iter().collect();
    for name in &inputs.logins {
        let service = catalogue.by_agent(name).or_else(|| catalogue.service(name));
        let service = service.filter(|service| !service.agents.is_empty()).ok_or_else(|| {
            let known: Vec<_> =
                catalogue.services().iter().flat_map(|service| &service.agents).map(String::as_str).collect();
            Failure::new(format!("there is no agent `{name}` whose login is known"))
                .hint(format!("known: {}", known.join(", ")))
        })?;
        if wanted.iter().all(|known| known.id != service.id) {
            wanted.push(service);
        }
    }
    wanted.retain(|service| service.login.is_some());
    Ok(wanted)
}

/// The real files must not be seen, and what is shown instead of them must not be written over them: neither lies in what
/// the sandbox is shown of the host, where tools lie among it.
pub(super) fn keep_out_of_sight(inputs: &Inputs) -> Result<(), Failure> {
    let asked_for = inputs.asked_for().chain(view::tools(inputs)).map(|path| (path.as_path(), false));
    let shown: Vec<_> = asked_for.chain(SYSTEM.iter().map(|path| (Path::new(path), true))).collect();
    for service in Catalogue::builtin().services() {
        let Some(login) = &service.login else { continue };
        let directory = inputs.home.join(&login.directory);
        for path in [file_of(inputs, login), directory.join(&login.file)] {
            let Ok(real) = path.canonicalize() else { continue }; // what is not there is not seen
            let holds = |shown: &Path| real.starts_with(shown) || path.starts_with(shown);
            // A home within the system is hidden all the same; one that was asked for is not.
            let hidden = |shown: &Path| real.starts_with(&inputs.real_home) && inputs.real_home.starts_with(shown);
            let seen = |(shown, is_system): &&(&Path, bool)| holds(shown) && !(*is_system && hidden(shown));
            if let Some((holder, _)) = shown.iter().find(seen) {
                let (holder, path, client) = (holder.display(), path.display(), &login.client);
                let agent = service.agents.first().unwrap_or(&service.id);
                return Err(Failure::new(format!(
                    "{holder} holds {path}, {client}'s login, which the sandbox must not see"
                ))
                .hint(format!("--login {agent} lends it as a stand-in")));
            }
        }
    }
    Ok(())
}

/// Reads a login, and what is to be said of it.
pub(super) fn find(inputs: &Inputs, spec: &'static Login, minter: &Minter) -> Result<(Found, Option<String>), Failure> {
    let logins = inputs.state.join("logins");
    let file = file_of(inputs, spec);
    let lock = logins.join(format!("{}.lock", spec.id));
    let clients_lock = spec.lock.as_ref().zip(file.parent()).map(|(name, directory)| directory.join(name));
    let clients = Store { file, lock: lock.clone(), clients_lock };
    let own = Store { file: logins.join(format!("{}.json", spec.id)), lock, clients_lock: None };
    let mut found = Found { spec, clients, own, made_inside: false, held: Tokens::default(), files: Vec::new() };
    let client = &spec.client;
    // What was changed last: a login that was made on the host after one inside, or ours where the client's cannot be written.
    let mut places = [(false, found.clients.clone()), (true, found.own.clone())];
    places.sort_by_key(|(_, store)| std::cmp::Reverse(modified(&store.file)));
    for (made_inside, store) in places {
        let path = store.file.display();
        let cannot = |error: &(dyn std::error::Error + 'static)| {
            Failure::because(format!("{client}'s login in {path} cannot be lent"), error)
                .hint("--login none lends no login")
        };
        let Some(contents) = store.read().map_err(|error| cannot(&error))? else { continue };
        let held = form::tokens(&spec.form, &contents).map_err(|error| cannot(&error))?;
        if held.is_empty() {
            continue;
        }
        let shown = form::stand_in(spec, &contents, &held, minter).map_err(|error| cannot(&error))?;
        let path_inside = inputs.home.join(&spec.directory).join(&spec.file);
        found.files.push(InlineFile { path: path_inside, contents: shown });
        for state in &spec.state {
            found.files.extend(state_file(inputs, spec, state));
        }
        let note = note(spec, &held, made_inside, &store.file);
        (found.made_inside, found.held) = (made_inside, held);
        return Ok((found, Some(note)));
    }
    Ok((found, None))
}

fn note(spec: &Login, held: &Tokens, made_inside: bool, file: &Path) -> String {
    let granted = |kind: TokenKind| held.get(kind).is_some();
    let grants = spec.form.tokens.iter().filter(|token| granted(token.kind)).flat_map(|token| &token.grants);
    let mut hosts: Vec<String> = grants.flat_map(|grant| &grant.rule.hosts).map(ToString::to_string).collect();
    hosts.sort();
    hosts.dedup();
    let (client, hosts) = (&spec.client, hosts.join(", "));
    let which =
        if made_inside { format!(", made inside earlier ({} to forget)", file.display()) } else { String::new() };
    format!("{client}'s login{which} is a stand-in inside; the real one goes to {hosts} only")
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|found| found.modified()).ok()
}

/// What the agent sees of a file beside its login. Without it, or if it cannot be read, the agent asks more questions. Where the
/// file itself is shown it sees that.
fn state_file(inputs: &Inputs, spec: &Login, state: &StateFile) -> Option<InlineFile> {
    let inside = [&inputs.home, &inputs.real_home].map(|home| home.join(&state.file));
    if inputs.writable.iter().chain(&inputs.read_only).any(|shown| inside.iter().any(|at| at.starts_with(shown))) {
        return None;
    }
    let outside = named_directory(inputs, spec).unwrap_or_else(|| inputs.home.clone()).join(&state.file);
    let contents = store::read(&outside).ok().flatten()?;
    let shown = form::state(state, &contents).ok()?;
    Some(InlineFile { path: inputs.home.join(&state.file), contents: shown })
}

/// The client's file on the host.
fn file_of(inputs: &Inputs, spec: &Login) -> PathBuf {
    named_directory(inputs, spec).unwrap_or_else(|| inputs.home.join(&spec.directory)).join(&spec.file)
}

/// The client's directory, if a variable names it. Inside the variable is not set, and the directory is the usual one.
fn named_directory(inputs: &Inputs, spec: &Login) -> Option<PathBuf> {
    inputs.variable(&spec.variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
