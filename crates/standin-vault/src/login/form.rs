//! A login's file: JSON in which tokens stand at known places.
//!
//! Of the host's file nothing is parsed but what is named, and what is changed is changed in place: whatever else the client
//! keeps there stays as it is, byte by byte.

use super::answer::Answer;
use super::{Minter, Tokens, jwt};
use serde_json::{Map, Value};
use standin_model::{JsonPointer, Login, LoginForm, StateFile, TokenKind};
use standin_secret::Secret;
use standin_wire::body::{self, BodyError, Place, Value as Found};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

/// Why a file is not a login's.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// It is not JSON, or a name in it stands there twice.
    #[error("it is not what the client writes")]
    Unreadable(#[from] BodyError),
    /// A token is to be put where there is no place for one.
    #[error("it has no place `{0}`")]
    NoPlace(String),
}

/// The tokens in a file.
pub fn tokens(form: &LoginForm, file: &[u8]) -> Result<Tokens, FormError> {
    let mut tokens = Tokens::default();
    for token in &form.tokens {
        if let Some(Place { value: Found::Text(text), .. }) = body::find_in_json(file, &token.at)? {
            tokens.set(token.kind, Arc::new(Secret::new(text.into_bytes())));
        }
    }
    let expires = match &form.expires {
        Some(at) => part(file, at)?.and_then(|value| value.as_u64()),
        None => None,
    };
    let stamp = |milliseconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds));
    let told = || tokens.get(TokenKind::Access).and_then(|token| jwt::expiry(token.expose()));
    tokens.expires = expires.and_then(stamp).or_else(told);
    if let Some(at) = &form.scopes
        && let Some(Value::Array(scopes)) = part(file, at)?
    {
        tokens.scopes = scopes.iter().filter_map(|scope| scope.as_str().map(str::to_owned)).collect();
    }
    Ok(tokens)
}

/// The same file for the agent: tokens as stand-ins, what is no secret as it is, and nothing else.
pub fn stand_in(login: &Login, file: &[u8], tokens: &Tokens, minter: &Minter) -> Result<Vec<u8>, FormError> {
    let mut shown = picked(file, &login.form.shown)?;
    for token in &login.form.tokens {
        if let Some(real) = tokens.get(token.kind) {
            let stand_in = minter.stand_in(login, token.kind, real);
            put(&mut shown, &token.at, Value::String(stand_in.as_str().to_owned()));
        } else if body::find_in_json(file, &token.at)?.is_some() {
            put(&mut shown, &token.at, Value::Null);
        }
    }
    Ok(written(&shown))
}

/// What the agent sees of another file of the client's.
pub fn state(state: &StateFile, file: &[u8]) -> Result<Vec<u8>, FormError> {
    Ok(written(&picked(file, &state.shown)?))
}

/// The file with the tokens of an answer in it.
pub fn updated(
    form: &LoginForm,
    file: &[u8],
    answer: &Answer,
    now: SystemTime,
) -> Result<Zeroizing<Vec<u8>>, FormError> {
    let mut edits = Vec::new();
    for token in &form.tokens {
        let Some(new) = answer.tokens().get(token.kind) else { continue };
        let Some(place) = body::find_in_json(file, &token.at)? else {
            if token.kind == TokenKind::Identity {
                continue; // it goes nowhere, so a file without it is as good
            }
            return Err(FormError::NoPlace(token.at.as_str().to_owned()));
        };
        let text = body::Kind::Json.written(new.expose()).ok_or(BodyError::Charset)?;
        edits.push((place.range, text));
    }
    let mut note = |at: Option<&JsonPointer>, value: Option<Value>| -> Result<(), FormError> {
        if let (Some(at), Some(value)) = (at, value)
            && let Some(place) = body::find_in_json(file, at)?
        {
            edits.push((place.range, value.to_string().into_bytes()));
        }
        Ok(())
    };
    note(form.expires.as_ref(), answer.expires(now).map(milliseconds).map(Value::from))?;
    note(form.refreshed.as_ref(), OffsetDateTime::from(now).format(&Rfc3339).ok().map(Value::from))?;
    note(form.scopes.as_ref(), answer.scopes().map(Value::from))?;
    if let Some((at, claim)) = &form.account
        && body::find_in_json(file, at)?.is_some_and(|place| place.value == Found::Nothing)
    {
        note(Some(at), account(answer, claim))?;
    }
    Ok(Zeroizing::new(body::splice(file, edits)))
}

