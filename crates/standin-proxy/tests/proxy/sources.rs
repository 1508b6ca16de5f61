//! Credentials that are fetched when a request is about to carry them.

use crate::rig::{API, Asker, Body, OPEN, SECRET, STAND_IN, Seen, Setup, V, World, collect, empty, full, within};
use http::{Request, Response};
use standin_secret::{Fetched, Manner, Secret, SecretSource, SourceError};
use standin_vault::key::StandInKey;
use standin_vault::shapes::ShapeFile;
use standin_vault::supply::{Admits, Supplied, Supply};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// What an origin gets.
type Requests = tokio::sync::mpsc::Receiver<Seen>;

/// Another value, as long as its stand-in.
const NEXT: &str = "sk-Next5Rg2Tf8Yh4Uj6Ik1Ol3Pz7Xc9Vb0";

/// What a source gives next: a value, how long ago it began to be good, and how long it is; or nothing.
type Answer = Option<(&'static str, Duration, Option<Duration>)>;

const NEVER_EXPIRES: Answer = Some((SECRET, Duration::ZERO, None));
const HOUR: Option<Duration> = Some(Duration::from_secs(3600));
/// So old it is to be fetched anew, and good for some time yet.
const OLD: Duration = Duration::from_secs(58 * 60);

/// A source that gives its answers in turn, the last one again and again.
#[derive(Clone)]
struct Scripted {
    answers: Arc<Mutex<Vec<Answer>>>,
    asked: Arc<AtomicUsize>,
    /// It answers when somebody says so.
    gate: Arc<Mutex<Option<Receiver<()>>>>,
}

impl Scripted {
    fn new(answers: &[Answer]) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.to_vec())), asked: Arc::default(), gate: Arc::default() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn supplied(&self) -> Supplied {
        // Cannot be made, so nothing is kept.
        let shape = ShapeFile::new(Path::new("/dev/null"), &StandInKey::ephemeral().unwrap(), "scripted");
        let supply = Supply::new(Box::new(self.clone()));
        let admits: Admits = Arc::new(|value| !value.starts_with(b"admin"));
        Supplied { supply, member: String::new(), admits, shape, term: None }
    }

    async fn world(&self) -> World {
        World::with(Setup { secret: "", supplied: Some(self.supplied()), ..Setup::default() }).await
    }
}

impl SecretSource for Scripted {
    fn describe(&self) -> String {
        "scripted".to_owned()
    }

    fn fetch(&self, manner: Manner) -> Result<Fetched, SourceError> {
        assert_eq!(manner, Manner::Silent);
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &*self.gate.lock().unwrap() {
            gate.recv().unwrap();
        }
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
        let (value, ago, life) = answer.ok_or_else(|| SourceError::EnvMissing("OF_THE_HOST".to_owned()))?;
        let at = SystemTime::now() - ago;
        Ok(Fetched { text: Secret::copy_of(value.as_bytes()), at, expires: life.map(|life| at + life) })
    }
}

fn request(token: &str) -> Request<Body> {
    Request::get("/x").header("authorization", format!("Bearer {token}")).body(empty()).unwrap()
}

/// Status and text of the answer to a request that does not get out.
async fn refused(asker: &mut Asker, token: &str) -> (u16, String) {
    let answer = asker.ask(request(token)).await.unwrap().unwrap();
    let status = answer.status().as_u16();
    (status, collect(answer.into_body()).await.unwrap().0)
}

/// What the origin gets for the stand-in. It repeats every value there is, and the client sees none.
async fn sent(asker: &mut Asker, world: &World, origin: &mut Option<Requests>) -> String {
    let answered = asker.ask(request(STAND_IN));
    let requests = match origin {
        Some(requests) => requests,
        none => none.insert(world.origin.accept_requests(V::H1).await),
    };
    let seen = requests.recv().await.unwrap();
    let got = seen.request.headers()["authorization"].to_str().unwrap().to_owned();
    let (_, reply, _) = seen.whole().await;
    reply.send(Response::new(full(got.clone()))).unwrap();
    let (text, _) = collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
    assert_eq!(text, format!("Bearer {STAND_IN}"));
    got
}

