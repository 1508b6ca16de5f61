//! Why a stream ends (RFC 9113 §7): what one side says to us, the other hears.

use crate::bodies::pairings;
use crate::rig::{API, OPEN, STAND_IN, V, World, body, within};
use h2::Reason;
use http::{Request, Response};

/// Those that somebody may have for one stream.
const REASONS: &[Reason] = &[
    Reason::CANCEL,
    Reason::INTERNAL_ERROR,
    Reason::REFUSED_STREAM,
    Reason::ENHANCE_YOUR_CALM,
    Reason::HTTP_1_1_REQUIRED,
];

/// An origin's reset, before its answer and in the middle of it.
#[tokio::test]
async fn an_origins_reset_reaches_the_client() {
    within(async {
        for begun in [false, true] {
            let world = World::new().await;
            let mut client = world.frames(API).await;
            let mut origin = None;
            for reason in REASONS {
                let request = Request::get(format!("https://{}/x", world.authority(API))).body(()).unwrap();
                let (answered, _) = client.send_request(request, true).unwrap();
                if origin.is_none() {
                    origin = Some(world.origin.accept_frames().await);
                }
                let connection = origin.as_mut().unwrap();
                let (_, mut respond) = connection.accept().await.unwrap().unwrap();
                let error = if begun {
                    let mut stream = respond.send_response(Response::new(()), false).unwrap();
                    let answered = async {
                        let mut body = answered.await.unwrap().into_body();
                        assert_eq!(body.data().await.unwrap().unwrap(), "some");
                        body
                    };
                    stream.send_data("some".into(), false).unwrap();
                    let mut body = tokio::select! {
                        body = answered => body,
                        _ = connection.accept() => panic!("the connection goes on"),
                    };
                    stream.send_reset(*reason);
                    tokio::select! {
                        data = body.data() => data.unwrap().unwrap_err(),
                        _ = connection.accept() => panic!("the connection goes on"),
                    }
                } else {
                    respond.send_reset(*reason);
                    tokio::select! {
                        answer = answered => answer.unwrap_err(),
                        _ = connection.accept() => panic!("the connection goes on"),
                    }
                };
                assert_eq!(error.reason(), Some(*reason), "{begun}");
            }
            drop((client, origin));
            let (status, outcome) = if begun { (" 200", "upstream_closed in 4") } else { ("", "upstream_failed") };
            let row = format!("h2 GET /x{status} {outcome}");
            world.finish(&vec![row.as_str(); REASONS.len()]).await;
        }
    })
    .await;
}

/// A client's, in the middle of its request. Before there is an answer, whoever is quicker tells the origin: the body with the
/// client's own code, or the exchange that nobody waits for any more.
#[tokio::test]
async fn a_clients_reset_reaches_the_origin() {
    within(async {
        for begun in [false, true] {
            let world = World::new().await;
            let mut client = world.frames(API).await;
            let mut origin = None;
            for reason in REASONS {
                let request = Request::post(format!("https://{}/x", world.authority(API))).body(()).unwrap();
                let (answered, mut upload) = client.send_request(request, false).unwrap();
                upload.send_data("some".into(), false).unwrap();
                if origin.is_none() {
                    origin = Some(world.origin.accept_frames().await);
                }
                let connection = origin.as_mut().unwrap();
                let (request, mut respond) = connection.accept().await.unwrap().unwrap();
                let mut at_origin = request.into_body();
                let read = async {
                    assert_eq!(at_origin.data().await.unwrap().unwrap(), "some");
                    let answer = begun.then(|| respond.send_response(Response::new(()), false).unwrap());
                    let answered = if begun { Ok(answered.await.unwrap()) } else { Err(answered) };
                    upload.send_reset(*reason);
                    (at_origin.data().await.unwrap().unwrap_err(), answer, answered)
                };
                let (error, ..) = tokio::select! {
                    error = read => error,
                    _ = connection.accept() => panic!("the connection goes on"),
                };
                let told = error.reason().unwrap();
                assert!(told == *reason || (!begun && told == Reason::CANCEL), "{told:?} for {reason:?}");
            }
            drop((client, origin));
            let rows = world.end().await;
            assert!(rows.iter().all(|row| row.outcome == "downstream_closed" && row.bytes_out == 4), "{rows:#?}");
        }
    })
    .await;
}

pairings! {
    what_is_refused_is_cancelled
}

mod run {
    use super::*;

    /// A request that we end, or whose client has gone, is no error of the origin's.
    pub async fn what_is_refused_is_cancelled(client: V, server: V) {
        if server == V::H1 {
            return; // it has no codes
        }
        for refused in [true, false] {
            let world = World::new().await;
            let mut asker = world.asker(OPEN, client).await;
            let (mut upload, request_body) = body();
            let answered = asker.ask(Request::post("/x").body(request_body).unwrap());
            upload.send_data("some".into()).await.unwrap();
            let mut connection = world.origin.accept_frames().await;
            let (request, _respond) = connection.accept().await.unwrap().unwrap();
            let mut at_origin = request.into_body();
            let read = async {
                assert_eq!(at_origin.data().await.unwrap().unwrap(), "some");
                if refused {
                    upload.send_data(STAND_IN.into()).await.unwrap();
                } else {
                    upload.abort("gone".to_owned());
                }
                at_origin.data().await.unwrap().unwrap_err()
            };
            let error = tokio::select! {
                error = read => error,
                _ = connection.accept() => panic!("the connection goes on"),
            };
            // A client's library has its own word for a body that failed.
            let expected = if refused || client == V::H1 { Reason::CANCEL } else { Reason::INTERNAL_ERROR };
            assert_eq!(error.reason(), Some(expected));
            drop((answered, asker, connection));
            world.end().await;
        }
    }
}
