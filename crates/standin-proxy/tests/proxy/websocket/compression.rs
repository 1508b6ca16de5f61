//! permessage-deflate (RFC 7692): agreed on with either side for itself; what is compressed is scrubbed all the same.

use super::frames::bye;
use super::handshake::{LEGS, Legs, Opening, open_with};
use super::peer::{BINARY, CLOSE, CONTINUE, End, LAST, PING, RSV1, TEXT};
use crate::rig::{API, OPEN, SECRET, STAND_IN, Setup, V, World, within};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use standin_model::Slot;

const DEFLATE: &str = "permessage-deflate";

/// A peer's own codecs, made of the reference implementation alone.
struct Codec {
    deflate: Compress,
    inflate: Decompress,
}

impl Codec {
    fn new() -> Self {
        Self { deflate: Compress::new(Compression::best(), false), inflate: Decompress::new(false) }
    }

    fn pack(&mut self, clear: &[u8]) -> Vec<u8> {
        let mut raw = Vec::with_capacity(clear.len() + 100);
        self.deflate.compress_vec(clear, &mut raw, FlushCompress::Sync).unwrap();
        assert!(raw.ends_with(&[0, 0, 0xff, 0xff]));
        raw.truncate(raw.len() - 4);
        raw
    }

    fn unpack(&mut self, raw: &[u8]) -> Vec<u8> {
        let raw = [raw, &[0, 0, 0xff, 0xff]].concat();
        let mut clear = Vec::with_capacity(20 << 20);
        let before = self.inflate.total_in();
        self.inflate.decompress_vec(&raw, &mut clear, FlushDecompress::Sync).unwrap();
        assert_eq!(self.inflate.total_in() - before, raw.len() as u64);
        clear
    }
}

async fn compressed(world: &World, legs: impl Into<Legs>, host: &str) -> (End, End) {
    let opening = Opening { offer: Some(DEFLATE), choice: Some(DEFLATE), credential: false };
    let (client, origin, extensions) = open_with(world, legs, host, opening).await;
    assert_eq!(extensions.as_deref(), Some(DEFLATE));
    (client, origin)
}

/// Who offers and chooses what, and what the client is told. The origin is offered our compression, in our words.
#[tokio::test]
async fn each_side_agrees_for_itself() {
    within(async {
        let bits = "permessage-deflate; client_max_window_bits";
        let small = "permessage-deflate; server_max_window_bits=9; server_no_context_takeover";
        let answer = "permessage-deflate; server_no_context_takeover; server_max_window_bits=9";
        for legs in LEGS {
            for (offer, choice, told) in [
                (None, None, None),
                (Some(DEFLATE), None, None),
                (Some(DEFLATE), Some(DEFLATE), Some(DEFLATE)),
                (Some(bits), Some("permessage-deflate; server_no_context_takeover"), Some(DEFLATE)),
                (Some(small), Some("permessage-deflate; client_no_context_takeover"), Some(answer)),
                (Some("x-other, permessage-deflate; server_max_window_bits=8"), None, None),
            ] {
                let world = World::new().await;
                let opening = Opening { offer, choice, credential: false };
                let (client, origin, extensions) = open_with(&world, legs, API, opening).await;
                assert_eq!(extensions.as_deref(), told, "{offer:?}");
                bye(client, origin).await;
                world.end().await;
            }
        }
    })
    .await;
}

/// Messages pass both ways, each leg with a memory of its own; one that came as it is goes on as it is.
#[tokio::test]
async fn compressed_messages_pass_both_ways() {
    for legs in LEGS {
        within(async {
            let world = World::new().await;
            let (mut client, mut origin) = compressed(&world, legs, API).await;
            let (mut at_client, mut at_origin) = (Codec::new(), Codec::new());
            let large = "the quick brown fox jumps over the lazy dog ".repeat(200_000);
            for text in ["", "hello", "hello", "κόσμε", &large, "hello"] {
                let raw = at_client.pack(text.as_bytes());
                client.send(LAST | RSV1 | TEXT, raw).await;
                let (kind, raw) = origin.message().await;
                assert_eq!(kind, RSV1 | TEXT);
                assert!(at_origin.unpack(&raw) == text.as_bytes(), "{} bytes out", text.len());
                assert!(text.len() < 1000 || raw.len() < text.len() / 10, "it is compressed: {}", raw.len());
                let raw = at_origin.pack(text.as_bytes());
                origin.send(LAST | RSV1 | TEXT, raw).await;
                let (kind, raw) = client.message().await;
                assert_eq!(kind, RSV1 | TEXT);
                assert!(at_client.unpack(&raw) == text.as_bytes(), "{} bytes back", text.len());
            }
            origin.send(LAST | BINARY, "as it is").await;
            client.expect(LAST | BINARY, "as it is").await;
            client.say("as it is").await;
            origin.expect(LAST | TEXT, "as it is").await;
            bye(client, origin).await;
            world.end().await;
        })
        .await;
    }
}

