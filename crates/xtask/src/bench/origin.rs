//! The origin: TLS, HTTP/1.1 and HTTP/2, and an answer to whoever has the real token.
//!
//! `GET /` 1 KB of JSON; `GET /bytes/N`; `PUT /sink` swallows; `GET /events/N` one event each 5 ms, with the time at
//! which it left (`CLOCK_MONOTONIC`, which all processes of a machine share).

use crate::Failure;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use standin_ca::SessionCa;
use standin_model::Host;
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

type Answer = UnsyncBoxBody<Bytes, Infallible>;

/// Between two events.
const GAP: Duration = Duration::from_millis(5);
/// Bytes of a body that leave at once.
const CHUNK: usize = 64 * 1024;

/// Serves until it is ended. Its argument is where its certificate goes.
pub(super) fn serve() -> Result<(), Failure> {
    let ca = SessionCa::generate(SystemTime::now())?;
    let certificate = std::env::args_os().nth(2).ok_or("the origin was started by hand")?;
    std::fs::write(certificate, ca.certificate_pem())?;
    let config = ca.server_config(&Host::parse(super::HOST)?, &[b"h2", b"http/1.1"])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(super::ORIGIN).await?;
        ready()?;
        let acceptor = TlsAcceptor::from(config);
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            // What a client breaks off is its own affair.
            tokio::spawn(connection(acceptor.clone(), socket));
        }
    })
}

/// Tells the stage that connections are accepted.
pub(super) fn ready() -> std::io::Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready")?;
    stdout.flush()
}

async fn connection(acceptor: TlsAcceptor, socket: TcpStream) {
    let Ok(tls) = acceptor.accept(socket).await else { return };
    let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
    let io = TokioIo::new(tls);
    let served = if http2 {
        let mut server = http2::Builder::new(TokioExecutor::new());
        server.initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20).max_concurrent_streams(1000);
        server.serve_connection(io, service).await
    } else {
        http1::Builder::new().serve_connection(io, service).await
    };
    drop(served); // a client that has gone is no event here
}

async fn answer(request: Request<Incoming>) -> Response<Answer> {
    let token = request.headers().get(http::header::AUTHORIZATION).map(|value| value.as_bytes().to_vec());
    if token.as_deref() != Some(format!("Bearer {}", super::TOKEN).as_bytes()) {
        return reply(401, Full::default().boxed_unsync());
    }
    let path = request.uri().path().to_owned();
    let number = |prefix: &str| path.strip_prefix(prefix).and_then(|number| number.parse::<usize>().ok());
    if let Some(length) = number("/bytes/") {
        return reply(200, Filler { left: length }.boxed_unsync());
    }
    if let Some(count) = number("/events/") {
        return reply(200, events(count).boxed_unsync());
    }
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    reply(200, Full::from(json()).boxed_unsync())
}

fn reply(status: u16, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    response
}

/// About 1 KB, as an API answers.
fn json() -> Bytes {
    static BODY: std::sync::OnceLock<Bytes> = std::sync::OnceLock::new();
    BODY.get_or_init(|| Bytes::from(format!("{{\"id\":\"msg_1\",\"text\":\"{}\"}}", "lorem ipsum ".repeat(83)))).clone()
}

/// A body of a stated length.
struct Filler {
    left: usize,
}

impl Body for Filler {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static CHUNKS: [u8; CHUNK] = [b'x'; CHUNK];
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = self.left.min(CHUNK);
        self.left -= length;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&CHUNKS[..length])))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

/// Events with the time they left at.
struct Events(mpsc::Receiver<()>);

fn events(count: usize) -> Events {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut clock = tokio::time::interval(GAP);
        for _ in 0..count {
            clock.tick().await;
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    Events(receiver)
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|tick| tick.map(|()| Ok(Frame::data(Bytes::from(format!("data: {}\n\n", now_ns()))))))
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds.
pub(super) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
