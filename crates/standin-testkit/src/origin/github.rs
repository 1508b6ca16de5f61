//! GitHub's API, as far as `gh api user` needs it.

use super::{Body, json};
use crate::Seen;
use http::Response;
use serde_json::json as value;

pub(super) fn answer(seen: &Seen) -> Response<Body> {
    match (seen.header("authorization"), seen.target.as_str()) {
        (None, _) => json(401, &value!({ "message": "Requires authentication" })),
        (_, "/user") => json(200, &value!({ "login": "tester", "id": 1, "type": "User" })),
        _ => json(404, &value!({ "message": "Not Found" })),
    }
}
