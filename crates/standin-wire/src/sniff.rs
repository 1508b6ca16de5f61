//! TLS, HTTP, SSH, PostgreSQL or neither, from the first bytes of a connection.

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniff {
    /// Not told yet.
    NeedMore,
    /// A TLS handshake record (RFC 8446 §5.1: type 22, legacy version 3.x).
    Tls,
    /// An HTTP/1 request line: a method and a space.
    Http,
    /// An SSH client's identification (RFC 4253 §4.2).
    Ssh,
    /// A PostgreSQL client's first packet: its length, then version 3 or one of three requests.
    Postgres,
    /// Anything else: SOCKS, HTTP/2 without TLS, noise.
    Other,
}

/// Longest method that is looked for. `VERSION-CONTROL` (RFC 3253) is the longest registered one that agents might send.
const MAX_METHOD: usize = 15;

/// Looks at what there is. Never needs more than 16 bytes.
pub fn classify(first: &[u8]) -> Sniff {
    match first {
        [] => Sniff::NeedMore,
        [0x16] | [0x16, 3] => Sniff::NeedMore,
        [0x16, 3, minor, ..] if *minor <= 4 => Sniff::Tls,
        [b'S', b'S', b'H', b'-', ..] => Sniff::Ssh,
        [0, ..] => classify_postgres(first),
        _ => classify_http(first),
    }
}

fn classify_postgres(first: &[u8]) -> Sniff {
    match first {
        [0, 0, _, _, 0, 3, ..] => Sniff::Postgres,
        [0, 0, 0, 8 | 16, 0x04, 0xd2, 0x16, 0x2e..=0x30, ..] => Sniff::Postgres,
        [0, ..] if first.len() < 8 => Sniff::NeedMore,
        _ => Sniff::Other,
    }
}

fn classify_http(first: &[u8]) -> Sniff {
    let method = first.iter().take_while(|b| b.is_ascii_uppercase() || **b == b'-').count();
    if method > MAX_METHOD {
        return Sniff::Other;
    }
    match first.get(method) {
        None => Sniff::NeedMore,
        Some(b' ') if method > 0 && &first[..method] != b"PRI" => Sniff::Http,
        Some(_) => Sniff::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes() {
        for (input, expected) in [
            (&b""[..], Sniff::NeedMore),
            (&[0x16], Sniff::NeedMore),
            (&[0x16, 3, 1, 2], Sniff::Tls),
            (&[0x16, 9, 1], Sniff::Other),
            (b"GE", Sniff::NeedMore),
            (b"GET /", Sniff::Http),
            (b"M-SEARCH *", Sniff::Http),
            (b"PRI * HTTP/2.0", Sniff::Other),
            (b"SSH", Sniff::NeedMore),
            (b"SSH-2.0-x", Sniff::Ssh),
            (b"get /", Sniff::Other),
            (b" /", Sniff::Other),
            (b"AAAAAAAAAAAAAAAAAA", Sniff::Other),
            (&[5, 1, 0], Sniff::Other),
            (&[0, 0, 0, 8, 4, 0xd2], Sniff::NeedMore),
            (&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], Sniff::Postgres),
            (&[0, 0, 0, 16, 4, 0xd2, 0x16, 0x2e], Sniff::Postgres),
            (&[0, 0, 0, 41, 0, 3, 0, 0], Sniff::Postgres),
            (&[0, 0, 0, 41, 0, 2, 0, 0], Sniff::Other),
            (&[0, 1, 0, 41, 0, 3, 0, 0], Sniff::Other),
        ] {
            assert_eq!(classify(input), expected, "{input:?}");
        }
    }
}
