//! Puts real credentials where stand-ins stood: in granted slots, at granted hosts, over TLS. The one call site of injection.

mod body;
mod named;
mod rest;

pub(super) use rest::{Progress, Rest};

use super::authorize::Permit;
use super::bind::BoundRequest;
use super::fetch::Ready;
use super::gather::Whole;
use super::readable;
use super::signed;
use super::upload::RequestBody;
use super::websocket::Asked;
use crate::connection::Tunnel;
use crate::session::{Lent, Session};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::uri::{self, PathAndQuery};
use http::{Request, Uri, Version};
use named::Named;
use standin_model::{CredentialName, Denial, DenyReason, Scheme, Slot};
use standin_vault::{CredentialIndex, SessionVault};
use standin_wire::auth;
use standin_wire::path::Target;
use standin_wire::scrub::Seam;
use std::sync::Arc;
use std::time::SystemTime;

/// A request that may go out: every stand-in in it has been exchanged, and no foreign credential is left.
pub(super) struct Outbound {
    pub(super) request: Request<RequestBody>,
    pub(super) upgrade: Option<Asked>,
    /// What the client speaks; the request itself is in the form of HTTP/1.1 until a connection is chosen.
    pub(super) client: Version,
    /// What its body and trailers go through.
    pub(super) rest: Rest,
    /// The credential whose client certificate may be shown.
    pub(super) identity: Option<CredentialName>,
    credentials: Vec<CredentialName>,
}

/// What a client's frames are held to, once they come.
pub(super) struct FrameRule {
    lent: Arc<Lent>,
    /// One per stand-in of the session, in the vault's order.
    fates: Vec<Fate>,
}

/// What becomes of a stand-in in a client's frame.
pub(super) enum Fate {
    /// Granted in the slot `websocket`.
    Exchanged(CredentialName),
    /// A model is told it: it is a word like any other.
    Passes,
    /// Not granted here, or not in that slot.
    Refused(Denial),
}

impl Outbound {
    /// The credentials that were put in, for the record.
    pub(super) fn take_credentials(&mut self) -> Vec<CredentialName> {
        std::mem::take(&mut self.credentials)
    }
}

/// What is put where a stand-in stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    /// The real credential.
    Secret,
    /// The stand-in itself: to see which credentials are wanted.
    StandIn,
}

impl Put {
    /// For this credential. A value that is not there, or not good any more, does not go out.
    fn value(self, vault: &SessionVault, index: CredentialIndex) -> Result<&[u8], Denial> {
        let credential = vault.get(index);
        match self {
            Self::Secret if credential.is_spent(SystemTime::now()) => Err(Denial::new(
                DenyReason::SourceFailed,
                format!("the real credential `{}` has expired; ask anew", credential.name),
            )),
            Self::Secret => Ok(vault.secret(index).expose()),
            Self::StandIn => Ok(credential.stand_in.as_str().as_bytes()),
        }
    }
}

/// A request in which stand-ins are exchanged.
struct Sheet<'a> {
    headers: &'a mut HeaderMap,
    target: &'a mut Target,
    whole: Option<&'a mut Whole>,
}

/// The credentials that would be put in. What is refused here would be, too.
pub(super) fn rehearse(tunnel: &Tunnel, permit: &Permit, bound: &BoundRequest) -> Result<Vec<CredentialName>, Denial> {
    let (mut headers, mut target) = (bound.head.headers.clone(), bound.target.clone());
    signed::set_aside(permit, &mut headers, &mut target);
    let mut whole = match &bound.body {
        RequestBody::Whole(whole) => Some(whole.sketch()),
        RequestBody::Streaming(_) | RequestBody::Signed(_) => None,
    };
    let sheet = Sheet { headers: &mut headers, target: &mut target, whole: whole.as_mut() };
    exchange_all(tunnel, permit, Put::StandIn, sheet)
}

