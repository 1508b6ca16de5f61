//! The client: reads one case a line from stdin, measures it, prints one result a line.
//!
//! `__load ADDRESS [PROXY]`: dials the address (a name is looked up as any program would), or asks the proxy there.

use super::origin::now_ns;
use super::tls;
use crate::Failure;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Work {
    /// Requests one after another on each of these connections, for so long.
    KeepAlive { connections: usize, millis: u64 },
    /// The same on the streams of one HTTP/2 connection.
    Streams { streams: usize, millis: u64 },
    /// A connection for each request, so many at a time.
    Connect { parallel: usize, millis: u64 },
    /// Bodies of this length, one on each connection.
    Down { connections: usize, bytes: usize },
    /// A request body of this length.
    Up { bytes: usize },
    /// Server-sent events and the time each was under way.
    Events { count: usize },
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// Requests, connections or events.
    pub(super) count: u64,
    /// Bytes of bodies.
    pub(super) bytes: u64,
    /// How long it took altogether.
    pub(super) elapsed_us: u64,
    /// Of each request, connection or event.
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// How this arm's origin is reached.
struct Way {
    address: String,
    proxy: Option<String>,
    authorization: String,
    http1: TlsConnector,
    http2: TlsConnector,
}

/// Works until stdin ends.
pub(super) fn serve() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(2);
    let way = Arc::new(Way {
        address: arguments.next().ok_or("the load was started by hand")?,
        proxy: arguments.next(),
        authorization: format!("Bearer {}", std::env::var(super::TOKEN_VARIABLE)?),
        http1: TlsConnector::from(tls::client(&[b"http/1.1"], false)?),
        http2: TlsConnector::from(tls::client(&[b"h2"], false)?),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    super::origin::ready()?;
    for line in std::io::stdin().lock().lines() {
        let work: Work = serde_json::from_str(&line?)?;
        let outcome = runtime.block_on(run(&way, work))?;
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{}", serde_json::to_string(&outcome)?)?;
        stdout.flush()?;
    }
    Ok(())
}

async fn run(way: &Arc<Way>, work: Work) -> Result<Outcome, Failure> {
    match work {
        Work::KeepAlive { connections, millis } => keep_alive(way, connections, millis).await,
        Work::Streams { streams, millis } => in_streams(way, streams, millis).await,
        Work::Connect { parallel, millis } => connect_anew(way, parallel, millis).await,
        Work::Down { connections, bytes } => down(way, connections, bytes).await,
        Work::Up { bytes } => up(way, bytes).await,
        Work::Events { count } => events(way, count).await,
    }
}

async fn keep_alive(way: &Arc<Way>, connections: usize, millis: u64) -> Result<Outcome, Failure> {
    let mut open = Vec::new();
    for _ in 0..connections {
        let mut sender = way.http1().await?;
        whole(sender.send_request(way.get("/")?).await?).await?; // warm: the origin's side is connected too
        open.push(sender);
    }
    let started = Instant::now();
    let until = started + Duration::from_millis(millis);
    let mut running = JoinSet::new();
    for mut sender in open {
        let way = Arc::clone(way);
        running.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let begun = Instant::now();
                whole(sender.send_request(way.get("/")?).await?).await?;
                times.push(begun.elapsed());
            }
            Ok(times)
        });
    }
    gather(running, started).await
}

async fn in_streams(way: &Arc<Way>, streams: usize, millis: u64) -> Result<Outcome, Failure> {
    let sender = way.http2().await?;
    whole(sender.clone().send_request(way.get_in_stream()?).await?).await?;
    let started = Instant::now();
    let until = started + Duration::from_millis(millis);
    let mut running = JoinSet::new();
    for _ in 0..streams {
        let (way, mut sender) = (Arc::clone(way), sender.clone());
        running.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let begun = Instant::now();
                whole(sender.send_request(way.get_in_stream()?).await?).await?;
                times.push(begun.elapsed());
            }
            Ok(times)
        });
    }
    gather(running, started).await
}

async fn connect_anew(way: &Arc<Way>, parallel: usize, millis: u64) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let until = started + Duration::from_millis(millis);
    let mut running = JoinSet::new();
    for _ in 0..parallel {
        let way = Arc::clone(way);
        running.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let begun = Instant::now();
                whole(way.http1().await?.send_request(way.get("/")?).await?).await?;
                times.push(begun.elapsed());
            }
            Ok(times)
        });
    }
    gather(running, started).await
}

