//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as a server: what a client claims, and whether a password proves it.
//!
//! The passwords are stand-ins. Which of them was meant, the client does not say, so a claim can be held against several.

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;

/// The mechanism.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// The same, bound to the TLS connection that it runs in.
pub const MECHANISM_BOUND: &str = "SCRAM-SHA-256-PLUS";
/// The least that RFC 7677 §4 has: a stand-in is guessed by nobody.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");
/// Bytes of salt, as PostgreSQL has it.
const SALT: usize = 16;
/// Bytes of a nonce before they are written.
const NONCE: usize = 18;

/// Why a client's words are no claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// Not the words of this mechanism.
    #[error("its words are not those of SCRAM-SHA-256")]
    Malformed,
    /// It wants to be somebody else than who it is.
    #[error("it asks for another's rights")]
    Authorization,
    /// Bound to another connection, or not bound where that was offered.
    #[error("its proof is not bound to this connection")]
    Binding,
    /// It answers another challenge.
    #[error("it answers another challenge")]
    Nonce,
}

/// A challenge that waits for its answer.
pub struct Challenge {
    header: String,
    client_bare: String,
    server_first: String,
    nonce: String,
    salt: [u8; SALT],
    binding: Vec<u8>,
}

/// What a client has sent to prove that it knows a password.
pub struct Claim {
    words: String,
    proof: [u8; digest::SHA256_OUTPUT_LEN],
    salt: [u8; SALT],
}

impl Challenge {
    /// Answers a client's first words. `offered` is what a proof is bound to (RFC 5929 §4), if it can be; `bound` is whether the client
    /// chose that mechanism.
    pub fn new(client_first: &[u8], offered: Option<&[u8]>, bound: bool) -> Result<Self, ScramError> {
        let text = std::str::from_utf8(client_first).map_err(|_| ScramError::Malformed)?;
        let (binding_flag, rest) = text.split_once(',').ok_or(ScramError::Malformed)?;
        let (authorization, client_bare) = rest.split_once(',').ok_or(ScramError::Malformed)?;
        if !authorization.is_empty() {
            return Err(ScramError::Authorization);
        }
        let binding = match (binding_flag, bound, offered) {
            ("p=tls-server-end-point", true, Some(digest)) => digest.to_vec(),
            ("n", false, _) | ("y", false, None) => Vec::new(),
            // `y`: it could have bound it, and was not told that we can. Somebody took the offer out.
            ("p=tls-server-end-point" | "y" | "n", ..) => return Err(ScramError::Binding),
            _ => return Err(ScramError::Malformed),
        };
        let (user, rest) = client_bare.split_once(',').ok_or(ScramError::Malformed)?;
        let client_nonce = rest.split(',').next().and_then(|part| part.strip_prefix("r=")).unwrap_or_default();
        if !user.starts_with("n=") || client_nonce.is_empty() || !client_nonce.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ScramError::Malformed);
        }
        let (mut fresh, mut salt) = ([0; NONCE], [0; SALT]);
        rand::fill(&mut fresh).expect("the kernel gives random bytes");
        rand::fill(&mut salt).expect("the kernel gives random bytes");
        let nonce = format!("{client_nonce}{}", STANDARD.encode(fresh));
        let server_first = format!("r={nonce},s={},i={ITERATIONS}", STANDARD.encode(salt));
        let header = format!("{binding_flag},,");
        Ok(Self { header, client_bare: client_bare.to_owned(), server_first, nonce, salt, binding })
    }

    /// What the client is told.
    pub fn words(&self) -> &str {
        &self.server_first
    }

    /// Takes the client's last words.
    pub fn answered(self, client_final: &[u8]) -> Result<Claim, ScramError> {
        let text = std::str::from_utf8(client_final).map_err(|_| ScramError::Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let mut parts = without_proof.split(',');
        let mut part = |name| parts.next().and_then(|part| part.strip_prefix(name)).ok_or(ScramError::Malformed);
        let (bound_to, nonce) = (part("c=")?, part("r=")?);
        let expected = STANDARD.encode([self.header.as_bytes(), &self.binding].concat());
        if bound_to != expected {
            return Err(ScramError::Binding);
        }
        if nonce != self.nonce {
            return Err(ScramError::Nonce);
        }
        let proof = STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok()).ok_or(ScramError::Malformed)?;
        let words = format!("{},{},{without_proof}", self.client_bare, self.server_first);
        Ok(Claim { words, proof, salt: self.salt })
    }
}

impl Claim {
    /// If this password was meant, the words that show the client that we know it, too.
    pub fn proven_by(&self, password: &[u8]) -> Option<String> {
        let mut salted = [0; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &self.salt, password, &mut salted);
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
        let stored = digest::digest(&digest::SHA256, sign(&salted, b"Client Key").as_ref());
        let signature = sign(stored.as_ref(), self.words.as_bytes());
        let mut key = self.proof;
        key.iter_mut().zip(signature.as_ref()).for_each(|(byte, other)| *byte ^= other);
        let claimed = digest::digest(&digest::SHA256, &key);
        constant_time::verify_slices_are_equal(claimed.as_ref(), stored.as_ref()).ok()?;
        let ours = sign(sign(&salted, b"Server Key").as_ref(), self.words.as_bytes());
        Some(format!("v={}", STANDARD.encode(ours)))
    }
}
