//! Lets a made-up session happen, and tells what each side saw.

use super::plan::{End, Exchange, Lane, Plan, Rules, Shows};
use crate::rig::{API, Asker, OPEN, STAND_IN, Seen, V, World, body};
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use standin_audit::RecordRow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, mpsc, oneshot};

/// An exchange as it went.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) number: usize,
    pub(super) answer: Answer,
    /// The policies that were in force from when it was asked until it was answered: one of them has decided it.
    pub(super) deciding: Vec<Rules>,
    /// Those from when it was asked until the end of all: each may have ended it.
    pub(super) since: Vec<Rules>,
    /// What the origin saw, if it saw anything.
    pub(super) at_origin: Option<AtOrigin>,
}

/// What the client got.
#[derive(Debug)]
pub(super) enum Answer {
    /// Up to a clean end.
    Whole { body: String },
    /// Standin's own, with its reason.
    Ours { reason: String },
    /// Up to an error, or to where it stopped reading.
    Broken { body: String },
    /// Not even a head.
    None,
}

/// What the origin got.
#[derive(Debug, Default)]
pub(super) struct AtOrigin {
    pub(super) authorization: Option<String>,
    pub(super) body: String,
    /// Whether the request had a clean end.
    pub(super) whole: bool,
}

/// What the origin saw, by the exchange's number.
type Sightings = Arc<Mutex<HashMap<usize, AtOrigin>>>;
/// For each exchange, that its request has come somewhere: to the origin, or so far that it is answered.
type Arrivals = Arc<Vec<Notify>>;

/// Plays all of it, and ends the session.
pub(super) async fn play(plan: &Plan) -> (Vec<Played>, Vec<RecordRow>) {
    let world = World::new().await;
    let sightings = Sightings::default();
    let arrivals: Arrivals = Arc::new(plan.exchanges().map(|_| Notify::new()).collect());
    let (over, end) = oneshot::channel();
    let requests = world.origin.accept_all(plan.origin);
    let serving = tokio::spawn(serve(requests, end, plan.clone(), (Arc::clone(&sightings), Arc::clone(&arrivals))));
    let policies = Policies::new(&world, plan);
    let lanes = plan.lanes.iter().map(|lane| run_lane(&policies, lane, &arrivals));
    let answers: Vec<_> = join_all(lanes).await.into_iter().flatten().collect();
    let log = policies.log.into_inner().unwrap();
    let rows = world.end().await;
    over.send(()).unwrap();
    for sighting in serving.await.unwrap() {
        sighting.await.unwrap();
    }
    let mut sightings = std::mem::take(&mut *sightings.lock().unwrap());
    let played = answers.into_iter().map(|(number, from, to, answer)| {
        let (deciding, since) = (log[from..=to.unwrap_or(log.len() - 1)].to_vec(), log[from..].to_vec());
        Played { number, answer, deciding, since, at_origin: sightings.remove(&number) }
    });
    (played.collect(), rows)
}

/// The policies that take each other's place.
struct Policies<'a> {
    world: &'a World,
    plan: &'a Plan,
    /// One at a time, so that they are in force in the order of the log.
    turn: tokio::sync::Mutex<()>,
    /// What was put in force, or is about to be.
    log: Mutex<Vec<Rules>>,
    in_force: AtomicUsize,
}

impl<'a> Policies<'a> {
    fn new(world: &'a World, plan: &'a Plan) -> Self {
        let (turn, log) = (tokio::sync::Mutex::new(()), Mutex::new(vec![Rules::Usual]));
        Self { world, plan, turn, log, in_force: AtomicUsize::new(0) }
    }

    /// Puts in force what is to be before this exchange; which policy of the log is.
    async fn before(&self, number: usize) -> usize {
        for (_, rules) in self.plan.policies.iter().filter(|(at, _)| *at == number) {
            let _one_at_a_time = self.turn.lock().await;
            let place = {
                let mut log = self.log.lock().unwrap();
                log.push(*rules);
                log.len() - 1
            };
            let all = self.world.rule("all", &[API, OPEN], &["/**"]);
            match rules {
                Rules::Usual => self.world.replace_by_usual_and(|_| {}).await,
                Rules::Ungranted => self.world.replace_by_ungranted().await,
                Rules::Nothing => self.world.replace_by_usual_and(|policy| policy.deny(all)).await,
            }
            .unwrap();
            self.in_force.store(place, Ordering::SeqCst);
        }
        self.in_force.load(Ordering::SeqCst)
    }

    /// The last that was about to be put in force, if that matters: what has no answer yet is not decided yet.
    fn until(&self, answer: &Answer) -> Option<usize> {
        let decided = !matches!(answer, Answer::None);
        decided.then(|| self.log.lock().unwrap().len() - 1)
    }
}

/// An exchange: its number, the policies that may have decided it, by their places in the log, and its answer.
type Went = (usize, usize, Option<usize>, Answer);

