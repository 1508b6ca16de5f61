//! A client's first words: four bytes of length, four that say what it is, and the rest.

/// Longest packet that is read: PostgreSQL's own bound.
const MAX_PACKET: usize = 10_000;
/// What stands in the place of a version, if no version is meant.
const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSSAPI: u32 = 80_877_104;
/// Parameters with this beginning extend the protocol; we know none.
const EXTENSION: &str = "_pq_.";
/// Values of `replication` that ask for none.
const NO_REPLICATION: &[&str] = &["false", "off", "no", "0"];

/// What a client wants first.
#[derive(Debug, PartialEq, Eq)]
pub enum First {
    /// TLS.
    Tls,
    /// Encryption by GSSAPI, which we have not.
    Gssapi,
    /// To cancel what the connection with this key does.
    Cancel(CancelKey),
    /// To begin.
    Startup(Startup),
}

/// What `BackendKeyData` told a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CancelKey {
    /// The number of the server's process.
    pub process: [u8; 4],
    /// Its key.
    pub key: [u8; 4],
}

/// Who wants to do what where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    parameters: Vec<(String, String)>,
    /// What it asked for besides, and does not get: a newer minor version, extensions.
    declined: Option<Vec<String>>,
}

/// Why first words are not understood: what the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartupError {
    /// Too short or too long.
    #[error("begins with a packet that has no length that one may have")]
    Length,
    /// Another version, or none.
    #[error("speaks another version of the protocol than 3")]
    Version,
    /// Not pairs of texts, or one of them twice.
    #[error("has parameters that are not pairs of texts, each once")]
    Parameters,
    /// It does not say who it is.
    #[error("names no user")]
    NoUser,
    /// The protocol for copies of servers.
    #[error("asks for replication, which is not carried")]
    Replication,
}

/// How long the packet is that begins so, without these four bytes.
pub fn rest_of(length: [u8; 4]) -> Result<usize, StartupError> {
    let length = u32::from_be_bytes(length) as usize;
    if (8..=MAX_PACKET).contains(&length) { Ok(length - 4) } else { Err(StartupError::Length) }
}

impl First {
    /// Reads a packet without its length.
    pub fn parse(packet: &[u8]) -> Result<Self, StartupError> {
        let (code, rest) = packet.split_first_chunk().ok_or(StartupError::Length)?;
        let code = u32::from_be_bytes(*code);
        if let (CANCEL, Some((process, key))) = (code, rest.split_first_chunk())
            && let Ok(key) = key.try_into()
        {
            return Ok(Self::Cancel(CancelKey { process: *process, key }));
        }
        match (code, rest) {
            (TLS, []) => Ok(Self::Tls),
            (GSSAPI, []) => Ok(Self::Gssapi),
            (TLS | GSSAPI | CANCEL, _) => Err(StartupError::Length),
            (version, rest) if version >> 16 == 3 => Startup::parse(version & 0xffff, rest).map(Self::Startup),
            _ => Err(StartupError::Version),
        }
    }
}

impl CancelKey {
    /// The request that names it.
    pub fn request(&self) -> Vec<u8> {
        [&16_u32.to_be_bytes()[..], &CANCEL.to_be_bytes(), &self.process, &self.key].concat()
    }
}

impl Startup {
    fn parse(minor: u32, rest: &[u8]) -> Result<Self, StartupError> {
        let text = rest.strip_suffix(&[0, 0]).or(rest.strip_suffix(&[0]).filter(|rest| rest.is_empty()));
        let text = text.and_then(|text| std::str::from_utf8(text).ok()).ok_or(StartupError::Parameters)?;
        let mut parameters: Vec<(String, String)> = Vec::new();
        let mut declined = Vec::new();
        let mut words = text.split('\0');
        while let Some(name) = words.next().filter(|name| !name.is_empty()) {
            let value = words.next().ok_or(StartupError::Parameters)?;
            if parameters.iter().any(|(known, _)| known == name) {
                return Err(StartupError::Parameters);
            }
            match name {
                "replication" if NO_REPLICATION.contains(&value) => {}
                "replication" => return Err(StartupError::Replication),
                name if name.starts_with(EXTENSION) => declined.push(name.to_owned()),
                name => parameters.push((name.to_owned(), value.to_owned())),
            }
        }
        if words.next().is_some() {
            return Err(StartupError::Parameters);
        }
        let declined = Some(declined).filter(|declined| minor > 0 || !declined.is_empty());
        let startup = Self { parameters, declined };
        if startup.user().is_empty() { Err(StartupError::NoUser) } else { Ok(startup) }
    }

