//! Stand-ins for JSON Web Tokens (RFC 7519): clients read who is logged in from them, and when they expire.
//!
//! The header stays, and the claims that are named; the signature, without which a token is worth nothing, is made up. The
//! claims that are left out are made up for in length, so that an answer keeps its own.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use standin_secret::StandIn;
use std::time::{Duration, SystemTime};

/// Claims about time, issuer and audience (RFC 7519 §4.1): clients judge by them, and they are the same for everybody.
const KEPT: &[&str] = &["exp", "iat", "nbf", "iss", "aud"];
/// The claim that fills up.
const FILLER: &str = "standin";
/// Longest signature that is made up: RSA with 8,192 bits, in base64.
const MAX_SIGNATURE: usize = 1366;

/// The stand-in for a JWT; none if it is not one.
pub(super) fn like(token: &[u8], kept: &[String], filler: impl Fn(usize) -> String) -> Option<StandIn> {
    let token = std::str::from_utf8(token).ok()?;
    let (claims, length) = claims(token)?;
    let (header, rest) = token.split_once('.')?;
    let signature = rest.split_once('.')?.1.len().min(MAX_SIGNATURE);
    let is_kept = |name: &str| KEPT.contains(&name) || kept.iter().any(|kept| kept == name);
    let mut shown: Map<String, Value> = claims.into_iter().filter(|(name, _)| is_kept(name)).collect();
    shown.insert(FILLER.to_owned(), Value::String(String::new()));
    let written = Value::Object(shown.clone()).to_string().len();
    // The signature's own characters are taken from the end of the same stream, so that the two have nothing in common.
    let made_up = filler(length.saturating_sub(written) + signature.max(32));
    let (fill, signature) = made_up.split_at(length.saturating_sub(written));
    shown.insert(FILLER.to_owned(), Value::String(fill.to_owned()));
    let payload = URL_SAFE_NO_PAD.encode(Value::Object(shown).to_string());
    Some(StandIn::new(format!("{header}.{payload}.{signature}")))
}

/// The claims of a JWT, and the length in which they were written; nothing if it is none.
pub(super) fn claims(token: &str) -> Option<(Map<String, Value>, usize)> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let object = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        match serde_json::from_slice(&bytes).ok()? {
            Value::Object(object) => Some((object, bytes.len())),
            _ => None,
        }
    };
    object(header)?;
    object(payload)
}

/// When a JWT expires (RFC 7519 §4.1.4).
pub(super) fn expiry(token: &[u8]) -> Option<SystemTime> {
    let (claims, _) = claims(std::str::from_utf8(token).ok()?)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(claims.get("exp")?.as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &Value) -> String {
        let part = |value: &str| URL_SAFE_NO_PAD.encode(value);
        format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(&claims.to_string()), "S1gnature".repeat(8))
    }

    fn stand_in(token: &str, kept: &[&str]) -> String {
        let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
        like(token.as_bytes(), &kept, |length| "x".repeat(length)).unwrap().as_str().to_owned()
    }

    #[test]
    fn what_clients_read_stays_and_nothing_else() {
        let real =
            token(&serde_json::json!({ "exp": 4_102_444_800_u64, "email": "a@b.example", "jti": "unguessable-id" }));
        let made = stand_in(&real, &["email"]);
        let (claims, _) = claims(&made).unwrap();
        assert_eq!(claims["exp"], 4_102_444_800_u64);
        assert_eq!(claims["email"], "a@b.example");
        assert!(!claims.contains_key("jti"));
        assert_eq!(made.split('.').next(), real.split('.').next());
        assert_ne!(made.rsplit('.').next(), real.rsplit('.').next());
        assert_eq!(made.len(), real.len());
        assert_eq!(expiry(made.as_bytes()), expiry(real.as_bytes()));
    }

    #[test]
    fn a_short_one_is_longer_and_its_signature_is_never_guessable() {
        let real = token(&serde_json::json!({ "exp": 1 }));
        let cut = format!("{}x", &real[..=real.rfind('.').unwrap()]);
        let made = stand_in(&cut, &[]);
        assert!(made.len() > cut.len());
        assert_eq!(made.rsplit('.').next().unwrap().len(), 32);
    }

    #[test]
    fn what_is_none_is_none() {
        let real = token(&serde_json::json!({ "exp": 1 }));
        for text in ["", "a.b.c", "sk-ant-oat01-a.b.c", &real[3..], &format!("{real}.x"), "eyJhIjoxfQ.MQ.x"] {
            assert!(like(text.as_bytes(), &[], |length| "x".repeat(length)).is_none(), "{text}");
        }
    }
}