/// Exchanges stand-ins. Takes a [`Permit`], so policy came before, and the proof that what it puts in is there.
pub(super) fn inject(tunnel: &Tunnel, permit: &Permit, _: Ready, mut bound: BoundRequest) -> Result<Outbound, Denial> {
    let signed = signed::verify(tunnel, permit, &mut bound)?;
    let BoundRequest { mut head, mut body, mut target, upgrade } = bound;
    let whole = match &mut body {
        RequestBody::Whole(whole) => Some(&mut **whole),
        RequestBody::Streaming(_) | RequestBody::Signed(_) => None,
    };
    let sheet = Sheet { headers: &mut head.headers, target: &mut target, whole };
    let mut used = exchange_all(tunnel, permit, Put::Secret, sheet)?;
    if permit.granted_host() && !signed::keeps_objects(tunnel, permit) {
        readable::ask(&mut head.headers);
    }
    if let Some(signed) = signed {
        used.push(signed.credential().clone());
        body = signed.sign(tunnel, &mut head, &mut target, body)?; // last: it is signed as it goes out
    }
    let identity = identity(tunnel, permit);
    used.extend(identity.clone().filter(|name| !used.contains(name)));
    head.uri = outbound_uri(tunnel, &target)?;
    let client = std::mem::replace(&mut head.version, Version::HTTP_11);
    let rest = Rest::new(tunnel, permit, &head.headers, &body)?;
    Ok(Outbound { request: Request::from_parts(head, body), upgrade, client, rest, identity, credentials: used })
}

/// Every place of a request in which a credential may stand; the ones that were put in.
fn exchange_all(tunnel: &Tunnel, permit: &Permit, put: Put, sheet: Sheet<'_>) -> Result<Vec<CredentialName>, Denial> {
    let Sheet { headers, target, whole } = sheet;
    let mut used: Vec<CredentialName> = Vec::new();
    let named = Named::at(permit);
    let lent = permit.lent();
    let is_ours = |value: &[u8]| lent.tripwire.find(value).is_some();
    let found = auth::credentials_in(headers, target.query.as_deref(), is_ours, named.slots());
    named.are_single(&found)?;
    for (slot, value) in &found {
        let ours = |candidate: &str| lent.vault.as_stand_in(candidate);
        match auth::find(slot, value, ours) {
            Some((index, stand_in)) => {
                let name = granted(tunnel, permit, index, slot)?;
                let value_put = put.value(&lent.vault, index)?;
                exchange((stand_in, value_put), slot, value, headers, target)?;
                used.push(name);
            }
            None if permit.granted_host() && (auth::is_credential_slot(slot) || named.hold(slot)) => {
                return Err(foreign(tunnel, slot));
            }
            None => {}
        }
    }
    used.extend(named.exchange_in_path(tunnel, permit, put, target)?);
    if put == Put::Secret {
        no_stray_stand_in(lent, headers, target)?;
    }
    if let Some(whole) = whole {
        used.extend(body::exchange(tunnel, permit, put, headers, whole)?);
    }
    used.extend(named::fill(tunnel, permit, put, &found, headers, target)?);
    Ok(used)
}

impl FrameRule {
    /// Judges every credential of the session ahead of the frames.
    pub(super) fn new(tunnel: &Tunnel, permit: &Permit) -> Self {
        let lent = tunnel.session.lent();
        let fate = |stand_in: &str| {
            let index = lent.vault.by_stand_in(stand_in).expect("a stand-in of this vault");
            match granted_of(&lent.vault, tunnel, permit, index, &Slot::WebSocket) {
                Ok(name) => Fate::Exchanged(name),
                Err(_) if permit.is_conversation() => Fate::Passes,
                Err(denial) => Fate::Refused(denial),
            }
        };
        let fates = lent.vault.pairs().map(|(_, stand_in)| fate(stand_in.as_str())).collect();
        Self { lent, fates }
    }

