//! Requests that are signed (AWS Signature Version 4): what was signed inside with stand-ins is verified, and signed anew
//! with the real key. The secret itself goes nowhere.
//!
//! [`verify`] comes before everything else that is injected and takes the signature out; [`Verified::sign`] comes after,
//! so what is signed is what goes out. Between the two stands what other grants change. `actions` tells what is asked,
//! `body` holds a body that streams to what its head says of it.

mod actions;
mod body;

pub(super) use body::{SignedBody, Unverified};

use super::authorize::Permit;
use super::bind::BoundRequest;
use super::inject::granted;
use super::upload::RequestBody;
use crate::connection::Tunnel;
use aws_lc_rs::digest::{SHA256, digest};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request;
use http_body::Body as _;
use standin_model::{CredentialName, Denial, DenyReason, Host, Slot};
use standin_policy::catalogue::Catalogue;
use standin_policy::catalogue::signing::{Endpoint, Signing};
use standin_sigv4::chunks::Chunks;
use standin_sigv4::{Claim, Error, Keys, Message, Payload, Style, UNSIGNED};
use standin_vault::SessionVault;
use standin_wire::path::Target;
use std::fmt::Write as _;
use std::time::SystemTime;

const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Proof that a request was signed with a stand-in that is granted to it, and what it is to be signed with.
pub(super) struct Verified {
    claim: Claim,
    payload: Payload,
    endpoint: Endpoint,
    stand_in: Keys,
    real: Keys,
    credential: CredentialName,
}

/// Whether this request may be signed with a credential of the session.
fn is_granted(permit: &Permit) -> bool {
    permit.at_host().iter().any(|id| permit.grant(*id).slots.contains(&Slot::SigV4))
}

/// Whether a credential of another kind is lent to this request.
fn has_another(permit: &Permit) -> bool {
    permit.grants().iter().any(|id| permit.grant(*id).slots != [Slot::SigV4])
}

/// What a host is to the services whose requests are signed.
pub(crate) fn endpoint(host: &Host) -> Option<(&'static Signing, Endpoint)> {
    Catalogue::builtin().signing().find_map(|(_, signing)| Some((signing, signing.endpoint(host)?)))
}

/// Whether the body of a request is needed as a whole: it is signed, and what is asked may stand in it. One that may never
/// end, signed piece by piece, is not made here, and refused without waiting for it.
pub(super) fn gathers(tunnel: &Tunnel, permit: &Permit, headers: &HeaderMap) -> bool {
    let host = &tunnel.destination.authority.host;
    let in_pieces = headers.get(CONTENT).is_some_and(|content| content.as_bytes().starts_with(b"STREAMING-"));
    !in_pieces && is_granted(permit) && endpoint(host).is_some_and(|(_, endpoint)| !endpoint.objects)
}

/// Whether objects come back, which echo no credential: the secret is not sent, the key's name and token are told in errors alone.
pub(super) fn keeps_objects(tunnel: &Tunnel, permit: &Permit) -> bool {
    let signed_alone = permit.at_host().iter().all(|id| permit.grant(*id).slots == [Slot::SigV4]);
    is_granted(permit)
        && signed_alone
        && endpoint(&tunnel.destination.authority.host).is_some_and(|(_, endpoint)| endpoint.objects)
}

