//! The opening of a WebSocket: as HTTP/1.1 upgrades (RFC 6455 §4) or in a stream of HTTP/2 (RFC 8441), and on to the
//! origin always as the former. Compression is agreed on with either side for itself (RFC 7692).

use super::Joined;
use crate::connection::Tunnel;
use crate::fault::Refusal;
use crate::request::authorize::Permit;
use crate::request::inject::FrameRule;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderValue};
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
    /// The compression it offers, if it can be met.
    offer: Option<Offer>,
    /// The key we ask with, where the client has none: in HTTP/2.
    key: Option<String>,
}

impl Asked {
    /// What the request asks for, if it asks for a WebSocket. One in HTTP/2 turns into the `GET` that it would be in
    /// HTTP/1.1: for policy the two are one.
    pub(crate) fn find<B>(request: &mut Request<B>) -> Result<Option<Self>, Denial> {
        let key = match (request.version(), request.method()) {
            (Version::HTTP_11, &Method::GET) if upgrades(request.headers()) => None,
            (Version::HTTP_2, &Method::CONNECT) => match request.extensions().get::<Protocol>() {
                Some(protocol) if protocol.as_str().eq_ignore_ascii_case("websocket") => {
                    *request.method_mut() = Method::GET;
                    Some(STANDARD.encode(random::<16>()))
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
        Ok(Some(Self { client: hyper::upgrade::on(request), offer, key }))
    }

    /// Asks the origin: in the words of HTTP/1.1, and for no extension but ours.
    pub(crate) fn pass_on(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
        if self.offer.is_some() {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(OFFER));
        }
        if let Some(key) = &self.key {
            headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_str(key).expect("base64 is text"));
            headers.entry(header::SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
        }
    }

    /// The origin does not want it. To a client in HTTP/2 any success means a WebSocket (RFC 8441 §5), so one that means
    /// none is a failure.
    pub(crate) fn declined(&self, status: StatusCode) -> Result<(), Refusal> {
        if self.key.is_some() && status.is_success() {
            return Err(unmet("the origin answered as if nobody had asked for a WebSocket"));
        }
        Ok(())
    }

    /// Takes the origin's 101 apart: the head goes to the client, the two connections are about to be joined.
    pub(in crate::request) fn join(
        self,
        mut response: Response<Incoming>,
        tunnel: &Tunnel,
        permit: &Permit,
    ) -> Result<(Response<()>, Joined), Refusal> {
        let chosen = self.chosen(response.headers())?;
        if let Some(key) = &self.key
            && response.headers().get(header::SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes)
                != Some(accept(key).as_bytes())
        {
            return Err(unmet("the origin's answer does not fit the key that was sent"));
        }
        let origin = hyper::upgrade::on(&mut response);
        let mut response = response.map(|_| ());
        let in_stream = self.key.is_some();
        let (usage, host) = (&tunnel.session.usage, &tunnel.destination.authority.host);
        let place = if in_stream { Some(usage.connection(host)?) } else { None };
        if in_stream {
            *response.status_mut() = StatusCode::OK;
        }
        self.answer(response.headers_mut(), chosen.is_some());
        let joined = Joined {
            client: self.client,
            origin,
            in_stream,
            towards_origin: chosen,
            towards_client: self.offer.filter(|_| chosen.is_some()).map(Offer::agreed),
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
            Some(_) if self.offer.is_none() => Err(NotOffered),
            chosen => Ok(chosen),
        });
        chosen.map_err(|error| Refusal::Denied(Denial::new(DenyReason::CannotScrub, error.to_string())))
    }

    fn answer(&self, headers: &mut HeaderMap, compressed: bool) {
        headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
        if let Some(offer) = self.offer.filter(|_| compressed) {
            let answer = HeaderValue::from_str(&offer.answer()).expect("our own words are text");
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, answer);
        }
        if self.key.is_some() {
            headers.remove(header::SEC_WEBSOCKET_ACCEPT);
        } else {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
    }
}

fn upgrades(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn unmet(message: &'static str) -> Refusal {
    Refusal::upstream(message, &std::io::Error::other("the opening handshake of the WebSocket failed"))
}

/// What the origin must say to our key (RFC 6455 §4.2.2).
fn accept(key: &str) -> String {
    let digest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{ACCEPT_SUFFIX}").as_bytes(),
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
        assert_eq!(super::accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
