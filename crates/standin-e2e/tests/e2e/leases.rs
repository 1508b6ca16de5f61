//! Secrets of HashiCorp Vault and OpenBao: fetched on use, leases ended with the session.

use standin_e2e::{Outcome, Rig, binary};
use standin_testkit::origin::bao;

const HOSTS: &[&str] = &["bao.example", "echo.example"];
/// Asks the origin with the stand-in.
const ASK: &str =
    "curl -sS -o /dev/null -H \"authorization: Bearer $TOKEN\" -w '%{http_code}\\n' https://echo.example/";

fn rig(source: &str) -> Rig {
    Rig::new(HOSTS)
        .with(&["--secret", &format!("TOKEN={source}@echo.example")])
        .variable("VAULT_ADDR", "https://bao.example")
        .variable("VAULT_TOKEN", bao::TOKEN)
}

/// Which leases were revoked, in their order.
fn revoked(outcome: &Outcome) -> Vec<String> {
    let asked = outcome.seen.iter().filter(|seen| seen.target == "/v1/sys/leases/revoke" && seen.method == "PUT");
    let named = asked.map(|seen| serde_json::from_str::<serde_json::Value>(&seen.body).unwrap());
    let mut leases: Vec<_> = named.map(|body| body["lease_id"].as_str().unwrap().to_owned()).collect();
    leases.sort();
    leases
}

#[test]
fn a_kept_secret_is_lent() {
    for (namespace, field, value) in [
        (None, "key", bao::kept("root")),
        (Some("team/dev/"), "key", bao::kept("team/dev")),
        (None, "/n/key", bao::kept("deep")),
    ] {
        let mut rig = rig(&format!("vault:secret/team/api#{field}"));
        if let Some(namespace) = namespace {
            rig = rig.variable("VAULT_NAMESPACE", namespace);
        }
        let outcome = rig.script(&format!("env | grep -c VAULT_; {ASK}")).succeeded();
        assert_eq!(outcome.stdout, "0\n200\n", "{}", outcome.stderr);
        assert!(outcome.origin_got("authorization", &format!("Bearer {value}")), "{}", outcome.stderr);
        assert_eq!(revoked(&outcome), [""; 0]);
    }
}

/// The token that `vault login` keeps in the home.
#[test]
fn who_has_logged_in_needs_no_variable() {
    let rig = rig("vault:secret/team/api#key").variable("VAULT_TOKEN", "");
    let none = rig.script(ASK);
    assert!(none.code == Some(125) && none.stderr.contains("run `vault login`"), "{}", none.stderr);
    std::fs::write(rig.home().join(".vault-token"), format!("{}\n", bao::TOKEN)).unwrap();
    let outcome = rig.script(&format!("cat ~/.vault-token; {ASK}"));
    assert_eq!(outcome.stdout, "200\n", "{}", outcome.stderr);
}

/// Two members come from one lease, which is fetched once and ended with the session.
#[test]
fn a_lease_ends_with_the_session() {
    let rig = rig("vault:database/creds/app#password")
        .with(&["--secret", "NAME=vault:database/creds/app#username@echo.example"]);
    let first = rig.script(&format!("{ASK}; {}", ASK.replace("TOKEN", "NAME"))).succeeded();
    assert!(first.origin_got("authorization", &format!("Bearer {}", bao::password(1))), "{}", first.stderr);
    assert!(first.origin_got("authorization", &format!("Bearer {}", bao::user(1))), "{}", first.stderr);
    assert_eq!(revoked(&first), ["database/creds/app/lease-1"]);
    // Now that its shape is known, who does not use it has nothing to end.
    let unused = rig.script("true").succeeded();
    assert!(!unused.seen.iter().any(|seen| seen.host == "bao.example"), "{:?}", unused.seen);
}

