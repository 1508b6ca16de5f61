//! Which addresses may be dialled: public ones, and those that a rule names.

use ipnet::IpNet;
use standin_model::{AddressBlocks, DenyReason};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Cloud metadata services: a token for the asking. No block wider than the address itself admits them.
const METADATA: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// IPv4 blocks that are not public (IANA special-purpose registry, RFC 6890).
const SPECIAL_V4: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// The reason not to dial `address`, unless one of `allowed` names it.
pub fn vet(address: IpAddr, allowed: &AddressBlocks) -> Result<(), DenyReason> {
    let judged = unwrapped(address);
    if METADATA.contains(&judged) {
        let exact = allowed.as_slice().iter().any(|block| is_single(block) && block.contains(&judged));
        return if exact { Ok(()) } else { Err(DenyReason::MetadataService) };
    }
    if is_public(judged) || allowed.contains(address) || allowed.contains(judged) {
        return Ok(());
    }
    Err(DenyReason::PrivateAddress)
}

fn is_single(block: &IpNet) -> bool {
    block.prefix_len() == block.max_prefix_len()
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !SPECIAL_V4.iter().any(|(network, length)| {
            let mask = u32::MAX << (32 - u32::from(*length));
            u32::from(v4) & mask == u32::from_be_bytes(*network)
        }),
        // Only 2000::/3 is assigned (RFC 4291 §2.4); documentation, ORCHID and benchmarking lie within it.
        IpAddr::V6(v6) => {
            let s = v6.segments();
            let special = (s[0] == 0x2001 && (s[1] < 0x0200 || s[1] == 0xdb8)) || s[0] == 0x3fff;
            (s[0] & 0xe000) == 0x2000 && !special
        }
    }
}

/// The IPv4 address that an IPv6 address wraps: mapped, NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380).
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let s = v6.segments();
    let o = v6.octets();
    let v4 = |at: usize| IpAddr::V4(Ipv4Addr::new(o[at], o[at + 1], o[at + 2], o[at + 3]));
    match s {
        [0, 0, 0, 0, 0, 0xffff, _, _] => v4(12),
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) != (0, 0) && (high, low) != (0, 1) => v4(12),
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] | [0x64, 0xff9b, 1, _, _, _, _, _] => v4(12),
        [0x2002, ..] => v4(2),
        [0x2001, 0, ..] => IpAddr::V4(Ipv4Addr::new(!o[12], !o[13], !o[14], !o[15])),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(address: &str, allowed: &[&str]) -> &'static str {
        let allowed = AddressBlocks::new(allowed.iter().map(|b| b.parse().unwrap()).collect());
        vet(address.parse().unwrap(), &allowed).map_or_else(DenyReason::code, |()| "ok")
    }

    #[test]
    fn only_public_addresses_are_dialled() {
        for address in ["93.184.215.14", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"] {
            assert_eq!(verdict(address, &[]), "ok", "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "64:ff9b:1::a00:1",
            "2001:0:1:2:3:4:f5ff:fffe",
            "::7f00:1",
        ] {
            assert_eq!(verdict(address, &[]), "net.private_address", "{address}");
        }
    }

    #[test]
    fn metadata_services_need_their_own_rule() {
        for address in
            ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "100.100.100.200"]
        {
            assert_eq!(verdict(address, &["0.0.0.0/0", "::/0"]), "net.metadata_service", "{address}");
        }
        assert_eq!(verdict("169.254.169.254", &["169.254.169.254/32"]), "ok");
    }

    #[test]
    fn a_rule_admits_what_it_names() {
        assert_eq!(verdict("127.0.0.1", &["127.0.0.0/8"]), "ok");
        assert_eq!(verdict("10.0.0.1", &["127.0.0.0/8"]), "net.private_address");
        assert_eq!(verdict("::1", &["::1/128"]), "ok");
    }
}
