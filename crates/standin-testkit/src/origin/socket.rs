//! A WebSocket origin: says what credential it was opened with, then every message back, and writes both down.

use super::{Body, Origins};
use crate::Seen;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt, Empty};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message, protocol::Role};

/// Whether a request asks for a WebSocket here: elsewhere origins have none, and say so.
pub(super) fn is_asked_for(seen: &Seen) -> bool {
    seen.target == "/socket" && seen.header("sec-websocket-key").is_some()
}

pub(super) fn open(origins: &Arc<Origins>, upgrade: OnUpgrade, seen: Seen) -> Response<Body> {
    let accept = derive_accept_key(seen.header("sec-websocket-key").unwrap_or_default().as_bytes());
    let origins = Arc::clone(origins);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            // What a client breaks off is its own affair; tests look at what was seen.
            talk(&origins, socket, seen).await.ok();
        }
    });
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).expect("base64 is text"));
    response
}

async fn talk<S>(origins: &Origins, mut socket: WebSocketStream<S>, seen: Seen) -> Result<(), Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    // Cut in the middle of whatever stands there.
    let opened_with = format!("opened with {}", seen.header("authorization").unwrap_or("nothing"));
    let (first, second) = opened_with.split_at(opened_with.len() / 2);
    socket.send(Message::Frame(Frame::message(first.to_owned(), OpCode::Data(Data::Text), false))).await?;
    socket.send(Message::Frame(Frame::message(second.to_owned(), OpCode::Data(Data::Continue), true))).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if let Message::Text(text) = &message {
            origins.note(Seen { method: "MESSAGE".to_owned(), body: text.to_string(), ..seen.clone() });
        }
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
