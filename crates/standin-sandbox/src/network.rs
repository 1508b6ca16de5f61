//! Two network namespaces: the gateway, in which every address is local, and the sandbox's own.
//!
//! No process lives in the gateway; the sockets made here keep it alive and are handed to the proxy. Nothing in
//! the sandbox can see, bind in or change it. There is no way to the host's network from either.

use crate::netlink::{ACK, CREATE, Message, Netlink, attribute, nested};
use crate::nft;
use crate::step::{At, Step, StepError};
use crate::sys;
use rustix::net::{AddressFamily, SocketAddrV6, SocketFlags, SocketType, bind, listen, socket_with};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The gateway, as the sandbox sees it.
pub const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The gateway, as the sandbox sees it.
pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x5a, 0, 0, 0, 0, 0, 2);
const SANDBOX_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
const SANDBOX_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x5a, 0, 0, 0, 0, 0, 0x100);
/// Fixed, so that neighbours can be entered instead of asked for (the first IPv6 packet would wait a second).
const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0x5a, 0, 2];
const SANDBOX_MAC: [u8; 6] = [2, 0, 0, 0x5a, 0, 1];
/// Above the indices of devices that some kernels put into every namespace.
const LINK: u32 = 77;
const LOOPBACK: u32 = 1;
/// Where captured connections are accepted.
const CAPTURE_PORT: u16 = 15_001;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
const MAIN_TABLE: u8 = 254;
const UNICAST: u8 = 1;

/// `IFLA_LINKINFO`, and the flag of attributes that hold attributes.
const LINK_INFO: u16 = 18;
const NESTED: u16 = 0x8000;

const RTA_DESTINATION: u16 = 1;
const RTA_LINK: u16 = 4;
const RTA_GATEWAY: u16 = 5;

const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const NEW_NEIGHBOUR: u16 = 28;

/// The gateway's sockets.
pub(crate) struct GatewaySockets {
    pub(crate) tcp: OwnedFd,
    pub(crate) dns: OwnedFd,
    /// On the sandbox's own loopback.
    pub(crate) local: Vec<OwnedFd>,
}

/// Sets up both namespaces. The caller is in a fresh namespace, which becomes the gateway; it leaves in the sandbox's.
/// On its loopback these ports are taken.
pub(crate) fn set_up(local: &[u16]) -> Result<GatewaySockets, StepError> {
    let gateway = Netlink::routes().at(Step::GatewayNetwork)?;
    let gateway_namespace = fs::File::open("/proc/self/ns/net").at(Step::GatewayNetwork)?;
    set_answers().at(Step::GatewayNetwork)?;
    make_everything_local(&gateway).at(Step::GatewayNetwork)?;
    nft::capture_tcp(CAPTURE_PORT).at(Step::CaptureRules)?;
    let mut sockets = gateway_sockets().at(Step::GatewayNetwork)?;
    sys::unshare(libc::CLONE_NEWNET).at(Step::SandboxNetwork)?;
    connect(&gateway, &gateway_namespace.into()).at(Step::SandboxNetwork)?;
    for port in local {
        sockets.local.extend(listen_locally(*port).at_thing(Step::SandboxNetwork, format!("port {port}"))?);
    }
    Ok(sockets)
}

/// Both of the addresses that `localhost` means; where IPv6 is off, the one.
fn listen_locally(port: u16) -> io::Result<Vec<OwnedFd>> {
    let open = |address: SocketAddr| {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        bind(&socket, &address)?;
        listen(&socket, BACKLOG)?;
        Ok::<_, io::Error>(socket)
    };
    let mut listeners = vec![open((Ipv4Addr::LOCALHOST, port).into())?];
    match open((Ipv6Addr::LOCALHOST, port).into()) {
        Ok(listener) => listeners.push(listener),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT)) => {}
        Err(error) => return Err(error),
    }
    Ok(listeners)
}

