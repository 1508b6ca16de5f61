//! What a token endpoint answers (RFC 6749 §5): tokens that stay on the host, and what the agent is told.
//!
//! Only what is known passes: an answer without an access token, or one that can be read in two ways, is none, and a member
//! that the catalogue does not name is left out.

use super::{Minter, Tokens};
use serde_json::{Map, Value};
use standin_model::{JsonPointer, Login, TokenKind};
use standin_secret::Secret;
use standin_wire::body::{self, BodyError, Place, Value as Found};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// An answer that was understood.
pub struct Answer {
    tokens: Tokens,
    told: Map<String, Value>,
}

/// Why an answer was not understood. Nothing of it is in the message.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It is not JSON, or a name in it stands there twice.
    #[error("the token endpoint's answer cannot be read")]
    Unreadable(#[from] BodyError),
    /// There is no token in it.
    #[error("the token endpoint's answer holds no access token")]
    NoToken,
    /// Something else stands where a token should.
    #[error("the token endpoint's answer has a `{0}` that is no token")]
    Odd(&'static str),
    /// It repeats a token where nobody looks for one.
    #[error("the token endpoint's answer holds a token in a place that is not known")]
    Repeated,
    /// An error that comes with tokens.
    #[error("the token endpoint's answer is an error, and holds tokens all the same")]
    TokensInError,
}

impl Answer {
    /// Reads one.
    pub fn read(login: &Login, answer: &[u8]) -> Result<Self, AnswerError> {
        let mut tokens = Tokens::default();
        for (kind, name) in TokenKind::GIVEN {
            match member(answer, name)?.map(|place| place.value) {
                Some(Found::Text(token)) => tokens.set(kind, Arc::new(Secret::new(token.into_bytes()))),
                Some(Found::Other) => return Err(AnswerError::Odd(name)),
                Some(Found::Nothing) | None => {}
            }
        }
        if tokens.get(TokenKind::Access).is_none() {
            return Err(AnswerError::NoToken);
        }
        let mut told = Map::new();
        for name in &login.endpoint.passes {
            if let Some(place) = member(answer, name)? {
                let value = serde_json::from_slice(&answer[place.range]).map_err(|_| BodyError::Json)?;
                told.insert(name.clone(), value);
            }
        }
        let answer = Self { tokens, told };
        answer.keeps_to_itself().then_some(answer).ok_or(AnswerError::Repeated)
    }

    /// Whether no token is in what the agent is told.
    fn keeps_to_itself(&self) -> bool {
        let told = Value::Object(self.told.clone()).to_string();
        let is_told = |token: &[u8]| told.as_bytes().windows(token.len()).any(|window| window == token);
        is_an_error(told.as_bytes()).is_ok() && !self.tokens.all.iter().any(|(_, token)| is_told(token.expose()))
    }

    /// What the endpoint would have said of tokens that are there already.
    pub fn of(login: &Login, tokens: &Tokens, now: SystemTime) -> Self {
        let mut told = Map::from_iter([("token_type".to_owned(), Value::from("Bearer"))]);
        if let Some(left) = tokens.expires.and_then(|expires| expires.duration_since(now).ok()) {
            told.insert("expires_in".to_owned(), left.as_secs().into());
        }
        if !tokens.scopes.is_empty() {
            told.insert("scope".to_owned(), tokens.scopes.join(" ").into());
        }
        told.retain(|name, _| login.endpoint.passes.contains(name));
        Self { tokens: tokens.clone(), told }
    }

    /// The tokens in it.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// When the access token expires.
    pub fn expires(&self, now: SystemTime) -> Option<SystemTime> {
        let seconds = self.told.get("expires_in").and_then(Value::as_u64)?;
        now.checked_add(Duration::from_secs(seconds))
    }

    /// What the access token is good for, if the answer says so.
    pub fn scopes(&self) -> Option<Vec<String>> {
        let scope = self.told.get("scope")?.as_str()?;
        Some(scope.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    /// The answer for the agent.
    pub fn with_stand_ins(&self, login: &Login, minter: &Minter) -> Vec<u8> {
        let mut told = self.told.clone();
        for (kind, name) in TokenKind::GIVEN {
            if let Some(token) = self.tokens.get(kind) {
                let stand_in = minter.stand_in(login, kind, token);
                told.insert(name.to_owned(), stand_in.as_str().into());
            }
        }
        Value::Object(told).to_string().into_bytes()
    }
}

/// Judges an answer that says that there are no tokens: none may be in it, wherever and in whatever form.
pub fn is_an_error(answer: &[u8]) -> Result<(), AnswerError> {
    let holds = |text: &str| answer.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()));
    // An error speaks of a token, in a text; as a member's name it stands in quotes.
    let quoted = |name: &str| holds(&format!("\"{name}\"")) || holds(&format!("{name}="));
    if TokenKind::GIVEN.iter().any(|(_, name)| quoted(name)) { Err(AnswerError::TokensInError) } else { Ok(()) }
}

fn member(answer: &[u8], name: &str) -> Result<Option<Place>, BodyError> {
    let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    let pointer = JsonPointer::parse(&pointer).expect("a name with its escapes is one step of a pointer");
    body::find_in_json(answer, &pointer)
}

#[cfg(test)]
pub(super) mod tests;
