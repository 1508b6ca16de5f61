//! SOCKS version 5 (RFC 1928) with user and password (RFC 1929), the server's side, without a socket.
//!
//! Each function looks at the bytes that have come and says how many of them the message takes, or that more are needed.
//! Own code, since the crates that speak SOCKS read from a socket themselves and leave the host as they found it.

use standin_model::{Authority, AuthorityError, Host};
use std::net::{IpAddr, Ipv4Addr};

/// The first byte of every SOCKS5 client.
pub const VERSION: u8 = 5;
/// No message of a client is longer: version, length, 255 bytes, length, 255 bytes.
pub const MAX_MESSAGE: usize = 513;

/// How a client proves who it is. Here nobody has to: the sandbox is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    None,
    /// With a name and a password, which are not looked at.
    Password,
}

/// What a server says to a request (RFC 1928 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The tunnel begins.
    Succeeded = 0,
    /// The request is garbage.
    Failure = 1,
    /// The host cannot be meant.
    HostUnreachable = 4,
    /// Neither listening nor UDP.
    CommandNotSupported = 7,
    /// Neither a name nor an address.
    AddressNotSupported = 8,
}

/// Why a client's message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocksError {
    /// Another version, of SOCKS or of its authentication.
    #[error("the version is not 5")]
    Version,
    /// None of the methods of authentication is known here.
    #[error("no method of authentication is understood")]
    NoMethod,
    /// `BIND` or `UDP ASSOCIATE`.
    #[error("only CONNECT is served")]
    Command,
    /// No type of address that RFC 1928 knows.
    #[error("the type of the address is unknown")]
    AddressType,
    /// A byte that must be zero is not.
    #[error("a reserved byte is not zero")]
    Reserved,
    /// The host or the port.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// A message and the number of bytes it takes; nothing if more bytes are needed.
pub type Parsed<T> = Result<Option<(T, usize)>, SocksError>;

/// The methods that a client offers (§3), and the one that is chosen.
pub fn greeting(bytes: &[u8]) -> Parsed<Method> {
    let [version, rest @ ..] = bytes else { return Ok(None) };
    if *version != VERSION {
        return Err(SocksError::Version);
    }
    let Some((methods, _)) = counted(rest) else { return Ok(None) };
    let method = [(0, Method::None), (2, Method::Password)].into_iter().find(|(code, _)| methods.contains(code));
    let (_, method) = method.ok_or(SocksError::NoMethod)?;
    Ok(Some((method, 2 + methods.len())))
}

/// A name and a password (RFC 1929 §2). They are passed over.
pub fn password(bytes: &[u8]) -> Parsed<()> {
    let [version, rest @ ..] = bytes else { return Ok(None) };
    if *version != 1 {
        return Err(SocksError::Version);
    }
    let both = counted(rest).and_then(|(name, rest)| Some((name, counted(rest)?.0)));
    Ok(both.map(|(name, password)| ((), 3 + name.len() + password.len())))
}

/// Where a client wants to go (§4).
pub fn request(bytes: &[u8]) -> Parsed<Authority> {
    let [version, command, reserved, kind, rest @ ..] = bytes else {
        return if bytes.first().is_some_and(|version| *version != VERSION) {
            Err(SocksError::Version)
        } else {
            Ok(None)
        };
    };
    match (version, command, reserved) {
        (5, 1, 0) => {}
        (5, _, 0) => return Err(SocksError::Command),
        (5, ..) => return Err(SocksError::Reserved),
        _ => return Err(SocksError::Version),
    }
    let host = match kind {
        1 => rest.first_chunk::<4>().map(|octets| (Ok(Host::from(Ipv4Addr::from(*octets))), 4)),
        4 => rest.first_chunk::<16>().map(|octets| (Ok(Host::from(IpAddr::from(*octets))), 16)),
        3 => counted(rest).map(|(name, _)| (host(name), 1 + name.len())),
        _ => return Err(SocksError::AddressType),
    };
    let Some((host, length)) = host else { return Ok(None) };
    let Some(port) = rest[length..].first_chunk::<2>() else { return Ok(None) };
    match u16::from_be_bytes(*port) {
        0 => Err(AuthorityError::Port.into()),
        port => Ok(Some((Authority::new(host?, port), 4 + length + 2))),
    }
}

impl SocksError {
    /// What the client is told, if it has come as far as its request.
    pub fn reply(self) -> Reply {
        match self {
            Self::Command => Reply::CommandNotSupported,
            Self::AddressType => Reply::AddressNotSupported,
            Self::Authority(_) => Reply::HostUnreachable,
            Self::Version | Self::NoMethod | Self::Reserved => Reply::Failure,
        }
    }
}

impl Reply {
    /// The whole message. The address at which the server would be reached means nothing here and is zero.
    pub fn bytes(self) -> [u8; 10] {
        [VERSION, self as u8, 0, 1, 0, 0, 0, 0, 0, 0]
    }
}

