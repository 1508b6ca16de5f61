//! Keeps logins on the host while a session runs: tokens are exchanged by one at a time, and the file holds the newest.
//!
//! What the file holds goes before what the session remembers: the client on the host, or another session, may have
//! exchanged tokens meanwhile.

use super::logins::Found;
use standin_model::{Login, TokenKind};
use standin_proxy::{Asked, Begun, KeeperError, Kept, Next, TokenKeeper, Turn};
use standin_secret::Secret;
use standin_vault::Credential;
use standin_vault::login::answer::{self, Answer};
use standin_vault::login::form;
use standin_vault::login::store::{self, Store};
use standin_vault::login::{Minter, Tokens};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// The keeper of a session.
pub(crate) struct Keeper {
    minter: Minter,
    logins: Vec<Arc<Mutex<Found>>>,
    notes: Arc<Mutex<Vec<String>>>,
}

/// A turn, which is over when this is dropped.
struct Exchange {
    turn: store::Turn,
    minter: Minter,
    login: Arc<Mutex<Found>>,
    notes: Arc<Mutex<Vec<String>>>,
    /// The refresh token that is shown to the endpoint; nothing if somebody logs in.
    shown: Option<Arc<Secret>>,
}

impl Keeper {
    /// For these logins.
    pub(super) fn new(minter: Minter, logins: Vec<Found>) -> Self {
        let logins = logins.into_iter().map(|found| Arc::new(Mutex::new(found))).collect();
        Self { minter, logins, notes: Arc::default() }
    }

    /// What the user should know at the session's end.
    pub(super) fn notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TokenKeeper for Keeper {
    fn turn(&self, login: &str, asked: Asked) -> Result<Begun, KeeperError> {
        let login = self.logins.iter().find(|found| locked(found).spec.id == login);
        let login = login.ok_or_else(|| KeeperError("this session keeps no such login".to_owned()))?;
        let (spec, store) = {
            let found = locked(login);
            if asked == Asked::LogIn && !found.made_inside && !found.held.is_empty() {
                return Err(use_the_hosts(found.spec));
            }
            (found.spec, found.store().clone())
        };
        // Not while anything else is held: others may take their time.
        let turn = store.turn().map_err(|error| fault(spec, &error))?;
        let exchange = |shown| {
            let (minter, notes) = (self.minter.clone(), Arc::clone(&self.notes));
            Box::new(Exchange { turn, minter, login: Arc::clone(login), notes, shown })
        };
        let Asked::Refresh(stand_in) = asked else {
            return Ok(Begun { lent: Vec::new(), next: Next::Ask(exchange(None)) });
        };
        let (_, newest) = read(spec, &store)?;
        let Some(refresh) = newest.get(TokenKind::Refresh).cloned() else { return Err(gone(spec)) };
        let lent = locked(login).hold(newest.clone(), &self.minter);
        let now = SystemTime::now();
        let is_behind = self.minter.stand_in(spec, TokenKind::Refresh, &refresh).as_str() != stand_in;
        let next = if is_behind && newest.are_fresh(now) {
            let told = Answer::of(spec, &newest, now).with_stand_ins(spec, &self.minter);
            Next::Tell { told, until_lent: exchange(None) }
        } else {
            Next::Ask(exchange(Some(refresh)))
        };
        Ok(Begun { lent, next })
    }
}

impl Turn for Exchange {
    fn keep(self: Box<Self>, answer: &[u8]) -> Result<Kept, KeeperError> {
        let mut found = locked(&self.login);
        let spec = found.spec;
        let new = Answer::read(spec, answer).map_err(|error| fault(spec, &error))?;
        let (lent, told) = match &self.shown {
            None => self.keep_login(&mut found, &new)?,
            Some(shown) => self.keep_refreshed(&mut found, &new, shown)?,
        };
        drop(found);
        Ok(Kept { lent, told, until_lent: self })
    }

