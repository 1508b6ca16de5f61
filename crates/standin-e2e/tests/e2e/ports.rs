//! Ports of loopback, from the host to the command and from the command to the host.

use crate::direct::{Caller, Running, Text, stdout, wait_for_all};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

/// A server of the host's that speaks first, then sends back what it is sent, up to the end.
struct Echo {
    port: u16,
    serving: JoinHandle<()>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                socket.write_all(b"hello\n").unwrap();
                let mut text = Vec::new();
                // A client that resets has said enough.
                socket.read_to_end(&mut text).ok();
                socket.write_all(&text).ok();
                if text == b"end" {
                    return;
                }
            }
        });
        Self { port, serving }
    }

    fn end(self) {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap().write_all(b"end").unwrap();
        self.serving.join().unwrap();
    }
}

/// Connects to the port of each address, says its name, and prints what comes.
const DIAL: &str = "import socket, sys
for name in sys.argv[2:]:
    try:
        with socket.create_connection((name, int(sys.argv[1]))) as s:
            s.sendall(name.encode())
            s.shutdown(socket.SHUT_WR)
            print(name, b''.join(iter(lambda: s.recv(100), b'')))
    except OSError as error:
        print(name, error.strerror)";

fn printed(command: &mut Command) -> String {
    stdout(&command.output().unwrap())
}

#[test]
fn a_port_of_the_host_is_reached_by_those_who_may() {
    let caller = Caller::new();
    let echo = Echo::start();
    let port = echo.port;
    let number = port.to_string();
    let dial = ["/usr/bin/python3", "-c", DIAL, &number, "localhost", "127.0.0.1", "::1"];
    // Outside it answers; inside there is nothing.
    let outside = printed(caller.program(dial[0]).args(&dial[1..5]));
    assert_eq!(outside, "localhost b'hello\\nlocalhost'\n");
    let refused = "Connection refused";
    let expected = format!("localhost {refused}\n127.0.0.1 {refused}\n::1 {refused}\n");
    assert_eq!(printed(&mut caller.run(&[], &dial)), expected);

    // A proxy that the host sits behind leads elsewhere.
    let reached = printed(caller.run(&["--reach", &number], &dial).env("ALL_PROXY", "http://127.0.0.1:9"));
    assert_eq!(reached, "localhost b'hello\\nlocalhost'\n127.0.0.1 b'hello\\n127.0.0.1'\n::1 b'hello\\n::1'\n");
    let records = caller.records();
    assert_eq!(records.len(), 3, "{records:?}");
    for (record, name) in records.iter().zip(["localhost", "127.0.0.1", "::1"]) {
        for (key, value) in [
            ("kind", "exchange"),
            ("ingress", "reach"),
            ("scheme", "tcp"),
            ("host", "localhost"),
            ("verdict", "allow"),
            ("rule", "reach"),
            ("outcome", "completed"),
            ("peer", &format!("127.0.0.1:{port}")),
        ] {
            assert_eq!(record[key], value, "{record}");
        }
        assert_eq!((&record["bytes_out"], &record["bytes_in"]), (&name.len().into(), &(6 + name.len()).into()));
    }
    assert_eq!(records[0]["port"], port);

    echo.end();
}

/// Both ways, in one session with these flags.
pub fn lead_in_and_out(flags: &[&str]) {
    let caller = Caller::new();
    let (echo, port) = (Echo::start(), free_port());
    let (reach, publish) = (echo.port.to_string(), port.to_string());
    let flags = [flags, &["--reach", &reach, "--publish", &publish]].concat();
    let script = "/usr/bin/python3 -c \"$1\" $2 localhost; exec /usr/bin/python3 -c \"$3\" 127.0.0.1 $4";
    let command = ["sh", "-c", script, "sh", DIAL, &reach, SERVE, &publish];
    let mut standin = Running::start(caller.run(&flags, &command).stdout(Stdio::piped()));
    let said = Text::from(standin.stdout()).until("ready");
    assert_eq!(said, "localhost b'hello\\nlocalhost'\n", "{flags:?}");
    assert_eq!(ask(Ipv4Addr::LOCALHOST.into(), port).unwrap(), "inside: question", "{flags:?}");
    standin.signal(rustix::process::Signal::TERM);
    assert_eq!(standin.wait().code(), Some(143), "{flags:?}");
    echo.end();
}

#[test]
fn no_other_port_and_no_other_way_is_reached() {
    let caller = Caller::new();
    let echo = Echo::start();
    let port = echo.port;
    let unused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let other = unused.local_addr().unwrap().port();
    let file = caller.path("config.toml");
    std::fs::write(&file, format!("[[reach]]\nport = {port}\n")).unwrap();
    let tried = format!(
        "import socket
def ask(request, to):
    with socket.create_connection(to) as s:
        s.sendall(request.encode())
        print(b''.join(iter(lambda: s.recv(1000), b'')).split(b'\\r\\n')[0].decode())
for host in ('localhost', '127.0.0.1'):
    to = f'{{host}}:{port}'
    ask(f'GET http://{{to}}/ HTTP/1.1\\r\\nHost: {{to}}\\r\\nConnection: close\\r\\n\\r\\n', ('10.0.2.2', 80))
try:
    socket.create_connection(('127.0.0.1', {other}))
except OSError as error:
    print(error.strerror)
taken = socket.socket()
taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
try:
    taken.bind(('127.0.0.1', {port}))
except OSError as error:
    print(error.strerror)"
    );
    let flags = ["--config", file.to_str().unwrap()];
    let said = printed(&mut caller.run(&flags, &["/usr/bin/python3", "-c", &tried]));
    assert_eq!(said, "HTTP/1.1 403 Forbidden\nHTTP/1.1 403 Forbidden\nConnection refused\nAddress already in use\n");
    echo.end();
}

