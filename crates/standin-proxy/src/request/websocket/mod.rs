//! A WebSocket: frames in both directions, each judged, each with what must not pass taken out; one record.
//!
//! `handshake` opens it, `filter` says what happens to payload, `way` carries one direction, and here the two come to an
//! end together: with what was under way, and with a word to both sides if it ends early.

mod filter;
mod handshake;
mod way;

pub(crate) use handshake::Asked;

use super::Afterwards;
use super::inject::FrameRule;
use crate::exchange::Exchange;
use crate::fault;
use crate::usage::{Place, Spending};
use bytes::BytesMut;
use filter::{Incoming, Outgoing};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use standin_model::limits::WEBSOCKET_CLOSE_DEADLINE;
use standin_model::{Denial, DenyReason};
use standin_wire::scrub::Scrubber;
use standin_wire::websocket::{Agreed, Cause, Compression, Filter, Relay, Side, Stop, write_close};
use tokio::time::timeout;
use way::{End, Way};

/// Tells the side that is not to blame that the WebSocket ends (RFC 6455 §7.4.1).
const GOING_AWAY: u16 = 1001;
/// Tells a client that the origin is to blame.
const BAD_GATEWAY: u16 = 1014;

/// Two connections that are to be a WebSocket.
pub(crate) struct Joined {
    client: OnUpgrade,
    origin: OnUpgrade,
    /// The client's side is a stream of HTTP/2.
    in_stream: bool,
    towards_origin: Option<Agreed>,
    towards_client: Option<Agreed>,
    scrubber: Scrubber,
    rule: FrameRule,
    spending: Spending,
    /// The place of a stream among open connections: the connection that carries it has one of its own.
    place: Option<Place>,
}

impl Joined {
    /// Runs it where its connection runs; the exchange ends with it.
    pub(crate) fn run(self, exchange: Exchange, afterwards: &Afterwards) {
        if self.in_stream {
            // The connection goes on while a stream of it is open, and keeps its place; the end of the session ends both.
            tokio::spawn(self.carry(exchange));
        } else {
            afterwards.set(self.carry(exchange));
        }
    }

    async fn carry(self, mut exchange: Exchange) {
        exchange.became_websocket();
        exchange.answered_with(if self.in_stream { 200 } else { 101 });
        let _place = self.place;
        let client = match self.client.await {
            Ok(client) => client,
            Err(error) => return exchange.hung_up(fault::chain(&error)),
        };
        let origin = match self.origin.await {
            Ok(origin) => origin,
            Err(error) => return exchange.broken_off(fault::chain(&error)),
        };
        let (client_reads, client_writes) = tokio::io::split(TokioIo::new(client));
        let (origin_reads, origin_writes) = tokio::io::split(TokioIo::new(origin));
        let (sent, got) = (exchange.request_side(), exchange.request_side());
        let outgoing = Outgoing::new(self.rule, self.spending, exchange.request_side());
        let out = Compression { from: self.towards_client.is_some(), to: self.towards_origin };
        let back = Compression { from: self.towards_origin.is_some(), to: self.towards_client };
        let out = Relay::new(Side::Client, Some(handshake::random), out, outgoing);
        let back = Relay::new(Side::Origin, None, back, Incoming::new(self.scrubber, exchange.request_side()));
        let mut out = Way::new(out, client_reads, origin_writes, |bytes| sent.sent(bytes));
        let mut back = Way::new(back, origin_reads, client_writes, |bytes| got.received(bytes));
        let ended = both(&mut out, &mut back).await;
        // Before the last words: nobody who does not listen to them delays what is known.
        ended.record(&mut exchange);
        part(&ended, &mut out, &mut back).await;
    }
}

/// How a WebSocket ended: how each side did, and which was first.
struct Ended {
    first: Side,
    how: End,
    /// Nothing if the other side did not end in time.
    then: Option<End>,
}