/// A secret in a compressed message is found wherever the message is cut.
#[tokio::test]
async fn a_secret_in_a_compressed_message_is_found() {
    within(async {
        for stand_in in [STAND_IN, "sk-standin-of-another-length"] {
            let world = World::with(Setup { stand_in, ..Setup::default() }).await;
            let (mut client, mut origin) = compressed(&world, V::H1, API).await;
            let (mut at_client, mut at_origin) = (Codec::new(), Codec::new());
            let told = format!("it is {SECRET}!");
            let clean = format!("it is {stand_in}!");
            for round in 0..60 {
                let raw = at_origin.pack(told.as_bytes());
                let cut = round % (raw.len() + 1);
                origin.send(RSV1 | TEXT, &raw[..cut]).await;
                origin.send(LAST | PING, "").await;
                origin.send(LAST | CONTINUE, &raw[cut..]).await;
                let (_, raw) = client.message().await;
                assert_eq!(String::from_utf8(at_client.unpack(&raw)).unwrap(), clean, "round {round}");
            }
            bye(client, origin).await;
            world.end().await;
        }
    })
    .await;
}

/// A stand-in in a compressed message is found too: exchanged where it is granted, and then not compressed; or stopped.
#[tokio::test]
async fn a_stand_in_in_a_compressed_message() {
    within(async {
        let world = World::with(Setup { slots: vec![Slot::WebSocket], ..Setup::default() }).await;
        let (mut client, mut origin) = compressed(&world, V::H1, API).await;
        let mut codec = Codec::new();
        client.send(LAST | RSV1 | TEXT, codec.pack(format!("{{\"key\":\"{STAND_IN}\"}}").as_bytes())).await;
        origin.expect(LAST | TEXT, format!("{{\"key\":\"{SECRET}\"}}")).await;
        bye(client, origin).await;
        world.end().await;

        let world = World::new().await;
        let (mut client, mut origin) = compressed(&world, V::H1, OPEN).await;
        client.send(LAST | RSV1 | TEXT, Codec::new().pack(STAND_IN.as_bytes())).await;
        assert!(client.expect_close(1008).await.contains("credential.wrong_destination"));
        origin.expect_close(1001).await;
        drop((client, origin));
        world.end().await;
    })
    .await;
}

/// What cannot be decompressed ends the WebSocket.
#[tokio::test]
async fn broken_compression_ends_the_websocket() {
    within(async {
        for by_client in [true, false] {
            let world = World::new().await;
            let (mut client, mut origin) = compressed(&world, V::H1, API).await;
            let (bad, other, codes) = if by_client {
                (&mut client, &mut origin, (1007, 1001))
            } else {
                (&mut origin, &mut client, (1007, 1014))
            };
            bad.send(LAST | RSV1 | BINARY, [0xff; 40]).await;
            bad.expect_close(codes.0).await;
            other.expect_close(codes.1).await;
            drop((client, origin));
            world.end().await;
        }
    })
    .await;
}

/// A few bytes that stand for a gigabyte pass in bounded memory: they are not gathered, and wait for their reader.
#[tokio::test]
async fn a_bomb_is_not_gathered() {
    within(async {
        let world = World::new().await;
        let opening = Opening { offer: Some(DEFLATE), choice: Some(DEFLATE), credential: false };
        let (mut client, mut origin, _) = open_with(&world, V::H1, API, opening).await;
        // 64 MiB of nothing in 64 KiB.
        let raw = Codec::new().pack_large(64 << 20);
        origin.send(LAST | RSV1 | BINARY, raw).await;
        let mut inflate = Decompress::new(false);
        let mut total = 0;
        let mut largest = 0;
        loop {
            let frame = client.next().await.unwrap();
            largest = largest.max(frame.payload.len());
            let mut clear = Vec::with_capacity(1 << 20);
            inflate.decompress_vec(&frame.payload, &mut clear, FlushDecompress::Sync).unwrap();
            total += clear.len();
            if frame.first & LAST != 0 {
                break;
            }
        }
        assert_eq!(total, 64 << 20);
        assert!(largest <= 64 << 10, "{largest}");
        origin.send(LAST | CLOSE, "").await;
        client.send(LAST | CLOSE, "").await;
        drop((client, origin));
        world.end().await;
    })
    .await;
}

impl Codec {
    fn pack_large(&mut self, length: usize) -> Vec<u8> {
        let mut raw = Vec::new();
        let block = vec![0; 1 << 20];
        for _ in 0..length >> 20 {
            let mut piece = Vec::with_capacity(64 << 10);
            self.deflate.compress_vec(&block, &mut piece, FlushCompress::Sync).unwrap();
            raw.extend(piece);
        }
        raw.truncate(raw.len() - 4);
        raw
    }
}