/// Verifies the signature of a request where a grant is for signatures, and takes it out.
pub(super) fn verify(tunnel: &Tunnel, permit: &Permit, bound: &mut BoundRequest) -> Result<Option<Verified>, Denial> {
    if !is_granted(permit) {
        return Ok(None);
    }
    let host = host_of(&bound.head, tunnel);
    let message = Message {
        method: bound.head.method.as_str(),
        host: &host,
        path: bound.head.uri.path(),
        query: bound.head.uri.query(),
        headers: &bound.head.headers,
    };
    let Some(claim) = Claim::read(&message).map_err(|error| refused(&error))? else {
        return if permit.openly() || has_another(permit) { Ok(None) } else { Err(unsigned(tunnel)) };
    };
    let (credential, stand_in, real) = keys(tunnel, permit, &claim)?;
    let (signing, endpoint) = is_for_here(tunnel, &claim)?;
    claim.is_fresh(SystemTime::now()).map_err(|error| refused(&error))?;
    let style = style(&endpoint);
    if style == Style::Objects && message.path != bound.target.path {
        return Err(Denial::new(
            DenyReason::Malformed,
            "the object's key has empty or dot segments, or escapes in another form than AWS's, so what is judged would not be \
             what is signed",
        ));
    }
    let payload = claim.payload(endpoint.objects).map_err(|error| refused(&error))?;
    let content = content_of(&claim, &payload, &bound.body)?;
    let data = if let RequestBody::Whole(whole) = &bound.body { Some(&*whole.data) } else { None };
    let asked = actions::asked(&message, &bound.target.path, data);
    if let Some(denial) = signing.refuses(&endpoint, &asked) {
        return Err(denial);
    }
    claim.verify(&message, &stand_in, &content, style).map_err(|error| refused(&error))?;
    bound.target.query = Claim::strip(bound.head.uri.query()).map_err(|error| refused(&error))?;
    bound.head.headers.remove(header::AUTHORIZATION);
    bound.head.headers.remove(TOKEN);
    Ok(Some(Verified { claim, payload, endpoint, stand_in, real, credential }))
}

/// Leaves a signature out of what is rehearsed: it is verified when the request goes out, and its keys are there for good.
pub(super) fn set_aside(permit: &Permit, headers: &mut HeaderMap, target: &mut Target) {
    if !is_granted(permit) {
        return;
    }
    if headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS4-")) {
        headers.remove(header::AUTHORIZATION);
        headers.remove(TOKEN);
    }
    // What cannot be read is refused when it is verified.
    if let Ok(query) = Claim::strip(target.query.as_deref()) {
        target.query = query;
    }
}

impl Verified {
    /// The credential it is signed with.
    pub(super) fn credential(&self) -> &CredentialName {
        &self.credential
    }

    /// Signs what goes out. The body may have to be verified while it goes.
    pub(super) fn sign(
        self,
        tunnel: &Tunnel,
        head: &mut request::Parts,
        target: &mut Target,
        body: RequestBody,
    ) -> Result<RequestBody, Denial> {
        let content = match (&self.payload, &body) {
            (Payload::Hash(_) | Payload::Untold, RequestBody::Whole(whole)) => hash(&whole.data),
            (Payload::Untold, _) => hash(&[]),
            _ => self.claim.content().unwrap_or(UNSIGNED).to_owned(),
        };
        if let Payload::Hash(told) = &self.payload
            && *told != content
        {
            // Another grant has put something into the body.
            let Some(field) = head.headers.get_mut(CONTENT) else { return Err(refused(&Error::Unsignable)) };
            *field = HeaderValue::from_str(&content).map_err(|_| refused(&Error::Unsignable))?;
        }
        let message = Message {
            method: head.method.as_str(),
            host: tunnel.spelling.as_str(),
            path: &target.path,
            query: target.query.as_deref(),
            headers: &head.headers,
        };
        let signed = self.claim.sign(&message, &self.real, &content, style(&self.endpoint)).map_err(|e| refused(&e))?;
        target.query = signed.query;
        for (name, value) in signed.headers {
            head.headers.insert(name, value);
        }
        match (self.payload, body) {
            (Payload::Hash(told), RequestBody::Streaming(body)) if !body.is_end_stream() => {
                Ok(RequestBody::Signed(Box::new(SignedBody::hashed(body, told))))
            }
            (Payload::Chunks { trailer }, RequestBody::Streaming(body)) => {
                let chunks = Chunks::new(&self.claim, self.stand_in, self.real, signed.signature, trailer);
                Ok(RequestBody::Signed(Box::new(SignedBody::chunked(body, chunks, &tunnel.session)?)))
            }
            (_, body) => Ok(body),
        }
    }
}

/// What the client names as the host: of a request in HTTP/2 it stands in the target.
fn host_of(head: &request::Parts, tunnel: &Tunnel) -> String {
    let field = head.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = field.or_else(|| head.uri.authority().map(http::uri::Authority::as_str));
    host.unwrap_or(tunnel.spelling.as_str()).to_owned()
}

