//! The opening of a WebSocket: as HTTP/1.1 upgrades (RFC 6455 §4) or in a stream of HTTP/2 (RFC 8441), on either side for
//! itself. Up to the connection that carries it, it is the former. Compression is agreed on with either side for itself, too
//! (RFC 7692).

use super::Joined;
use crate::connection::Tunnel;
use crate::fault::Refusal;
use crate::request::authorize::Permit;
use crate::request::inject::FrameRule;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use standin_model::{Denial, DenyReason};
use standin_wire::websocket::{Agreed, NotOffered, OFFER, Offer};

/// What a server puts behind the key before it hashes it (RFC 6455 §1.3).
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's wish for a WebSocket.
pub(crate) struct Asked {
    client: OnUpgrade,
    /// The client's side is a stream of HTTP/2.
    in_stream: bool,
    /// The compression it offers, if it can be met.
    offer: Option<Offer>,
    /// The key that an origin in HTTP/1.1 is asked with: the client's, or one of ours for a client in HTTP/2, which has none.
    key: Option<HeaderValue>,
}

/// A WebSocket that the origin has opened.
pub(crate) struct Opened {
    asked: Asked,
    /// The origin's side is a stream of HTTP/2.
    in_stream: bool,
}

impl Asked {
    /// What the request asks for, if it asks for a WebSocket. One in HTTP/2 turns into the `GET` that it would be in
    /// HTTP/1.1: for policy the two are one.
    pub(crate) fn find<B>(request: &mut Request<B>) -> Result<Option<Self>, Denial> {
        let in_stream = match (request.version(), request.method()) {
            (Version::HTTP_11, &Method::GET) if upgrades(request.headers()) => false,
            (Version::HTTP_2, &Method::CONNECT) => match request.extensions().get::<Protocol>() {
                Some(protocol) if protocol.as_str().eq_ignore_ascii_case("websocket") => {
                    *request.method_mut() = Method::GET;
                    true
                }
                Some(_) => {
                    let message = "a tunnel within this connection can be for `websocket` only";
                    return Err(Denial::new(DenyReason::ProtocolRefused, message));
                }
                None => return Ok(None), // policy refuses the method
            },
            _ => return Ok(None),
        };
        let offers = request.headers().get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
        let offer = Offer::find(offers.filter_map(|value| value.to_str().ok()));
        let key =
            if in_stream { Some(new_key()) } else { single(request.headers(), &header::SEC_WEBSOCKET_KEY).cloned() };
        Ok(Some(Self { client: hyper::upgrade::on(request), in_stream, offer, key }))
    }

    /// Asks the origin: in the words of HTTP/1.1 until a connection is chosen, and for no extension but ours.
    pub(crate) fn pass_on(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
        if self.offer.is_some() {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(OFFER));
        }
        if let (true, Some(key)) = (self.in_stream, &self.key) {
            headers.insert(header::SEC_WEBSOCKET_KEY, key.clone());
            headers.entry(header::SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
        }
    }

    /// What the origin says to it: nothing if it does not want it. In HTTP/2 any success means a WebSocket (RFC 8441 §5), so
    /// with HTTP/2 on either side one that means none is a failure.
    pub(in crate::request) fn answered<B>(self, response: &Response<B>) -> Result<Option<Opened>, Refusal> {
        let in_stream = response.version() == Version::HTTP_2;
        let open = if in_stream { StatusCode::OK } else { StatusCode::SWITCHING_PROTOCOLS };
        match response.status() {
            status if status == open => Ok(Some(Opened { asked: self, in_stream })),
            status if status.is_success() && (in_stream || self.in_stream) => {
                Err(unmet("the origin answered as if nobody had asked for a WebSocket"))
            }
            _ => Ok(None),
        }
    }
}