#[tokio::test]
async fn a_value_is_fetched_when_it_is_wanted_and_once() {
    within(async {
        let source = Scripted::new(&[NEVER_EXPIRES]);
        let world = source.world().await;
        assert_eq!(source.asked(), 0, "nothing is fetched at the start");
        let foreign = refused(&mut world.asker(API, V::H1).await, "sk-Somebody-Elses-Key-0123456789").await;
        let elsewhere = refused(&mut world.asker(OPEN, V::H1).await, STAND_IN).await;
        assert_eq!((foreign.0, elsewhere.0, source.asked()), (403, 403, 0), "what is refused asks no source");
        let (mut asker, mut origin) = (world.asker(API, V::H1).await, None);
        for _ in 0..3 {
            assert_eq!(sent(&mut asker, &world, &mut origin).await, format!("Bearer {SECRET}"));
        }
        assert_eq!(source.asked(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_source_that_fails_fails_the_request_and_is_left_alone_for_a_while() {
    within(async {
        let source = Scripted::new(&[None, NEVER_EXPIRES]);
        let world = source.world().await;
        let mut asker = world.asker(API, V::H1).await;
        for _ in 0..3 {
            let (status, text) = refused(&mut asker, STAND_IN).await;
            assert!(status == 502 && text.contains("credential.source_failed"), "{status} {text}");
            assert!(!text.contains("OF_THE_HOST"), "the agent learns nothing of the host: {text}");
        }
        assert_eq!(source.asked(), 1, "who is inside does not make a source ask its owner on and on");
        assert!(world.origin.is_untouched());
        let reason = "h1 GET /x 502 credential.source_failed";
        let rows = world.finish(&[reason, reason, reason]).await;
        let detail = rows[0].detail.as_deref().unwrap_or_default();
        assert!(detail.contains("OF_THE_HOST"), "its owner learns why: {detail}");
    })
    .await;
}

#[tokio::test]
async fn a_value_is_renewed_before_it_expires_and_its_stand_in_stays() {
    within(async {
        let source = Scripted::new(&[Some((SECRET, OLD, HOUR)), Some((NEXT, Duration::ZERO, HOUR))]);
        let world = source.world().await;
        let (mut asker, mut origin) = (world.asker(API, V::H1).await, None);
        let mut got = Vec::new();
        for _ in 0..3 {
            got.push(sent(&mut asker, &world, &mut origin).await);
        }
        assert_eq!(got, [SECRET, NEXT, NEXT].map(|value| format!("Bearer {value}")));
        assert_eq!(source.asked(), 2);
        // The former value is still one.
        let answered = asker.ask(request(STAND_IN));
        let (_, reply, _) = origin.unwrap().recv().await.unwrap().whole().await;
        reply.send(Response::new(full(format!("{SECRET} {NEXT}")))).unwrap();
        let (text, _) = collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
        assert_eq!(text, format!("{STAND_IN} {STAND_IN}"));
    })
    .await;
}

#[tokio::test]
async fn a_value_that_cannot_be_renewed_is_good_until_it_expires_and_no_longer() {
    within(async {
        let source = Scripted::new(&[Some((SECRET, OLD, HOUR)), None]);
        let world = source.world().await;
        let (mut asker, mut origin) = (world.asker(API, V::H1).await, None);
        for _ in 0..2 {
            assert_eq!(sent(&mut asker, &world, &mut origin).await, format!("Bearer {SECRET}"));
        }
        assert_eq!(source.asked(), 2);
        // A life of some nanoseconds is over before the request goes out.
        let source = Scripted::new(&[Some((SECRET, Duration::ZERO, Some(Duration::from_nanos(4)))), None]);
        let world = source.world().await;
        let mut asker = world.asker(API, V::H1).await;
        for _ in 0..2 {
            let (status, text) = refused(&mut asker, STAND_IN).await;
            assert!(status == 502 && text.contains("credential.source_failed"), "{status} {text}");
        }
        assert!(source.asked() == 2 && world.origin.is_untouched());
    })
    .await;
}

#[tokio::test]
async fn one_flight_serves_all_who_wait() {
    within(async {
        let source = Scripted::new(&[NEVER_EXPIRES]);
        let (open, gate) = channel();
        *source.gate.lock().unwrap() = Some(gate);
        let world = source.world().await;
        let mut askers = Vec::new();
        for _ in 0..4 {
            askers.push(world.asker(API, V::H1).await);
        }
        let waiting: Vec<_> = askers.iter_mut().map(|asker| asker.ask(request(STAND_IN))).collect();
        open.send(()).unwrap();
        drop(open); // a second flight would fail
        let mut origins = Vec::new();
        for _ in &waiting {
            let mut origin = world.origin.accept_requests(V::H1).await;
            origin.recv().await.unwrap().whole().await.1.send(Response::new(empty())).unwrap();
            origins.push(origin);
        }
        for answer in waiting {
            assert_eq!(answer.await.unwrap().unwrap().status(), 200);
        }
        assert_eq!(source.asked(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_makes_keys_is_not_lent_late_either() {
    within(async {
        let source = Scripted::new(&[Some(("admin-0123456789abcdef", Duration::ZERO, None))]);
        let world = source.world().await;
        let (status, text) = refused(&mut world.asker(API, V::H1).await, STAND_IN).await;
        assert!(status == 502 && text.contains("credential.source_failed"), "{status} {text}");
        assert!(world.origin.is_untouched());
    })
    .await;
}