    /// Whether a stand-in is exchanged at all.
    pub(super) fn exchanges(&self) -> bool {
        self.fates.iter().any(|fate| matches!(fate, Fate::Exchanged(_)))
    }

    /// The stand-ins that end in this piece of a message, by number, and what becomes of them.
    pub(super) fn look<E>(
        &self,
        seam: &mut Seam,
        piece: &[u8],
        mut each: impl FnMut(usize, &Fate) -> Result<(), E>,
    ) -> Result<(), E> {
        self.lent.tripwire.look(seam, piece, |number| each(number, &self.fates[number]))
    }

    /// What the credentials among these are called that are exchanged.
    pub(super) fn names(&self, numbers: &[usize]) -> impl Iterator<Item = &CredentialName> {
        numbers.iter().filter_map(|number| match &self.fates[*number] {
            Fate::Exchanged(name) => Some(name),
            _ => None,
        })
    }

    /// A whole text message with these credentials put in.
    pub(super) fn exchange(&self, text: &str, numbers: &[usize]) -> Result<String, Denial> {
        let mut text = text.to_owned();
        let vault = &self.lent.vault;
        for (_, stand_in) in numbers.iter().filter_map(|number| vault.pairs().nth(*number)) {
            let Some(index) = vault.by_stand_in(stand_in.as_str()) else { continue };
            let secret = Put::Secret.value(vault, index)?;
            text = auth::rewrite_text(&text, stand_in.as_str(), secret).ok_or_else(|| {
                Denial::new(DenyReason::SourceFailed, "the real credential cannot stand in a text message")
            })?;
        }
        Ok(text)
    }
}

/// The credential whose client certificate is lent to this request: by a grant of it, and in TLS. There is no stand-in
/// for a certificate; the grant's hosts, methods and paths are what holds it.
fn identity(tunnel: &Tunnel, permit: &Permit) -> Option<CredentialName> {
    let Session { upstreams, alarm, .. } = &*tunnel.session;
    let mut lent = permit.grants().iter().map(|id| &permit.grant(*id).credential);
    let is_shown = |name: &CredentialName| upstreams.identifies(name) && alarm.admits(name).is_ok();
    lent.find(|name| tunnel.scheme == Scheme::Https && is_shown(name)).cloned()
}

/// The grant that lends this credential to this slot of this request, or the reason why none does.
pub(super) fn granted(
    tunnel: &Tunnel,
    permit: &Permit,
    index: CredentialIndex,
    slot: &Slot,
) -> Result<CredentialName, Denial> {
    granted_of(&permit.lent().vault, tunnel, permit, index, slot)
}

/// The same for a credential of this vault.
fn granted_of(
    vault: &SessionVault,
    tunnel: &Tunnel,
    permit: &Permit,
    index: CredentialIndex,
    slot: &Slot,
) -> Result<CredentialName, Denial> {
    let name = vault.name(index);
    let mine = || permit.grants().iter().map(|id| permit.grant(*id)).filter(|grant| grant.credential == *name);
    let host = &tunnel.destination.authority.host;
    if mine().next().is_none() {
        let message = format!("the stand-in for `{name}` is not good for this request to {host}");
        return Err(Denial::new(DenyReason::WrongDestination, message).astray(name.clone()));
    }
    if tunnel.scheme != Scheme::Https {
        return Err(Denial::new(DenyReason::Cleartext, format!("`{name}` is sent over TLS only; use https")));
    }
    if !mine().any(|grant| auth::covers(&grant.slots, slot)) {
        let message = format!("`{name}` is not granted in {slot}");
        return Err(Denial::new(DenyReason::WrongSlot, message).astray(name.clone()));
    }
    tunnel.session.alarm.admits(name)?;
    Ok(name.clone())
}