#[test]
fn what_fails_or_is_over_a_cap_is_reset_and_on_record() {
    let caller = Caller::new();
    let port = free_port().to_string();
    let dial = ["/usr/bin/python3", "-c", DIAL, &port, "127.0.0.1"];
    let reset = "127.0.0.1 Connection reset by peer\n";
    assert_eq!(printed(&mut caller.run(&["--reach", &port], &dial)), reset);
    assert_eq!(caller.records()[0]["outcome"], "upstream_failed");

    let echo = Echo::start();
    let port = echo.port.to_string();
    let file = caller.path("config.toml");
    std::fs::write(&file, format!("[caps]\nbytes_out = 8\n[[reach]]\nport = {port}\n")).unwrap();
    let dial = ["/usr/bin/python3", "-c", DIAL, &port, "127.0.0.1"];
    assert_eq!(printed(&mut caller.run(&["--config", file.to_str().unwrap()], &dial)), reset);
    let record = &caller.records()[0];
    assert_eq!(
        (&record["verdict"], &record["reason"], &record["bytes_out"]),
        (&"deny".into(), &"cap.bytes_out".into(), &0.into())
    );
    echo.end();
}

/// Answers each connection at this address and port with what it is sent.
const SERVE: &str = "import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
server = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print('ready', flush=True)
while True:
    client, _ = server.accept()
    client.sendall(b'inside: ' + client.recv(100))
    client.close()";

fn ask(address: IpAddr, port: u16) -> std::io::Result<String> {
    let mut socket = TcpStream::connect((address, port))?;
    socket.write_all(b"question")?;
    socket.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A port of the host's that nobody has.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn a_published_port_is_the_commands() {
    for inside in ["127.0.0.1", "::1"] {
        let caller = Caller::new();
        let port = free_port();
        let published = format!("3000:{port}");
        let serve = ["/usr/bin/python3", "-c", SERVE, inside, "3000"];
        let start = |flags: &[&str]| {
            let mut standin = Running::start(caller.run(flags, &serve).stdout(Stdio::piped()).stderr(Stdio::null()));
            Text::from(standin.stdout()).until("ready");
            standin
        };
        // Unasked, nothing leads in.
        let standin = start(&[]);
        assert!(ask(Ipv4Addr::LOCALHOST.into(), port).is_err());
        drop(standin);

        let mut standin = start(&["--publish", &published]);
        for address in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            assert_eq!(ask(address, port).unwrap(), "inside: question");
        }
        // Nobody else's address has it.
        let listening = |file: &str, port: u16| -> Vec<String> {
            let port = format!(":{port:04X}");
            let table = std::fs::read_to_string(file).unwrap();
            let local = table.lines().filter_map(|line| line.split_whitespace().nth(1));
            local.filter_map(|local| local.strip_suffix(&port)).map(str::to_owned).collect()
        };
        let listeners = [listening("/proc/net/tcp", port), listening("/proc/net/tcp6", port)].concat();
        let loopback = ["0100007F", "00000000000000000000000001000000"];
        assert!(listeners.iter().all(|local| loopback.contains(&local.as_str())), "{listeners:?}");

        let processes = standin.descendants();
        assert_eq!(processes.len(), 5, "one outside, the broker of files, the way in, the first inside, the command");
        standin.signal(rustix::process::Signal::TERM);
        assert_eq!(standin.wait().code(), Some(143));
        wait_for_all(&processes);
        let record = &caller.records()[0];
        assert_eq!(
            (&record["kind"], &record["ingress"], &record["port"]),
            (&"published".into(), &"publish".into(), &port.into())
        );
        assert_eq!((&record["bytes_in"], &record["bytes_out"]), (&16.into(), &32.into()));
        assert_eq!(record["detail"], "2 connections from this host to port 3000 of the command");
    }
}

#[test]
fn who_is_not_answered_inside_is_reset() {
    let caller = Caller::new();
    let port = free_port();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut standin = Running::start(
        caller
            .run(&["--publish", &format!("3000:{port}")], &["sh", "-c", "echo ready; read line"])
            .stdin(reader)
            .stdout(Stdio::piped()),
    );
    Text::from(standin.stdout()).until("ready");
    let error = ask(Ipv4Addr::LOCALHOST.into(), port).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    drop(writer);
    assert_eq!(standin.wait().code(), Some(1));
}

#[test]
fn a_port_that_cannot_be_had_is_said_before_anything_runs() {
    let caller = Caller::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    for (flags, expected) in [
        (vec!["--publish".to_owned(), port.to_string()], "Address already in use"),
        (vec!["--publish=3000".to_owned(), "--reach=3000".to_owned()], "port 3000 is both published and reached"),
        (vec!["--publish=3000:1".to_owned(), "--publish=3000:2".to_owned()], "port 3000 is published twice"),
    ] {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let output = caller.run(&flags, &["touch", "ran"]).output().unwrap();
        assert_eq!(output.status.code(), Some(125));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(expected), "{said}");
        assert!(!caller.path("workspace/ran").exists());
    }
}