impl Opened {
    /// Takes the origin's answer apart: the head goes to the client, the two connections are about to be joined.
    pub(in crate::request) fn join(
        self,
        mut response: Response<Incoming>,
        tunnel: &Tunnel,
        permit: &Permit,
    ) -> Result<(Response<()>, Joined), Refusal> {
        let chosen = self.chosen(response.headers())?;
        self.fits_the_key(response.headers())?;
        let origin = hyper::upgrade::on(&mut response);
        let mut response = response.map(|_| ());
        let (usage, host) = (&permit.by().usage, &tunnel.destination.authority.host);
        let place = if self.asked.in_stream { Some(usage.connection(host)?) } else { None };
        self.answer(&mut response, chosen.is_some())?;
        let Asked { client, in_stream, offer, .. } = self.asked;
        let joined = Joined {
            client,
            origin,
            in_stream,
            towards_origin: chosen,
            towards_client: offer.filter(|_| chosen.is_some()).map(Offer::agreed),
            scrubber: tunnel.session.lent().scrubber.clone(),
            rule: FrameRule::new(tunnel, permit),
            spending: usage.spending(host),
            place,
        };
        Ok((response, joined))
    }

    fn chosen(&self, headers: &HeaderMap) -> Result<Option<Agreed>, Refusal> {
        let values =
            headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter().map(|value| value.to_str().unwrap_or("?"));
        let chosen = Agreed::chosen(values).and_then(|chosen| match chosen {
            Some(_) if self.asked.offer.is_none() => Err(NotOffered),
            chosen => Ok(chosen),
        });
        chosen.map_err(|error| Refusal::Denied(Denial::new(DenyReason::CannotScrub, error.to_string())))
    }

    /// Only in HTTP/1.1 does an origin have to show that it knows what it was asked for (RFC 6455 §4.1), and there its own
    /// client looks at that itself.
    fn fits_the_key(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(key) = self.asked.key.as_ref().filter(|_| self.asked.in_stream && !self.in_stream) else {
            return Ok(());
        };
        match headers.get(header::SEC_WEBSOCKET_ACCEPT) {
            Some(shown) if shown.as_bytes() == accept(key).as_bytes() => Ok(()),
            _ => Err(unmet("the origin's answer does not fit the key that was sent")),
        }
    }

    /// Writes the head of the answer in the words of the client's version.
    fn answer(&self, response: &mut Response<()>, compressed: bool) -> Result<(), Denial> {
        let headers = response.headers_mut();
        headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
        headers.remove(header::CONTENT_LENGTH);
        if let Some(offer) = self.asked.offer.filter(|_| compressed) {
            let answer = HeaderValue::from_str(&offer.answer()).expect("our own words are text");
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, answer);
        }
        if self.asked.in_stream {
            headers.remove(header::SEC_WEBSOCKET_ACCEPT);
            *response.status_mut() = StatusCode::OK;
            return Ok(());
        }
        if self.in_stream {
            let no_key = || Denial::new(DenyReason::Malformed, "a WebSocket is asked for with one `Sec-WebSocket-Key`");
            let accept = accept(self.asked.key.as_ref().ok_or_else(no_key)?);
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).expect("base64 is text"));
        }
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        Ok(())
    }
}

fn upgrades(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn unmet(message: &'static str) -> Refusal {
    Refusal::upstream(message, &std::io::Error::other("the opening handshake of the WebSocket failed"))
}

/// The only value of a field.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn new_key() -> HeaderValue {
    HeaderValue::from_str(&STANDARD.encode(random::<16>())).expect("base64 is text")
}

/// What has to be said to a key (RFC 6455 §4.2.2).
fn accept(key: &HeaderValue) -> String {
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        &[key.as_bytes(), ACCEPT_SUFFIX.as_bytes()].concat(),
    );
    STANDARD.encode(digest)
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the kernel gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    /// The example of RFC 6455 §1.3.
    #[test]
    fn the_key_of_the_rfc() {
        assert_eq!(
            super::accept(&http::HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==")),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
