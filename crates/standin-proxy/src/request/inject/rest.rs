//! What follows a request's head: data in which no stand-in stands, unless a model is told it, and trailers that hold no
//! credential.
//!
//! Data passes as it came, to the byte, and nothing of it is held back: the piece in which a stand-in ends does not go out,
//! and neither does what follows it. In a content coding that can be taken off it is looked at without it, too.

use crate::connection::Tunnel;
use crate::in_force::InForce;
use crate::request::authorize::Permit;
use crate::request::bind;
use crate::request::upload::RequestBody;
use crate::session::{Lent, Session};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body::Body;
use standin_model::{Denial, DenyReason, Slot};
use standin_policy::GrantId;
use standin_wire::auth;
use standin_wire::coding::{self, Coding, Decoder};
use standin_wire::scrub::Seam;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// The rest of one request on its way.
pub(in crate::request) struct Rest {
    rule: Rule,
    /// Whether stand-ins are looked for in its data.
    looks: bool,
    waiting: Option<Bytes>,
    seam: Seam,
    coded: Option<Coded>,
}

/// What it is held to.
struct Rule {
    /// The policy that admitted it.
    by: Arc<InForce>,
    lent: Arc<Lent>,
    host: Arc<str>,
    granted_host: bool,
    /// The grants at the host, whose slots are named.
    at_host: Vec<GrantId>,
}

/// Data in a content coding.
struct Coded {
    decoder: Decoder,
    seam: Seam,
    /// A decoder's place among those that run at once.
    _place: OwnedSemaphorePermit,
}

/// What has become of the last piece of data.
pub(in crate::request) enum Progress {
    /// There is none.
    Idle,
    /// More of it is to be looked at: it unfolds to much.
    Busy,
    /// It goes out.
    Passes(Bytes),
}

impl Rest {
    /// Of the request with these fields and this body.
    pub(super) fn new(
        tunnel: &Tunnel,
        permit: &Permit,
        headers: &HeaderMap,
        body: &RequestBody,
    ) -> Result<Self, Denial> {
        let looks = !permit.is_conversation() && !permit.lent().tripwire.is_empty() && !body.is_end_stream();
        // What is in another coding is looked at as it stands: so is an archive, or a cipher.
        let codings = coding::codings(headers.get_all(header::CONTENT_ENCODING).iter().map(HeaderValue::as_bytes));
        let coded = match codings {
            Some(codings) if looks && !codings.is_empty() => Some(Coded::new(&tunnel.session, &codings)?),
            _ => None,
        };
        let rule = Rule {
            by: Arc::clone(permit.by()),
            lent: Arc::clone(permit.lent()),
            host: Arc::clone(&tunnel.destination.host),
            granted_host: permit.granted_host(),
            at_host: permit.at_host().to_vec(),
        };
        Ok(Self { rule, looks, waiting: None, seam: Seam::default(), coded })
    }

    /// Whether stand-ins are looked for in its data.
    pub(in crate::request) fn looks(&self) -> bool {
        self.looks
    }

    /// Whether no piece of it waits.
    pub(in crate::request) fn is_idle(&self) -> bool {
        self.waiting.is_none()
    }

    /// Takes the next piece of data, when [`Self::next`] has no more.
    pub(in crate::request) fn push(&mut self, piece: Bytes) {
        if let Some(coded) = &mut self.coded {
            coded.decoder.push(piece.clone());
        }
        self.waiting = Some(piece);
    }

    /// Goes on a little.
    pub(in crate::request) fn next(&mut self) -> Result<Progress, Denial> {
        let Some(piece) = &self.waiting else { return Ok(Progress::Idle) };
        if self.looks {
            if let Some(Coded { decoder, seam, .. }) = &mut self.coded {
                let unfolded = decoder.next().map_err(|error| {
                    Denial::new(
                        DenyReason::UnreadableBody,
                        format!("what its Content-Encoding says is not so: {error}"),
                    )
                })?;
                if let Some(unfolded) = unfolded {
                    self.rule.judge(seam, &unfolded)?;
                    return Ok(Progress::Busy);
                }
            }
            self.rule.judge(&mut self.seam, piece)?;
        }
        Ok(self.waiting.take().map_or(Progress::Idle, Progress::Passes))
    }

    /// No trailer is a slot, so a stand-in there is astray and a credential is foreign. What a trailer must not say
    /// (RFC 9110 §6.5.1: framing, routing, modifiers) is left out.
    pub(in crate::request) fn judge_trailers(&self, mut trailers: HeaderMap) -> Result<HeaderMap, Denial> {
        bind::strip_trailers(&mut trailers);
        let Rule { by, lent, granted_host, at_host, .. } = &self.rule;
        let mut fields = trailers.iter();
        let stray = fields.find_map(|(name, value)| lent.tripwire.find_in_field(name.as_str(), value.as_bytes()));
        if let Some(number) = stray {
            let why = "a stand-in stands in a trailer, where no credential belongs";
            return Err(lent.astray(number, Denial::new(DenyReason::WrongSlot, why)));
        }
        let is_credential = |name: &HeaderName| {
            let slot = Slot::Header(name.as_str().to_owned());
            let mut named = at_host.iter().flat_map(|id| &by.policy.grant(*id).slots);
            auth::is_credential_slot(&slot) || named.any(|named| auth::means(named, &slot))
        };
        match trailers.keys().find(|name| is_credential(name)) {
            Some(name) if *granted_host => Err(Denial::new(
                DenyReason::ForeignCredential,
                format!("the trailer {name} holds a credential, and credentials do not go in trailers"),
            )),
            _ => Ok(trailers),
        }
    }
}

impl Rule {
    fn judge(&self, seam: &mut Seam, piece: &[u8]) -> Result<(), Denial> {
        self.lent.tripwire.look(seam, piece, |number| Err(self.stray(number)))
    }

    /// A stand-in in a body is a word to a model. To all others it would tell what the agent means to tell them.
    fn stray(&self, number: usize) -> Denial {
        let host = &self.host;
        let Some(name) = self.lent.name(number) else {
            return Denial::new(DenyReason::WrongSlot, "a stand-in stands in the body of this request");
        };
        let granted = self.at_host.iter().any(|id| self.by.policy.grant(*id).credential == *name);
        let (reason, why) = if granted {
            (DenyReason::WrongSlot, "no grant names its place there as a slot")
        } else {
            (DenyReason::WrongDestination, "it is not good there")
        };
        let message = format!(
            "the stand-in for `{name}` stands in the body of this request to {host}, and {why}; leave it out (where a model \
             is told it, the session's owner can say so: [[conversation]])"
        );
        Denial::new(reason, message).astray(name.clone())
    }
}

impl Coded {
    fn new(session: &Session, codings: &[Coding]) -> Result<Self, Denial> {
        let place = Arc::clone(&session.decoders).try_acquire_owned().map_err(|_| {
            let message =
                "too many bodies in content codings are open at once; let some of them end, or ask again later";
            Denial::new(DenyReason::ExchangeCap, message)
        })?;
        Ok(Self { decoder: Decoder::new(codings), seam: Seam::default(), _place: place })
    }
}
