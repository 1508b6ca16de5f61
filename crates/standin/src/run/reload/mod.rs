//! A running session's policy is replaced by what its configuration says now: when its owner asks for it, or with `--watch` whenever the
//! file has changed.
//!
//! [`file`] reads it, as something that the command may have had a hand in; here it is compared with what the session was begun with and put in
//! force, as a whole or not at all; [`door`] is where the owner asks, and [`watch`] what tells of changes.

mod door;
mod file;
mod watch;

pub(crate) use door::ask;

use super::alarm::Owner;
use super::config_file::{ConfigFile, with_typed};
use super::credentials::{self, Step};
use super::inputs::Inputs;
use super::view;
use crate::cli::RunArguments;
use crate::exit::{self, Failure};
use door::Door;
use file::Unread;
use standin_config::{Config, needs_session};
use standin_model::{SessionCaps, SessionId};
use standin_policy::Policy;
use standin_proxy::{ReplaceError, Replacement, Session};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use watch::Watch;

/// What a session's policy can be made anew of.
pub(super) struct Reloading {
    origin: Arc<Origin>,
    watches: bool,
    door: Option<Door>,
}

/// What stays the same.
struct Origin {
    arguments: RunArguments,
    file: ConfigFile,
    home: PathBuf,
    /// What the command may write.
    writable: Vec<PathBuf>,
    /// The configuration that the session was begun with.
    held: Config,
    found: Vec<Step>,
    /// What is in force: the file's hash. Nothing if nothing is allowed, for then the same file is tried again.
    in_force: Mutex<Option<String>>,
    /// Files that somebody could write when they were to be read.
    held_open: Mutex<BTreeSet<file::Identity>>,
}

/// What can take the policy's place.
struct New {
    policy: Policy,
    caps: SessionCaps,
    hash: String,
}

/// What came of it.
pub(super) enum Outcome {
    /// The file is the one that is in force.
    Same,
    /// It is in force.
    Replaced(String),
    /// The policy is the one that it was. In one line, and in full.
    Kept(String, String),
    /// Nothing is allowed any more.
    Nothing(String),
}

/// Why the policy stays as it is.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{}", .0.in_one_line())]
    Config(standin_config::ConfigError),
    #[error("{path}: this needs a new session: {needs}")]
    NeedsSession { path: String, needs: String },
    #[error(transparent)]
    Unread(#[from] Unread),
    #[error("{0}")]
    Other(String),
}

impl Reloading {
    /// For a session that is about to begin. Where nobody can ask, that is said.
    pub(super) fn of(inputs: &Inputs, arguments: &RunArguments, id: &SessionId, found: Vec<Step>) -> Self {
        let door = Door::open(&inputs.state, id);
        if let Err(error) = &door {
            exit::say(&format!("`standin reload` will not reach this session: {error}"));
        }
        let origin = Origin {
            arguments: arguments.clone(),
            file: inputs.file.clone(),
            home: inputs.home.clone(),
            writable: view::writable(inputs),
            held: inputs.config.clone(),
            found,
            in_force: Mutex::new(Some(file::hash(inputs.file.text.as_deref()))),
            held_open: Mutex::default(),
        };
        Self { origin: Arc::new(origin), watches: arguments.watch, door: door.ok() }
    }

    /// Serves whoever asks, one after the other, until it is dropped.
    pub(super) async fn serve(self, session: Arc<Session>, owner: Owner) {
        let Self { origin, watches, mut door } = self;
        let mut watch = match watches.then(|| Watch::begin(origin.file.path.clone())).transpose() {
            Ok(watch) => watch,
            Err(error) => {
                owner.tell(format!("the configuration is not watched: {error}"));
                None
            }
        };
        loop {
            tokio::select! {
                asking = door::next(&mut door) => {
                    let outcome = origin.reload(&session).await;
                    outcome.tell(&owner);
                    asking.answer(&outcome).await;
                }
                change = watch::changed(&mut watch) => {
                    if change.is_some() {
                        origin.reload(&session).await.tell(&owner);
                    } else {
                        owner.tell("the configuration is not watched any more".to_owned());
                        watch = None;
                    }
                }
            }
        }
    }
}