/// No address answers a ping: that would look like a way out. Every datagram is refused, also the hundredth in a second
/// (kernels send few refusals by default, and a client that gets none waits for its timeout).
fn set_answers() -> io::Result<()> {
    for (setting, value) in [
        ("ipv4/icmp_echo_ignore_all", "1"),
        ("ipv6/icmp/echo_ignore_all", "1"),
        ("ipv4/icmp_ratemask", "0"),
        ("ipv6/icmp/ratelimit", "0"),
        ("ipv6/icmp/ratemask", "\n"),
    ] {
        match fs::write(format!("/proc/sys/net/{setting}"), value) {
            // Absent where IPv6 is off; the last one also in kernels before 5.2.
            Err(error) if error.kind() == io::ErrorKind::NotFound && setting.starts_with("ipv6") => {}
            other => other?,
        }
    }
    Ok(())
}

/// `ip route add local default dev lo`: every address on earth is ours (AnyIP). In the main table, so that the
/// connected subnet, which leads to the sandbox, is more specific.
pub(crate) fn make_everything_local(netlink: &Netlink) -> io::Result<()> {
    const LOCAL: u8 = 2;
    const HOST_SCOPE: u8 = 254;
    netlink.request(&[
        link_up(LOOPBACK),
        default_route(libc::AF_INET, LOCAL, HOST_SCOPE, LOOPBACK),
        default_route(libc::AF_INET6, LOCAL, 0, LOOPBACK),
    ])
}

