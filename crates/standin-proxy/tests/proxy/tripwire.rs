//! A stand-in in a request's body, where no slot is: refused, or broken off before it has gone out whole; and a word like any
//! other where a model is told it.

use crate::bodies::pairings;
use crate::codings::{CODINGS, forms};
use crate::rig::{
    API, Asker, BOTH, Body, Bytes, OPEN, STAND_IN, Seen, Setup, V, World, body, collect, empty, full, text, within,
};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use standin_model::limits::MAX_DECODERS;
use std::io::Write;
use tokio::sync::mpsc;

/// Where the stand-in is good for nothing, where its credential is granted, and where it is for other requests.
const PLACES: [(&str, &str); 3] =
    [(OPEN, "credential.wrong_destination"), (API, "credential.wrong_slot"), (BOTH, "credential.wrong_slot")];

fn post(coding: &str, body: Body) -> Request<Body> {
    Request::post("/x").header("content-encoding", coding).body(body).unwrap()
}

async fn refused(asker: &mut Asker, request: Request<Body>) -> (u16, String, String) {
    let response = asker.ask(request).await.unwrap().unwrap();
    let reason = response.headers()["x-standin-reason"].to_str().unwrap().to_owned();
    (response.status().as_u16(), reason, collect(response.into_body()).await.unwrap().0)
}

/// What arrives of a request's body, and whether that is all of it.
async fn arriving(mut body: Incoming) -> (Vec<u8>, bool) {
    let mut got = Vec::new();
    loop {
        match body.frame().await {
            Some(Ok(frame)) => got.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(Err(_)) => return (got, false),
            None => return (got, true),
        }
    }
}

/// This body arrives as it was sent, and is answered.
async fn passes(asker: &mut Asker, requests: &mut mpsc::Receiver<Seen>, coding: &str, coded: Vec<u8>) {
    let answered = asker.ask(post(coding, full(coded.clone())));
    let Seen { request, answer } = requests.recv().await.unwrap();
    assert!(arriving(request.into_body()).await == (coded, true), "{coding}"); // it may be too long to be shown
    answer.send(Response::new(empty())).unwrap();
    assert_eq!(answered.await.unwrap().unwrap().status(), 200);
}

pairings! {
    what_has_gone_out_is_broken_off
    what_only_begins_like_one_passes_at_once
    codings_are_taken_off_to_look
    an_answer_under_way_ends_too
}

mod run {
    use super::*;

