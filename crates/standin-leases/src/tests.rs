//! What the server says, what leads to it, and what is left when it cannot be reached.

use crate::answer::{self, Given};
use crate::call::{Answer, CallError};
use crate::server::Lease;
use crate::settings::{Settings, SettingsError};
use crate::{LeasedSource, Leases};
use standin_secret::{Manner, SecretSource};
use std::path::Path;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

const CANARY: &str = "Canary0123456789abcdef";

fn answered(status: u16, body: &str) -> Answer {
    Answer { status, body: Zeroizing::new(body.as_bytes().to_vec()) }
}

fn settings(variables: &[(&str, &str)], home: &Path) -> Result<Settings, SettingsError> {
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Settings::read(find, home)
}

/// A server that is not there, and a token for it.
fn nowhere() -> std::sync::Arc<Leases> {
    let variables = [("VAULT_ADDR", "http://127.0.0.1:1"), ("VAULT_TOKEN", CANARY)];
    Leases::new(settings(&variables, Path::new("/nonexistent")).ok().unwrap())
}

#[test]
fn variables_lead_to_the_server() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".vault-token"), " kept\n").unwrap();
    let check = |variables: &[(&str, &str)], expected: Result<&str, &str>| {
        let said = settings(variables, home.path()).map(|settings| {
            let token = String::from_utf8_lossy(settings.token.expose()).into_owned();
            format!("{} {token} {}", settings.address, settings.namespace.unwrap_or_default())
        });
        let said = said.map_err(|error| error.to_string());
        assert!(
            match (&said, expected) {
                (Ok(said), Ok(expected)) => said == expected,
                (Err(said), Err(expected)) => said.contains(expected),
                _ => false,
            },
            "{variables:?}: {said:?}"
        );
    };
    check(&[], Ok("https://127.0.0.1:8200/ kept "));
    check(&[("VAULT_TOKEN", ""), ("VAULT_ADDR", "https://a.example/x/")], Ok("https://a.example/x/ kept "));
    check(&[("VAULT_TOKEN", "t"), ("VAULT_NAMESPACE", "a/b/")], Ok("https://127.0.0.1:8200/ t a/b"));
    check(&[("VAULT_TOKEN", "t"), ("BAO_TOKEN", "b"), ("VAULT_SKIP_VERIFY", "0")], Ok("https://127.0.0.1:8200/ b "));
    check(&[("VAULT_ADDR", "http://localhost:8200")], Ok("http://localhost:8200/ kept "));
    check(&[("VAULT_ADDR", "http://[::1]:8200")], Ok("http://[::1]:8200/ kept "));
    for clear in ["http://a.example", "http://10.0.0.1", "http://localhost.a.example", "http://127.0.0.1.a.example"] {
        check(&[("VAULT_ADDR", clear)], Err("readable on the way"));
    }
    for odd in ["a.example:8200", "unix:///run/x", "https://user:password@a.example", "https://a.example?x", "8200"] {
        check(&[("VAULT_ADDR", odd)], Err("VAULT_ADDR is no address of a server"));
    }
    check(&[("VAULT_SKIP_VERIFY", "1")], Err("shows a token to no server that it has not verified"));
    check(&[("BAO_CLIENT_CERT", "x")], Err("BAO_CLIENT_CERT is set"));
    check(&[("VAULT_CACERT", "/nonexistent")], Err("cannot read /nonexistent"));
    check(&[("VAULT_CACERT", "/etc/hostname")], Err("/etc/hostname holds no certificate"));
    std::fs::write(home.path().join(".vault-token"), "\n").unwrap();
    check(&[], Err("run `vault login`"));
}

