//! Puts real credentials where stand-ins stood: in granted slots, at granted hosts, over TLS. The one call site of injection.

use super::authorize::Permit;
use super::bind::{self, BoundRequest};
use crate::connection::Tunnel;
use crate::session::Session;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use standin_model::{CredentialName, Denial, DenyReason, Scheme, Slot};
use standin_policy::GrantId;
use standin_vault::CredentialIndex;
use standin_wire::auth;
use standin_wire::path::Target;
use std::sync::Arc;

/// A request that may go out: every stand-in in it has been exchanged, and no foreign credential is left.
pub(super) struct Outbound {
    pub(super) request: Request<Incoming>,
    pub(super) upgrade: Option<OnUpgrade>,
    /// What may follow the body.
    pub(super) trailers: TrailerRule,
    credentials: Vec<CredentialName>,
}

/// What a request's trailers are held to, once they come.
pub(super) struct TrailerRule {
    session: Arc<Session>,
    granted_host: bool,
}

impl Outbound {
    /// The credentials that were put in, for the record.
    pub(super) fn credentials(&self) -> &[CredentialName] {
        &self.credentials
    }
}

/// Exchanges stand-ins. Takes a [`Permit`], so policy came before.
pub(super) fn inject(tunnel: &Tunnel, permit: &Permit, bound: BoundRequest) -> Result<Outbound, Denial> {
    let BoundRequest { mut head, body, mut target, upgrade } = bound;
    let mut used = Vec::new();
    let is_ours = |value: &[u8]| tunnel.session.tripwire.find(value).is_some();
    for (slot, value) in auth::credentials_in(&head.headers, target.query.as_deref(), is_ours) {
        match auth::find(&value, |candidate| tunnel.session.vault.by_stand_in(candidate)) {
            Some(index) => {
                let name = granted(tunnel, permit, index, &slot)?;
                exchange(tunnel, index, &slot, &value, &mut head.headers, &mut target)?;
                used.push(name);
            }
            None if permit.granted_host() && auth::is_credential_slot(&slot) => return Err(foreign(tunnel, &slot)),
            None => {}
        }
    }
    no_stray_stand_in(tunnel, &head.headers, &target)?;
    if permit.granted_host() {
        // What comes back must be readable to be scrubbed.
        head.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    head.uri = outbound_uri(tunnel, &target)?;
    head.version = Version::HTTP_11;
    let trailers = TrailerRule { session: Arc::clone(&tunnel.session), granted_host: permit.granted_host() };
    Ok(Outbound { request: Request::from_parts(head, body), upgrade, trailers, credentials: used })
}

impl TrailerRule {
    /// No trailer is a slot, so a stand-in there is astray and a credential is foreign. What a trailer must not say
    /// (RFC 9110 §6.5.1: framing, routing, modifiers) is left out.
    pub(super) fn judge(&self, mut trailers: HeaderMap) -> Result<HeaderMap, Denial> {
        bind::strip_trailers(&mut trailers);
        let tripwire = &self.session.tripwire;
        if trailers.iter().any(|(name, value)| tripwire.find_in_field(name.as_str(), value.as_bytes())) {
            return Err(Denial::new(
                DenyReason::WrongSlot,
                "a stand-in stands in a trailer, where no credential belongs",
            ));
        }
        let is_credential = |name: &HeaderName| auth::is_credential_slot(&Slot::Header(name.as_str().to_owned()));
        match trailers.keys().find(|name| is_credential(name)) {
            Some(name) if self.granted_host => Err(Denial::new(
                DenyReason::ForeignCredential,
                format!("the trailer {name} holds a credential, and credentials do not go in trailers"),
            )),
            _ => Ok(trailers),
        }
    }
}

/// The grant that lends this credential to this slot of this request, or the reason why none does.
fn granted(tunnel: &Tunnel, permit: &Permit, index: CredentialIndex, slot: &Slot) -> Result<CredentialName, Denial> {
    let name = tunnel.session.vault.name(index);
    let policy = &tunnel.session.policy;
    let mine: Vec<GrantId> =
        permit.grants().iter().copied().filter(|id| policy.grant(*id).credential == *name).collect();
    let host = &tunnel.destination.authority.host;
    if mine.is_empty() {
        return Err(Denial::new(
            DenyReason::WrongDestination,
            format!("the stand-in for `{name}` is not good for this request to {host}"),
        ));
    }
    if tunnel.scheme != Scheme::Https {
        return Err(Denial::new(DenyReason::Cleartext, format!("`{name}` is sent over TLS only; use https")));
    }
    if mine.iter().any(|id| auth::covers(&policy.grant(*id).slots, slot)) {
        Ok(name.clone())
    } else {
        Err(Denial::new(DenyReason::WrongSlot, format!("`{name}` is not granted in {slot}")))
    }
}

fn exchange(
    tunnel: &Tunnel,
    index: CredentialIndex,
    slot: &Slot,
    value: &[u8],
    headers: &mut HeaderMap,
    target: &mut Target,
) -> Result<(), Denial> {
    let vault = &tunnel.session.vault;
    let (stand_in, secret) = (vault.stand_in(index).as_str(), vault.secret(index).expose());
    let broken = || Denial::new(DenyReason::SourceFailed, "the real credential cannot stand in a header or a query");
    match slot {
        Slot::Header(name) => {
            let real = auth::rewrite(value, stand_in, secret).ok_or_else(broken)?;
            let mut real = HeaderValue::from_bytes(&real).map_err(|_| broken())?;
            real.set_sensitive(true);
            replace(headers, name, value, &real);
        }
        Slot::Query(name) => {
            let query = target.query.as_deref().unwrap_or_default();
            target.query = Some(auth::rewrite_query(query, name, stand_in, secret).ok_or_else(broken)?);
        }
    }
    Ok(())
}

/// Puts `real` where `value` stood, and leaves the field's other lines: HTTP/2 clients send a line per cookie
/// (RFC 9113 §8.2.3).
fn replace(headers: &mut HeaderMap, name: &str, value: &[u8], real: &HeaderValue) {
    if let Ok(header::Entry::Occupied(mut lines)) = headers.try_entry(name) {
        for line in lines.iter_mut().filter(|line| line.as_bytes() == value) {
            *line = real.clone();
        }
    }
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
fn no_stray_stand_in(tunnel: &Tunnel, headers: &HeaderMap, target: &Target) -> Result<(), Denial> {
    let tripwire = &tunnel.session.tripwire;
    let stray = headers.iter().any(|(name, value)| tripwire.find_in_field(name.as_str(), value.as_bytes()))
        || tripwire.find(target.path.as_bytes()).is_some()
        || target.query.as_deref().is_some_and(|query| tripwire.find(query.as_bytes()).is_some());
    if stray {
        return Err(Denial::new(
            DenyReason::WrongSlot,
            "a stand-in stands where no credential belongs (path, query or another header)",
        ));
    }
    Ok(())
}

fn outbound_uri(tunnel: &Tunnel, target: &Target) -> Result<Uri, Denial> {
    let authority = &tunnel.destination.authority;
    let host =
        if authority.port == tunnel.scheme.default_port() { authority.host.to_string() } else { authority.to_string() };
    Uri::builder()
        .scheme(tunnel.scheme.as_str())
        .authority(host)
        .path_and_query(target.to_string())
        .build()
        .map_err(|_| Denial::new(DenyReason::Malformed, "the path cannot be sent"))
}
