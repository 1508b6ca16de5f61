//! From an origin towards us.

use crate::peer::{
    CONTINUATION, DATA, END_HEADERS, GOAWAY, HEADERS, PADDED, PING, PRIORITY, PUSH_PROMISE, Peer, fields, frame,
    remembered, settings, window_update,
};
use crate::rig::{OPEN, World, within};
use crate::{Bystander, ENHANCE_YOUR_CALM, End, MEMORY, Pieces, flood, flood_unread, peak};
use http::Request;

/// How a flood looks.
struct Flood {
    name: &'static str,
    /// What comes first.
    opening: Vec<u8>,
    /// The frame with this number.
    frame: fn(u32) -> Vec<u8>,
    end: End,
}

/// The beginning of an answer to our first request.
fn answer() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, fields(&[(":status", "200")]))
}

/// The beginning of its head.
fn half_a_head() -> Vec<u8> {
    frame(HEADERS, 0, 1, fields(&[(":status", "200")]))
}

fn floods() -> Vec<Flood> {
    const CALM: End = End::Ended(ENHANCE_YOUR_CALM);
    const PROTOCOL_ERROR: End = End::Ended(1);
    let flood = |name, opening, frame, end| Flood { name, opening, frame, end };
    vec![
        flood(
            "CONTINUATION with fields",
            half_a_head(),
            |n| frame(CONTINUATION, 0, 1, fields(&[(&format!("x-{n}"), "value")])),
            CALM,
        ),
        flood("empty CONTINUATION", half_a_head(), |_| frame(CONTINUATION, 0, 1, []), CALM),
        flood(
            "a bomb of compressed fields",
            vec![],
            |_| {
                let bomb =
                    [fields(&[(":status", "103")]), remembered("x", &"x".repeat(4000)), vec![0x80 | 0x3e; 12_000]];
                frame(HEADERS, END_HEADERS, 1, bomb.concat())
            },
            CALM,
        ),
        flood(
            "answers before the answer",
            vec![],
            |_| frame(HEADERS, END_HEADERS, 1, fields(&[(":status", "103")])),
            End::Borne,
        ),
        flood("promises", vec![], |n| frame(PUSH_PROMISE, END_HEADERS, 1, (2 * n + 2).to_be_bytes()), PROTOCOL_ERROR),
        flood("empty DATA", answer(), |_| frame(DATA, 0, 1, []), CALM),
        flood("DATA of padding", answer(), |_| frame(DATA, PADDED, 1, [&[255; 1][..], &[0; 255]].concat()), CALM),
        flood("PING", vec![], |_| frame(PING, 0, 0, [0; 8]), End::Borne),
        flood("PING, unread", vec![], |_| frame(PING, 0, 0, [0; 8]), End::HeldUp),
        flood("SETTINGS", vec![], |n| settings(&[(1, n % 2 * 4096)]), End::Borne),
        flood("SETTINGS, unread", vec![], |_| settings(&[(1, 4096)]), End::HeldUp),
        flood("windows", vec![], |_| window_update(0, 1), End::Borne),
        flood("PRIORITY", vec![], |n| frame(PRIORITY, 0, 2 * n + 1, [0, 0, 0, 0, 16]), End::Borne),
        flood("GOAWAY", vec![], |_| frame(GOAWAY, 0, 0, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]), End::Borne),
        flood("unknown frames", vec![], |n| frame(0xbe, 0, n, []), End::Borne),
        // Last, for it costs the most: what the others cost must show.
        flood("DATA of one byte, unread by its client", answer(), |_| frame(DATA, 0, 1, "x"), CALM),
    ]
}

async fn meet(Flood { name, opening, frame, end }: Flood) {
    let world = World::new().await;
    let mut bystander = Bystander::new(&world).await;
    let before = peak();
    // A client that asks, and has no room for an answer's body.
    let mut settings = h2::client::Builder::new();
    settings.initial_window_size(0);
    let mut client = world.frames_with(OPEN, &settings).await.ready().await.unwrap();
    let request = Request::get(format!("https://{}/flooded", world.authority(OPEN))).body(()).unwrap();
    let (answered, _) = client.send_request(request, true).unwrap();
    let mut peer = Peer::origin(world.origin.accept_h2().await, &[]).await;
    peer.next_of(crate::peer::HEADERS, 1).await.unwrap();
    let answers = opening == answer();
    peer.send(opening).await.unwrap();
    let pieces = Pieces::of(frame);
    let met = if end == End::HeldUp { flood_unread(&mut peer, pieces).await } else { flood(&mut peer, pieces).await };
    assert_eq!(met, end, "{name}");
    let grown = peak().saturating_sub(before);
    assert!(grown < MEMORY, "{name}: {grown} KiB");
    bystander.is_served().await;
    drop(peer);
    // The client hears of it, unless it has a head already and makes no room for more.
    let heard = answered.await;
    assert!(heard.map_or(true, |answer| answer.status() == if answers { 200 } else { 502 }), "{name}");
    drop((bystander, client));
    let rows = world.end().await;
    let outcomes: Vec<_> = rows.iter().map(|row| (row.target.as_deref().unwrap(), row.outcome.as_str())).collect();
    let (flooded, served): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|(target, _)| *target == "/flooded");
    assert!(matches!(flooded[..], [(_, "upstream_failed" | "upstream_closed" | "downstream_closed")]), "{rows:#?}");
    assert_eq!(served, [("/bystander", "completed"); 2]);
}

#[test]
fn of_origins() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for flood in floods() {
        runtime.block_on(within(meet(flood)));
    }
}
