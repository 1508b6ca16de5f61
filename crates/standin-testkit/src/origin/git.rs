//! GitHub's git over HTTPS: git's own `http-backend`, behind Basic authentication of any user.

use super::{Body, reply};
use crate::Seen;
use bytes::Bytes;
use http::Response;
use std::path::Path;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

pub(super) async fn answer(directory: &Path, seen: &Seen, body: &Bytes) -> Response<Body> {
    if seen.header("authorization").is_none() {
        let mut response = reply(401, "text/plain", "who are you?");
        response.headers_mut().insert("www-authenticate", http::HeaderValue::from_static("Basic realm=\"git\""));
        return response;
    }
    match backend(directory, seen, body).await {
        Ok(output) => parse(&output),
        Err(error) => reply(500, "text/plain", error.to_string()),
    }
}

async fn backend(directory: &Path, seen: &Seen, body: &Bytes) -> std::io::Result<Vec<u8>> {
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", directory.join("repositories"))
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("REMOTE_USER", "tester")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &seen.method)
        .env("CONTENT_TYPE", seen.header("content-type").unwrap_or_default())
        .env("HTTP_CONTENT_ENCODING", seen.header("content-encoding").unwrap_or_default())
        .env("GIT_PROTOCOL", seen.header("git-protocol").unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
    let body = body.clone();
    let write = async move { stdin.write_all(&body).await };
    let (written, output) = tokio::join!(write, child.wait_with_output());
    written?;
    Ok(output?.stdout)
}

/// A CGI answer (RFC 3875 §6): fields, a blank line, the body.
fn parse(output: &[u8]) -> Response<Body> {
    let end = output.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let mut response = reply(200, "text/plain", output.get(end + 4..).unwrap_or_default().to_vec());
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(500);
            *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
        } else if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