/// What is fetched by a request in the session is ended, too, when that ends by a signal.
#[test]
fn a_lease_ends_with_a_session_that_is_ended() {
    let rig = rig("vault:database/creds/app#password");
    // Its shape is known afterwards, so that the request in the session fetches it.
    assert_eq!(revoked(&rig.script("true").succeeded()), ["database/creds/app/lease-1"]);
    let standin = binary("standin").display().to_string();
    let inside = format!("{ASK}; exec tail -f /dev/null >/dev/null").replace('\'', "'\\''");
    let lend = "--secret TOKEN=vault:database/creds/app#password@echo.example";
    let run = format!("{standin} run {lend} -- sh -c '{inside}'");
    let script = format!("mkfifo ../out; {run} >../out & read answer <../out; kill -TERM $!; wait $!");
    let outcome = rig.on_host(&["sh", "-c", &script]);
    assert_eq!(outcome.code, Some(128 + 15), "{}", outcome.stderr);
    assert!(outcome.origin_got("authorization", &format!("Bearer {}", bao::password(1))), "{}", outcome.stderr);
    assert_eq!(revoked(&outcome), ["database/creds/app/lease-1"]);
}

/// Also one that was fetched for a session that never began.
#[test]
fn a_lease_ends_where_nothing_is_run() {
    let rig = rig("vault:database/creds/app#password").with(&["--secret", "OTHER=env:NOT_SET@echo.example"]);
    let outcome = rig.script("true");
    assert!(outcome.code == Some(125) && outcome.stderr.contains("NOT_SET is not set"), "{}", outcome.stderr);
    assert_eq!(revoked(&outcome), ["database/creds/app/lease-1"]);
}

#[test]
fn a_lease_that_is_not_ended_is_told_of() {
    let rig = rig("vault:database/creds/app#password");
    rig.marker(bao::REVOKES_NOTHING, "");
    let outcome = rig.script(ASK).succeeded();
    let told = "a lease of vault:database/creds/app was not revoked and runs for 3";
    assert!(outcome.stderr.contains(told) && outcome.stderr.contains("403"), "{}", outcome.stderr);
}

#[test]
fn what_the_server_refuses_is_said() {
    for (source, why) in [
        ("vault:secret/team/none#key", "there is nothing at this path (404)"),
        ("vault:secret/team/gone#key", "the newest version of it was deleted (404)"),
        ("vault:secret/sealed/api#key", "the server is sealed"),
        ("vault:elsewhere/api#key", "the token may not do that there, or has expired (403)"),
        ("vault:secret/team/api#other", "gave no value `other`"),
    ] {
        let outcome = rig(source).script("true");
        assert!(outcome.code == Some(125) && outcome.stderr.contains(why), "{source}: {}", outcome.stderr);
    }
    let other = rig("vault:secret/team/api#key").variable("VAULT_TOKEN", "hvs.other").script("true");
    assert!(other.stderr.contains("has expired (403)") && !other.stderr.contains("hvs."), "{}", other.stderr);
}

/// A token is shown to nobody who was not verified, whatever the variables say, and nothing inside says who is believed.
#[test]
fn the_server_is_verified() {
    let kept = "vault:secret/team/api#key";
    let rig_ca = |rig: Rig| {
        let own = another_authority();
        std::fs::write(rig.home().join("other-ca.pem"), own).unwrap();
        let path = rig.home().join("other-ca.pem").display().to_string();
        rig.variable("VAULT_CACERT", &path)
    };
    let foreign = rig_ca(rig(kept)).script("true");
    assert!(foreign.stderr.contains("https://bao.example cannot be verified"), "{}", foreign.stderr);
    let skipped = rig(kept).variable("VAULT_SKIP_VERIFY", "true").script("true");
    assert!(skipped.stderr.contains("VAULT_SKIP_VERIFY is set"), "{}", skipped.stderr);
    let clear = rig(kept).variable("VAULT_ADDR", "http://bao.example").script("true");
    assert!(clear.stderr.contains("readable on the way"), "{}", clear.stderr);
    let planted = rig(kept).variable("VAULT_CACERT", "ca.pem").script("true");
    assert!(planted.stderr.contains("says which server is believed"), "{}", planted.stderr);
    for outcome in [foreign, skipped, clear, planted] {
        assert!(outcome.code == Some(125) && outcome.seen.is_empty(), "{:?}", outcome.seen);
    }
}

/// An authority that has signed nothing here.
fn another_authority() -> String {
    let command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=other -days 2 2>/dev/null";
    let output = std::process::Command::new("sh").args(["-c", command]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
