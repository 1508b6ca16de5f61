//! What the command sends into the network, whatever it is: it arrives at the proxy or is refused at once.

use crate::direct::{Caller, Running, Text};
use std::process::Stdio;

#[test]
fn every_address_and_port_leads_to_the_proxy() {
    // Public, private, beside the gateway, metadata, of the range of fake addresses, wrapped.
    let addresses = [
        ("93.184.216.34", 1),
        ("93.184.216.34", 65_535),
        ("10.0.2.50", 22),
        ("192.168.1.1", 8080),
        ("169.254.169.254", 80),
        ("198.19.255.254", 443),
        ("255.255.255.254", 25),
        ("2606:4700::1111", 53),
        ("fd00:5a::50", 5432),
        ("fec0::1", 6443),
        ("::ffff:8.8.8.8", 853),
        ("64:ff9b::808:808", 15_001),
    ];
    // Pairs are written in Python as they are in Rust.
    let list = format!("{addresses:?}");
    let script = format!(
        "import socket
for address, port in {list}:
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
    s.connect((address, port))
    s.sendall(b'\\x00\\x10something opaque')
    try:
        print(s.recv(1))
    except ConnectionResetError:
        print(b'')"
    );
    let caller = Caller::new();
    assert_eq!(caller.python(&script), "b''\n".repeat(addresses.len()));
    let mut refused: Vec<_> = caller
        .records()
        .iter()
        .map(|record| {
            assert_eq!((&record["verdict"], &record["reason"]), (&"deny".into(), &"net.ip_literal".into()), "{record}");
            (record["host"].as_str().unwrap().to_owned(), record["port"].as_u64().unwrap())
        })
        .collect();
    refused.sort();
    let mut expected: Vec<_> = addresses
        .iter()
        .map(|(address, port)| match address.strip_prefix("::ffff:") {
            Some(wrapped) => (wrapped.to_owned(), *port),
            None if address.contains(':') => (format!("[{address}]"), *port),
            None => ((*address).to_owned(), *port),
        })
        .collect();
    expected.sort();
    assert_eq!(refused, expected);
}

#[test]
fn every_resolver_is_ours_and_forwards_nothing() {
    // Made-up addresses come back for whatever is asked; other types are empty; TCP, as to any address, is refused.
    let script = "import socket, struct
def query(kind):
    name = b''.join(bytes([len(label)]) + label for label in (b'c2VjcmV0', b'attacker', b'example'))
    return struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + name + b'\\0' + struct.pack('>2H', kind, 1)
for address in ('10.0.2.2', '8.8.8.8', '2001:4860:4860::8888', '192.168.1.1'):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    for name, kind in (('A', 1), ('TXT', 16), ('AAAA', 28), ('HTTPS', 65), ('NULL', 10), ('ANY', 255), ('AXFR', 252)):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.settimeout(30)
        s.connect((address, 53))
        s.send(query(kind))
        answer = s.recv(4096)
        answers = struct.unpack('>H', answer[6:8])[0]
        made_up = answers == 1 and answer[-4:-2] == b'\\xc6\\x12'
        if not (made_up if name == 'A' else answers == 0):
            print(address, name, answer)
for address in ('8.8.8.8', '2001:4860:4860::8888'):
    s = socket.create_connection((address, 53))
    s.sendall(struct.pack('>H', len(query(1))) + query(1))
    try:
        print(s.recv(100))
    except ConnectionResetError:
        print(b'')";
    let caller = Caller::new();
    assert_eq!(caller.python(script), "b''\nb''\n");
    let ports: Vec<_> = caller.records().iter().map(|record| record["port"].as_u64()).collect();
    assert_eq!(ports, [Some(53), Some(53)]);
}

#[test]
fn udp_is_refused_at_once_however_often() {
    // Kernels limit how many refusals they send a second, unless they are told not to.
    let script = "import socket
refused = 0
for n in range(300):
    for family, address in ((socket.AF_INET, f'93.184.216.{n % 250}'), (socket.AF_INET6, f'2606:4700::{n:x}')):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.settimeout(30)
        s.connect((address, 443 + n))
        s.send(b'x')
        try:
            s.recv(1)
        except ConnectionRefusedError:
            refused += 1
print(refused)";
    assert_eq!(Caller::new().python(script), "600\n");
}

#[test]
fn raw_and_ping_sockets_are_refused() {
    let script = "import socket
for family in (socket.AF_INET, socket.AF_INET6):
    for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
        for protocol in (1, 58, 132, 33, 136):
            try:
                socket.socket(family, kind, protocol)
                print(family, kind, protocol, 'open')
            except OSError as error:
                assert error.errno in (1, 13, 93, 94), error
print('tried')";
    // UDP-Lite (136) is UDP by another number.
    let text = Caller::new().python(script);
    let opened: Vec<_> = text.lines().filter(|line| !line.ends_with("136 open")).collect();
    assert_eq!(opened, ["tried"], "{text}");
}

#[test]
fn no_address_answers_a_ping() {
    // The command has no way to send one, so somebody who has the sandbox's user namespace, as its owner does, looks.
    // A datagram that is refused marks the end: an answer to the ping would come before.
    let ping = "import ctypes, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
for name in ('user', 'net'):
    assert libc.setns(os.open(f'/proc/{sys.argv[1]}/ns/{name}', os.O_RDONLY), 0) == 0, os.strerror(ctypes.get_errno())
def sum16(data):
    total = sum(struct.unpack(f'>{len(data) // 2}H', data))
    return ~((total & 0xffff) + (total >> 16)) & 0xffff
for family, protocol, address, request, answers in (
        (socket.AF_INET, 1, '93.184.216.34', 8, (0, 3)), (socket.AF_INET6, 58, '2606:4700::1111', 128, (129, 1))):
    raw = socket.socket(family, socket.SOCK_RAW, protocol)
    raw.settimeout(30)
    echo = struct.pack('>2B3H', request, 0, 0, 7, 1)
    echo = struct.pack('>2B3H', request, 0, sum16(echo), 7, 1)
    raw.sendto(echo, (address, 0))
    mark = socket.socket(family, socket.SOCK_DGRAM)
    mark.sendto(b'x', (address, 9))
    while True:
        packet = raw.recv(1000)
        kind = packet[20] if family == socket.AF_INET else packet[0]
        if kind in answers:
            print(kind)
        if kind == answers[1]:
            break";
    let caller = Caller::new();
    let (reader, _writer) = std::io::pipe().unwrap();
    let mut sandbox =
        Running::start(caller.standin(&["sh", "-c", "echo ready; read end"]).stdin(reader).stdout(Stdio::piped()));
    Text::from(sandbox.stdout()).until("ready");
    let (outside, _) = &sandbox.descendants()[0];
    let target = outside.as_raw_nonzero().to_string();
    let output = caller.program("/usr/bin/python3").args(["-c", ping, &target]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3\n1\n", "{}", String::from_utf8_lossy(&output.stderr));
}
