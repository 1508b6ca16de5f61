//! One direction of a WebSocket on its way: reads from one side, writes to the other.

use crate::fault;
use bytes::BytesMut;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use standin_model::limits::WEBSOCKET_CHUNK;
use standin_wire::websocket::{Filter, Progress, Relay, Stop};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

/// One direction. Nothing of it lives in its futures, so they may be dropped and it goes on where it was.
pub(super) struct Way<F, C> {
    relay: Relay<F>,
    from: ReadHalf<TokioIo<Upgraded>>,
    to: WriteHalf<TokioIo<Upgraded>>,
    input: BytesMut,
    /// Whole frames, of which the first may have gone out in part.
    output: BytesMut,
    count: C,
}

/// How a direction ended.
#[derive(Debug)]
pub(super) enum End {
    /// With a close frame.
    Closed(Option<u16>),
    /// Its sender ended the connection without one.
    Ended,
    /// It ended it in the middle of a message.
    Cut,
    /// It may not go on.
    Stopped(Stop),
    /// The side that is read from broke off.
    Unreadable(String),
    /// The side that is written to did.
    Unwritable(String),
}

impl<F: Filter, C: FnMut(usize)> Way<F, C> {
    pub(super) fn new(
        relay: Relay<F>,
        from: ReadHalf<TokioIo<Upgraded>>,
        to: WriteHalf<TokioIo<Upgraded>>,
        count: C,
    ) -> Self {
        Self { relay, from, to, input: BytesMut::new(), output: BytesMut::new(), count }
    }

    /// Carries frames until the direction ends. Whatever was read before the end has gone out.
    pub(super) async fn run(&mut self) -> End {
        loop {
            let progress = self.relay.advance(&mut self.input, &mut self.output);
            if let Err(error) = self.flush().await {
                return End::Unwritable(fault::chain(&error));
            }
            match progress {
                Ok(Progress::Full) => continue,
                Ok(Progress::Closed(code)) => return End::Closed(code),
                Ok(Progress::Hungry) => {}
                Err(stop) => return End::Stopped(stop),
            }
            self.input.reserve(WEBSOCKET_CHUNK);
            match self.from.read_buf(&mut self.input).await {
                Ok(0) if self.relay.is_between_messages() && self.input.is_empty() => return End::Ended,
                Ok(0) => return End::Cut,
                Ok(_) => {}
                Err(error) => return End::Unreadable(fault::chain(&error)),
            }
        }
    }

    /// Tells the side that is written to that nothing more comes, if no close frame did.
    pub(super) async fn pass_end_on(&mut self, end: &End) {
        if matches!(end, End::Ended | End::Cut | End::Unreadable(_)) {
            self.shut().await;
        }
    }

    /// Says a last word of our own to the side that is written to, unless its sender has said it.
    pub(super) async fn last_word(&mut self, frame: &[u8]) {
        if !self.relay.is_closed() {
            self.output.extend_from_slice(frame);
        }
        // Whoever does not listen any more need not be told.
        self.flush().await.ok();
        self.shut().await;
    }

    /// Nothing more is written.
    pub(super) async fn shut(&mut self) {
        self.to.shutdown().await.ok(); // it may have gone
    }

    /// Reads on until the side that is read from ends.
    pub(super) async fn drain(&mut self) {
        loop {
            self.input.clear();
            self.input.reserve(WEBSOCKET_CHUNK);
            if self.from.read_buf(&mut self.input).await.map_or(true, |read| read == 0) {
                return;
            }
        }
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        while !self.output.is_empty() {
            let written = self.to.write_buf(&mut self.output).await?;
            if written == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            (self.count)(written);
        }
        self.to.flush().await
    }
}