impl Method {
    /// The choice, as the client is told of it.
    pub fn bytes(self) -> [u8; 2] {
        [VERSION, if self == Self::None { 0 } else { 2 }]
    }
}

/// The choice when there is none (§3).
pub const NO_METHOD: [u8; 2] = [VERSION, 0xff];
/// The answer to any name and password (RFC 1929 §2).
pub const PASSWORD_TAKEN: [u8; 2] = [1, 0];

/// A length and so many bytes, and what follows.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// A name must be text, and is held to the one strict parser of names.
fn host(name: &[u8]) -> Result<Host, AuthorityError> {
    let text = std::str::from_utf8(name).unwrap_or(""); // which is no host either
    Ok(Host::parse(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    /// The message as it is read whole; every beginning of it must ask for more, and what follows it must not matter.
    fn check<T: std::fmt::Debug>(parse: impl Fn(&[u8]) -> Parsed<T>, input: &[u8], expected: &str) {
        let got = match parse(input) {
            Ok(Some((value, length))) => {
                assert_eq!(length, input.len(), "{input:?}");
                for end in 0..input.len() {
                    assert!(matches!(parse(&input[..end]), Ok(None)), "{:?} is not whole", &input[..end]);
                }
                let longer = [input, b"more"].concat();
                assert!(matches!(parse(&longer), Ok(Some((_, same))) if same == length));
                format!("{value:?}")
            }
            Ok(None) => "more".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{input:?}");
    }

    #[test]
    fn greetings() {
        for (input, expected) in [
            (&[5, 1, 0][..], "None"),
            (&[5, 2, 2, 0], "None"),
            (&[5, 1, 2], "Password"),
            (&[5, 3, 1, 2, 3], "Password"),
            (&[5, 1, 1], "no method of authentication is understood"),
            (&[5, 0], "no method of authentication is understood"),
            (&[5, 255], "more"),
            (&[4, 1, 0, 80], "the version is not 5"),
            (b"GET / HTTP/1.1", "the version is not 5"),
        ] {
            check(greeting, input, expected);
        }
    }

    #[test]
    fn passwords() {
        for (input, expected) in [
            (&b"\x01\x04user\x04pass"[..], "()"),
            (b"\x01\x00\x00", "()"),
            (b"\x05\x04user\x04pass", "the version is not 5"),
            (b"\x01\xff", "more"),
        ] {
            check(password, input, expected);
        }
        let longest = [&[1, 255][..], &[b'u'; 255], &[255], &[b'p'; 255]].concat();
        assert_eq!(longest.len(), MAX_MESSAGE);
        check(password, &longest, "()");
    }

    #[test]
    fn requests() {
        let named = |name: &[u8]| {
            let length = u8::try_from(name.len()).unwrap();
            [&[5, 1, 0, 3, length][..], name, &[1, 187]].concat()
        };
        let wrong = |name: &str| Host::parse(name).unwrap_err().to_string();
        for (input, expected) in [
            (named(b"a.example"), "Authority(a.example:443)".to_owned()),
            (named(b"A.Example."), "Authority(a.example:443)".to_owned()),
            (named(b"198.18.0.1"), "Authority(198.18.0.1:443)".to_owned()),
            (vec![5, 1, 0, 1, 198, 18, 0, 1, 0, 80], "Authority(198.18.0.1:80)".to_owned()),
            ([&[5, 1, 0, 4][..], &Ipv6Addr::LOCALHOST.octets(), &[0, 80]].concat(), "Authority([::1]:80)".to_owned()),
            (vec![5, 1, 0, 1, 1, 1, 1, 1, 0, 0], AuthorityError::Port.to_string()),
            (named(b""), wrong("")),
            (named(b"a\0.example"), wrong("a\0.example")),
            (named(b"a.example\r\n"), wrong("a.example\r\n")),
            (named(b"a.example:80"), wrong("a.example:80")),
            (named(b"user@a.example"), wrong("user@a.example")),
            (named(b"\xff\xfe"), wrong("")),
            (named(&[b'a'; 255]), wrong(&"a".repeat(255))),
            (vec![5, 2, 0, 1, 1, 1, 1, 1, 0, 80], "only CONNECT is served".to_owned()),
            (vec![5, 3, 0, 1, 0, 0, 0, 0, 0, 0], "only CONNECT is served".to_owned()),
            (vec![5, 1, 1, 1, 1, 1, 1, 1, 0, 80], "a reserved byte is not zero".to_owned()),
            (vec![5, 1, 0, 2, 1, 1, 1, 1, 0, 80], "the type of the address is unknown".to_owned()),
            (vec![4, 1, 0, 80, 1, 1, 1, 1, 0], "the version is not 5".to_owned()),
            (vec![b'G'], "the version is not 5".to_owned()),
            (vec![5, 1, 0, 3, 255, b'a'], "more".to_owned()),
        ] {
            check(request, &input, &expected);
        }
    }
}
