//! PostgreSQL with the real client and the real server. The password is outside.

mod open;
mod server;

use crate::look;
use server::Server;
use standin_e2e::{DATABASE_PASSWORD, Rig};

/// A rig with one server, and a grant for its password: what stands in `grant` is in `postgres = { … }`.
fn rig(grant: &str) -> (Rig, Server) {
    let rig = Rig::new(&["db.example", "other.example"]);
    let server = Server::start(&rig);
    configure(&rig, &format!("postgres = {{ {grant} }}"));
    let config = rig.path("config.toml").into_os_string().into_string().unwrap();
    let url = format!("postgres://app:{DATABASE_PASSWORD}@db.example/shop");
    (rig.with(&["--config", &config]).variable("DATABASE_URL", &url), server)
}

fn configure(rig: &Rig, grant: &str) {
    let root = rig.path("database-root.pem").display().to_string();
    let text = format!(
        "[upstream]\nroots = [\"{root}\"]\n[[credential]]\nname = \"db\"\nsource = \"env:DATABASE_URL\"\n\
         env = [\"DATABASE_URL\"]\n[[credential.grant]]\nhosts = [\"db.example\"]\n{grant}\n"
    );
    rig.marker("config.toml", &text);
}

const PSQL: &str = "psql -X -q -A -t -v ON_ERROR_STOP=1";

#[test]
fn a_connection_string_works_with_a_password_that_is_not_inside() {
    let (rig, server) = rig("users = [\"app\"], databases = [\"shop\"]");
    let outcome = rig.script(&format!(
        "set -e; {PSQL} $DATABASE_URL -c 'SELECT name, current_user FROM goods' -c \"INSERT INTO goods VALUES (2, 'milk')\"; \
         {PSQL} \"$DATABASE_URL?sslmode=disable\" -c 'SELECT count(*) FROM goods'; \
         {PSQL} \"$DATABASE_URL?sslmode=verify-full&sslrootcert=$SSL_CERT_FILE&channel_binding=require\" -c 'SELECT 3'; \
         case $DATABASE_URL in postgres://app:?*@db.example/shop) echo stand-in;; esac"
    ));
    let outcome = outcome.succeeded();
    assert_eq!(outcome.stdout, "tea|app\n2\n3\nstand-in\n", "{}", outcome.stderr);
    assert_eq!(server.sql("shop", "SELECT name FROM goods WHERE id = 2"), "milk");
    let record = "exchange postgres db.example 5432 connect app@shop allow null completed";
    assert_eq!(outcome.records(), [record; 3]);
    for line in outcome.log.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&record["credentials"][0], &record["rule"]), (&"db".into(), &"db.grant[1]".into()), "{line}");
        assert!(record["bytes_in"].as_u64() > Some(0) && record["bytes_out"].as_u64() > Some(0), "{line}");
    }
}