    fn judge_error(&self, answer: &[u8]) -> Result<(), KeeperError> {
        answer::is_an_error(answer).map_err(|error| fault(locked(&self.login).spec, &error))
    }
}

impl Exchange {
    /// New tokens go to where the old ones were. What the session is lent, and what the agent is told.
    fn keep_refreshed(
        &self,
        found: &mut Found,
        new: &Answer,
        shown: &Secret,
    ) -> Result<(Vec<Credential>, Vec<u8>), KeeperError> {
        let (spec, now) = (found.spec, SystemTime::now());
        let (file, there) = read(spec, found.store())?;
        if there.get(TokenKind::Refresh).is_none_or(|token| token.expose() != shown.expose()) {
            // Somebody logged in anew meanwhile, without waiting for a turn. That login is the newer one.
            let told = Answer::of(spec, &there, now).with_stand_ins(spec, &self.minter);
            return Ok((found.hold(there, &self.minter), told));
        }
        let updated = form::updated(&spec.form, &file, new, now).map_err(|error| fault(spec, &error))?;
        self.write(found, &updated);
        let tokens = form::tokens(&spec.form, &updated).map_err(|error| fault(spec, &error))?.and(new.tokens());
        Ok((found.hold(tokens, &self.minter), new.with_stand_ins(spec, &self.minter)))
    }

    /// A login that was made inside is ours to keep.
    fn keep_login(&self, found: &mut Found, new: &Answer) -> Result<(Vec<Credential>, Vec<u8>), KeeperError> {
        let (spec, now) = (found.spec, SystemTime::now());
        let file =
            form::updated(&spec.form, spec.form.empty.as_bytes(), new, now).map_err(|error| fault(spec, &error))?;
        let tokens = form::tokens(&spec.form, &file).map_err(|error| fault(spec, &error))?;
        found.made_inside = true;
        self.write(found, &file);
        let (client, path) = (&spec.client, found.own.file.display());
        self.note(format!(
            "{client}'s login that was made inside is kept in {path}, for later sessions; remove the file to forget it"
        ));
        Ok((found.hold(tokens, &self.minter), new.with_stand_ins(spec, &self.minter)))
    }

    /// Where the client's file cannot be written ours can, perhaps. If not, the login lasts as long as the session: to stop
    /// it now would help nobody.
    fn write(&self, found: &mut Found, contents: &[u8]) {
        let Err(error) = found.store().replace(&self.turn, contents) else { return };
        let client = &found.spec.client;
        tracing::error!(error = &error as &dyn std::error::Error, "{client}'s new tokens were not written");
        found.made_inside = true;
        match found.own.replace(&self.turn, contents) {
            Ok(()) => self.note(format!(
                "{client}'s new tokens are in {} only: its own file cannot be written",
                found.own.file.display()
            )),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "{client}'s new tokens were not written");
                self.note(format!("{client}'s new tokens could not be kept: you will have to log in again"));
            }
        }
    }

    fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
}

impl Found {
    fn store(&self) -> &Store {
        if self.made_inside { &self.own } else { &self.clients }
    }

    /// Takes these for what is lent; the credentials that change for the session.
    fn hold(&mut self, tokens: Tokens, minter: &Minter) -> Vec<Credential> {
        let changed = !TokenKind::GIVEN.iter().all(|(kind, _)| self.held.share(&tokens, *kind));
        let lent = if changed { minter.credentials(self.spec, &tokens) } else { Vec::new() };
        self.held = tokens;
        lent
    }
}

/// What is in the file, and the tokens in that.
fn read(spec: &Login, store: &Store) -> Result<(Zeroizing<Vec<u8>>, Tokens), KeeperError> {
    let file = store.read().map_err(|error| fault(spec, &error))?.ok_or_else(|| gone(spec))?;
    let tokens = form::tokens(&spec.form, &file).map_err(|error| fault(spec, &error))?;
    Ok((file, tokens))
}

fn locked(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For the operator the whole of it, for the agent what it can do.
fn fault(spec: &Login, error: &(dyn std::error::Error + 'static)) -> KeeperError {
    tracing::warn!(error, "{}'s tokens are not exchanged", spec.client);
    KeeperError(format!(
        "{}'s tokens cannot be exchanged: the host's login file or the endpoint's answer is not as expected",
        spec.client
    ))
}

fn gone(spec: &Login) -> KeeperError {
    KeeperError(format!("{}'s login is not on the host any more; its owner has to log in again", spec.client))
}

fn use_the_hosts(spec: &Login) -> KeeperError {
    KeeperError(format!(
        "{} is logged in with its owner's login on the host, and no other is made inside; the owner logs in anew on the host",
        spec.client
    ))
}

#[cfg(test)]
mod tests;
