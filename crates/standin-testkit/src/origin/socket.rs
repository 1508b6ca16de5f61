//! WebSocket origins. One says what credential it was opened with, then every message back; the other is OpenAI's
//! Responses API. All that is said to them is written down.

use super::{Body, Origins, openai};
use crate::Seen;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt, Empty};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message, protocol::Role};

/// Who talks.
#[derive(Clone, Copy)]
pub(super) enum Talk {
    Echo,
    Responses,
}

impl Talk {
    /// Who talks, if a request asks for a WebSocket where there is one: elsewhere origins say that they have none.
    pub(super) fn asked_for(seen: &Seen, has_responses: bool) -> Option<Self> {
        if seen.header("sec-websocket-key").is_none() && seen.method != "CONNECT" {
            return None;
        }
        match (seen.host.as_str(), seen.target.as_str()) {
            (_, "/socket") => Some(Self::Echo),
            ("api.openai.com", "/v1/responses") if has_responses => Some(Self::Responses),
            _ => None,
        }
    }
}

pub(super) fn open(talk: Talk, origins: &Arc<Origins>, upgrade: OnUpgrade, seen: Seen) -> Response<Body> {
    let in_stream = seen.method == "CONNECT"; // RFC 8441
    let accept = derive_accept_key(seen.header("sec-websocket-key").unwrap_or_default().as_bytes());
    let origins = Arc::clone(origins);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            // What a client breaks off is its own affair; tests look at what was seen.
            match talk {
                Talk::Echo => echo(&origins, socket, seen).await.ok(),
                Talk::Responses => responses(&origins, socket, seen).await.ok(),
            };
        }
    });
    let mut response = Response::new(Empty::new().boxed_unsync());
    if in_stream {
        return response;
    }
    *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).expect("base64 is text"));
    response
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

async fn echo(origins: &Origins, mut socket: Socket, seen: Seen) -> Result<(), Error> {
    // Cut in the middle of whatever stands there.
    let opened_with = format!("opened with {}", seen.header("authorization").unwrap_or("nothing"));
    let (first, second) = opened_with.split_at(opened_with.len() / 2);
    socket.send(Message::Frame(Frame::message(first.to_owned(), OpCode::Data(Data::Text), false))).await?;
    socket.send(Message::Frame(Frame::message(second.to_owned(), OpCode::Data(Data::Continue), true))).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if let Message::Text(text) = &message {
            note(origins, &seen, text);
        }
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

/// Each message asks for a turn, each event of the answer is a message.
async fn responses(origins: &Origins, mut socket: Socket, seen: Seen) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        if let Message::Text(text) = message? {
            note(origins, &seen, &text);
            for (_, event) in openai::turn(&text) {
                socket.send(Message::text(event.to_string())).await?;
            }
        }
    }
    Ok(())
}

fn note(origins: &Origins, opened: &Seen, text: &str) {
    origins.note(Seen { method: "MESSAGE".to_owned(), body: text.to_owned(), ..opened.clone() });
}
