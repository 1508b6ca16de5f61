//! Slots in a body that was gathered: a field of a form, a string in a JSON document.

use super::{Put, foreign, granted};
use crate::connection::Tunnel;
use crate::request::authorize::Permit;
use crate::request::fields::remove;
use crate::request::gather::{self, Whole};
use crate::request::readable::is_digest;
use bytes::Bytes;
use http::header::{self, HeaderMap};
use standin_model::{CredentialName, Denial, DenyReason, Slot};
use standin_wire::body::{self, Value};

/// Exchanges the stand-ins in the slots of a body; the credentials that were put in. One elsewhere in it is found when the
/// body goes out ([`super::Rest`]).
pub(super) fn exchange(
    tunnel: &Tunnel,
    permit: &Permit,
    put: Put,
    headers: &mut HeaderMap,
    whole: &mut Whole,
) -> Result<Vec<CredentialName>, Denial> {
    let vault = &permit.lent().vault;
    let (mut edits, mut used) = (Vec::new(), Vec::new());
    let mut slots: Vec<&Slot> = Vec::new();
    for slot in gather::slots(permit) {
        if !slots.contains(&slot) {
            slots.push(slot); // two grants may name one
        }
    }
    for slot in slots {
        let Some(kind) = whole.kind.as_ref().filter(|kind| kind.has(slot)) else { continue };
        let place = body::find(kind, &whole.data, slot).map_err(|error| {
            let message = format!("a credential has its place in {slot} of this body, which cannot be judged: {error}");
            Denial::new(DenyReason::AmbiguousSlot, message)
        })?;
        let Some(place) = place else { continue };
        let index = match &place.value {
            Value::Nothing => continue,
            Value::Text(text) => vault.by_stand_in(text).ok_or_else(|| foreign(tunnel, slot))?,
            Value::Other => return Err(foreign(tunnel, slot)),
        };
        used.push(granted(tunnel, permit, index, slot)?);
        let written = kind.written(put.value(vault, index)?).ok_or_else(|| {
            let message = "the real credential has what cannot stand in such a body";
            Denial::new(DenyReason::SourceFailed, message)
        })?;
        if place.keeps_length && written.len() != place.range.len() {
            let message = format!("{slot} says how long it is, and the real credential has another length");
            return Err(Denial::new(DenyReason::SourceFailed, message));
        }
        edits.push((place.range, written));
    }
    if !edits.is_empty() {
        whole.data = Bytes::from(body::splice(&whole.data, edits));
        for fields in [Some(&mut *headers), whole.trailers.as_mut()].into_iter().flatten() {
            remove(fields, is_digest); // of the body with the stand-in
        }
    }
    headers.remove(header::EXPECT); // it is all here, so the origin is not asked whether it wants it
    headers.remove(header::CONTENT_LENGTH); // told anew by who sends it (`RequestBody::size_hint`)
    Ok(used)
}