/// What it was signed with, and what it is to be signed with.
fn keys(tunnel: &Tunnel, permit: &Permit, claim: &Claim) -> Result<(CredentialName, Keys, Keys), Denial> {
    let vault = &permit.lent().vault;
    let Some(key) = vault.signing_key(claim.key()) else {
        let message = "it is signed with a key that was not lent to this session; sign with the one in the environment";
        return Err(Denial::new(DenyReason::ForeignCredential, message));
    };
    let broken = || Denial::new(DenyReason::SourceFailed, "the key that it is signed with is not whole");
    let secret = vault.by_name(&key.secret).ok_or_else(broken)?;
    let name = granted(tunnel, permit, secret, &Slot::SigV4)?;
    // Its name and its token have stand-ins of their own. Where one of those was revoked nothing is signed with the rest.
    [Some(&key.id), key.token.as_ref()].into_iter().flatten().try_for_each(|part| tunnel.session.alarm.admits(part))?;
    let parts = [Some(&key.id), Some(&key.secret), key.token.as_ref()];
    let real = |vault: &SessionVault, name: &CredentialName| {
        let value = vault.by_name(name).map(|index| vault.secret(index).expose());
        value.and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned)
    };
    let stand_in = |vault: &SessionVault, name: &CredentialName| {
        vault.by_name(name).map(|index| vault.stand_in(index).as_str().to_owned())
    };
    let of = |value: &dyn Fn(&SessionVault, &CredentialName) -> Option<String>| {
        let [id, secret, token] = parts.map(|name| name.map(|name| value(vault, name)));
        let token = token.map(|token| token.ok_or_else(broken)).transpose()?;
        let (id, secret) = (id.flatten().ok_or_else(broken)?, secret.flatten().ok_or_else(broken)?);
        Ok::<_, Denial>(Keys::new(&id, &secret, token.as_deref()))
    };
    Ok((name, of(&stand_in)?, of(&real)?))
}

/// A signature is for one service in one region, and so is a host.
fn is_for_here(tunnel: &Tunnel, claim: &Claim) -> Result<(&'static Signing, Endpoint), Denial> {
    let host = &tunnel.destination.authority.host;
    let Some((signing, endpoint)) = endpoint(host) else {
        let message = format!("{host} is not known as an endpoint of AWS, so nothing is signed for it");
        return Err(Denial::new(DenyReason::WrongDestination, message));
    };
    let scope = claim.scope();
    let region = endpoint.region.as_ref().is_none_or(|region| *region == scope.region);
    if scope.service == endpoint.service && region {
        return Ok((signing, endpoint));
    }
    let message = format!(
        "it is signed for {} in {}, and {host} is {} in {}",
        scope.service,
        scope.region,
        endpoint.service,
        endpoint.region.as_deref().unwrap_or("any region")
    );
    Err(Denial::new(DenyReason::Signature, message))
}

/// What stands for the body in the signature.
fn content_of(claim: &Claim, payload: &Payload, body: &RequestBody) -> Result<String, Denial> {
    let here = match body {
        RequestBody::Whole(whole) => Some(hash(&whole.data)),
        body if body.is_end_stream() => Some(hash(&[])),
        _ => None,
    };
    match (payload, here) {
        (Payload::Untold, Some(hash)) => Ok(hash),
        (Payload::Hash(told), Some(hash)) if *told != hash => Err(refused(&Error::Mismatch)),
        _ => Ok(claim.content().unwrap_or(UNSIGNED).to_owned()),
    }
}

fn style(endpoint: &Endpoint) -> Style {
    if endpoint.objects { Style::Objects } else { Style::Usual }
}

fn hash(data: &[u8]) -> String {
    hex(digest(&SHA256, data).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn refused(error: &Error) -> Denial {
    Denial::new(DenyReason::Signature, format!("this signed request is not carried on: {error}"))
}

fn unsigned(tunnel: &Tunnel) -> Denial {
    let host = &tunnel.destination.authority.host;
    let message = format!(
        "requests to {host} are signed with the key that is lent, and this one is not, or not by version 4; its owner can \
         allow it with `--allow {host}`"
    );
    Denial::new(DenyReason::Signature, message)
}
