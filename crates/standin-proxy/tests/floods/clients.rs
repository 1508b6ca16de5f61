//! From the sandbox towards us.

use crate::peer::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING, PRIORITY, Peer, fields, frame, remembered,
    reset, settings, window_update,
};
use crate::rig::{OPEN, World, within};
use crate::{Bystander, ENHANCE_YOUR_CALM, End, MEMORY, Pieces, flood, flood_unread, peak};

/// How a flood looks.
struct Flood {
    name: &'static str,
    /// What comes first.
    opening: fn(&World) -> Vec<u8>,
    /// The frame (or few) with this number.
    frames: fn(&World, u32) -> Vec<u8>,
    end: End,
}

/// The fields of a request.
fn request(world: &World, method: &str, path: &str) -> Vec<u8> {
    let authority = world.authority(OPEN);
    fields(&[(":method", method), (":scheme", "https"), (":authority", &authority), (":path", path)])
}

/// The stream with this number: a client's are odd.
fn stream(number: u32) -> u32 {
    2 * number + 1
}

fn nothing(_: &World) -> Vec<u8> {
    vec![]
}

/// A request whose body does not end, to an origin that does not answer.
fn upload(world: &World) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, request(world, "POST", "/unread"))
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn floods() -> Vec<Flood> {
    use ENHANCE_YOUR_CALM as CALM;
    vec![
        Flood {
            name: "rapid reset (CVE-2023-44487)",
            opening: nothing,
            frames: |world, n| {
                let head = frame(HEADERS, END_HEADERS | END_STREAM, stream(n), request(world, "GET", "/closed"));
                [head, reset(stream(n), 8)].concat()
            },
            end: End::Ended(CALM),
        },
        Flood {
            name: "resets that we are made to send (CVE-2025-8671)",
            opening: nothing,
            frames: |world, n| {
                let head = frame(HEADERS, END_HEADERS, stream(n), request(world, "POST", "/unread"));
                [head, window_update(stream(n), 0x7fff_ffff)].concat()
            },
            end: End::Ended(CALM),
        },
        Flood {
            name: "streams beyond the limit",
            opening: nothing,
            frames: |world, n| frame(HEADERS, END_HEADERS, stream(n), request(world, "POST", "/unread")),
            end: End::Ended(CALM),
        },
        Flood {
            name: "malformed requests",
            opening: nothing,
            frames: |_, n| frame(HEADERS, END_HEADERS | END_STREAM, stream(n), fields(&[(":method", "GET")])),
            end: End::Ended(CALM),
        },
        Flood {
            name: "CONTINUATION with fields (CVE-2024-27316)",
            opening: |world| frame(HEADERS, END_STREAM, 1, request(world, "GET", "/closed")),
            frames: |_, n| frame(CONTINUATION, 0, 1, fields(&[(&format!("x-{n}"), "value")])),
            end: End::Ended(CALM),
        },
        Flood {
            name: "empty CONTINUATION",
            opening: |world| frame(HEADERS, END_STREAM, 1, request(world, "GET", "/closed")),
            frames: |_, _| frame(CONTINUATION, 0, 1, []),
            end: End::Ended(CALM),
        },
        Flood {
            name: "a bomb of compressed fields",
            opening: nothing,
            frames: |world, n| {
                let bomb =
                    [request(world, "GET", "/closed"), remembered("x", &"x".repeat(4000)), vec![0x80 | 0x3e; 12_000]];
                frame(HEADERS, END_HEADERS | END_STREAM, stream(n), bomb.concat())
            },
            end: End::Ended(CALM),
        },
        Flood { name: "PING", opening: nothing, frames: |_, _| frame(PING, 0, 0, [0; 8]), end: End::Borne },
        Flood { name: "PING, unread", opening: nothing, frames: |_, _| frame(PING, 0, 0, [0; 8]), end: End::HeldUp },
        Flood { name: "SETTINGS", opening: nothing, frames: |_, n| settings(&[(1, n % 2 * 4096)]), end: End::Borne },
        Flood { name: "SETTINGS, unread", opening: nothing, frames: |_, _| settings(&[(1, 4096)]), end: End::HeldUp },
        Flood {
            name: "windows of streams up and down",
            opening: upload,
            frames: |_, n| settings(&[(4, n % 2 * 65_535)]),
            end: End::Borne,
        },
        Flood {
            name: "PRIORITY",
            opening: nothing,
            frames: |_, n| frame(PRIORITY, 0, stream(n), [0, 0, 0, 0, 16]),
            end: End::Borne,
        },
        Flood { name: "unknown frames", opening: nothing, frames: |_, n| frame(0xbe, 0, n, []), end: End::Borne },
        Flood { name: "empty DATA", opening: upload, frames: |_, _| frame(DATA, 0, 1, []), end: End::Ended(CALM) },
        Flood {
            name: "DATA of padding",
            opening: upload,
            frames: |_, _| frame(DATA, PADDED, 1, [&[255; 1][..], &[0; 255]].concat()),
            end: End::Ended(CALM),
        },
        Flood {
            name: "DATA of one byte, unread by its origin",
            opening: upload,
            frames: |_, _| frame(DATA, 0, 1, "x"),
            end: End::Ended(CALM),
        },
    ]
}

async fn meet(Flood { name, opening, frames, end }: Flood) {
    let world = World::new().await;
    let mut bystander = Bystander::new(&world).await;
    let before = peak();
    let mut peer = Peer::client(world.client_h2(OPEN).await, &[]).await;
    peer.send(opening(&world)).await.unwrap();
    let pieces = Pieces::of(|number| frames(&world, number));
    let met = if end == End::HeldUp { flood_unread(&mut peer, pieces).await } else { flood(&mut peer, pieces).await };
    assert_eq!(met, end, "{name}");
    let grown = peak().saturating_sub(before);
    assert!(grown < MEMORY, "{name}: {grown} KiB");
    bystander.is_served().await;
    drop((peer, bystander));
    let rows = world.end().await;
    let (served, others): (Vec<_>, _) = rows.iter().partition(|row| row.target.as_deref() == Some("/bystander"));
    assert_eq!(served.len(), 2, "{name}");
    // Whoever is ended for a flood is on record for it, once; what streams it had open, each for itself.
    let ended = others.iter().filter(|row| row.reason.as_deref() == Some("http.malformed")).count();
    assert_eq!(ended, usize::from(matches!(end, End::Ended(_))), "{name}: {others:#?}");
}

#[test]
fn of_clients() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for flood in floods() {
        runtime.block_on(within(meet(flood)));
    }
}
