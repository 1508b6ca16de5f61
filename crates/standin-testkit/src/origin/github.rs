//! GitHub's API, as far as `gh api user` and `gh auth status` need it.

use super::{Body, json};
use crate::Seen;
use http::Response;
use serde_json::json as value;

pub(super) fn answer(seen: &Seen) -> Response<Body> {
    match (seen.header("authorization"), seen.target.as_str()) {
        (None, _) => json(401, &value!({ "message": "Requires authentication" })),
        (_, "/") => {
            let mut response = json(200, &value!({}));
            let scopes = http::HeaderValue::from_static("gist, read:org, repo");
            response.headers_mut().insert("x-oauth-scopes", scopes);
            response
        }
        (_, "/graphql") => json(200, &value!({ "data": { "viewer": { "login": "tester" } } })),
        (_, "/user") => json(200, &value!({ "login": "tester", "id": 1, "type": "User" })),
        _ => json(404, &value!({ "message": "Not Found" })),
    }
}