async fn gather(mut running: JoinSet<Result<Vec<Duration>, Failure>>, started: Instant) -> Result<Outcome, Failure> {
    let mut times = Vec::new();
    while let Some(done) = running.join_next().await {
        times.extend(done??);
    }
    Ok(outcome(&mut times, 0, started.elapsed()))
}

async fn down(way: &Arc<Way>, connections: usize, bytes: usize) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..connections {
        let way = Arc::clone(way);
        running.spawn(async move {
            let mut sender = way.http1().await?;
            whole(sender.send_request(way.get(&format!("/bytes/{bytes}"))?).await?).await
        });
    }
    let mut received = 0;
    while let Some(done) = running.join_next().await {
        received += done??;
    }
    if received != connections * bytes {
        return Err(format!("{received} bytes came instead of {}", connections * bytes).into());
    }
    Ok(outcome(&mut [], received as u64, started.elapsed()))
}

async fn up(way: &Arc<Way>, bytes: usize) -> Result<Outcome, Failure> {
    let mut sender = way.http1().await?;
    let request = way.request(Method::PUT, "/sink", Bytes::from(vec![b'x'; bytes]))?;
    let started = Instant::now();
    whole(sender.send_request(request).await?).await?;
    Ok(outcome(&mut [], bytes as u64, started.elapsed()))
}

async fn events(way: &Arc<Way>, count: usize) -> Result<Outcome, Failure> {
    let mut sender = way.http1().await?;
    let started = Instant::now();
    let mut response = sender.send_request(way.get(&format!("/events/{count}"))?).await?;
    let mut times = Vec::new();
    let mut text = Vec::new();
    while let Some(frame) = response.frame().await {
        let arrived = now_ns();
        text.extend_from_slice(frame?.data_ref().map_or(&[], Bytes::as_ref));
        while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = text.drain(..end + 2).collect();
            let left: u64 = std::str::from_utf8(&event)?.trim().trim_start_matches("data: ").parse()?;
            times.push(Duration::from_nanos(arrived.saturating_sub(left)));
        }
    }
    if times.len() != count {
        return Err(format!("{} events came instead of {count}", times.len()).into());
    }
    Ok(outcome(&mut times, 0, started.elapsed()))
}

fn outcome(times: &mut [Duration], bytes: u64, elapsed: Duration) -> Outcome {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    Outcome {
        count: times.len() as u64,
        bytes,
        elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        p50_us: at(50),
        p99_us: at(99),
    }
}

/// Reads an answer to its end; it must be a good one.
async fn whole(response: Response<Incoming>) -> Result<usize, Failure> {
    if response.status() != 200 {
        return Err(format!("the origin or the proxy answered {}", response.status()).into());
    }
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(length)
}

impl Way {
    async fn http1(&self) -> Result<http1::SendRequest<Full<Bytes>>, Failure> {
        let (sender, connection) = http1::handshake(TokioIo::new(self.tls(&self.http1).await?)).await?;
        tokio::spawn(connection); // its errors reach whoever waits for an answer
        Ok(sender)
    }

    async fn http2(&self) -> Result<http2::SendRequest<Full<Bytes>>, Failure> {
        let mut client = http2::Builder::new(TokioExecutor::new());
        client.initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
        let (sender, connection) = client.handshake(TokioIo::new(self.tls(&self.http2).await?)).await?;
        tokio::spawn(connection); // its errors reach whoever waits for an answer
        Ok(sender)
    }

    async fn tls(&self, connector: &TlsConnector) -> Result<TlsStream<TcpStream>, Failure> {
        let mut socket = TcpStream::connect(self.proxy.as_ref().unwrap_or(&self.address)).await?;
        socket.set_nodelay(true)?;
        if self.proxy.is_some() {
            let host = super::HOST;
            socket.write_all(format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n").as_bytes()).await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await?);
            }
            if !head.starts_with(b"HTTP/1.1 200") {
                return Err("the proxy refused the tunnel".into());
            }
        }
        Ok(connector.connect(tls::name(), socket).await?)
    }

    fn get(&self, path: &str) -> Result<Request<Full<Bytes>>, http::Error> {
        self.request(Method::GET, path, Bytes::new())
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let request = Request::builder().method(method).header("authorization", &self.authorization);
        request.header("host", super::HOST).uri(path).body(Full::new(body))
    }

    /// HTTP/2 names the host in the target (RFC 9113 §8.3.1).
    fn get_in_stream(&self) -> Result<Request<Full<Bytes>>, http::Error> {
        let request = Request::builder().header("authorization", &self.authorization);
        request.uri(format!("https://{}/", super::HOST)).body(Full::default())
    }
}
