//! Why a connection or request was refused: stable codes for programs, one sentence for the agent.

use crate::CredentialName;
use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $status:literal;)+) => {
        /// A stable reason. The code never changes its meaning; new codes may come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum DenyReason { $($(#[doc = $doc])+ $variant,)+ }

        impl DenyReason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable code: `net.private_address`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The HTTP status with which the agent is told.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }
        }
    };
}

reasons! {
    /// No rule names this host and port.
    HostNotAllowed = "net.host_not_allowed", 403;
    /// An address instead of a name, and no rule lists that address.
    IpLiteral = "net.ip_literal", 403;
    /// The name resolved to an address that is not public, and no rule names it.
    PrivateAddress = "net.private_address", 403;
    /// The address of a cloud metadata service.
    MetadataService = "net.metadata_service", 403;
    /// The first bytes were neither TLS nor HTTP.
    OpaqueProtocol = "net.opaque_protocol", 403;
    /// The host name could not be parsed strictly.
    MalformedHost = "net.malformed_host", 400;
    /// As many connections are open as a cap allows.
    ConnectionCap = "cap.connections", 429;
    /// As many exchanges are open as a session may have (RFC 6585 §4: the client can mend it, so it is no 503).
    ExchangeCap = "cap.exchanges", 429;
    /// As many requests were sent as a cap allows.
    RequestCap = "cap.requests", 429;
    /// As many bytes were sent as a cap allows.
    BytesCap = "cap.bytes_out", 413;
    /// SNI or `Host`/`:authority` differ from the name that was dialled.
    AuthorityMismatch = "http.authority_mismatch", 421;
    /// The message could be read in two ways.
    Malformed = "http.malformed", 400;
    /// `TRACE`, `TRACK`, or a nested `CONNECT`.
    MethodRefused = "http.method_refused", 405;
    /// A tunnel for a protocol other than WebSocket (RFC 8441 §4).
    ProtocolRefused = "http.protocol_refused", 501;
    /// The host is allowed, but no rule means this method and path.
    RequestNotAllowed = "http.request_not_allowed", 403;
    /// A credential that is not our stand-in, at a host for which a credential is granted.
    ForeignCredential = "credential.foreign", 403;
    /// A stand-in at a host its grant does not name.
    WrongDestination = "credential.wrong_destination", 403;
    /// A stand-in outside the slots of its grant.
    WrongSlot = "credential.wrong_slot", 403;
    /// A stand-in that was sent where it does not belong before, and is worth nothing since.
    Revoked = "credential.revoked", 403;
    /// A slot that can be read in two ways: it is there twice, or in a body that is not what its type says.
    AmbiguousSlot = "credential.ambiguous_slot", 400;
    /// A body with a slot in it, in a coding or charset that is not read.
    UnreadableBody = "credential.unreadable_body", 415;
    /// A body with a slot in it that is larger than what is gathered.
    BodyTooLarge = "credential.body_too_large", 413;
    /// A body of which a rule asks what it says, and which does not come.
    BodyTooSlow = "http.body_too_slow", 408;
    /// A signature that is not one of a stand-in over this request, or of a kind that is not made here; or none, where requests
    /// are signed.
    Signature = "credential.signature", 403;
    /// A stand-in on a connection without TLS.
    Cleartext = "credential.cleartext", 403;
    /// The source of the real credential failed.
    SourceFailed = "credential.source_failed", 502;
    /// A request to a login's token endpoint that is not understood.
    LoginRequest = "login.request", 403;
    /// A login's tokens cannot be exchanged or kept: its file, or the endpoint's answer, is not as it should be.
    LoginUnavailable = "login.unavailable", 502;
    /// The response cannot be searched for the secret that was just used.
    CannotScrub = "scrub.unsupported_coding", 502;
    /// SSH to a host for which no key is granted.
    SshNotGranted = "ssh.not_granted", 403;
    /// What is asked of a host over SSH is not git, or not of a repository that is granted.
    SshRequest = "ssh.request_not_allowed", 403;
    /// The host's key is not the one that the user knows.
    HostKey = "ssh.host_key", 502;
    /// PostgreSQL at a host for which no password is granted.
    PostgresNotGranted = "postgres.not_granted", 403;
    /// A user or database that no grant means, or something that is never carried.
    PostgresRequest = "postgres.request_not_allowed", 403;
    /// A server without TLS, and no grant that says so.
    PostgresPlaintext = "postgres.plaintext", 502;
    /// What was open at a host about which the policy says something else now.
    PolicyReplaced = "policy.replaced", 403;
    /// A policy that cannot take a running session's place: it is not understood, or needs a new session.
    PolicyRefused = "policy.refused", 403;
    /// A policy under which what nothing may admit was not refused.
    PolicyGate = "policy.gate", 403;
    /// The audit log does not take records, so nothing may happen.
    AuditUnavailable = "audit.unavailable", 503;
}

/// A refusal with its explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The stable reason.
    pub reason: DenyReason,
    /// One sentence for the agent: what was refused, and what would be allowed instead. No secret, no host detail
    /// the agent did not send itself.
    pub message: String,
    /// The credential whose stand-in was sent where it does not belong, if that is what was refused.
    pub astray: Option<CredentialName>,
}

impl Denial {
    /// Puts the two together.
    pub fn new(reason: DenyReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), astray: None }
    }

    /// The same about a stand-in that was sent where it does not belong.
    #[must_use]
    pub fn astray(self, credential: CredentialName) -> Self {
        Self { astray: Some(credential), ..self }
    }
}

impl fmt::Display for DenyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_distinct_and_statuses_are_errors() {
        let codes: HashSet<_> = DenyReason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), DenyReason::ALL.len());
        assert!(DenyReason::ALL.iter().all(|r| (400..600).contains(&r.status())));
    }
}
