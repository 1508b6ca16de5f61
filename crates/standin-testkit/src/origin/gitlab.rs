//! GitLab's tokens, as far as one asks for its successor (`personal_access_tokens/self/rotate`): from then on it is worth nothing,
//! and one that is shown all the same ends the whole family.

use super::{Body, json};
use crate::Seen;
use http::Response;
use serde_json::json as value;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

/// If the rig's directory holds this file, tokens lack the scope for it.
pub const CANNOT_ROTATE: &str = "gitlab-cannot-rotate";
/// When tokens were made, and until when they are good.
const MADE: &str = "2026-11-01T09:30:00.000Z";
const GOOD_UNTIL: &str = "2026-12-31";

/// Which token is good: the first, or the one after so many rotations; none where an old one was shown.
#[derive(Default)]
pub struct Tokens(Mutex<Option<u32>>);

/// The token after so many rotations. Nobody's.
pub fn token(rotations: u32) -> String {
    format!("glpat-{}0Rotated{rotations:02}", super::oauth::MARK)
}

pub(super) fn answer(tokens: &Tokens, seen: &Seen, directory: &Path) -> Response<Body> {
    let mut good = tokens.0.lock().unwrap_or_else(PoisonError::into_inner);
    let now = good.get_or_insert(0);
    let shown = seen.header("private-token").unwrap_or_default();
    if shown != token(*now) {
        return json(401, &value!({ "message": "401 Unauthorized" }));
    }
    match (seen.method.as_str(), seen.target.as_str()) {
        ("GET", "/api/v4/personal_access_tokens/self") => {
            json(200, &value!({ "id": 1 + *now, "active": true, "created_at": MADE, "expires_at": GOOD_UNTIL }))
        }
        ("POST", "/api/v4/personal_access_tokens/self/rotate") if directory.join(CANNOT_ROTATE).exists() => {
            json(403, &value!({ "error": "insufficient_scope" }))
        }
        ("POST", "/api/v4/personal_access_tokens/self/rotate") => {
            *now += 1;
            json(200, &value!({ "id": 1 + *now, "active": true, "expires_at": GOOD_UNTIL, "token": token(*now) }))
        }
        _ => json(404, &value!({ "message": "404 Not Found" })),
    }
}