#[test]
fn what_is_not_granted_is_refused_with_a_reason() {
    let (rig, server) = rig("users = [\"app\"], databases = [\"shop\"]");
    let config = std::fs::read_to_string(rig.path("config.toml")).unwrap();
    let other = "[[credential]]\nname = \"key\"\nsource = \"env:KEY\"\nenv = [\"KEY\"]\n[[credential.grant]]\nhosts = [\"other.example\"]\n";
    rig.marker("config.toml", &(config + other));
    let rig = rig.variable("KEY", standin_e2e::ECHO_KEY);
    let granted = "granted: user app at database shop";
    for (connection, code, expected) in [
        (
            "${DATABASE_URL%/shop}/other",
            "postgres.request_not_allowed",
            format!("Standin: the user app at the database other of db.example is not granted; {granted}"),
        ),
        (
            "postgres://boss:x@db.example/shop",
            "postgres.request_not_allowed",
            format!("Standin: the user boss at the database shop of db.example is not granted; {granted}"),
        ),
        (
            "postgres://app:wrong@db.example/shop",
            "credential.foreign",
            "Standin: the password is not the stand-in for `db`".to_owned(),
        ),
        (
            "postgres://app:$KEY@db.example/shop",
            "credential.wrong_destination",
            "Standin: the password is the stand-in for `key`, which is not granted here; granted is `db`".to_owned(),
        ),
        (
            "${DATABASE_URL%@*}@other.example/shop",
            "postgres.not_granted",
            "Standin: no password is granted for PostgreSQL at other.example; its owner can add a".to_owned(),
        ),
        (
            "$DATABASE_URL?replication=database",
            "postgres.request_not_allowed",
            "Standin: a client of PostgreSQL asks for replication, which is not carried".to_owned(),
        ),
    ] {
        for mode in ["disable", "require"] {
            let script = format!("{PSQL} {connection} -c 'SELECT 1'");
            let outcome = rig.script(&format!("export PGSSLMODE={mode}; {script}"));
            assert!(outcome.stderr.contains(&expected), "{connection} {mode}\n{}\n{}", outcome.stderr, outcome.log);
            assert_eq!(outcome.code, Some(2), "{connection}\n{}", outcome.stderr);
            let last = outcome.records().pop().unwrap();
            assert!(last.contains(code), "{connection}\n{last}");
        }
    }
    // Nobody but the tests was there.
    assert_eq!(server.sql("shop", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"), "0");
}

/// What the client prints when its connection is refused, and the last record.
fn refused(rig: &Rig, host: &str) -> (String, String) {
    let outcome = rig.script(&format!("{PSQL} postgres://app@{host}/shop -c 'SELECT 1'"));
    assert_eq!(outcome.code, Some(2), "{}\n{}", outcome.stdout, outcome.stderr);
    let last = outcome.log.lines().last().unwrap().to_owned();
    (outcome.stderr, last)
}

/// The same rig with a password by itself, for clients that take it from a variable.
fn with_password(grant: &str) -> (Rig, Server) {
    let (rig, server) = rig("");
    configure(&rig, grant);
    let config = std::fs::read_to_string(rig.path("config.toml")).unwrap();
    rig.marker("config.toml", &config.replace("DATABASE_URL", "PGPASSWORD"));
    (rig.variable("PGPASSWORD", DATABASE_PASSWORD), server)
}

#[test]
fn a_server_that_is_not_believed_gets_no_password() {
    let (rig, server) = with_password("postgres = {}");
    let config = std::fs::read_to_string(rig.path("config.toml")).unwrap();
    let not_good = "Standin: TLS to this server failed, or its certificate is not good";
    // Its certificate is for another name.
    rig.marker("config.toml", &config.replace("db.example", "other.example"));
    let (said, record) = refused(&rig, "other.example");
    assert!(said.contains(not_good) && record.contains("not valid for name"), "{said}\n{record}");
    // Nobody whom the host believes has signed it.
    rig.marker(
        "config.toml",
        config.split_once("[[credential]]").map(|(_, rest)| format!("[[credential]]{rest}")).unwrap().as_str(),
    );
    let (said, record) = refused(&rig, "db.example");
    assert!(said.contains(not_good) && record.contains("invalid peer certificate"), "{said}\n{record}");
    // It has none.
    rig.marker("config.toml", &config);
    server.without_tls();
    let (said, record) = refused(&rig, "db.example");
    assert!(said.contains("Standin: the server db.example:5432 has no TLS"), "{said}\n{record}");
    // It may have none, but not out there.
    rig.marker("config.toml", &config.replace("postgres = {}", "postgres = { plaintext = true }"));
    let (said, record) = refused(&rig, "db.example");
    assert!(said.contains("without TLS at addresses that are not public only"), "{said}\n{record}");
}

#[test]
fn servers_ask_for_the_password_in_several_ways() {
    let (rig, server) = with_password("postgres = {}");
    let ask = format!("{PSQL} postgres://app@db.example/shop -c 'SELECT name FROM goods'");
    for line in ["host all app all password", "host all app all trust"] {
        server.authenticates(line);
        assert_eq!(rig.script(&ask).succeeded().stdout, "tea\n", "{line}");
    }
    server.sql("postgres", &format!("SET password_encryption = md5; ALTER ROLE app PASSWORD '{DATABASE_PASSWORD}'"));
    server.authenticates("host all app all md5");
    assert_eq!(rig.script(&ask).succeeded().stdout, "tea\n");
    server.sql("postgres", "ALTER ROLE app PASSWORD 'changed'");
    let (said, record) = refused(&rig, "db.example");
    assert!(said.contains("Standin: db.example did not accept the real password `db` for the user app"), "{said}");
    assert!(record.contains("password authentication failed"), "{record}");
    // It was shown to this server all the same.
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!((&record["credentials"][0], record["peer"].is_string()), (&"db".into(), true), "{record}");
}

const CONNECT_AND_LOOK: &str = r#"
import os, subprocess
client = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "postgres://app@db.example/shop"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
client.stdin.write("SELECT name FROM goods;\n")
client.stdin.flush()
print(client.stdout.readline().strip())
found = {b"Canary-" + b"database": set(), os.environ["PGPASSWORD"].encode(): set()}
# look everywhere
print(*(",".join(sorted(places)) or "nowhere" for places in found.values()))
client.stdin.close()
client.wait()
"#;

#[test]
fn nothing_real_is_inside_while_a_client_is_connected() {
    let (rig, _server) = with_password("postgres = {}");
    let outcome = look::everywhere(&rig, CONNECT_AND_LOOK).succeeded();
    assert_eq!(outcome.stdout, "tea\nnowhere environment,memory\n", "{}", outcome.stderr);
}
