//! The one nftables rule: every TCP connection, to any address and port, goes to one listener (`TPROXY`).
//!
//! Written by netlink, so no nft program is needed. Numbers are those of linux/netfilter/nf_tables.h.

use crate::netlink::{ACK, CREATE, Message, Netlink, attribute, nested};
use std::io;

const NFTABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = NFTABLES << 8;
const NEW_CHAIN: u16 = (NFTABLES << 8) | 3;
const NEW_RULE: u16 = (NFTABLES << 8) | 6;
const HOOK: u16 = 4;
const EXPRESSIONS: u16 = 4;
const NESTED: u16 = 0x8000;
/// Both IPv4 and IPv6.
const INET: u8 = 1;
/// Before routing, where destinations can still be turned to us (priority "mangle").
const PREROUTING: u32 = 0;
const MANGLE: i32 = -150;
const TABLE: &str = "standin";
const CHAIN: &str = "capture";

/// Turns every TCP connection that enters this namespace to the transparent listener on `port`.
pub(crate) fn capture_tcp(port: u16) -> io::Result<()> {
    let hook = nested(4, &[attribute(1, &PREROUTING.to_be_bytes()), attribute(2, &MANGLE.to_be_bytes())]);
    let hook = &hook[4..];
    let family = [INET, 0, 0, 0];
    let batch = [0, 0, 0, u8::try_from(NFTABLES).expect("ten")];
    Netlink::netfilter()?.request(&[
        Message::new(BATCH_BEGIN, 0, &batch),
        Message::new(NEW_TABLE, CREATE | ACK, &family).with_text(1, TABLE),
        Message::new(NEW_CHAIN, CREATE | ACK, &family)
            .with_text(1, TABLE)
            .with_text(3, CHAIN)
            .with(HOOK | NESTED, hook)
            .with_text(7, "filter"),
        Message::new(NEW_RULE, 0x400 | 0x800 | ACK, &family)
            .with_text(1, TABLE)
            .with_text(2, CHAIN)
            .with(EXPRESSIONS | NESTED, &rule(port)),
        Message::new(BATCH_END, 0, &batch),
    ])
}

/// `meta l4proto tcp tcp flags & (syn | ack) == syn tproxy to :PORT accept`. Later packets find their socket.
fn rule(port: u16) -> Vec<u8> {
    let be = |n: u32| n.to_be_bytes();
    let value = |kind: u16, bytes: &[u8]| nested(kind, &[attribute(1, bytes)]);
    [
        expression("meta", &[attribute(1, &be(1)), attribute(2, &be(16))]),
        expression("cmp", &[attribute(1, &be(1)), attribute(2, &be(0)), value(3, &[6])]),
        expression(
            "payload",
            &[attribute(1, &be(1)), attribute(2, &be(2)), attribute(3, &be(13)), attribute(4, &be(1))],
        ),
        expression(
            "bitwise",
            &[attribute(1, &be(1)), attribute(2, &be(1)), attribute(3, &be(1)), value(4, &[0x12]), value(5, &[0])],
        ),
        expression("cmp", &[attribute(1, &be(1)), attribute(2, &be(0)), value(3, &[0x02])]),
        expression("immediate", &[attribute(1, &be(1)), value(2, &port.to_be_bytes())]),
        expression("tproxy", &[attribute(1, &be(0)), attribute(3, &be(1))]),
        expression("immediate", &[attribute(1, &be(0)), nested(2, &[nested(2, &[attribute(1, &be(1))])])]),
    ]
    .concat()
}

fn expression(name: &str, data: &[Vec<u8>]) -> Vec<u8> {
    nested(1, &[attribute(1, &[name.as_bytes(), &[0]].concat()), nested(2, data)])
}
