//! A login's token endpoint: its answers hold real tokens, which stay outside.

use crate::bodies::pairings;
use crate::rig::{
    API, Asker, Body, Bytes, OPEN, SECRET, STAND_IN, Seen, Setup, V, World, collect, empty, full, holds_secret, within,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use standin_model::limits::MAX_TOKEN_ANSWER;
use standin_model::{CredentialName, Slot};
use standin_proxy::{Asked, Begun, KeeperError, Kept, Next, TokenKeeper, Turn};
use standin_secret::{Secret, StandIn};
use standin_vault::Credential;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot::Sender;

/// What a token endpoint gives: as long as its stand-in.
const NEW: &str = "sk-Next5Rg2Tf8Yh4Uj6Ik1Ol3Pz7Xc9Vb0";
/// What stands for it.
const NEW_STAND_IN: &str = "sk-Mock1aZbYcXdWeVfUgTh2iSjRkQlPmOn";
const JSON: &str = "application/json";

/// A keeper that understands one answer: the new token and nothing else.
#[derive(Default)]
struct Keeper {
    /// What the agent is told without asking the endpoint.
    told: Option<&'static str>,
    /// How many answers were kept.
    kept: Arc<AtomicUsize>,
}

/// Counts what is kept.
struct Mine(Arc<AtomicUsize>);

impl TokenKeeper for Keeper {
    fn turn(&self, login: &str, _: Asked) -> Result<Begun, KeeperError> {
        assert_eq!(login, "login");
        let next = self.told.map_or_else(
            || Next::Ask(Box::new(Mine(Arc::clone(&self.kept)))),
            |told| Next::Tell { told: told.into(), until_lent: Box::new(()) },
        );
        Ok(Begun { lent: vec![], next })
    }
}

impl Turn for Mine {
    fn keep(self: Box<Self>, answer: &[u8]) -> Result<Kept, KeeperError> {
        if answer != answer_with(NEW).as_bytes() {
            return Err(KeeperError("not understood".to_owned()));
        }
        self.0.fetch_add(1, Ordering::SeqCst);
        let (name, stand_in) = (CredentialName::new("key"), StandIn::new(NEW_STAND_IN.to_owned()));
        let lent = vec![Credential::held(name, stand_in, Arc::new(Secret::new(NEW.into())))];
        Ok(Kept { lent, told: answer_with(NEW_STAND_IN).into_bytes(), until_lent: self })
    }

    fn judge_error(&self, answer: &[u8]) -> Result<(), KeeperError> {
        let holds = answer.windows(NEW.len()).any(|window| window == NEW.as_bytes());
        if holds { Err(KeeperError("an error with tokens".to_owned())) } else { Ok(()) }
    }
}

fn answer_with(token: &str) -> String {
    format!("{{\"access_token\":\"{token}\"}}")
}

fn setup(keeper: Keeper) -> Setup {
    let slots = ["json:/refresh_token", "form:refresh_token", "header:authorization"];
    Setup {
        slots: slots.map(|slot| Slot::parse(slot).unwrap()).to_vec(),
        keeper: Some(Arc::new(keeper)),
        ..Setup::default()
    }
}

async fn world() -> World {
    World::with(setup(Keeper::default())).await
}

fn refresh() -> String {
    format!("{{\"grant_type\":\"refresh_token\",\"refresh_token\":\"{STAND_IN}\"}}")
}

fn post(body: &str) -> Request<Body> {
    Request::post("/oauth/token").header("content-type", JSON).body(full(body.to_owned())).unwrap()
}

/// Asks for new tokens; the endpoint answers this. What the client gets.
async fn exchange(asker: &mut Asker, origin: &mut Receiver<Seen>, answer: Response<Body>) -> (u16, HeaderMap, String) {
    let answered = asker.ask(post(&refresh()));
    let seen = origin.recv().await.unwrap();
    let (got, reply, _) = seen.whole().await;
    assert!(holds_secret(got.as_bytes()), "the endpoint got the real token");
    reply.send(answer).unwrap();
    let (head, body) = answered.await.unwrap().unwrap().into_parts();
    let (body, _) = collect(body).await.unwrap();
    assert!(!body.contains(NEW) && !format!("{:?}", head.headers).contains(NEW), "{body}");
    (head.status.as_u16(), head.headers, body)
}

async fn text(answer: Response<Incoming>) -> String {
    collect(answer.into_body()).await.unwrap().0
}

pairings! {
    tokens_stay_outside_and_are_lent_at_once
}

mod run {
    use super::*;

    pub async fn tokens_stay_outside_and_are_lent_at_once(client: V, server: V) {
        let world = world().await;
        let mut asker = world.asker(API, client).await;
        let mut origin = world.origin.accept_all(server);
        let answer = Response::builder()
            .header("set-cookie", format!("session={NEW}"))
            .header("request-id", "r")
            .header("x-other", "o")
            .body(full(answer_with(NEW)))
            .unwrap();
        let (status, headers, body) = exchange(&mut asker, &mut origin, answer).await;
        assert_eq!((status, body.as_str()), (200, answer_with(NEW_STAND_IN).as_str()));
        assert_eq!(headers["request-id"], "r");
        assert!(!headers.contains_key("set-cookie") && !headers.contains_key("x-other"), "{headers:?}");
        // From here on the new token goes out and is taken out, and the old one's stand-in means it.
        for stand_in in [NEW_STAND_IN, STAND_IN] {
            let request =
                Request::get("/x").header("authorization", format!("Bearer {stand_in}")).body(empty()).unwrap();
            let answered = asker.ask(request);
            let seen = origin.recv().await.unwrap();
            assert_eq!(seen.request.headers()["authorization"], format!("Bearer {NEW}"));
            seen.answer(Response::new(full(format!("you said {NEW}, not {SECRET}"))));
            let got = answered.await.unwrap().unwrap();
            assert_eq!(text(got).await, format!("you said {NEW_STAND_IN}, not {STAND_IN}"));
        }
        drop(asker);
        world.end().await;
    }
}

/// What goes on without a keeper, where a host is merely allowed: its tokens reach the client. The rule for its endpoint is
/// what stops that.
#[tokio::test]
async fn elsewhere_tokens_are_words_like_any_other() {
    within(async {
        let world = world().await;
        let mut asker = world.asker(OPEN, V::H1).await;
        let mut origin = world.origin.accept_all(V::H1);
        let answered = asker.ask(post("{\"grant_type\":\"authorization_code\",\"code\":\"c\"}"));
        origin.recv().await.unwrap().answer(Response::new(full(answer_with(NEW))));
        assert_eq!(text(answered.await.unwrap().unwrap()).await, answer_with(NEW));
        drop(asker);
        world.end().await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_not_understood_goes_nowhere() {
    within(async {
        let gzip = |text: &str| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            Bytes::from(encoder.finish().unwrap())
        };
        let coded = |coding: &str, body: Bytes| {
            Response::builder().header("content-encoding", coding).body(full(body)).unwrap()
        };
        let status = |status: u16, body: String| Response::builder().status(status).body(full(body)).unwrap();
        let chunks = format!("x{NEW}{}", "y".repeat(MAX_TOKEN_ANSWER));
        for (answer, expected) in [
            (status(200, answer_with(NEW)), (200, "")),
            (status(201, answer_with(NEW)), (200, "")),
            (coded("gzip", gzip(&answer_with(NEW))), (200, "")),
            (coded("gzip", gzip(NEW)), (502, "login.unavailable")),
            (coded("gzip", Bytes::from(answer_with(NEW))), (502, "login.unavailable")),
            (coded("unknown", Bytes::from(answer_with(NEW))), (502, "scrub.unsupported_coding")),
            (status(200, format!("token={NEW}")), (502, "login.unavailable")),
            (status(200, chunks.clone()), (502, "login.unavailable")),
            (status(302, answer_with(NEW)), (502, "login.unavailable")),
            (status(206, answer_with(NEW)), (502, "scrub.unsupported_coding")),
            (status(400, answer_with(NEW)), (502, "login.unavailable")),
            (status(400, "{\"error\":\"invalid_grant\"}".to_owned()), (400, "invalid_grant")),
            (status(503, "<html>".to_owned()), (503, "<html>")),
        ] {
            let world = world().await;
            let mut asker = world.asker(API, V::H1).await;
            let mut origin = world.origin.accept_all(V::H1);
            let (status, _, body) = exchange(&mut asker, &mut origin, answer).await;
            assert_eq!(status, expected.0, "{body}");
            assert!(body.contains(expected.1), "{body}");
            drop(asker);
            world.end().await;
        }
    })
    .await;
}

/// A part of a token in an answer that breaks off is a part of a token.
#[tokio::test]
async fn an_answer_that_breaks_off_goes_nowhere() {
    within(async {
        let world = world().await;
        let mut asker = world.asker(API, V::H1).await;
        let answered = asker.ask(post(&refresh()));
        let mut wire = world.origin.accept().await;
        wire.head().await;
        wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{}", &answer_with(NEW))).await;
        wire.cut();
        let got = answered.await.unwrap().unwrap();
        assert_eq!(got.status(), 502);
        assert!(!text(got).await.contains(&NEW[..12]));
        drop(asker);
        world.end().await;
    })
    .await;
}

#[tokio::test]
async fn only_what_is_understood_is_asked() {
    for version in [V::H1, V::H2] {
        within(only_what_is_understood(version)).await;
    }
}

async fn only_what_is_understood(version: V) {
    let body =
        |text: &str| Request::post("/oauth/token").header("content-type", JSON).body(full(text.to_owned())).unwrap();
    let form = |text: &str| {
        let kind = "application/x-www-form-urlencoded";
        Request::post("/oauth/token").header("content-type", kind).body(full(text.to_owned())).unwrap()
    };
    let world = world().await;
    let mut asker = world.asker(API, version).await;
    for (request, code) in [
        (body("{\"grant_type\":\"refresh_token\",\"refresh_token\":\"somebody's\"}"), "credential.foreign"),
        (form("grant_type=refresh_token&refresh_token=somebody"), "credential.foreign"),
        (body("{\"grant_type\":\"client_credentials\"}"), "login.request"),
        (body("{\"grant_type\":\"urn:ietf:params:oauth:grant-type:token-exchange\"}"), "login.request"),
        (body(&format!("{{\"grant_type\":\"authorization_code\",\"refresh_token\":\"{STAND_IN}\"}}")), "login.request"),
        (body("{\"grant_type\":\"refresh_token\"}"), "login.request"),
        (body("{\"grant_type\":\"authorization_code\",\"grant_type\":\"refresh_token\"}"), "login.request"),
        (body("{\"grant_type\":[\"authorization_code\"]}"), "login.request"),
        (body("no"), "login.request"),
        (form("grant_type=authorization_code;grant_type=refresh_token"), "login.request"),
        (
            Request::post("/oauth/token").body(full("grant_type=authorization_code".to_owned())).unwrap(),
            "login.request",
        ),
        (Request::post("/oauth/token").body(empty()).unwrap(), "login.request"),
        (Request::get("/oauth/token").body(empty()).unwrap(), "http.request_not_allowed"),
        (
            Request::post("/oauth//Token").header("content-type", JSON).body(full(refresh())).unwrap(),
            "http.request_not_allowed",
        ),
    ] {
        let got = asker.ask(request).await.unwrap().unwrap();
        let told = text(got).await;
        assert!(told.contains(code), "{code}: {told}");
    }
    assert!(world.origin.is_untouched());
    drop(asker);
    world.end().await;
}

/// The host has newer tokens: nobody is asked.
#[tokio::test]
async fn what_somebody_else_has_exchanged_is_told() {
    within(async {
        let world =
            World::with(setup(Keeper { told: Some("{\"access_token\":\"stand-in\"}"), ..Keeper::default() })).await;
        let mut asker = world.asker(API, V::H1).await;
        let got = asker.ask(post(&refresh())).await.unwrap().unwrap();
        assert_eq!(got.status(), 200);
        assert_eq!(text(got).await, "{\"access_token\":\"stand-in\"}");
        assert!(world.origin.is_untouched());
        drop(asker);
        let rows = world.finish(&["h1 POST /oauth/token 200 completed in 27"]).await;
        assert!(rows[0].detail.as_ref().is_some_and(|detail| detail.starts_with("answered on the host")), "{rows:?}");
    })
    .await;
}

/// A request that exchanges tokens, from a client that goes away when it is under way.
async fn abandoned(world: &World, origin: &mut Receiver<Seen>) -> Sender<Response<Body>> {
    let mut client = world.client(API).await;
    let (host, body) = (world.authority(API), refresh());
    let head =
        format!("POST /oauth/token HTTP/1.1\r\nhost: {host}\r\ncontent-type: {JSON}\r\ncontent-length: {}", body.len());
    client.send(format!("{head}\r\n\r\n{body}")).await;
    let (_, reply, _) = origin.recv().await.unwrap().whole().await;
    client.cut();
    reply
}

/// A client that goes away takes nothing with it: the token it had shown is worth nothing any more, and the new one is kept.
#[tokio::test]
async fn an_exchange_goes_on_without_its_client() {
    within(async {
        let world = world().await;
        let mut origin = world.origin.accept_all(V::H1);
        abandoned(&world, &mut origin).await.send(Response::new(full(answer_with(NEW)))).unwrap();
        // Whoever comes next is lent the new one, as soon as it is kept.
        loop {
            let mut asker = world.asker(API, V::H1).await;
            let request =
                Request::get("/x").header("authorization", format!("Bearer {STAND_IN}")).body(empty()).unwrap();
            let answered = asker.ask(request);
            let seen = origin.recv().await.unwrap();
            let kept = seen.request.headers()["authorization"] == format!("Bearer {NEW}");
            seen.answer(Response::new(empty()));
            assert_eq!(text(answered.await.unwrap().unwrap()).await, "");
            if kept {
                break;
            }
        }
        world.end().await;
    })
    .await;
}

/// Nor does the end of the session.
#[tokio::test]
async fn an_exchange_goes_on_past_the_end() {
    within(async {
        let kept = Arc::new(AtomicUsize::new(0));
        let world = World::with(setup(Keeper { kept: Arc::clone(&kept), ..Keeper::default() })).await;
        let mut origin = world.origin.accept_all(V::H1);
        let reply = abandoned(&world, &mut origin).await;
        let ended = tokio::spawn(world.end());
        reply.send(Response::new(full(answer_with(NEW)))).unwrap();
        ended.await.unwrap();
        assert_eq!(kept.load(Ordering::SeqCst), 1);
    })
    .await;
}