    pub async fn what_has_gone_out_is_broken_off(client: V, server: V) {
        let world = World::new().await;
        let mut requests = world.origin.accept_all(server);
        let mut expected = Vec::new();
        let told = format!("{STAND_IN} end");
        for (host, code) in PLACES {
            for cut in (0..=STAND_IN.len()).step_by(if host == API { 1 } else { 9 }) {
                let mut asker = world.asker(host, client).await;
                let (mut upload, request_body) = body();
                let answered = asker.ask(Request::post("/x").body(request_body).unwrap());
                let Seen { request, answer: _answer } = requests.recv().await.unwrap();
                let mut at_origin = request.into_body();
                upload.send_data("begin ".into()).await.unwrap();
                assert_eq!(text(&mut at_origin).await, "begin ");
                for piece in [&told[..cut], &told[cut..]].into_iter().filter(|piece| !piece.is_empty()) {
                    // The first may be all that is wanted.
                    if upload.send_data(piece.to_owned().into()).await.is_err() {
                        break;
                    }
                }
                let (got, whole) = arriving(at_origin).await;
                assert!(!whole && got.len() < STAND_IN.len(), "cut at {cut}: {}", got.escape_ascii());
                assert_eq!(answered.await.unwrap().unwrap().headers()["x-standin-reason"], code);
                expected.push(format!("{} POST /x 403 {code}", client.name()));
            }
        }
        world.finish(&expected.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    /// Byte by byte, each before the next one is sent.
    pub async fn what_only_begins_like_one_passes_at_once(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(OPEN, client).await;
        let (mut upload, request_body) = body();
        let answered = asker.ask(Request::post("/x").body(request_body).unwrap());
        let mut origin = world.origin.accept_requests(server).await;
        let Seen { request, answer } = origin.recv().await.unwrap();
        let mut at_origin = request.into_body();
        for byte in format!("{}!", &STAND_IN[..STAND_IN.len() - 1]).chars() {
            upload.send_data(byte.to_string().into()).await.unwrap();
            assert_eq!(text(&mut at_origin).await, byte.to_string());
        }
        drop(upload);
        assert_eq!(arriving(at_origin).await, (vec![], true));
        answer.send(Response::new(empty())).unwrap();
        assert_eq!(answered.await.unwrap().unwrap().status(), 200);
        drop(asker);
        world.finish(&[&format!("{} POST /x 200 completed out {}", client.name(), STAND_IN.len())]).await;
    }

    /// What is harmless arrives to the byte, coding and all.
    pub async fn codings_are_taken_off_to_look(client: V, server: V) {
        let world = World::new().await;
        let mut requests = world.origin.accept_all(server);
        let encoded = &forms(STAND_IN)[11];
        for (coding, encoder) in CODINGS {
            for (told, harmless) in [(format!("a {} b", &encoded[1..]), true), (format!("a {encoded} b"), false)] {
                // So that the end is not what decides; short, since thousands of tiny pieces are a flood in HTTP/2.
                let filler: String = (0..100_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect();
                let coded = encoder(&[told.as_bytes(), filler.as_bytes()]).concat();
                for size in [1, 7, coded.len()] {
                    let mut asker = world.asker(OPEN, client).await;
                    let (mut upload, request_body) = body();
                    let answered = asker.ask(post(coding, request_body));
                    let Seen { request, answer } = requests.recv().await.unwrap();
                    assert_eq!(request.headers()["content-encoding"], *coding);
                    let at_origin = tokio::spawn(arriving(request.into_body()));
                    for piece in coded.chunks(size) {
                        if upload.send_data(Bytes::copy_from_slice(piece)).await.is_err() {
                            break; // it was refused
                        }
                    }
                    drop(upload);
                    let (got, whole) = at_origin.await.unwrap();
                    assert!(coded.starts_with(&got) && whole == harmless, "{coding} by {size}: {whole}");
                    if harmless {
                        assert_eq!(got.len(), coded.len(), "{coding} by {size}");
                        answer.send(Response::new(empty())).unwrap();
                        assert_eq!(answered.await.unwrap().unwrap().status(), 200);
                    } else if let Ok(answer) = answered.await.unwrap() {
                        // In HTTP/1.1, who still sends may not hear it.
                        assert_eq!(answer.headers()["x-standin-reason"], "credential.wrong_destination");
                    }
                }
            }
        }
        let rows = world.end().await;
        let tripped = rows.iter().filter(|row| row.reason.as_deref() == Some("credential.wrong_destination"));
        assert_eq!(tripped.count() * 2, rows.len());
    }

    /// The origin answers while the request is still under way.
    pub async fn an_answer_under_way_ends_too(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(OPEN, client).await;
        let (mut upload, request_body) = body();
        let answered = asker.ask(Request::post("/x").body(request_body).unwrap());
        let mut origin = world.origin.accept_requests(server).await;
        let Seen { request, answer } = origin.recv().await.unwrap();
        let at_origin = request.into_body();
        let (mut download, response_body) = body();
        answer.send(Response::new(response_body)).unwrap();
        let mut at_client = answered.await.unwrap().unwrap().into_body();
        download.send_data("begin".into()).await.unwrap();
        assert_eq!(text(&mut at_client).await, "begin");
        upload.send_data(STAND_IN.into()).await.unwrap();
        assert_eq!(arriving(at_origin).await, (vec![], false));
        assert_eq!(arriving(at_client).await, (vec![], false));
        drop((asker, upload));
        world.finish(&[&format!("{} POST /x 200 credential.wrong_destination", client.name())]).await;
    }
}

/// Most bodies say how long they are. Then nothing has gone out when the beginning is looked at.
#[tokio::test]
async fn nothing_goes_out_of_what_is_refused_at_once() {
    within(async {
        for version in [V::H1, V::H2] {
            let world = World::new().await;
            let mut expected = Vec::new();
            for (host, code) in PLACES {
                let mut asker = world.asker(host, version).await;
                for form in forms(STAND_IN) {
                    let body = full(format!("{{\"text\":\"{form}\"}}"));
                    let (status, reason, told) = refused(&mut asker, Request::post("/x").body(body).unwrap()).await;
                    assert_eq!((status, reason.as_str()), (403, code), "{form}");
                    assert!(told.contains(&format!("`key` stands in the body of this request to {host}")), "{told}");
                    expected.push(format!("{} POST /x 403 {code}", version.name()));
                }
            }
            assert!(world.origin.is_untouched());
            world.finish(&expected.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    })
    .await;
}

/// In its slot it is exchanged, and beside it, it is not where it belongs.
#[tokio::test]
async fn a_slot_in_a_body_is_no_licence_for_the_rest_of_it() {
    within(async {
        let slots = vec![standin_model::Slot::parse("json:/key").unwrap()];
        let world = World::with(Setup { slots, ..Setup::default() }).await;
        let mut asker = world.asker(API, V::H1).await;
        let body = full(format!("{{\"key\":\"{STAND_IN}\",\"note\":\"{STAND_IN}\"}}"));
        let request = Request::post("/x").header("content-type", "application/json").body(body).unwrap();
        assert_eq!(refused(&mut asker, request).await.1, "credential.wrong_slot");
        assert!(world.origin.is_untouched());
        drop(asker);
        world.finish(&["h1 POST /x 403 credential.wrong_slot"]).await;
    })
    .await;
}

/// A model is told what an agent reads, and has no use for it. In a field it is astray as ever.
#[tokio::test]
async fn to_a_model_a_stand_in_is_text() {
    within(async {
        for (version, host) in [(V::H1, API), (V::H2, API), (V::H1, OPEN), (V::H2, OPEN)] {
            let world = World::with(Setup { conversation: true, ..Setup::default() }).await;
            let mut requests = world.origin.accept_all(version);
            let mut asker = world.asker(host, version).await;
            let told = forms(STAND_IN).join(" ");
            for (coding, encoder) in CODINGS {
                let coded = encoder(&[told.as_bytes()]).concat();
                passes(&mut asker, &mut requests, coding, coded).await;
            }
            let astray = Request::post("/x").header("x-note", STAND_IN).body(full("text")).unwrap();
            let code = if host == API { "credential.wrong_slot" } else { "credential.wrong_destination" };
            assert_eq!(refused(&mut asker, astray).await.1, code);
            drop(asker);
            world.end().await;
        }
    })
    .await;
}

/// What says it is in a coding, and is not, or not to its end, has a part that nobody can look at.
#[tokio::test]
async fn what_cannot_be_looked_at() {
    within(async {
        let gzip = CODINGS.iter().find(|(name, _)| *name == "gzip").unwrap().1;
        let coded = gzip(&[b"harmless"]).concat();
        let trailing = [coded.as_slice(), b"\x00"].concat();
        let world = World::new().await;
        let mut asker = world.asker(OPEN, V::H2).await;
        for (coding, body) in [("gzip", b"harmless".to_vec()), ("gzip", trailing), ("zstd", coded.clone())] {
            let (status, reason, _) = refused(&mut asker, post(coding, full(body))).await;
            assert_eq!((status, reason.as_str()), (415, "credential.unreadable_body"), "{coding}");
        }
        // In a coding that is not known, or in more of them than anybody uses, it is looked at as it stands.
        for coding in ["aws-chunked", "compress", "gzip, gzip, gzip"] {
            let told = format!("x {STAND_IN}");
            assert_eq!(refused(&mut asker, post(coding, full(told))).await.1, "credential.wrong_destination");
        }
        assert!(world.origin.is_untouched());
        let mut requests = world.origin.accept_all(V::H2);
        passes(&mut asker, &mut requests, "aws-chunked", coded).await;
        drop(asker);
        world.end().await;
    })
    .await;
}

/// A client that asks first is answered by the origin, and what it sends then is looked at.
#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    within(async {
        let world = World::new().await;
        let mut client = world.client(OPEN).await;
        let (host, length) = (world.authority(OPEN), STAND_IN.len());
        client
            .send(format!(
                "POST /x HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
            ))
            .await;
        let mut origin = world.origin.accept().await;
        assert!(origin.head().await.starts_with("POST /x "));
        origin.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 100 "));
        client.send(STAND_IN).await;
        assert!(client.head().await.contains("credential.wrong_destination"));
        assert_eq!(origin.until_gone().await, b"");
        drop(client);
        world.finish(&["h1 POST /x 403 credential.wrong_destination"]).await;
    })
    .await;
}

/// What unfolds to much is looked at piece by piece, and passes as it came.
#[tokio::test]
async fn what_unfolds_is_not_gathered() {
    within(async {
        let mut writer = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
        for _ in 0..32 {
            writer.write_all(&vec![0; 1024 * 1024]).unwrap();
        }
        let bomb = writer.finish().unwrap();
        let world = World::new().await;
        let mut requests = world.origin.accept_all(V::H1);
        let mut asker = world.asker(OPEN, V::H1).await;
        passes(&mut asker, &mut requests, "gzip", bomb).await;
        drop(asker);
        world.end().await;
    })
    .await;
}

/// As many as are taken off at once, no more; a body that is told to a model needs none.
#[tokio::test]
async fn decoders_are_bounded() {
    within(async {
        let world = World::new().await;
        let mut requests = world.origin.accept_all(V::H2);
        let (mut askers, mut uploads, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..MAX_DECODERS {
            if uploads.len() % 200 == 0 {
                askers.push(world.asker(OPEN, V::H2).await);
            }
            let (upload, request_body) = body();
            let answered = askers.last_mut().unwrap().ask(post("gzip", request_body));
            uploads.push((upload, answered));
            seen.push(requests.recv().await.unwrap());
        }
        let mut asker = world.asker(OPEN, V::H2).await;
        assert_eq!(refused(&mut asker, post("gzip", full("x"))).await.1, "cap.exchanges");
        drop((uploads, seen, askers, asker));
        world.end().await;
    })
    .await;
}
