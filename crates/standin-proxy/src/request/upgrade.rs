//! A WebSocket (RFC 6455): after 101 both sides are byte streams. Frames from the origin are scrubbed.
//!
//! Extensions were not offered, so the origin's frames are plain bytes; stand-ins have the length of their
//! secrets, so frame lengths stay true. Where they have not, the upgrade is refused.

use crate::exchange::{Exchange, RequestSide};
use crate::fault::{self, Refusal};
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Response};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use standin_model::{Denial, DenyReason};
use standin_wire::scrub::{Scrubber, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes read at once from either side.
const CHUNK: usize = 16 * 1024;

/// Both sides of a WebSocket that are about to be joined.
pub(super) struct Pending {
    client: OnUpgrade,
    origin: OnUpgrade,
    stream: Stream,
}

impl Pending {
    /// Takes the origin's 101 apart: the head goes to the client, the bytes that follow are joined.
    pub(super) fn new(
        mut response: Response<Incoming>,
        client: OnUpgrade,
        scrubber: &Scrubber,
    ) -> Result<(Response<()>, Self), Refusal> {
        if response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
            let message = "the origin chose a WebSocket extension that was not offered";
            return Err(Refusal::Denied(Denial::new(DenyReason::CannotScrub, message)));
        }
        if !scrubber.preserves_length() {
            let message =
                "a stand-in of this session is not as long as its secret, so WebSocket frames cannot be scrubbed";
            return Err(Refusal::Denied(Denial::new(DenyReason::CannotScrub, message)));
        }
        let origin = hyper::upgrade::on(&mut response);
        let mut response = response.map(|_| ());
        switch(response.headers_mut());
        Ok((response, Self { client, origin, stream: scrubber.stream() }))
    }

    /// Joins the two; the exchange ends with them.
    pub(super) async fn join(mut self, mut exchange: Exchange) {
        exchange.became_websocket();
        let (client, origin) = match self.both().await {
            Ok((client, origin)) => (TokioIo::new(client), TokioIo::new(origin)),
            Err(broken) => return broken.record(&mut exchange),
        };
        let (client_reads, client_writes) = tokio::io::split(client);
        let (origin_reads, origin_writes) = tokio::io::split(origin);
        let sent = exchange.request_side();
        let out = copy_out(client_reads, origin_writes, &sent);
        let back = copy_back(origin_reads, client_writes, self.stream, &mut exchange);
        // Either side's end ends both: a WebSocket has no half-open state worth keeping (RFC 6455 §7.1.1).
        let ended = tokio::select! { ended = out => ended, ended = back => ended };
        match ended {
            Ok(()) => exchange.completed(),
            Err(broken) => broken.record(&mut exchange),
        }
    }

    async fn both(&mut self) -> Result<(Upgraded, Upgraded), Broken> {
        let client = (&mut self.client).await.map_err(|error| Broken::Client(fault::chain(&error)))?;
        let origin = (&mut self.origin).await.map_err(|error| Broken::Origin(fault::chain(&error)))?;
        Ok((client, origin))
    }
}

/// Who broke off, and what is known about it.
enum Broken {
    Client(String),
    Origin(String),
}

impl Broken {
    fn client(error: &std::io::Error) -> Self {
        Self::Client(fault::chain(error))
    }

    fn origin(error: &std::io::Error) -> Self {
        Self::Origin(fault::chain(error))
    }

    fn record(self, exchange: &mut Exchange) {
        match self {
            Self::Client(detail) => exchange.hung_up(detail),
            Self::Origin(detail) => exchange.broken_off(detail),
        }
    }
}

fn switch(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

type Half<T> = tokio::io::ReadHalf<T>;

async fn copy_out<W: AsyncWrite + Unpin>(
    mut from: Half<TokioIo<Upgraded>>,
    mut to: W,
    sent: &RequestSide,
) -> Result<(), Broken> {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    while from.read_buf(&mut buffer).await.map_err(|e| Broken::client(&e))? > 0 {
        sent.sent(buffer.len());
        to.write_all_buf(&mut buffer).await.map_err(|e| Broken::origin(&e))?;
        to.flush().await.map_err(|e| Broken::origin(&e))?;
        buffer.clear();
    }
    to.shutdown().await.map_err(|e| Broken::origin(&e))
}

async fn copy_back<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    mut from: R,
    mut to: W,
    mut stream: Stream,
    exchange: &mut Exchange,
) -> Result<(), Broken> {
    let mut clean: Vec<Bytes> = Vec::new();
    loop {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        let ended = from.read_buf(&mut buffer).await.map_err(|e| Broken::origin(&e))? == 0;
        if ended {
            stream.finish(|bytes| clean.push(bytes));
        } else {
            stream.push(buffer.freeze(), |bytes| clean.push(bytes));
        }
        for mut bytes in clean.drain(..) {
            exchange.received(bytes.len());
            to.write_all_buf(&mut bytes).await.map_err(|e| Broken::client(&e))?;
        }
        to.flush().await.map_err(|e| Broken::client(&e))?;
        if ended {
            return to.shutdown().await.map_err(|e| Broken::client(&e));
        }
    }
}
