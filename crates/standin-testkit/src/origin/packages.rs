//! Package registries with one package each.

use super::{Body, json, reply};
use crate::Seen;
use base64::Engine;
use http::Response;
use serde_json::json as value;

/// An npm package of one file (`package/package.json`), as `npm pack` makes it, gzip-compressed tar in base64.
const NPM_TARBALL: &str = include_str!("../../data/tiny-npm.tgz.b64");
/// A Python wheel of one module, in base64.
const WHEEL: &str = include_str!("../../data/tiny-1.0.0-py3-none-any.whl.b64");
/// A crate of one constant, as `cargo package` makes it, in base64, and its SHA-256, which cargo compares.
const CRATE: &str = include_str!("../../data/tiny-1.0.0.crate.b64");
const CRATE_SUM: &str = "2ece6f09e8dd9a07f4ad4d2e20a17b609cafff130850e1e915171dd86a811efe";

fn decoded(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
}

pub(super) fn npm(seen: &Seen) -> Response<Body> {
    match seen.target.as_str() {
        "/tiny" => json(
            200,
            &value!({
                "name": "tiny", "dist-tags": { "latest": "1.0.0" },
                "versions": { "1.0.0": {
                    "name": "tiny", "version": "1.0.0",
                    "dist": { "tarball": format!("https://{}/tiny/-/tiny-1.0.0.tgz", seen.host) }
                } }
            }),
        ),
        "/tiny/-/tiny-1.0.0.tgz" => reply(200, "application/octet-stream", decoded(NPM_TARBALL)),
        _ => json(404, &value!({ "error": "not found" })),
    }
}

pub(super) fn pypi(seen: &Seen) -> Response<Body> {
    match seen.target.as_str() {
        "/simple/tiny/" => reply(
            200,
            "text/html",
            "<!DOCTYPE html><a href=\"/packages/tiny-1.0.0-py3-none-any.whl\">tiny-1.0.0-py3-none-any.whl</a>",
        ),
        "/packages/tiny-1.0.0-py3-none-any.whl" => reply(200, "application/zip", decoded(WHEEL)),
        _ => reply(404, "text/plain", "not found"),
    }
}

/// A sparse index (the Cargo Book, "Registry index"): where the files are, and a line a version.
pub(super) fn crate_index(seen: &Seen) -> Response<Body> {
    match seen.target.as_str() {
        "/config.json" => {
            let files = seen.host.replacen("index.", "static.", 1);
            json(200, &value!({ "dl": format!("https://{files}/crates") }))
        }
        "/ti/ny/tiny" => json(
            200,
            &value!({ "name": "tiny", "vers": "1.0.0", "deps": [], "cksum": CRATE_SUM, "features": {}, "yanked": false }),
        ),
        _ => reply(404, "text/plain", "not found"),
    }
}

/// Where the index says that the files are.
pub(super) fn crate_files(seen: &Seen) -> Response<Body> {
    match seen.target.as_str() {
        "/crates/tiny/1.0.0/download" => reply(200, "application/gzip", decoded(CRATE)),
        _ => reply(404, "text/plain", "not found"),
    }
}