impl Origin {
    async fn reload(self: &Arc<Self>, session: &Arc<Session>) -> Outcome {
        let file = self.file.path.display().to_string();
        let new = match self.read_when_it_can_be().await {
            Ok(None) => return Outcome::Same,
            Ok(Some(new)) => new,
            Err(refused) => return keep(session, &file, &refused).await,
        };
        let before = self.in_force().clone().unwrap_or_else(|| "nothing".to_owned());
        let New { policy, caps, hash } = new;
        let change = format!("{before} -> {hash}");
        let replaced = session.replace(Replacement { policy, caps, file, change }).await;
        match replaced {
            Ok(()) => {
                *self.in_force() = Some(hash);
                Outcome::Replaced(format!("{} is in force", self.file.path.display()))
            }
            Err(error @ ReplaceError::Audit) => {
                let why = error.to_string();
                Outcome::Kept(why.clone(), why)
            }
            Err(ReplaceError::Gate(error)) => {
                *self.in_force() = None;
                Outcome::Nothing(format!(
                    "NOTHING is allowed any more: under the new policy {error}; mend {} and ask again",
                    self.file.path.display()
                ))
            }
        }
    }

    /// What the file says as soon as there is a descriptor to read it with: the command can have them all for a while, and no change may be
    /// lost by that.
    async fn read_when_it_can_be(self: &Arc<Self>) -> Result<Option<New>, Refused> {
        loop {
            let this = Arc::clone(self);
            let read = tokio::task::spawn_blocking(move || this.read()).await;
            match read.unwrap_or_else(|error| Err(Refused::Other(error.to_string()))) {
                Err(Refused::Unread(error)) if error.is_for_want_of_descriptors() => {
                    tracing::warn!(%error, "the configuration is read again as soon as it can be");
                }
                done => return done,
            }
            tokio::time::sleep(door::PAUSE).await;
        }
    }

    /// What the file says now; nothing if that is in force.
    fn read(&self) -> Result<Option<New>, Refused> {
        let text = {
            let mut held_open = self.held_open.lock().unwrap_or_else(PoisonError::into_inner);
            file::read(&self.file, &self.writable, &mut held_open)?
        };
        let hash = file::hash(text.as_deref());
        if *self.in_force() == Some(hash.clone()) {
            return Ok(None);
        }
        let file = ConfigFile { path: self.file.path.clone(), text };
        let config = file.parse(&self.home).map_err(Refused::Config)?;
        let config = with_typed(config, &self.arguments, &self.home).map_err(|failure| other(&failure))?;
        let needs = needs_session(&self.held, &config, file.text.as_deref().unwrap_or_default());
        if !needs.is_empty() {
            let needs = needs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            return Err(Refused::NeedsSession { path: file.path.display().to_string(), needs });
        }
        for new in &config.credentials {
            let held = self.held.credentials.iter().find(|held| held.name == new.name);
            if let Some(service) = held.and_then(|held| credentials::newly_at(held, new)) {
                let needs = format!("the credential `{}`, which would go to {}", new.name, service.name);
                return Err(Refused::NeedsSession { path: file.path.display().to_string(), needs });
            }
        }
        let policy = credentials::compile(&config, &self.found).map_err(|failure| other(&failure))?;
        Ok(Some(New { policy, caps: config.caps, hash }))
    }

    fn in_force(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn other(failure: &Failure) -> Refused {
    let mend = failure.mend().map(|mend| format!("; hint: {mend}")).unwrap_or_default();
    Refused::Other(format!("{}{mend}", failure.message()))
}

async fn keep(session: &Session, file: &str, refused: &Refused) -> Outcome {
    let brief = refused.to_string();
    let full = match refused {
        Refused::Config(error) => error.to_string(),
        _ => brief.clone(),
    };
    if session.keeps_its_policy(file, brief.clone()).await.is_err() {
        tracing::warn!("the audit log takes no records: a policy that was refused is not on record");
    }
    Outcome::Kept(brief, full)
}

impl Outcome {
    fn tell(&self, owner: &Owner) {
        match self {
            Self::Same => {}
            Self::Replaced(what) | Self::Nothing(what) => owner.tell(what.clone()),
            Self::Kept(brief, _) => owner.tell(format!("the policy stays as it was: {brief}")),
        }
    }
}
