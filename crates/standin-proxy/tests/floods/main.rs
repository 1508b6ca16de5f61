//! What one side sends without end, or without reason, to use up the other (RFC 9113 §10.5): frame by frame, from clients
//! and from origins. The connection is ended or held up, others are served meanwhile, and memory stays bounded.
//!
//! A binary of its own, with the harness of the others: here the memory of the whole process is measured.

#![allow(clippy::unwrap_used, reason = "in helpers too: whatever fails, the test has failed")]
#![allow(dead_code, unused_imports, reason = "of the harness only a part is used here")]

#[path = "../proxy/http2/peer.rs"]
mod peer;
#[path = "../proxy/rig/mod.rs"]
mod rig;

mod clients;
mod origins;

use peer::{ACK, GOAWAY, PING, Peer, frame};
use rig::{API, Asker, Seen, V, World, collect, full, get};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Most memory that a flood may cost, in KiB. Most cost less than one MiB; the overhead of small DATA that waits for its
/// reader costs the most.
const MEMORY: usize = 24 * 1024;

/// Bytes of a flood that is borne: gathered as frames, of some ten bytes each, they would take more than that.
const BORNE: usize = 16 * 1024 * 1024;

/// What becomes of who floods.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The connection is ended with this code, before a mebibyte has been sent.
    Ended(u32),
    /// It is served, at the pace of its own reading.
    Borne,
    /// Nothing more is read of it.
    HeldUp,
}

/// RFC 9113 §7.
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// Sends pieces and reads what comes back, until the other side has had enough of them.
async fn flood(peer: &mut Peer, mut pieces: Pieces<impl Fn(u32) -> Vec<u8>>) -> End {
    let (mut sent, mut round) = (0, 0_u32);
    while sent < BORNE {
        let piece = pieces.next();
        // The answer to a ping says that all before it was dealt with.
        let mark = [&[0xff; 4], &round.to_be_bytes()[..]].concat();
        let gone = peer.send([&piece[..], &frame(PING, 0, 0, &mark)].concat()).await.is_err();
        if !gone && answered(peer, &mark).await {
            (sent, round) = (sent + piece.len(), round + 1);
            continue;
        }
        assert!(sent < 1 << 20, "ended after {sent} bytes");
        return End::Ended(peer.goaway().await.expect("it says why"));
    }
    End::Borne
}

/// Whether the answer to this ping comes before the connection's end.
async fn answered(peer: &mut Peer, mark: &[u8]) -> bool {
    while let Some(frame) = peer.next().await {
        if frame.kind == PING && frame.flags & ACK != 0 && frame.payload == mark {
            return true;
        }
        if frame.kind == GOAWAY {
            return false;
        }
    }
    false
}

/// Sends pieces and reads nothing.
async fn flood_unread(peer: &mut Peer, mut pieces: Pieces<impl Fn(u32) -> Vec<u8>>) -> End {
    let mut sent = 0;
    loop {
        let piece = pieces.next();
        // What is still waiting after a moment is held up.
        let Ok(sending) = tokio::time::timeout(Duration::from_millis(300), peer.send(&piece)).await else { break };
        sending.unwrap();
        sent += piece.len();
        assert!(sent < 64 << 20, "{sent} bytes were taken of somebody who reads nothing");
    }
    End::HeldUp
}

/// Whole pieces out of frames by their number.
struct Pieces<F> {
    frames: F,
    number: u32,
}

impl<F: Fn(u32) -> Vec<u8>> Pieces<F> {
    fn of(frames: F) -> Self {
        Self { frames, number: 0 }
    }

    /// 64 KiB, or little more.
    fn next(&mut self) -> Vec<u8> {
        let mut piece = Vec::new();
        while piece.len() < 64 * 1024 {
            piece.extend((self.frames)(self.number));
            self.number += 1;
        }
        piece
    }
}

/// Another client, and its origin.
struct Bystander {
    asker: Asker,
    requests: Receiver<Seen>,
}

impl Bystander {
    /// Is served for the first time: the connection to its origin stays.
    async fn new(world: &World) -> Self {
        let mut asker = world.asker(API, V::H2).await;
        let answered = asker.ask(get("/bystander"));
        let mut requests = world.origin.accept_requests(V::H2).await;
        requests.recv().await.unwrap().answer(http::Response::new(full("ok")));
        assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "ok");
        Self { asker, requests }
    }

    /// Is served.
    async fn is_served(&mut self) {
        let answered = self.asker.ask(get("/bystander"));
        self.requests.recv().await.unwrap().answer(http::Response::new(full("ok")));
        assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "ok");
    }
}

/// The most memory that this process has had, in KiB. The kernel counts in batches, so that it may be told as a little less later.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