#[test]
fn where_a_path_leads() {
    let check = |answer: &str, expected: (&str, bool)| {
        let mount = answer::mount(&answered(200, answer)).ok().flatten().unwrap();
        assert_eq!(mount.place("team/kv/a/b"), (expected.0.to_owned(), expected.1), "{answer}");
    };
    check(r#"{"data":{"path":"team/kv/","type":"kv","options":{"version":"2"}}}"#, ("team/kv/data/a/b", true));
    check(r#"{"data":{"path":"team/kv/","type":"kv","options":{"version":"1"}}}"#, ("team/kv/a/b", false));
    check(r#"{"data":{"path":"team/","type":"aws","options":null}}"#, ("team/kv/a/b", false));
    assert!(matches!(answer::mount(&answered(404, "")), Ok(None)), "a server that is too old to tell");
    assert!(matches!(answer::mount(&answered(403, "{}")), Err(CallError::Forbidden)));
}

#[test]
fn answers() {
    let check = |status, body: &str, versioned, expected: &str| {
        let said = match answer::secret(&answered(status, body), versioned) {
            Ok(Given { values, lease }) => format!("{} {lease:?}", String::from_utf8_lossy(values.expose())),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(said, expected, "{body}");
        assert!(said.starts_with('{') || !said.contains(CANARY), "{said}");
    };
    let kept = format!(
        r#"{{"lease_id":"","lease_duration":2764800,"data":{{"data":{{"a":"{CANARY}"}},"metadata":{{"deletion_time":"","destroyed":false}}}}}}"#
    );
    check(200, &kept, true, &format!(r#"{{"a":"{CANARY}"}} None"#));
    let leased = format!(r#"{{"lease_id":"x/1","renewable":true,"lease_duration":60,"data":{{"a":"{CANARY}"}}}}"#);
    check(200, &leased, false, &format!(r#"{{"a":"{CANARY}"}} Some(("x/1", 60s))"#));
    // An end that no clock reaches is none to compute with.
    check(
        200,
        &leased.replace("60", "18446744073709551615"),
        false,
        &format!(r#"{{"a":"{CANARY}"}} Some(("x/1", 3162240000s))"#),
    );
    assert!(SystemTime::now().checked_add(Duration::from_secs(3_162_240_000)).is_some());
    let twice = format!(r#"{{"lease_id":"x/1","lease_id":"x/2","data":{{"a":"{CANARY}"}}}}"#);
    check(200, &twice, false, r#"NotUnderstood("it is no JSON of that form")"#);
    check(200, &leased, true, r#"NotUnderstood("it is no JSON of that form")"#);
    check(200, &format!("<html>{CANARY}"), false, r#"NotUnderstood("it is no JSON of that form")"#);
    check(200, r#"{"lease_id":""}"#, false, r#"NotUnderstood("it has no `data`")"#);
    let gone = r#"{"data":{"data":null,"metadata":{"deletion_time":"2026-11-28T00:00:00Z","destroyed":false}}}"#;
    check(404, gone, true, "Deleted");
    check(200, gone, true, "Deleted");
    check(404, r#"{"errors":[]}"#, true, "NotFound");
    check(403, &format!(r#"{{"errors":["{CANARY}"]}}"#), false, "Forbidden");
    check(503, "", false, "Sealed");
    check(307, "", false, "Elsewhere(307)");
    check(500, CANARY, false, "Status(500)");
}

/// What runs still is told, what is over is not, and nothing is fetched afterwards.
#[test]
fn the_end_of_a_session() {
    let (leases, now) = (nowhere(), SystemTime::now());
    for (path, expires) in [("over", now - Duration::from_secs(1)), ("runs", now + Duration::from_secs(1000))] {
        leases.running.lock().unwrap().push(Lease { id: "x".to_owned(), path: path.to_owned(), expires });
    }
    let source = LeasedSource::new(std::sync::Arc::clone(&leases), "a/b");
    let why = |source: &LeasedSource| {
        let error = source.fetch(Manner::Silent).err().unwrap();
        format!("{error}: {}", std::error::Error::source(&error).unwrap())
    };
    assert_eq!(why(&source), "vault:a/b gave nothing: cannot reach http://127.0.0.1:1");
    let told = leases.end();
    assert!(
        told.len() == 1 && told[0].starts_with("a lease of vault:runs was not revoked and runs for 99"),
        "{told:?}"
    );
    assert_eq!(why(&source), "vault:a/b gave nothing: the session has ended");
    assert!(leases.end().is_empty());
}
