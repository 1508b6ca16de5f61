//! Token endpoints with refresh tokens that are good once: who shows one again is taken for a thief, and the login is
//! ended (RFC 9700 §4.14.2). And what the APIs behind them think of an access token.
//!
//! Tokens are numbered by generation. A login begins with the tokens that a test wrote into the client's file: number 0.

use super::{Body, json};
use crate::Seen;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Response;
use serde_json::{Value, json as value};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What stands in every real token, and in no stand-in for one.
pub const MARK: &str = "CanaryToken";
/// While the rig's directory holds this file, the next access token that is shown is refused; then the file is gone.
pub const REFUSES_ONCE: &str = "oauth-refuses-once";
/// If the rig's directory holds this file, its contents are what token endpoints answer.
pub const ANSWERS: &str = "oauth-answers";
/// The code with which somebody logs in.
pub const CODE: &str = "code-of-the-owner";
/// The ChatGPT account, which is no secret.
pub const ACCOUNT: &str = "acc-0123456789";
/// How long an access token is good, in seconds.
const LIFETIME: u64 = 28_800;

/// The logins of one rig, by service.
#[derive(Default)]
pub(super) struct Logins(Mutex<HashMap<&'static str, Login>>);

#[derive(Default)]
struct Login {
    generation: u32,
    /// The access token of this generation and those before are not good any more.
    refused: Option<u32>,
    ended: bool,
}

/// Anthropic's access token.
pub fn anthropic_access(generation: u32) -> String {
    format!("sk-ant-oat01-{MARK}-access-{generation}-{}AA", "Qx7".repeat(20))
}

/// Anthropic's refresh token.
pub fn anthropic_refresh(generation: u32) -> String {
    format!("sk-ant-ort01-{MARK}-refresh-{generation}-{}AA", "Zk9".repeat(20))
}

/// OpenAI's access token, good until then.
pub fn openai_access(generation: u32, expires: u64) -> String {
    jwt(&format!("{MARK}-access-{generation}-"), expires)
}

/// OpenAI's identity token.
pub fn openai_identity(generation: u32) -> String {
    jwt(&format!("{MARK}-identity-{generation}-"), now() + LIFETIME)
}

/// OpenAI's refresh token.
pub fn openai_refresh(generation: u32) -> String {
    format!("rt_{MARK}-refresh-{generation}-{}", "Wm4".repeat(20))
}

/// Google's access token.
pub fn google_access(generation: u32) -> String {
    format!("ya29.{MARK}-access-{generation}-{}", "Gx2".repeat(30))
}

/// Google's refresh token, which stays the same. It has characters that forms escape.
pub fn google_refresh() -> String {
    format!("1//0{MARK}-refresh-0-{}", "Hz6".repeat(20))
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn jwt(signature: &str, expires: u64) -> String {
    let claims = value!({
        "iss": "https://auth.openai.com", "aud": ["app"], "exp": expires, "iat": expires - LIFETIME, "email": "owner@example.com",
        "https://api.openai.com/auth": { "chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "pro", "chatgpt_user_id": "user-1" },
        "jti": format!("{MARK}-jti-{}", "Jt5".repeat(12)), "sid": "Sd6".repeat(16),
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signature = format!("{signature}{}", "Rs8".repeat(80));
    format!("{}.{}.{signature}", part(&value!({ "alg": "RS256", "kid": "k", "typ": "JWT" })), part(&claims))
}

/// A login by a code that its owner types into a browser (RFC 8628): the owner is quick, and has done so already.
pub(super) fn device(seen: &Seen) -> Response<Body> {
    match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", "/api/accounts/deviceauth/usercode") => {
            json(200, &value!({ "device_auth_id": "device-1", "user_code": "ABCD-1234", "interval": "1" }))
        }
        ("POST", "/api/accounts/deviceauth/token") => {
            json(200, &value!({ "authorization_code": CODE, "code_challenge": "c", "code_verifier": "v" }))
        }
        _ => json(404, &value!({ "error": "not here" })),
    }
}

/// Google's APIs behind it, as far as Gemini CLI asks them who somebody is.
pub(super) fn google(seen: &Seen) -> Response<Body> {
    match seen.target.split('?').next().unwrap_or_default() {
        "/tokeninfo" => json(200, &value!({ "expires_in": 3599, "scope": "openid", "email": "owner@example.com" })),
        "/oauth2/v2/userinfo" => json(200, &value!({ "email": "owner@example.com" })),
        _ => json(200, &value!({})),
    }
}

/// The generation of a token, by the kind of it that is expected.
fn generation(token: &str, kind: &str) -> Option<u32> {
    let (_, rest) = token.split_once(&format!("{MARK}-{kind}-"))?;
    rest.split('-').next()?.parse().ok()
}

impl Logins {
    /// What a token endpoint answers.
    pub(super) fn exchange(&self, service: &'static str, seen: &Seen, directory: &Path) -> Response<Body> {
        let field = fields(seen);
        let shown = field("refresh_token").and_then(|token| generation(&token, "refresh"));
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = Login { generation: shown.unwrap_or_default(), ..Login::default() };
        let login = logins.entry(service).or_insert(first);
        match field("grant_type").as_deref() {
            Some("refresh_token") => {
                // Google's are good more than once.
                let good = if service == "google" { shown == Some(0) } else { shown == Some(login.generation) };
                if !good || login.ended {
                    login.ended = true;
                    return json(
                        400,
                        &value!({ "error": "invalid_grant", "error_description": "refresh_token was used before" }),
                    );
                }
            }
            Some("authorization_code") if field("code").as_deref() == Some(CODE) => login.ended = false,
            _ => return json(400, &value!({ "error": "unsupported_grant_type" })),
        }
        login.generation += 1;
        let number = login.generation;
        if let Ok(answer) = std::fs::read_to_string(directory.join(ANSWERS)) {
            return super::reply(200, "application/json", answer);
        }
        json(
            200,
            &match service {
                "anthropic" => value!({
                    "token_type": "Bearer", "access_token": anthropic_access(number), "refresh_token": anthropic_refresh(number),
                    "expires_in": LIFETIME, "scope": "user:inference user:profile",
                    "account": { "uuid": "account-1", "email_address": "owner@example.com" }, "organization": { "uuid": "org-1", "name": "O" },
                }),
                "google" => value!({
                    "access_token": google_access(number), "expires_in": 3599, "scope": "openid", "token_type": "Bearer",
                    "id_token": openai_identity(number),
                }),
                _ => value!({
                    "access_token": openai_access(number, now() + LIFETIME), "refresh_token": openai_refresh(number),
                    "id_token": openai_identity(number), "expires_in": LIFETIME, "token_type": "Bearer",
                }),
            },
        )
    }

    /// Whether the API refuses the access token of a request. One with an ordinary key, or without any, is not its affair.
    pub(super) fn refuse(&self, service: &'static str, seen: &Seen, directory: &Path) -> bool {
        let token = seen.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let Some(number) = token.and_then(|token| generation(token, "access")) else { return false };
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A login that this rig has not seen yet may be of an earlier run.
        let login = logins.entry(service).or_insert_with(|| Login { generation: number, ..Login::default() });
        if std::fs::remove_file(directory.join(REFUSES_ONCE)).is_ok() {
            login.refused = Some(number);
        }
        login.ended || number > login.generation || login.refused.is_some_and(|refused| number <= refused)
    }
}

/// The fields of a request's body, in JSON or as a form. Of escapes, those that are in tokens are undone.
fn fields(seen: &Seen) -> impl Fn(&str) -> Option<String> {
    let document: Value = serde_json::from_str(&seen.body).unwrap_or_default();
    let body =
        seen.body.replace("%2F", "/").replace("%2f", "/").replace("%2D", "-").replace("%5F", "_").replace("%2E", ".");
    move |name| {
        if let Value::Object(object) = &document {
            return object.get(name)?.as_str().map(str::to_owned);
        }
        let mut fields = body.split('&').filter_map(|part| part.split_once('='));
        fields.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    }
}
