//! The body, whole, where a grant of this request has a slot in it, or where it is signed together with its head. All other
//! bodies pass while they come.
//!
//! Whether a slot is there twice is known at the end of a body only, so nothing of it goes out before. That also gives
//! the body its length back, which some servers insist on.

use super::authorize::Permit;
use super::bind::BoundRequest;
use super::signed;
use super::unread::Unread;
use super::upload::RequestBody;
use crate::connection::Tunnel;
use crate::fault::Refusal;
use crate::session::Session;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap};
use http_body::Body;
use http_body_util::BodyExt;
use standin_model::limits::MAX_BODY_INJECTION;
use standin_model::{Denial, DenyReason, Slot};
use standin_wire::body::{BodyError, Kind};
use standin_wire::facts::is_coded;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Memory is counted in these: a permit for each byte would be more than a semaphore has.
pub(crate) const UNIT: usize = 1024;

/// A body that is here as a whole.
pub(super) struct Whole {
    /// Whether slots are looked for in it, and how.
    pub(super) kind: Option<Kind>,
    pub(super) data: Bytes,
    pub(super) trailers: Option<HeaderMap>,
    /// Its share of the memory for such bodies, until it has gone out.
    _memory: Option<OwnedSemaphorePermit>,
}

impl Whole {
    /// The same text, to look at.
    pub(super) fn sketch(&self) -> Self {
        Self { kind: self.kind.clone(), data: self.data.clone(), trailers: None, _memory: None }
    }
}

/// Gathers the body if it has to be.
pub(super) async fn gather(tunnel: &Tunnel, permit: &Permit, bound: BoundRequest) -> Result<BoundRequest, Refusal> {
    let body = match bound.body {
        // What becomes a WebSocket has no body.
        RequestBody::Streaming(body) if bound.upgrade.is_none() => match kind(permit, &bound.head.headers, &body)? {
            None if body.is_end_stream() || !signed::gathers(tunnel, permit, &bound.head.headers) => {
                RequestBody::Streaming(body)
            }
            kind => RequestBody::Whole(Box::new(Box::pin(whole(&tunnel.session, kind, body)).await?)),
        },
        body => body,
    };
    Ok(BoundRequest { body, ..bound })
}

/// The slots in bodies that this request may use.
pub(super) fn slots(permit: &Permit) -> impl Iterator<Item = &Slot> {
    permit.grants().iter().flat_map(|id| &permit.grant(*id).slots).filter(|slot| slot.is_in_body())
}

/// What kind of body this is, if it has a slot and is not empty.
fn kind(permit: &Permit, headers: &HeaderMap, body: &Unread) -> Result<Option<Kind>, Denial> {
    if body.is_end_stream() || slots(permit).next().is_none() {
        return Ok(None);
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else {
        let doubled = "the request has more than one Content-Type, and a credential has a place in its body";
        let twice = headers.contains_key(header::CONTENT_TYPE);
        return if twice { Err(Denial::new(DenyReason::AmbiguousSlot, doubled)) } else { Ok(None) };
    };
    let unreadable = |why: &str| {
        let message = format!(
            "a credential has a place in bodies of this type, and this one is {why}; send it as it is, in UTF-8"
        );
        Err(Denial::new(DenyReason::UnreadableBody, message))
    };
    match Kind::of(content_type.as_bytes()) {
        Some(Err(BodyError::Multipart)) => unreadable("of no boundary that can be read"),
        Some(Err(_)) => unreadable("in a charset that is not read here"),
        Some(Ok(kind)) if slots(permit).any(|slot| kind.has(slot)) => {
            if is_coded(headers) {
                return unreadable("in a content coding");
            }
            Ok(Some(kind))
        }
        _ => Ok(None),
    }
}

/// Room in memory for so many bytes in all.
pub(super) fn hold(session: &Session, memory: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Denial> {
    let have = memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let units = u32::try_from(bytes.div_ceil(UNIT).saturating_sub(have)).map_err(|_| too_large())?;
    let taken = Arc::clone(&session.gathering).try_acquire_many_owned(units).map_err(|_| too_many())?;
    match memory {
        Some(memory) => memory.merge(taken),
        None => *memory = Some(taken),
    }
    Ok(())
}

async fn whole(session: &Session, kind: Option<Kind>, mut body: Unread) -> Result<Whole, Refusal> {
    let announced = body.size_hint().lower();
    if announced > MAX_BODY_INJECTION as u64 {
        return Err(too_large().into()); // before the client is told to go on (RFC 9110 §10.1.1)
    }
    let (mut data, mut trailers) = (BytesMut::new(), None);
    let mut memory: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::downstream("the request broke off", &error))?;
        match frame.into_data() {
            Ok(more) => {
                if data.len() + more.len() > MAX_BODY_INJECTION {
                    return Err(too_large().into());
                }
                hold(session, &mut memory, data.len() + more.len())?;
                data.extend_from_slice(&more);
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok(Whole { kind, data: data.freeze(), trailers, _memory: memory })
}

fn too_large() -> Denial {
    let message = format!(
        "a credential has a place in bodies of this type, or they are signed, so they are gathered first, and this one has more \
         than {MAX_BODY_INJECTION} bytes"
    );
    Denial::new(DenyReason::BodyTooLarge, message)
}

fn too_many() -> Denial {
    let message = "too many bodies that are gathered first are open at once; ask again later";
    Denial::new(DenyReason::BodyTooLarge, message)
}
