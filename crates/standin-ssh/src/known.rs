//! The user's known hosts. The lines are read by the ssh-key crate; which host one means is told here, as sshd(8) says it.

use aws_lc_rs::hmac;
use russh::keys::PublicKey;
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};
use standin_model::{Authority, Host};
use std::io;
use std::path::PathBuf;
use wildmatch::WildMatch;

/// Files with known hosts. They are read when they are asked: what the user learns while a session runs is known in it.
pub struct KnownHosts(Vec<PathBuf>);

/// The keys of one host.
#[derive(Default)]
pub struct HostKeys {
    /// Those that are believed.
    pub(crate) good: Vec<PublicKey>,
    /// Those that are not, whatever else is said.
    pub(crate) revoked: Vec<PublicKey>,
}

/// Why the known hosts cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum KnownHostsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A revoked key is not understood, so it may be the one that is shown.
    #[error("line {line} of {path} revokes a key and is not understood")]
    Revocation {
        /// The file.
        path: PathBuf,
        /// The line's number.
        line: usize,
    },
}

impl KnownHosts {
    /// Those of these files; what is not there holds none.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self(files)
    }

    /// The keys that are known of a host at a port. Blocks.
    pub(crate) fn of(&self, authority: &Authority) -> Result<HostKeys, KnownHostsError> {
        let name = name(authority);
        let mut keys = HostKeys::default();
        for path in &self.0 {
            match std::fs::read(path) {
                Ok(text) => keys
                    .read(&String::from_utf8_lossy(&text), &name)
                    .map_err(|line| KnownHostsError::Revocation { path: path.clone(), line })?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(KnownHostsError::File { path: path.clone(), source }),
            }
        }
        Ok(keys)
    }
}

impl HostKeys {
    /// Takes up what a file says of a host. As with OpenSSH a line that is not understood says nothing; one that revokes is not left
    /// out, and is the error.
    fn read(&mut self, text: &str, name: &str) -> Result<(), usize> {
        for (number, line) in text.lines().enumerate() {
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Ok(entry) = line.parse::<Entry>() else {
                if line.starts_with("@revoked") {
                    return Err(number + 1);
                }
                continue;
            };
            if !means(entry.host_patterns(), name) {
                continue;
            }
            match entry.marker() {
                None => self.good.push(entry.public_key().clone()),
                Some(Marker::Revoked) => self.revoked.push(entry.public_key().clone()),
                Some(Marker::CertAuthority) => {} // certificates of hosts are not read
            }
        }
        Ok(())
    }
}

/// How a host at a port is called in these files.
pub(crate) fn name(authority: &Authority) -> String {
    let host = match &authority.host {
        Host::Ip(address) => address.to_string(), // without the brackets that an authority has
        Host::Name(name) => name.as_str().to_ascii_lowercase(),
    };
    if authority.port == 22 { host } else { format!("[{host}]:{}", authority.port) }
}

fn means(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
        HostPatterns::Patterns(list) => {
            let matches = |pattern: &str| WildMatch::new(&pattern.to_ascii_lowercase()).matches(name);
            let negated = list.iter().filter_map(|pattern| pattern.strip_prefix('!')).any(matches);
            !negated && list.iter().filter(|pattern| !pattern.starts_with('!')).any(|pattern| matches(pattern))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    fn keys(text: &str, host: &str, port: u16) -> Result<(usize, usize), usize> {
        let mut keys = HostKeys::default();
        let authority = Authority::new(Host::parse(host).unwrap(), port);
        keys.read(text, &name(&authority)).map(|()| (keys.good.len(), keys.revoked.len()))
    }

    #[test]
    fn a_host_is_meant_by_its_name_and_port() {
        for (patterns, host, port, known) in [
            ("git.example", "git.example", 22, true),
            ("git.example", "git.example", 2222, false),
            ("[git.example]:2222", "git.example", 2222, true),
            ("[git.example]:2222", "git.example", 22, false),
            ("GIT.example,192.0.2.1", "git.example", 22, true),
            ("*.example", "git.example", 22, true),
            ("*.example,!git.example", "git.example", 22, false),
            ("!other.example,*.example", "git.example", 22, true),
            ("!git.example", "other.example", 22, false),
            ("git.exampl?", "git.example", 22, true),
            ("git.example.evil", "git.example", 22, false),
            ("agit.example", "git.example", 22, false),
            ("2001:db8::1", "[2001:db8::1]", 22, true),
            // ssh-keygen's own hash of pijul's example, and a broken one.
            ("|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=", "example.com", 22, true),
            ("|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=", "example.org", 22, false),
            ("|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|", "example.com", 22, false),
        ] {
            let line = format!("# hosts\n\nnot a line\n{patterns} {ONE} a comment\n");
            assert_eq!(keys(&line, host, port), Ok((usize::from(known), 0)), "{patterns} {host} {port}");
        }
    }

    #[test]
    fn markers_and_blanks() {
        let text =
            format!("git.example\t{ONE}\n@revoked * {TWO}\n@cert-authority git.example {TWO}\n  git.example  {TWO}\n");
        assert_eq!(keys(&text, "git.example", 22), Ok((2, 1)));
        assert_eq!(keys(&text, "other.example", 22), Ok((0, 1)));
        // A revoked key that is not understood may be any.
        assert_eq!(keys("# \n@revoked * ssh-future AAAA\n", "git.example", 22), Err(2));
    }

    #[test]
    fn names_that_openssh_hashed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known_hosts");
        std::fs::write(&path, format!("git.example {ONE}\n[git.example]:2222 {TWO}\n")).unwrap();
        let hashed =
            Command::new("ssh-keygen").arg("-H").arg("-f").arg(&path).output().expect("./test installs OpenSSH");
        assert!(hashed.status.success());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("git.example"), "{text}");
        for port in [22, 2222] {
            assert_eq!(keys(&text, "git.example", port), Ok((1, 0)));
        }
        assert_eq!(keys(&text, "other.example", 22), Ok((0, 0)));
    }
}
