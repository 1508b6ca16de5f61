//! The relay against the reference implementation: whatever goes in, the same messages come out.

use super::*;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use std::io::{Cursor, Read, Write};
use tungstenite::Message;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::{Role, WebSocket};

/// Passes everything.
struct Everything;

impl Filter for Everything {
    fn begin(&mut self, _text: bool) {}

    fn data(&mut self, piece: Bytes, out: &mut BytesMut) -> Result<(), Stop> {
        out.extend_from_slice(&piece);
        Ok(())
    }

    fn end(&mut self, _out: &mut BytesMut) -> Result<bool, Stop> {
        Ok(true)
    }

    fn control(&mut self, payload: Bytes) -> Result<Bytes, Stop> {
        Ok(payload)
    }
}

const NONE: Compression = Compression { from: false, to: None };

fn masks() -> [u8; 4] {
    [0xa5, 0x5a, 0xc3, 0x3c]
}

/// Feeds pieces to a relay and gathers what comes out.
fn run(relay: &mut Relay<Everything>, pieces: &[&[u8]]) -> Result<Vec<u8>, Stop> {
    let (mut input, mut output, mut all) = (BytesMut::new(), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        while relay.advance(&mut input, &mut output)? == Progress::Full {
            all.extend_from_slice(&output.split());
        }
        all.extend_from_slice(&output.split());
    }
    Ok(all)
}

/// Bytes to be read; what is answered goes nowhere.
struct Wire(Cursor<Vec<u8>>);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the reference implementation reads, up to its first complaint.
fn messages(bytes: Vec<u8>, role: Role) -> Vec<Message> {
    let mut socket = WebSocket::from_raw_socket(Wire(Cursor::new(bytes)), role, None);
    std::iter::from_fn(|| socket.read().ok()).collect()
}

/// A message, fragmented, with pings in between.
fn message() -> impl Strategy<Value = (bool, Vec<Vec<u8>>, bool)> {
    let text = prop_oneof!["[a-zé€😀]{0,40}", Just("x".repeat(70_000))];
    (any::<bool>(), text, prop::collection::vec(0usize..200, 0..4), any::<bool>()).prop_map(
        |(binary, text, cuts, ping)| {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut at = 0;
            for cut in cuts {
                pieces.push(text.as_bytes()[at..cut].to_vec());
                at = cut;
            }
            pieces.push(text.as_bytes()[at..].to_vec());
            (binary, pieces, ping)
        },
    )
}

fn write(out: &mut BytesMut, (binary, pieces, ping): &(bool, Vec<Vec<u8>>, bool), masked: bool) {
    let masks = masked.then_some(masks as Masks);
    for (number, piece) in pieces.iter().enumerate() {
        let begins = if *binary { Data::Binary } else { Data::Text };
        let code = if number == 0 { begins } else { Data::Continue };
        frame::write(out, OpCode::Data(code), number + 1 == pieces.len(), false, masks, piece);
        if *ping {
            frame::write(out, OpCode::Control(Control::Ping), true, false, masks, b"ping");
        }
    }
}

