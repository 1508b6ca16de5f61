//! The parts of SSH that are read and written without a connection: what a client asks to be executed, and a refusal in
//! words before any keys are exchanged.

use standin_model::{GitService, Repository, RepositoryError};

/// How we call ourselves (RFC 4253 §4.2).
pub const IDENTIFICATION: &str = "SSH-2.0-Standin";
/// Longest text of a refusal, in bytes: what OpenSSH prints of one.
const MAX_REASON: usize = 400;

/// What a client asks to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitCommand {
    /// Which service.
    pub service: GitService,
    /// Of which repository.
    pub repository: Repository,
}

/// Why a command is not one of git's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Another program, options, more than one word, or quotes that are not around one word.
    #[error("only `git-upload-pack 'PATH'` and `git-receive-pack 'PATH'` are run over SSH (clone, fetch and push)")]
    NotGit,
    /// What it names is not plainly a repository.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl GitCommand {
    /// Reads a command as git's clients write it, and in no other way: a shell may read it, so nothing is undone that a shell
    /// would undo.
    pub fn parse(command: &[u8]) -> Result<Self, CommandError> {
        let text = std::str::from_utf8(command).map_err(|_| CommandError::NotGit)?;
        let (program, word) = text.split_once(' ').ok_or(CommandError::NotGit)?;
        let service = match program {
            "git-upload-pack" => GitService::UploadPack,
            "git-receive-pack" => GitService::ReceivePack,
            _ => return Err(CommandError::NotGit),
        };
        let path = word.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).ok_or(CommandError::NotGit)?;
        Ok(Self { service, repository: Repository::parse(path)? })
    }
}

/// The command for a repository, in the spelling that was granted.
pub fn command(service: GitService, path: &str) -> String {
    format!("{} '{path}'", service.as_str())
}

/// The value of `GIT_PROTOCOL` that is passed on: a version of git's protocol and nothing else.
pub fn protocol_version(value: &[u8]) -> Option<&'static str> {
    ["version=0", "version=1", "version=2"].into_iter().find(|known| known.as_bytes() == value)
}

/// A server's first and last words: who it is, and why it ends the connection (RFC 4253 §11.1). Clients show them.
pub fn disconnection(reason: &str) -> Vec<u8> {
    const DISCONNECT: u8 = 1;
    const BY_APPLICATION: u32 = 11;
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let reason = &reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON)];
    let mut payload = vec![DISCONNECT];
    payload.extend(BY_APPLICATION.to_be_bytes());
    for text in [reason, b""] {
        payload.extend(u32::try_from(text.len()).expect("a reason is short").to_be_bytes());
        payload.extend(text);
    }
    // Length, length of the padding, payload, padding: a multiple of eight, at least four of padding (RFC 4253 §6).
    let padding = 8 - (5 + payload.len() + 4) % 8 + 4;
    let length = u32::try_from(1 + payload.len() + padding).expect("a reason is short");
    let mut bytes = format!("{IDENTIFICATION}\r\n").into_bytes();
    bytes.extend(length.to_be_bytes());
    bytes.push(u8::try_from(padding).expect("at most 12"));
    bytes.extend(payload);
    bytes.resize(bytes.len() + padding, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_as_git_writes_them() {
        for (text, expected) in [
            ("git-upload-pack 'acme/app.git'", Some((GitService::UploadPack, "acme/app.git"))),
            ("git-receive-pack '/acme/app'", Some((GitService::ReceivePack, "/acme/app"))),
        ] {
            let parsed = GitCommand::parse(text.as_bytes()).ok();
            assert_eq!(parsed.as_ref().map(|c| (c.service, c.repository.as_str())), expected, "{text}");
        }
    }

    #[test]
    fn nothing_else_is_a_command() {
        for text in [
            "",
            "id",
            "git-upload-pack",
            "git-upload-pack acme/app",
            "git-upload-pack \"acme/app\"",
            "git-upload-pack 'acme/app",
            "git-upload-pack '",
            "git-upload-pack ''",
            "git-upload-pack 'a'; id",
            "git-upload-pack 'a' 'b'",
            "git-upload-pack 'a'\n",
            "git-upload-pack 'a\nb'",
            "git-upload-pack 'a\0b'",
            "git-upload-pack 'a'\\''b'",
            "git-upload-pack '$(id)'",
            "git-upload-pack '`id`'",
            "git-upload-pack --strict 'acme/app'",
            "git-upload-pack '--upload-pack=id'",
            "git-upload-pack  'acme/app'",
            " git-upload-pack 'acme/app'",
            "git-upload-pack '~/app'",
            "git-upload-pack 'acme/../other'",
            "git upload-pack 'acme/app'",
            "git-upload-archive 'acme/app'",
            "git-lfs-authenticate acme/app download",
            "GIT-UPLOAD-PACK 'acme/app'",
            "env git-upload-pack 'acme/app'",
        ] {
            assert!(GitCommand::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(GitCommand::parse(b"git-upload-pack '\xff'").is_err());
    }

    #[test]
    fn what_was_read_is_written_the_same() {
        let text = "git-receive-pack 'acme/app.git'";
        let GitCommand { service, repository } = GitCommand::parse(text.as_bytes()).unwrap();
        assert_eq!(command(service, repository.as_str()), text);
    }

    #[test]
    fn versions_of_the_protocol() {
        assert_eq!(protocol_version(b"version=2"), Some("version=2"));
        for other in [&b"version=3"[..], b"version=2\0", b"version=2:x", b"", b"$(id)"] {
            assert_eq!(protocol_version(other), None);
        }
    }

    #[test]
    fn a_refusal_is_one_packet() {
        for reason in ["", "a", "no\x1b[31m", &"long ".repeat(200)] {
            let bytes = disconnection(reason);
            let packet = bytes.strip_prefix(b"SSH-2.0-Standin\r\n").unwrap();
            let length = u32::from_be_bytes(*packet.first_chunk().unwrap()) as usize;
            assert_eq!((packet.len(), packet.len() % 8, packet[5]), (length + 4, 0, 1), "{reason}");
            assert!((4..=12).contains(&packet[4]) && !packet[14..].contains(&0x1b));
        }
    }
}