    /// Who it wants to be.
    pub fn user(&self) -> &str {
        self.get("user").unwrap_or_default()
    }

    /// The database, which is called as the user is where none is named.
    pub fn database(&self) -> &str {
        self.get("database").filter(|name| !name.is_empty()).unwrap_or_else(|| self.user())
    }

    /// What is passed on.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// `NegotiateProtocolVersion`, if it asked for more than 3.0.
    pub fn counter_offer(&self) -> Option<Vec<u8>> {
        let declined = self.declined.as_ref()?;
        let count = u32::try_from(declined.len()).expect("a packet is short");
        let mut body = [0_u32.to_be_bytes(), count.to_be_bytes()].concat();
        for name in declined {
            body.extend([name.as_bytes(), &[0]].concat());
        }
        Some(super::message(b'v', &body))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(code: u32, rest: &[u8]) -> Result<First, StartupError> {
        First::parse(&[&code.to_be_bytes()[..], rest].concat())
    }

    #[test]
    fn first_words() {
        let key = CancelKey { process: [1, 2, 3, 4], key: [5, 6, 7, 8] };
        assert_eq!(First::parse(&key.request()[4..]), Ok(First::Cancel(key)));
        assert_eq!(packet(TLS, b""), Ok(First::Tls));
        assert_eq!(packet(GSSAPI, b""), Ok(First::Gssapi));
        for (code, rest, error) in [
            (TLS, &b"x"[..], StartupError::Length),
            (CANCEL, b"1234567", StartupError::Length),
            (0x2_0000, b"user\0a\0\0", StartupError::Version),
            (0x3_0000, b"", StartupError::Parameters),
            (0x3_0000, b"\0", StartupError::NoUser),
            (0x3_0000, b"user\0a\0", StartupError::Parameters),
            (0x3_0000, b"user\0\0\0", StartupError::NoUser),
            (0x3_0000, b"user\0a\0user\0b\0\0", StartupError::Parameters),
            (0x3_0000, b"user\0a\0\0database\0b\0\0", StartupError::Parameters),
            (0x3_0000, b"user\0a\0odd\0\0", StartupError::Parameters),
            (0x3_0000, b"user\0\xff\0\0", StartupError::Parameters),
            (0x3_0000, b"user\0a\0replication\0database\0\0", StartupError::Replication),
        ] {
            assert_eq!(packet(code, rest), Err(error), "{code:x} {rest:?}");
        }
        assert!([0, 7, 10_001, u32::MAX].iter().all(|length| rest_of(length.to_be_bytes()).is_err()));
        assert_eq!(rest_of(8_u32.to_be_bytes()), Ok(4));
    }

    #[test]
    fn who_and_where() {
        let read = |rest: &[u8]| match packet(0x3_0002, rest) {
            Ok(First::Startup(startup)) => startup,
            other => panic!("{other:?}"),
        };
        let startup = read(b"user\0me\0_pq_.x\x001\0options\0-c a=b\0replication\0off\0\0");
        assert_eq!((startup.user(), startup.database()), ("me", "me"));
        assert_eq!(startup.parameters().collect::<Vec<_>>(), [("user", "me"), ("options", "-c a=b")]);
        assert_eq!(startup.counter_offer().unwrap(), b"v\0\0\0\x13\0\0\0\0\0\0\0\x01_pq_.x\0");
        let empty_value = read(b"user\0me\0database\0shop\0options\0\0\0");
        assert_eq!((empty_value.database(), empty_value.parameters().count()), ("shop", 3));
    }
}