/// Who is logged in, as the identity token tells it.
fn account(answer: &Answer, claim: &JsonPointer) -> Option<Value> {
    let token = std::str::from_utf8(answer.tokens().get(TokenKind::Identity)?.expose()).ok()?;
    Value::Object(jwt::claims(token)?.0).pointer(claim.as_str()).cloned()
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The named parts of a document, at their places.
fn picked(file: &[u8], places: &[JsonPointer]) -> Result<Value, FormError> {
    let mut shown = Value::Object(Map::new());
    for at in places {
        if let Some(value) = part(file, at)? {
            put(&mut shown, at, value);
        }
    }
    Ok(shown)
}

fn part(file: &[u8], at: &JsonPointer) -> Result<Option<Value>, FormError> {
    let place = body::find_in_json(file, at)?;
    Ok(place.and_then(|place| serde_json::from_slice(&file[place.range]).ok()))
}

/// Puts a value at its place, and objects where they are missing on the way there.
fn put(document: &mut Value, at: &JsonPointer, value: Value) {
    let mut here = document;
    for name in at.tokens() {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Value::Object(object) = here else { return };
        here = object.entry(name).or_insert(Value::Null);
    }
    *here = value;
}

fn written(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::answer::tests::{login, minter};
    use super::*;

    const FILE: &str = r#"{ "other": {"token": "sk-Other"},
  "t": {"access":"sk-Real-access-0123456789", "refresh" : "sk-Real-refresh-0123456789","id":null,
    "expiresAt": 4102444800000, "plan":"max", "scopes":["a","b"], "more": [1, 2] , "account": null},
  "last": "2026-01-01T00:00:00Z" }
"#;

    #[test]
    fn the_agent_sees_stand_ins_and_what_is_no_secret() {
        let (login, minter) = (login(), minter());
        let tokens = tokens(&login.form, FILE.as_bytes()).unwrap();
        assert_eq!(tokens.expires, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800)));
        assert_eq!(tokens.scopes, ["a", "b"]);
        let shown = stand_in(&login, FILE.as_bytes(), &tokens, &minter).unwrap();
        let text = String::from_utf8(shown.clone()).unwrap();
        assert!(!text.contains("sk-Real") && !text.contains("sk-Other"), "{text}");
        let shown: Value = serde_json::from_slice(&shown).unwrap();
        let access = minter.stand_in(&login, TokenKind::Access, tokens.get(TokenKind::Access).unwrap());
        let refresh = minter.stand_in(&login, TokenKind::Refresh, tokens.get(TokenKind::Refresh).unwrap());
        let expected = serde_json::json!({ "t": {
            "access": access.as_str(), "refresh": refresh.as_str(), "id": null, "expiresAt": 4_102_444_800_000_u64,
            "plan": "max",
        } });
        assert_eq!(shown, expected);
    }

    #[test]
    fn new_tokens_change_nothing_else() {
        let login = login();
        let answer = r#"{"access_token":"sk-New\u002d1","refresh_token":"sk-New-2","expires_in":60,"scope":"c"}"#;
        let answer = Answer::read(&login, answer.as_bytes()).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let updated = updated(&login.form, FILE.as_bytes(), &answer, now).unwrap();
        let expected = FILE
            .replace("sk-Real-access-0123456789", "sk-New-1")
            .replace("sk-Real-refresh-0123456789", "sk-New-2")
            .replace("4102444800000", "1060000")
            .replace(r#"["a","b"]"#, r#"["c"]"#)
            .replace("2026-01-01T00:00:00Z", "1970-01-01T00:16:40Z");
        assert_eq!(std::str::from_utf8(&updated).unwrap(), expected);
    }

    #[test]
    fn a_token_needs_a_place() {
        let login = login();
        let answer = Answer::read(&login, br#"{"access_token":"a","refresh_token":"b"}"#).unwrap();
        let update = |file: &str| updated(&login.form, file.as_bytes(), &answer, SystemTime::UNIX_EPOCH);
        assert!(matches!(update(r#"{"t":{"access":"x"}}"#), Err(FormError::NoPlace(at)) if at == "/t/refresh"));
        assert!(matches!(update("no"), Err(FormError::Unreadable(_))));
        assert!(matches!(update(r#"{"t":{"access":"x","access":"y"}}"#), Err(FormError::Unreadable(_))));
        let identity = Answer::read(&login, br#"{"access_token":"a","id_token":"c"}"#).unwrap();
        let file = br#"{"t":{"access":"x"}}"#;
        let without = updated(&login.form, file, &identity, SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(without.as_slice(), br#"{"t":{"access":"a"}}"#);
        let new = update(&login.form.empty).unwrap();
        assert_eq!(tokens(&login.form, &new).unwrap().get(TokenKind::Refresh).unwrap().expose(), b"b");
    }

    #[test]
    fn what_is_not_there_is_not_shown() {
        let shown = StateFile { file: "x".into(), shown: vec![JsonPointer::parse("/a/b").unwrap()] };
        for (file, expected) in [(r#"{"a":{"b":[1],"c":2},"d":3}"#, r#"{"a":{"b":[1]}}"#), ("{}", "{}"), ("[]", "{}")] {
            let seen: Value = serde_json::from_slice(&state(&shown, file.as_bytes()).unwrap()).unwrap();
            assert_eq!(seen, serde_json::from_str::<Value>(expected).unwrap());
        }
        assert!(state(&shown, b"no").is_err());
    }
}