/// Carries both directions to their ends. Whoever ends first, what the other side has under way passes, for some time.
async fn both(out: &mut Way<impl Filter, impl FnMut(usize)>, back: &mut Way<impl Filter, impl FnMut(usize)>) -> Ended {
    let (first, how) = tokio::select! {
        end = out.run() => (Side::Client, end),
        end = back.run() => (Side::Origin, end),
    };
    let then = match (&how, first) {
        (End::Stopped(_), _) => None,
        (_, Side::Client) => {
            out.pass_end_on(&how).await;
            timeout(WEBSOCKET_CLOSE_DEADLINE, back.run()).await.ok()
        }
        (_, Side::Origin) => {
            back.pass_end_on(&how).await;
            timeout(WEBSOCKET_CLOSE_DEADLINE, out.run()).await.ok()
        }
    };
    Ended { first, how, then }
}

/// Says the last words to both sides, and lets them be heard.
async fn part(
    ended: &Ended,
    out: &mut Way<impl Filter, impl FnMut(usize)>,
    back: &mut Way<impl Filter, impl FnMut(usize)>,
) {
    let (to_origin, to_client) = ended.last_words();
    let said = async {
        tokio::join!(out.last_word(&to_origin), back.last_word(&to_client));
        // A connection that is closed with something unread is reset, and the last words to it may be lost.
        tokio::join!(out.drain(), back.drain());
    };
    timeout(WEBSOCKET_CLOSE_DEADLINE, said).await.ok(); // then nobody listens
}

impl Ended {
    /// Whose frame stopped it, and why.
    fn stopped(&self) -> Option<(Side, &Stop)> {
        match (&self.how, &self.then) {
            (End::Stopped(stop), _) => Some((self.first, stop)),
            (_, Some(End::Stopped(stop))) => Some((other(self.first), stop)),
            _ => None,
        }
    }

    /// What is said to the origin and to the client, if they have to be told.
    fn last_words(&self) -> (BytesMut, BytesMut) {
        let (mut to_origin, mut to_client) = (BytesMut::new(), BytesMut::new());
        if let Some((side, stop)) = self.stopped() {
            let why = match &stop.cause {
                Cause::Broken(what) => format!("Standin: {what}"),
                Cause::Denied(denial) => format!("Standin: {denial}"),
            };
            let (origin_code, client_code) = match (side, &stop.cause) {
                (Side::Client, _) | (_, Cause::Denied(_)) => (GOING_AWAY, stop.code),
                (Side::Origin, Cause::Broken(_)) => (stop.code, BAD_GATEWAY),
            };
            // What the agent does, and may, is none of the origin's business.
            let origin_why = if origin_code == GOING_AWAY { "" } else { why.as_str() };
            write_close(&mut to_origin, origin_code, origin_why, Some(handshake::random));
            write_close(&mut to_client, client_code, &why, None);
        }
        (to_origin, to_client)
    }

    fn record(&self, exchange: &mut Exchange) {
        if let Some((side, stop)) = self.stopped() {
            return match (side, &stop.cause) {
                (_, Cause::Denied(denial)) => exchange.refused(&denial.clone().into()),
                (Side::Client, Cause::Broken(what)) => {
                    exchange.refused(&Denial::new(DenyReason::Malformed, format!("WebSocket: {what}")).into());
                }
                (Side::Origin, Cause::Broken(what)) => exchange.broken_off(format!("WebSocket: {what}")),
            };
        }
        // A side that cannot be written to has gone; how it went is known by what was read from it.
        let (side, how) = match (&self.how, &self.then) {
            (End::Unwritable(_), Some(then)) => (other(self.first), then),
            (how @ End::Unwritable(_), None) => (other(self.first), how),
            (how, _) => (self.first, how),
        };
        let name = if side == Side::Client { "client" } else { "origin" };
        match how {
            End::Closed(Some(code)) => exchange.closed(format!("closed by the {name}: {code}")),
            End::Closed(None) => exchange.closed(format!("closed by the {name}")),
            End::Ended => exchange.closed(format!("the {name} ended the connection without a close frame")),
            End::Cut => blame(side, exchange, "the connection ended in the middle of a message".to_owned()),
            End::Unreadable(error) | End::Unwritable(error) => blame(side, exchange, error.clone()),
            End::Stopped(_) => {} // recorded above
        }
    }
}

fn blame(side: Side, exchange: &mut Exchange, detail: String) {
    match side {
        Side::Client => exchange.hung_up(detail),
        Side::Origin => exchange.broken_off(detail),
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Origin,
        Side::Origin => Side::Client,
    }
}