fn gateway_sockets() -> io::Result<GatewaySockets> {
    let any = |port| SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
    let open = |kind| {
        let socket = socket_with(AddressFamily::INET6, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        let fd = socket.as_fd();
        sys::setsockopt(fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
        // To accept connections to, and answer from, addresses that no interface has.
        sys::setsockopt(fd, libc::IPPROTO_IP, libc::IP_TRANSPARENT, 1)?;
        sys::setsockopt(fd, libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT, 1)?;
        Ok::<_, io::Error>(socket)
    };
    let tcp = open(SocketType::STREAM)?;
    bind(&tcp, &any(CAPTURE_PORT))?;
    listen(&tcp, BACKLOG)?;
    let dns = open(SocketType::DGRAM)?;
    sys::setsockopt(dns.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
    sys::setsockopt(dns.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_FREEBIND, 1)?;
    bind(&dns, &any(53))?;
    Ok(GatewaySockets { tcp, dns, local: Vec::new() })
}

/// One cable between the two, with addresses, neighbours and the sandbox's default routes. There is no subnet: an address
/// beside the two would be a neighbour that nobody captures; so it goes through the gateway like any other.
fn connect(gateway: &Netlink, gateway_namespace: &OwnedFd) -> io::Result<()> {
    let sandbox = Netlink::routes()?;
    let namespace = u32::try_from(gateway_namespace.as_raw_fd()).map_err(|_| io::ErrorKind::InvalidInput)?;
    sandbox.request(&[link_up(LOOPBACK), cable(namespace)])?;
    let end = |v4: Ipv4Addr, v6: Ipv6Addr, other_mac: [u8; 6], other_v4: Ipv4Addr, other_v6: Ipv6Addr| {
        [
            address(v4.into()),
            address(v6.into()),
            link_up(LINK),
            neighbour(IpAddr::V4(other_v4), other_mac),
            neighbour(IpAddr::V6(other_v6), other_mac),
            // Entered here, because the kernel enters those of IPv6 peers some time after the link is up.
            neighbour_route(other_v4.into()),
            neighbour_route(other_v6.into()),
        ]
    };
    gateway.request(&end(GATEWAY_V4, GATEWAY_V6, SANDBOX_MAC, SANDBOX_V4, SANDBOX_V6))?;
    sandbox.request(&end(SANDBOX_V4, SANDBOX_V6, GATEWAY_MAC, GATEWAY_V4, GATEWAY_V6))?;
    // The end that was up first learns in the background that the cable is whole; until then what it sends is dropped, and
    // TCP tries again after a second. Being asked for its state, it learns it at once (since Linux 6.8).
    gateway.request(&[Message::new(GET_LINK, ACK, &interface(LINK, 0, 0))])?;
    sandbox.request(&[
        default_route(libc::AF_INET, UNICAST, 0, LINK).with(RTA_GATEWAY, &octets(GATEWAY_V4.into())),
        default_route(libc::AF_INET6, UNICAST, 0, LINK).with(RTA_GATEWAY, &octets(GATEWAY_V6.into())),
    ])
}

/// A veth pair: `eth0` here, its peer in the gateway's namespace.
fn cable(peer_namespace: u32) -> Message {
    let peer = [
        interface(LINK, 0, 0),
        attribute(3, b"gw0\0"),
        attribute(1, &GATEWAY_MAC),
        attribute(28, &peer_namespace.to_ne_bytes()),
    ]
    .concat();
    let info = [attribute(1, b"veth\0"), nested(2, &[attribute(1, &peer)])].concat();
    Message::new(NEW_LINK, CREATE | ACK, &interface(LINK, 0, 0))
        .with_text(3, "eth0")
        .with(1, &SANDBOX_MAC)
        .with(LINK_INFO | NESTED, &info)
}

fn link_up(index: u32) -> Message {
    let up = u32::try_from(libc::IFF_UP).expect("a flag");
    Message::new(NEW_LINK, ACK, &interface(index, up, up))
}

/// `struct ifinfomsg`.
fn interface(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for word in [index, flags, change] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// `struct ifaddrmsg`, permanent and without duplicate detection, which would take a second.
fn address(ip: IpAddr) -> Message {
    const NO_DETECTION: u8 = 0x02;
    const PERMANENT: u8 = 0x80;
    let mut fixed = vec![family(ip), bits(ip), NO_DETECTION | PERMANENT, 0];
    fixed.extend_from_slice(&LINK.to_ne_bytes());
    Message::new(NEW_ADDRESS, CREATE | ACK, &fixed).with(2, &octets(ip)).with(1, &octets(ip))
}

/// `struct ndmsg`, permanent.
fn neighbour(ip: IpAddr, mac: [u8; 6]) -> Message {
    const PERMANENT: u16 = 0x80;
    let mut fixed = vec![family(ip), 0, 0, 0];
    fixed.extend_from_slice(&LINK.to_ne_bytes());
    fixed.extend_from_slice(&PERMANENT.to_ne_bytes());
    fixed.extend_from_slice(&[0, 0]);
    Message::new(NEW_NEIGHBOUR, CREATE | ACK, &fixed).with(1, &octets(ip)).with(2, &mac)
}

fn default_route(family: i32, kind: u8, scope: u8, link: u32) -> Message {
    let family = u8::try_from(family).expect("address families are small");
    route(family, 0, kind, scope, link)
}

/// The one address that is reached on the cable without a gateway.
fn neighbour_route(ip: IpAddr) -> Message {
    const LINK_SCOPE: u8 = 253;
    route(family(ip), bits(ip), UNICAST, LINK_SCOPE, LINK).with(RTA_DESTINATION, &octets(ip))
}

/// `struct rtmsg`.
fn route(family: u8, bits: u8, kind: u8, scope: u8, link: u32) -> Message {
    const BY_ADMINISTRATOR: u8 = 3;
    let fixed = [family, bits, 0, 0, MAIN_TABLE, BY_ADMINISTRATOR, scope, kind, 0, 0, 0, 0];
    Message::new(NEW_ROUTE, CREATE | ACK, &fixed).with(RTA_LINK, &link.to_ne_bytes())
}

/// The length of a prefix that is one address.
fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn family(ip: IpAddr) -> u8 {
    let family = if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    u8::try_from(family).expect("address families are small")
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
