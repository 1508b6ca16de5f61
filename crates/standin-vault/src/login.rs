//! Logins: tokens that a client keeps in a file and exchanges for new ones when they expire.
//!
//! * [`form`]: the file: what tokens are in it, the same file with stand-ins, the file with new tokens;
//! * [`answer`]: what a token endpoint says: the tokens in it, the same answer with stand-ins;
//! * [`hosts`]: the file of gh, whose tokens are not exchanged;
//! * [`jwt`]: stand-ins for tokens that a client reads;
//! * [`store`]: the file on the disk: one at a time, replaced at once or not at all.
//!
//! A token's stand-in is a function of the host's key, the workspace, the credential's name and the token, so a new token has
//! a new one (clients compare them to see whether somebody has exchanged tokens meanwhile), and every session of a workspace
//! shows the same.

pub mod answer;
pub mod form;
pub mod hosts;
mod jwt;
pub mod store;

use crate::key::StandInKey;
use crate::{Credential, mint};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use standin_model::{CredentialName, Login, TokenKind};
use standin_secret::{Secret, StandIn};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// An access token that expires sooner than this is about to be exchanged.
const ABOUT_TO_EXPIRE: Duration = Duration::from_secs(60);

/// The tokens of one login.
#[derive(Clone, Default)]
pub struct Tokens {
    all: Vec<(TokenKind, Arc<Secret>)>,
    /// When the access token expires, if that is known.
    pub expires: Option<SystemTime>,
    /// What it is good for, if that is known.
    pub scopes: Vec<String>,
}

impl Tokens {
    /// The token for this purpose.
    pub fn get(&self, kind: TokenKind) -> Option<&Arc<Secret>> {
        self.all.iter().find(|(known, _)| *known == kind).map(|(_, token)| token)
    }

    /// Puts a token in the place of the one for its purpose.
    pub fn set(&mut self, kind: TokenKind, token: Arc<Secret>) {
        self.all.retain(|(known, _)| *known != kind);
        self.all.push((kind, token));
    }

    /// Adds what those have and these have not.
    #[must_use]
    pub fn and(mut self, those: &Self) -> Self {
        for (kind, token) in &those.all {
            if self.get(*kind).is_none() {
                self.set(*kind, Arc::clone(token));
            }
        }
        self
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether these and those hold the same token for a purpose.
    pub fn share(&self, other: &Self, kind: TokenKind) -> bool {
        self.get(kind).map(|token| token.expose()) == other.get(kind).map(|token| token.expose())
    }

    /// Whether the access token is good for some time yet. One that does not say when it expires is.
    pub fn are_fresh(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| expires > now + ABOUT_TO_EXPIRE)
    }
}

/// Makes the stand-ins of logins.
#[derive(Clone)]
pub struct Minter {
    key: Arc<StandInKey>,
    workspace: PathBuf,
}

impl Minter {
    /// For sessions in this workspace.
    pub fn new(key: Arc<StandInKey>, workspace: PathBuf) -> Self {
        Self { key, workspace }
    }

    /// The tokens as credentials of a session.
    pub fn credentials(&self, login: &Login, tokens: &Tokens) -> Vec<Credential> {
        let lend = |(kind, token): &(TokenKind, Arc<Secret>)| {
            Credential::held(name(login, *kind), self.stand_in(login, *kind, token), Arc::clone(token))
        };
        tokens.all.iter().map(lend).collect()
    }

    /// What is shown instead of a token.
    pub fn stand_in(&self, login: &Login, kind: TokenKind, token: &Secret) -> StandIn {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.bytes());
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, token.expose()));
        let context = CredentialName::new(format!("{}#{tag}", name(login, kind)));
        let filler = |length| mint::text(&self.key, &self.workspace, &context, length);
        jwt::like(token.expose(), &login.form.claims, filler)
            .unwrap_or_else(|| mint::like_secret(&self.key, &self.workspace, &context, token))
    }
}

/// What the credential of a token is called: `anthropic:login`.
pub fn name(login: &Login, kind: TokenKind) -> CredentialName {
    CredentialName::new(format!("{}:{}", login.id, kind.word()))
}
