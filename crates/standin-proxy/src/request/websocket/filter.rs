//! What happens to payload: from the client stand-ins are exchanged or stopped, from the origin secrets are taken out.

use crate::exchange::RequestSide;
use crate::request::inject::{Fate, FrameRule};
use crate::usage::Spending;
use bytes::{Bytes, BytesMut};
use standin_model::limits::MAX_WEBSOCKET_INJECTION;
use standin_model::{Denial, DenyReason};
use standin_wire::scrub::{Scrubber, Seam, Stream};
use standin_wire::websocket::{Filter, Stop};

/// Closes for what policy does not allow (RFC 6455 §7.4.1).
const POLICY: u16 = 1008;
/// Closes for a message that is too big.
const TOO_BIG: u16 = 1009;

/// From the client.
pub(super) struct Outgoing {
    rule: FrameRule,
    spending: Spending,
    exchange: RequestSide,
    text: bool,
    /// The message so far, if stand-ins in it are to be exchanged: then it goes out as a whole.
    gathered: Option<BytesMut>,
    /// Credentials that the gathered message asks for, by number.
    asked_for: Vec<usize>,
    /// Where the last piece meets the next one.
    seam: Seam,
}

impl Outgoing {
    pub(super) fn new(rule: FrameRule, spending: Spending, exchange: RequestSide) -> Self {
        Self { rule, spending, exchange, text: false, gathered: None, asked_for: Vec::new(), seam: Seam::default() }
    }

    /// Payload counts like a request's body, against the same cap; and as no request is made with a revoked credential, no frame is sent on
    /// with one, also where it was put in when the WebSocket was opened.
    fn spend(&self, bytes: usize) -> Result<(), Stop> {
        let goes_on = self.exchange.may_go_on_with([]);
        goes_on.and_then(|()| self.spending.spend(bytes)).map_err(|denial| Stop::denied(POLICY, denial))
    }

    /// Looks for stand-ins, also where two pieces meet.
    fn look(&mut self, piece: &[u8]) -> Result<(), Stop> {
        let Self { rule, seam, text, gathered, asked_for, .. } = self;
        rule.look(seam, piece, |number, fate| {
            match fate {
                Fate::Refused(denial) => return Err(Stop::denied(POLICY, denial.clone())),
                Fate::Exchanged(_) if *text && gathered.is_none() => return Err(too_big()),
                Fate::Exchanged(_) if gathered.is_some() && !asked_for.contains(&number) => asked_for.push(number),
                Fate::Exchanged(_) | Fate::Passes => {}
            }
            Ok(())
        })
    }

    fn gather(&mut self, piece: &Bytes, out: &mut BytesMut) -> Result<(), Stop> {
        let Some(gathered) = &mut self.gathered else {
            out.extend_from_slice(piece);
            return Ok(());
        };
        gathered.extend_from_slice(piece);
        if gathered.len() > MAX_WEBSOCKET_INJECTION {
            if !self.asked_for.is_empty() {
                return Err(too_big());
            }
            out.unsplit(std::mem::take(gathered));
            self.gathered = None;
        }
        Ok(())
    }
}

impl Filter for Outgoing {
    fn begin(&mut self, text: bool) {
        self.text = text;
        self.gathered = (text && self.rule.exchanges()).then(BytesMut::new);
        self.asked_for.clear();
        self.seam = Seam::default();
    }

    fn data(&mut self, piece: Bytes, out: &mut BytesMut) -> Result<(), Stop> {
        self.spend(piece.len())?;
        self.look(&piece)?;
        self.gather(&piece, out)
    }

    /// A message with a secret in it is not compressed: its size beside what the agent chose would tell of it.
    fn end(&mut self, out: &mut BytesMut) -> Result<bool, Stop> {
        let Some(gathered) = self.gathered.take() else { return Ok(true) };
        let text = match std::str::from_utf8(&gathered) {
            Ok(text) if !self.asked_for.is_empty() => text,
            _ => {
                out.unsplit(gathered);
                return Ok(true);
            }
        };
        let admitted = self.exchange.may_go_on_with(self.rule.names(&self.asked_for));
        admitted.map_err(|denial| Stop::denied(POLICY, denial))?;
        let exchanged = self.rule.exchange(text, &self.asked_for).map_err(|denial| Stop::denied(POLICY, denial))?;
        let changed = exchanged != text;
        if changed {
            self.rule.names(&self.asked_for).for_each(|name| self.exchange.injected(name));
        }
        out.extend_from_slice(exchanged.as_bytes());
        Ok(!changed)
    }

    fn control(&mut self, payload: Bytes) -> Result<Bytes, Stop> {
        self.spend(payload.len())?;
        self.rule.look(&mut Seam::default(), &payload, |_, fate| match fate {
            Fate::Refused(denial) => Err(Stop::denied(POLICY, denial.clone())),
            Fate::Exchanged(_) | Fate::Passes => Ok(()),
        })?;
        Ok(payload)
    }
}

fn too_big() -> Stop {
    let message = format!("a stand-in is exchanged in text messages of at most {MAX_WEBSOCKET_INJECTION} bytes");
    Stop::denied(TOO_BIG, Denial::new(DenyReason::WrongSlot, message))
}

/// From the origin.
pub(super) struct Incoming {
    exchange: RequestSide,
    scrubber: Scrubber,
    stream: Stream,
}

impl Incoming {
    pub(super) fn new(scrubber: Scrubber, exchange: RequestSide) -> Self {
        Self { exchange, stream: scrubber.stream(), scrubber }
    }

    fn goes_on(&self) -> Result<(), Stop> {
        self.exchange.may_go_on_with([]).map_err(|denial| Stop::denied(POLICY, denial))
    }
}

impl Filter for Incoming {
    fn begin(&mut self, _text: bool) {
        self.stream = self.scrubber.stream();
    }

    fn data(&mut self, piece: Bytes, out: &mut BytesMut) -> Result<(), Stop> {
        self.goes_on()?;
        self.stream.push(piece, |clean| out.extend_from_slice(&clean));
        Ok(())
    }

    fn end(&mut self, out: &mut BytesMut) -> Result<bool, Stop> {
        self.stream.finish(|clean| out.extend_from_slice(&clean));
        Ok(true)
    }

    fn control(&mut self, payload: Bytes) -> Result<Bytes, Stop> {
        self.goes_on()?;
        Ok(self.scrubber.scrub_header(&payload).map_or(payload, Bytes::from))
    }
}