async fn run_lane(policies: &Policies<'_>, lane: &Lane, arrivals: &Arrivals) -> Vec<Went> {
    let world = policies.world;
    match lane.version {
        V::H1 => {
            let mut answers = Vec::new();
            let mut asker = None;
            for exchange in &lane.exchanges {
                let mut open = match asker.take() {
                    Some(asker) => asker,
                    None => world.asker(lane.host, V::H1).await,
                };
                let from = policies.before(exchange.number).await;
                let answer = ask(&mut open, exchange, arrivals);
                // Whoever got all of an answer to all of a request goes on with the connection.
                let (answer, goes_on) = finish(answer, exchange, arrivals).await;
                asker = goes_on.then_some(open);
                answers.push((exchange.number, from, policies.until(&answer), answer));
            }
            answers
        }
        V::H2 => {
            let mut asker = world.asker(lane.host, V::H2).await;
            let mut asked = Vec::new();
            for exchange in &lane.exchanges {
                let from = policies.before(exchange.number).await;
                asked.push((exchange, from, ask(&mut asker, exchange, arrivals)));
            }
            let finished = asked.into_iter().map(|(exchange, from, asked)| async move {
                let answer = finish(asked, exchange, arrivals).await.0;
                (exchange.number, from, policies.until(&answer), answer)
            });
            join_all(finished).await
        }
    }
}

type Asked = tokio::task::JoinHandle<hyper::Result<Response<Incoming>>>;

/// Sends the head, and from then on the body, as far as it goes.
fn ask(asker: &mut Asker, exchange: &Exchange, arrivals: &Arrivals) -> Asked {
    let (mut upload, request_body) = body();
    let mut request = Request::post(exchange.target());
    request = match exchange.shows {
        Shows::Nothing => request,
        Shows::StandIn => request.header("authorization", format!("Bearer {STAND_IN}")),
        Shows::ForeignKey => request.header("authorization", "Bearer sk-Somebody-Elses-Key"),
        Shows::StandInElsewhere => request.header("x-note", STAND_IN),
    };
    let (pieces, arrivals, number) = (exchange.upload.clone(), Arc::clone(arrivals), exchange.number);
    let stop = match exchange.end {
        End::UploadBreaks(at) => Some(at),
        _ => None,
    };
    tokio::spawn(async move {
        for piece in pieces.into_iter().take(stop.unwrap_or(usize::MAX)) {
            // Who was refused reads no further.
            if upload.send_data(piece.into()).await.is_err() {
                return;
            }
        }
        if stop.is_some() {
            // A request that is taken back at once may never have been one.
            arrivals[number].notified().await;
            upload.abort("gone".to_owned());
        }
    });
    asker.ask(request.body(request_body).unwrap())
}

/// Reads the answer, as far as the client does, and says whether its connection is fit for another.
async fn finish(asked: Asked, exchange: &Exchange, arrivals: &Arrivals) -> (Answer, bool) {
    let leaves = match exchange.end {
        End::ClientLeaves(at) => at,
        _ => usize::MAX,
    };
    let answered = asked.await.unwrap();
    arrivals[exchange.number].notify_one();
    let Ok(response) = answered else { return (Answer::None, false) };
    if let Some(reason) = response.headers().get("x-standin-reason") {
        return (Answer::Ours { reason: reason.to_str().unwrap().to_owned() }, false);
    }
    let mut incoming = response.into_body();
    let mut text = Vec::new();
    for _ in 0..leaves {
        match incoming.frame().await {
            Some(Ok(frame)) => text.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(Err(_)) => return (Answer::Broken { body: read(text) }, false),
            None => {
                return (Answer::Whole { body: read(text) }, matches!(exchange.end, End::Whole));
            }
        }
    }
    (Answer::Broken { body: read(text) }, false)
}

fn read(text: Vec<u8>) -> String {
    String::from_utf8(text).unwrap()
}

/// The origin: every request is answered as its exchange says, at the same time as the others.
async fn serve(
    mut requests: mpsc::Receiver<Seen>,
    mut end: oneshot::Receiver<()>,
    plan: Plan,
    (sightings, arrivals): (Sightings, Arrivals),
) -> Vec<tokio::task::JoinHandle<()>> {
    let mut tasks = Vec::new();
    loop {
        let seen = tokio::select! {
            seen = requests.recv() => seen.unwrap(),
            _ = &mut end => return tasks,
        };
        let number: usize = seen.request.uri().path()[1..].parse().unwrap_or_else(|_| panic!("{}", seen.request.uri()));
        let (exchange, _) = plan.exchanges().find(|(exchange, _)| exchange.number == number).unwrap();
        arrivals[number].notify_one();
        tasks.push(tokio::spawn(answer(seen, exchange.clone(), Arc::clone(&sightings))));
    }
}

async fn answer(Seen { request, answer }: Seen, exchange: Exchange, sightings: Sightings) {
    let authorization = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let mut sighting = AtOrigin { authorization, ..AtOrigin::default() };
    let mut incoming = request.into_body();
    loop {
        match incoming.frame().await {
            Some(Ok(frame)) => sighting.body.push_str(&read(frame.into_data().unwrap_or_default().to_vec())),
            Some(Err(_)) => break,
            None => {
                sighting.whole = true;
                break;
            }
        }
    }
    let whole = sighting.whole;
    let before = sightings.lock().unwrap().insert(exchange.number, sighting);
    assert!(before.is_none(), "the same request came twice");
    if whole {
        let (download, response_body) = body();
        if answer.send(Response::new(response_body)).is_ok() {
            tell(download, &exchange).await;
        }
    }
}

async fn tell(mut download: http_body_util::channel::Sender<crate::rig::Bytes, String>, exchange: &Exchange) {
    let stop = match exchange.end {
        End::OriginBreaks(at) => Some(at),
        _ => None,
    };
    for piece in exchange.download.iter().take(stop.unwrap_or(usize::MAX)) {
        if download.send_data(piece.clone().into()).await.is_err() {
            return;
        }
    }
    if stop.is_some() {
        download.abort("gone".to_owned());
    }
}
