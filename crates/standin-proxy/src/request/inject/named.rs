//! Slots that grants name: nothing but a stand-in stands in them at their host, and some are filled where nothing stood.

use super::{Put, ambiguous, broken, foreign, granted, real_value};
use crate::connection::Tunnel;
use crate::request::authorize::Permit;
use http::header::{HeaderMap, HeaderName};
use standin_model::{CredentialName, Denial, DenyReason, Slot};
use standin_wire::auth;
use standin_wire::path::Target;

/// The slots that grants at a host name.
pub(super) struct Named<'a>(Vec<&'a Slot>);

impl<'a> Named<'a> {
    /// At the host that this permit is for.
    pub(super) fn at(permit: &'a Permit) -> Self {
        Self(permit.at_host().iter().flat_map(|id| &permit.grant(*id).slots).collect())
    }

    /// All of them.
    pub(super) fn slots(&self) -> &[&'a Slot] {
        &self.0
    }

    /// Whether a value here is one in a named slot to some server.
    pub(super) fn hold(&self, slot: &Slot) -> bool {
        self.0.iter().any(|named| auth::means(named, slot))
    }

    /// A cookie's name stands there once: which of two a server takes, nobody knows (RFC 6265 §4.2.2).
    pub(super) fn are_single(&self, found: &[(Slot, Vec<u8>)]) -> Result<(), Denial> {
        let times = |slot: &Slot| found.iter().filter(|(other, _)| other == slot).count();
        match self.0.iter().find(|slot| matches!(slot, Slot::Cookie(_)) && times(slot) > 1) {
            Some(slot) => Err(ambiguous(&format!("{slot} is there twice"))),
            None => Ok(()),
        }
    }

    /// Exchanges what stands in the slots of the path.
    pub(super) fn exchange_in_path(
        &self,
        tunnel: &Tunnel,
        permit: &Permit,
        put: Put,
        target: &mut Target,
    ) -> Result<Vec<CredentialName>, Denial> {
        let vault = &permit.lent().vault;
        let places = self.0.iter().filter_map(|slot| match slot {
            Slot::Path(path) => path.find(&target.path).map(|place| (*slot, place)),
            _ => None,
        });
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for (slot, place) in places {
            match auth::decode_path(&target.path[place.clone()]).and_then(|text| vault.by_stand_in(&text)) {
                Some(index) => ours.push((place, index, slot)),
                None => others.push((place, slot)),
            }
        }
        // Two slots may mean one segment: what is a part of it to one is a stand-in to the other.
        if let Some((_, slot)) = others.iter().find(|(place, _)| ours.iter().all(|(mine, ..)| mine.end != place.end)) {
            return Err(foreign(tunnel, slot));
        }
        ours.sort_by_key(|(place, ..)| std::cmp::Reverse(place.start));
        ours.dedup_by(|a, b| a.0 == b.0);
        let mut used = Vec::new();
        for (place, index, slot) in ours {
            used.push(granted(tunnel, permit, index, slot)?);
            let secret = put.value(vault, index)?;
            target.path = auth::rewrite_path(&target.path, place, secret).ok_or_else(broken)?;
        }
        Ok(used)
    }
}

/// Puts credentials where nothing stood, as the grants that say `always` have it; the ones that were put in.
pub(super) fn fill(
    tunnel: &Tunnel,
    permit: &Permit,
    put: Put,
    found: &[(Slot, Vec<u8>)],
    headers: &mut HeaderMap,
    target: &mut Target,
) -> Result<Vec<CredentialName>, Denial> {
    let vault = &permit.lent().vault;
    let mut filled: Vec<(&Slot, CredentialName)> = Vec::new();
    for grant in permit.grants().iter().map(|id| permit.grant(*id)).filter(|grant| grant.always) {
        let (Some(slot), name) = (grant.slots.first(), &grant.credential) else { continue };
        let taken = filled.iter().find(|(other, _)| *other == slot);
        if found.iter().any(|(other, _)| auth::means(slot, other)) || taken.is_some_and(|(_, first)| first == name) {
            continue;
        }
        if let Some((_, first)) = taken {
            return Err(ambiguous(&format!("`{first}` and `{name}` are both to be put into {slot}")));
        }
        let index = vault.by_name(name).ok_or_else(broken)?;
        granted(tunnel, permit, index, slot)?;
        let secret = put.value(vault, index)?;
        match slot {
            Slot::Header(header) => {
                let real = real_value(auth::fill_header(header, secret))?;
                headers.insert(HeaderName::from_bytes(header.as_bytes()).map_err(|_| broken())?, real);
            }
            Slot::Query(parameter) => {
                target.query = Some(auth::fill_query(target.query.as_deref(), parameter, secret));
            }
            // The configuration refuses the others.
            _ => return Err(Denial::new(DenyReason::WrongSlot, format!("{slot} cannot be filled"))),
        }
        filled.push((slot, name.clone()));
    }
    Ok(filled.into_iter().map(|(_, name)| name).collect())
}