fn exchange(
    (stand_in, secret): (&str, &[u8]),
    slot: &Slot,
    value: &[u8],
    headers: &mut HeaderMap,
    target: &mut Target,
) -> Result<(), Denial> {
    match slot {
        Slot::Header(name) => {
            let real = real_value(auth::rewrite(slot, value, stand_in, secret).ok_or_else(broken)?)?;
            replace(headers, name, |line| (line == value).then(|| Ok(real.clone())))
        }
        Slot::Cookie(name) => {
            if !name.is_empty() && !auth::fits_cookie(secret) {
                return Err(broken());
            }
            // The stand-in may stand in several lines: HTTP/2 clients send one per cookie (RFC 9113 §8.2.3).
            replace(headers, "cookie", |line| auth::rewrite_cookie(line, name, stand_in, secret).map(real_value))
        }
        Slot::Query(name) => {
            let query = target.query.as_deref().unwrap_or_default();
            target.query = Some(auth::rewrite_query(query, name, stand_in, secret).ok_or_else(broken)?);
            Ok(())
        }
        // Not found in a head; each has its own place.
        Slot::Path(_) | Slot::Form(_) | Slot::Json(_) | Slot::WebSocket | Slot::SigV4 => Err(broken()),
    }
}

/// Writes the lines of a field anew for which there is something else to write, and leaves the others.
fn replace(
    headers: &mut HeaderMap,
    name: &str,
    anew: impl Fn(&[u8]) -> Option<Result<HeaderValue, Denial>>,
) -> Result<(), Denial> {
    let mut is_there = false;
    for (_, line) in headers.iter_mut().filter(|(field, _)| field.as_str() == name) {
        is_there = true;
        if let Some(real) = anew(line.as_bytes()) {
            *line = real?;
        }
    }
    if is_there { Ok(()) } else { Err(broken()) }
}

/// A field's value with a secret in it.
fn real_value(bytes: Vec<u8>) -> Result<HeaderValue, Denial> {
    let mut real = HeaderValue::from_maybe_shared(Bytes::from(bytes)).map_err(|_| broken())?;
    real.set_sensitive(true);
    Ok(real)
}

fn broken() -> Denial {
    Denial::new(DenyReason::SourceFailed, "the real credential has characters that cannot stand in this slot")
}

fn ambiguous(what: &str) -> Denial {
    Denial::new(DenyReason::AmbiguousSlot, format!("{what}, and which one counts is the server's guess"))
}

fn foreign(tunnel: &Tunnel, slot: &Slot) -> Denial {
    let host = &tunnel.destination.authority.host;
    Denial::new(
        DenyReason::ForeignCredential,
        format!(
            "{slot} holds a credential that was not lent to this session; at {host} only a stand-in that Standin put into \
             the environment works"
        ),
    )
}

/// A stand-in that was not exchanged must not leave, wherever it stands and however it is encoded.
fn no_stray_stand_in(lent: &Lent, headers: &HeaderMap, target: &Target) -> Result<(), Denial> {
    let tripwire = &lent.tripwire;
    let mut fields = headers.iter();
    let stray = fields.find_map(|(name, value)| tripwire.find_in_field(name.as_str(), value.as_bytes()));
    let in_target =
        || tripwire.find(target.path.as_bytes()).or_else(|| tripwire.find(target.query.as_deref()?.as_bytes()));
    let Some(number) = stray.or_else(in_target) else { return Ok(()) };
    let why = "a stand-in stands where no credential belongs (path, query or another header)";
    Err(lent.astray(number, Denial::new(DenyReason::WrongSlot, why)))
}

fn outbound_uri(tunnel: &Tunnel, target: &Target) -> Result<Uri, Denial> {
    let broken = |_| Denial::new(DenyReason::Malformed, "the path cannot be sent");
    let path = PathAndQuery::from_maybe_shared(target.to_string()).map_err(broken)?;
    let mut parts = uri::Parts::default();
    parts.scheme = Some(if tunnel.scheme == Scheme::Https { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    parts.authority = Some(tunnel.spelling.clone());
    parts.path_and_query = Some(path);
    Ok(Uri::from_parts(parts).expect("it has all of its parts"))
}