proptest! {
    /// In whatever pieces the bytes come, the reference implementation reads the same messages before and behind.
    #[test]
    fn the_same_messages_come_out(
        sent in prop::collection::vec(message(), 0..4),
        cuts in prop::collection::vec(0usize..100_000, 0..8),
        by_client in any::<bool>(),
    ) {
        let mut bytes = BytesMut::new();
        for message in &sent {
            write(&mut bytes, message, by_client);
        }
        write_close(&mut bytes, 1000, "bye", by_client.then_some(masks as Masks));
        let (from, role) = if by_client { (Side::Client, Role::Server) } else { (Side::Origin, Role::Client) };
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
        let mut relay = Relay::new(from, by_client.then_some(masks as Masks), NONE, Everything);
        let passed = run(&mut relay, &pieces).expect("all of it is as it should be");
        prop_assert!(relay.is_closed());
        prop_assert_eq!(messages(passed, role), messages(bytes.to_vec(), role));
    }

    /// A leg that compresses and the one behind it, which does not, undo each other.
    #[test]
    fn compression_is_undone(sent in prop::collection::vec(message(), 1..4), forgets in any::<bool>()) {
        // A client marks its messages as compressed only if it is told to; an origin's offer stands in for it here.
        let agreed = Agreed::chosen(std::iter::once(if forgets {
            "permessage-deflate; client_no_context_takeover"
        } else {
            OFFER
        })).expect("offered").expect("chosen");
        let mut deflate = deflate::Deflate::new(agreed);
        let (mut plain, mut packed) = (BytesMut::new(), BytesMut::new());
        for message in &sent {
            write(&mut plain, message, false);
            let (binary, pieces, _) = message;
            for (number, piece) in pieces.iter().enumerate() {
                let begins = if *binary { Data::Binary } else { Data::Text };
                let (code, last) = (if number == 0 { begins } else { Data::Continue }, number + 1 == pieces.len());
                let raw = deflate.piece(piece, last);
                frame::write(&mut packed, OpCode::Data(code), last, number == 0, None, &raw);
            }
        }
        let unpack = Compression { from: true, to: None };
        let passed = run(&mut Relay::new(Side::Origin, None, unpack, Everything), &[&packed]).expect("readable");
        let only_data = |bytes: Vec<u8>| {
            messages(bytes, Role::Client).into_iter().filter(|message| !message.is_ping()).collect::<Vec<_>>()
        };
        prop_assert_eq!(only_data(passed), only_data(plain.to_vec()));
        let repack = Compression { from: true, to: Some(agreed) };
        let again = run(&mut Relay::new(Side::Origin, None, repack, Everything), &[&packed]).expect("readable");
        let unpacked = run(&mut Relay::new(Side::Origin, None, unpack, Everything), &[&again]).expect("readable");
        prop_assert_eq!(only_data(unpacked), only_data(plain.to_vec()));
    }

    /// Any bytes at all: no panic, and what comes out is whole frames that the reference implementation can take apart.
    #[test]
    fn any_bytes(
        heads in prop::collection::vec(
            (
                prop_oneof![any::<u8>(), prop::sample::select(&[0x81u8, 0x82, 0x01, 0xc1, 0x00, 0x80, 0x88, 0x89, 0x8a][..])],
                prop_oneof![Just(None), (0u8..130).prop_map(Some)],
                prop::collection::vec(any::<u8>(), 0..20),
            ),
            0..6,
        ),
        compress in any::<bool>(),
    ) {
        let mut bytes = Vec::new();
        for (first, second, payload) in heads {
            bytes.extend([first, second.unwrap_or(u8::try_from(payload.len()).expect("short"))]);
            bytes.extend(payload);
        }
        let (mut input, mut output) = (BytesMut::from(&bytes[..]), BytesMut::new());
        let mut relay = Relay::new(Side::Origin, Some(masks), Compression { from: compress, to: None }, Everything);
        while relay.advance(&mut input, &mut output) == Ok(Progress::Full) {}
        let mut rest = &output[..];
        while !rest.is_empty() {
            let mut cursor = Cursor::new(rest);
            let (head, length) = FrameHeader::parse(&mut cursor).expect("a head").expect("a whole head");
            prop_assert!(head.mask.is_some());
            rest = &rest[usize::try_from(cursor.position() + length).expect("small")..];
        }
    }
}

/// A last frame keeps its bounds up to 64 KiB, and beyond them nothing is gathered.
#[test]
fn long_messages_are_not_gathered() {
    let mut relay = Relay::new(Side::Origin, None, NONE, Everything);
    let mut bytes = BytesMut::new();
    frame::write(&mut bytes, OpCode::Data(Data::Binary), true, false, None, &vec![0; 1 << 20]);
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let mut passed = 0;
    for chunk in bytes.chunks(8 * 1024) {
        input.extend_from_slice(chunk);
        assert_eq!(relay.advance(&mut input, &mut output).unwrap(), Progress::Hungry);
        assert!(input.is_empty() && output.len() <= chunk.len() + 14);
        passed += output.split().len();
    }
    assert!(passed >= 1 << 20);
}
