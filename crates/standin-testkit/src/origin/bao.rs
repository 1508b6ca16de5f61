//! HashiCorp Vault and OpenBao, as their HTTP API is documented: KV version 2, a database that makes users, leases and their end.

use super::oauth::MARK;
use super::{Body, json, reply};
use crate::Seen;
use http::Response;
use serde_json::{Value, json as value};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// The token that may read.
pub const TOKEN: &str = "hvs.CanaryToken0123456789abcdefghijklmn";
/// If the rig's directory holds this file, no lease is revoked for this token.
pub const REVOKES_NOTHING: &str = "bao-revokes-nothing";
/// How long leases run, in seconds.
pub const LEASE: u64 = 3600;

/// What was leased so far.
#[derive(Default)]
pub(super) struct Leases(AtomicU32);

/// What is kept at `secret/team/api`, by namespace.
pub fn kept(namespace: &str) -> String {
    format!("kv-{MARK}-{namespace}-0123456789abcdef")
}

/// The password that comes with a lease, by its number.
pub fn password(number: u32) -> String {
    format!("A1a-{MARK}-password-{number}-0123456789")
}

/// The user of that password.
pub fn user(number: u32) -> String {
    format!("v-token-app-{MARK}-{number}-0123456789")
}

pub(super) fn answer(leases: &Leases, seen: &Seen, directory: &Path) -> Response<Body> {
    let namespace = seen.header("x-vault-namespace").unwrap_or("root");
    let nothing = || json(404, &value!({ "errors": [] }));
    let denied = || json(403, &value!({ "errors": ["permission denied"] }));
    if seen.header("x-vault-token") != Some(TOKEN) || seen.header("x-vault-request") != Some("true") {
        return denied();
    }
    match (seen.method.as_str(), seen.target.strip_prefix("/v1/").unwrap_or_default()) {
        ("GET", path) if path.starts_with("sys/internal/ui/mounts/") => mount(&path["sys/internal/ui/mounts/".len()..]),
        ("GET", "secret/data/team/api") => version(&value!({ "key": kept(namespace), "n": { "key": kept("deep") } })),
        ("GET", "secret/data/team/gone") => {
            let deleted = value!({ "deletion_time": "2026-11-28T00:00:00Z", "destroyed": false, "version": 2, "created_time": "x" });
            json(404, &secret("", 0, &value!({ "data": null, "metadata": deleted })))
        }
        ("GET", "secret/data/sealed/api") => json(503, &value!({ "errors": ["Vault is sealed"] })),
        ("GET", "database/creds/app") => {
            let number = leases.0.fetch_add(1, Ordering::Relaxed) + 1;
            let user = value!({ "username": user(number), "password": password(number) });
            json(200, &secret(&format!("database/creds/app/lease-{number}"), LEASE, &user))
        }
        ("PUT", "sys/leases/revoke") if directory.join(REVOKES_NOTHING).exists() => denied(),
        ("PUT", "sys/leases/revoke") => reply(204, "application/json", ""),
        _ => nothing(),
    }
}

fn mount(path: &str) -> Response<Body> {
    let mount =
        |path, kind, options| json(200, &secret("", 0, &value!({ "path": path, "type": kind, "options": options })));
    match path.split('/').next().unwrap_or_default() {
        "secret" => mount("secret/", "kv", value!({ "version": "2" })),
        "database" => mount("database/", "database", Value::Null),
        _ => json(
            403,
            &value!({ "errors": ["preflight capability check returned 403, please ensure client's policies grant access to path"] }),
        ),
    }
}

fn version(data: &Value) -> Response<Body> {
    let metadata =
        value!({ "created_time": "x", "deletion_time": "", "destroyed": false, "version": 1, "custom_metadata": null });
    json(200, &secret("", 0, &value!({ "data": data, "metadata": metadata })))
}

fn secret(lease: &str, runs: u64, data: &Value) -> Value {
    value!({
        "request_id": "c2f3", "lease_id": lease, "renewable": !lease.is_empty(), "lease_duration": runs, "data": data,
        "wrap_info": null, "warnings": null, "auth": null,
    })
}
