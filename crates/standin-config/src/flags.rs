//! The short forms on the command line.

use crate::{Credential, Fetch, Source};
use standin_model::{AddressBlocks, GrantRule, HostPattern, Methods, PatternError, Ports, RequestRule};

/// Why a flag's value is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// Of `--secret`.
    #[error("write NAME=SOURCE@HOST, for example TOKEN=env:TOKEN@api.example.com")]
    SecretForm,
    /// A host.
    #[error("`{host}`: {source}")]
    Host {
        /// As it was written.
        host: String,
        /// What is wrong.
        source: PatternError,
    },
    /// A port.
    #[error("`{0}` is not a port")]
    Port(String),
}

/// `--allow HOST[:PORT]`: every method and path there, without a credential.
pub fn parse_allow(text: &str) -> Result<RequestRule, FlagError> {
    rule(format!("--allow {text}"), text)
}

/// A port of the command's that is brought to the host's loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Inside.
    pub port: u16,
    /// On the host.
    pub host_port: u16,
}

/// `--publish PORT[:HOSTPORT]`
pub fn parse_publish(text: &str) -> Result<Publish, FlagError> {
    let (inside, outside) = text.split_once(':').unwrap_or((text, text));
    Ok(Publish { port: parse_reach(inside)?, host_port: parse_reach(outside)? })
}

/// `--reach PORT`
pub fn parse_reach(text: &str) -> Result<u16, FlagError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or_else(|| FlagError::Port(text.to_owned()))
}

/// `--secret NAME=SOURCE@HOST[,HOST…]`: the agent sees the stand-in as variable NAME.
pub fn parse_secret(text: &str) -> Result<Credential, FlagError> {
    let (name, rest) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(FlagError::SecretForm)?;
    let (source, hosts) = rest.rsplit_once('@').ok_or(FlagError::SecretForm)?;
    let source = Source::parse(source, None).filter(|source| !matches!(source, Source::SshAgent(_)));
    let source = source.ok_or(FlagError::SecretForm)?;
    let label = format!("--secret {name}");
    let grants =
        hosts.split(',').map(|host| Ok(GrantRule { rule: rule(label.clone(), host)?, slots: vec![], always: false }));
    Ok(Credential {
        name: name.to_owned(),
        line: None,
        service: None,
        source: Some(source),
        client_certificate: None,
        env: vec![name.to_owned()],
        like: None,
        fetch: Fetch::default(),
        on_leak: None,
        grants: grants.collect::<Result<_, _>>()?,
        git: Vec::new(),
        postgres: Vec::new(),
    })
}

fn rule(label: String, text: &str) -> Result<RequestRule, FlagError> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Ports::new(vec![parse_reach(port)?])),
        _ => (text, Ports::default()),
    };
    let pattern = HostPattern::parse(host).map_err(|source| FlagError::Host { host: host.to_owned(), source })?;
    Ok(RequestRule {
        label,
        hosts: vec![pattern],
        ports: port,
        methods: Methods::Any,
        paths: vec![],
        conditions: vec![],
        addresses: AddressBlocks::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms() {
        assert_eq!(parse_allow("a.example:8443").unwrap().ports, Ports::new(vec![8443]));
        assert!(parse_allow("[2001:db8::1]").is_ok());
        assert_eq!(parse_publish("3000"), Ok(Publish { port: 3000, host_port: 3000 }));
        assert_eq!(parse_publish("3000:8080"), Ok(Publish { port: 3000, host_port: 8080 }));
        for wrong in ["", "0", "+1", "65536", "0.0.0.0"] {
            assert_eq!(parse_reach(wrong), Err(FlagError::Port(wrong.into())));
        }
        assert_eq!(parse_publish("3000:127.0.0.1:3000"), Err(FlagError::Port("127.0.0.1:3000".into())));
        assert_eq!(parse_allow("a.example:0"), Err(FlagError::Port("0".into())));
        assert_eq!(parse_allow("a.example:+80"), Err(FlagError::Port("+80".into())));
        let secret = parse_secret("TOKEN=cmd:pass show me@work@a.example,b.example").unwrap();
        assert_eq!(secret.source, Some(Source::Command("pass show me@work".into())));
        assert_eq!(secret.grants.len(), 2);
        let secret = parse_secret("TOKEN=git:https://me@git.example#username@a.example").unwrap();
        assert_eq!(secret.source, Some(Source::Git("https://me@git.example".into(), Some("username".into()))));
        for wrong in ["TOKEN", "TOKEN=env:X", "TOKEN=X@a.example", "=env:X@a.example"] {
            assert_eq!(parse_secret(wrong), Err(FlagError::SecretForm), "{wrong}");
        }
    }
}
