//! Answers in content codings: the secret is found in them as in any other.

use crate::bodies::pairings;
use crate::rig::{
    API, Bytes, OPEN, SECRET, STAND_IN, Setup, V, World, body, collect, ended, full, get, holds_secret, text, within,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use standin_model::limits::H2_UPSTREAM_STREAMS;
use std::fmt::Write as _;
use std::io::Write;

/// Every coding by name, two at once among them, and what puts it on: the parts flushed one by one, and the end.
pub const CODINGS: &[(&str, Encoder)] = &[
    ("identity", |parts| parts.iter().map(|part| part.to_vec()).chain([vec![]]).collect()),
    ("gzip", gzip),
    ("x-gzip", gzip),
    ("deflate", |parts| run(flate2::write::ZlibEncoder::new(vec![], fast()), |w| std::mem::take(w.get_mut()), parts)),
    ("deflate", |parts| {
        run(flate2::write::DeflateEncoder::new(vec![], fast()), |w| std::mem::take(w.get_mut()), parts)
    }),
    ("br", brotli),
    ("zstd", zstd),
    ("zstd, gzip", |parts| {
        let inner = zstd(parts);
        gzip(&inner.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }),
];

pub type Encoder = fn(&[&[u8]]) -> Vec<Vec<u8>>;

fn fast() -> flate2::Compression {
    flate2::Compression::fast()
}

fn gzip(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut writer = flate2::write::GzEncoder::new(vec![], fast());
    let mut chunks = flushed(&mut writer, |w| std::mem::take(w.get_mut()), parts);
    chunks.push(writer.finish().unwrap());
    chunks
}

fn brotli(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut writer = brotli::CompressorWriter::new(vec![], 4096, 3, 22);
    let mut chunks = flushed(&mut writer, |w| std::mem::take(w.get_mut()), parts);
    chunks.push(writer.into_inner());
    chunks
}

fn zstd(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut encoder = mzstd::Compressor::new(mzstd::EncoderConfig::default()).unwrap();
    let mut writer = encoder.writer(vec![], mzstd::StreamConfig::default());
    let mut at = 0;
    let mut chunks = Vec::new();
    for part in parts {
        writer.write_all(part).unwrap();
        writer.flush().unwrap();
        chunks.push(writer.get_ref()[at..].to_vec());
        at = writer.get_ref().len();
    }
    chunks.push(writer.finish().map_err(mzstd::io::FinishError::into_error).unwrap()[at..].to_vec());
    chunks
}

fn flushed<W: Write>(writer: &mut W, take: impl Fn(&mut W) -> Vec<u8>, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    parts
        .iter()
        .map(|part| {
            writer.write_all(part).unwrap();
            writer.flush().unwrap();
            take(writer)
        })
        .collect()
}

/// For writers that write their end when they are dropped, or told to before.
fn run<W: Write + Finish>(mut writer: W, take: impl Fn(&mut W) -> Vec<u8>, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut chunks = flushed(&mut writer, take, parts);
    chunks.push(writer.end());
    chunks
}

trait Finish {
    fn end(self) -> Vec<u8>;
}

impl Finish for flate2::write::ZlibEncoder<Vec<u8>> {
    fn end(self) -> Vec<u8> {
        self.finish().unwrap()
    }
}

impl Finish for flate2::write::DeflateEncoder<Vec<u8>> {
    fn end(self) -> Vec<u8> {
        self.finish().unwrap()
    }
}

/// A value in every encoding that is looked for, written without the code that looks for it.
pub fn forms(value: &str) -> Vec<String> {
    let each = |write: &dyn Fn(&mut String, u8)| {
        value.bytes().fold(String::new(), |mut text, byte| {
            write(&mut text, byte);
            text
        })
    };
    let mut forms = vec![
        value.to_owned(),
        value.chars().rev().collect(),
        each(&|text, byte| write!(text, "{byte:02x}").unwrap()),
        each(&|text, byte| write!(text, "{byte:02X}").unwrap()),
        each(&|text, byte| write!(text, "%{byte:02x}").unwrap()),
        each(&|text, byte| write!(text, "%{byte:02X}").unwrap()),
        each(&|text, byte| write!(text, "\\u{byte:04x}").unwrap()),
        each(&|text, byte| write!(text, "\\u{byte:04X}").unwrap()),
        value.replace('-', "%2D"),
        value.replace('-', "%2d"),
    ];
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for offset in 0..3 {
            // The characters at both ends say something about their neighbours too.
            let text = engine.encode([&b"xx"[..offset], value.as_bytes()].concat());
            let whole = (offset + value.len()) * 8 / 6;
            forms.push(text[(offset * 8).div_ceil(6)..whole].to_owned());
        }
    }
    forms
}

/// All forms of a value, with something between them.
fn told(value: &str) -> String {
    forms(value).iter().fold("begin".to_owned(), |text, form| format!("{text} <{form}>")) + " end"
}

/// What arrives is what was told, with the stand-in for the secret; of each form so much may show as SPECIFICATION.md
/// says, for where a chunk ends and nothing follows at once is a matter of time.
fn assert_clean(got: &str, context: &str) {
    let mut expected = told(STAND_IN);
    assert_eq!(expected.len(), told(SECRET).len());
    let mut at = "begin <".len();
    for (real, fake) in forms(SECRET).iter().zip(forms(STAND_IN)) {
        let shared = real.bytes().zip(fake.bytes()).take_while(|(a, b)| a == b).count();
        let shown = got.bytes().skip(at).zip(real.bytes()).take_while(|(a, b)| a == b).count().min(shared + 7);
        expected.replace_range(at..at + shown, &real[..shown]);
        at += real.len() + "> <".len();
    }
    assert_eq!(got, expected, "{context}");
    assert!(!holds_secret(got.as_bytes()), "{context}");
}

pairings! {
    every_encoding_in_every_coding_is_clean
    events_in_a_coding_are_not_delayed
    the_head_says_what_holds_of_what_arrives
    what_is_not_in_its_coding_is_an_error
    elsewhere_codings_pass_to_the_byte
    elsewhere_a_secret_in_a_coding_ends_the_answer
}

mod run {
    use super::*;

    pub async fn every_encoding_in_every_coding_is_clean(client: V, server: V) {
        let world = World::new().await;
        let mut asker = world.asker(API, client).await;
        let mut origin = None;
        let mut lines = Vec::new();
        let told = told(SECRET);
        for (coding, encoder) in CODINGS {
            let coded = encoder(&[told.as_bytes()]).concat();
            for size in [1, 2, 3, 7, coded.len()] {
                let answered = asker.ask(get("/"));
                if origin.is_none() {
                    origin = Some(world.origin.accept_requests(server).await);
                }
                let (mut download, response_body) = body();
                let response = Response::builder().header("content-encoding", *coding).body(response_body).unwrap();
                origin.as_mut().unwrap().recv().await.unwrap().answer(response);
                let response = answered.await.unwrap().unwrap();
                let arriving = tokio::spawn(collect(response.into_body()));
                for chunk in coded.chunks(size) {
                    download.send_data(Bytes::copy_from_slice(chunk)).await.unwrap();
                }
                drop(download);
                assert_clean(&arriving.await.unwrap().unwrap().0, &format!("{coding} by {size}"));
                lines.push(format!("{} GET / 200 completed in {}", client.name(), told.len()));
            }
        }
        drop(asker);
        world.finish(&lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    /// The next event is sent when the last one has arrived.
    pub async fn events_in_a_coding_are_not_delayed(client: V, server: V) {
        let events = ["data: a\n\n".to_owned(), format!("data: {SECRET}\n\n"), ": ping\n\n".to_owned()];
        let parts: Vec<_> = events.iter().map(String::as_bytes).collect();
        for (coding, encoder) in CODINGS {
            let world = World::new().await;
            let mut asker = world.asker(API, client).await;
            let answered = asker.ask(get("/events"));
            let mut origin = world.origin.accept_requests(server).await;
            let (mut download, response_body) = body();
            let response = Response::builder().header("content-encoding", *coding).body(response_body).unwrap();
            origin.recv().await.unwrap().answer(response);
            let mut arriving = answered.await.unwrap().unwrap().into_body();
            let mut chunks = encoder(&parts).into_iter();
            for event in &events {
                download.send_data(chunks.next().unwrap().into()).await.unwrap();
                let mut got = String::new();
                while got.len() < event.len() {
                    got.push_str(&text(&mut arriving).await);
                }
                assert_eq!(got, event.replace(SECRET, STAND_IN), "{coding}");
            }
            for chunk in chunks {
                download.send_data(chunk.into()).await.unwrap();
            }
            drop(download);
            ended(arriving).await;
            drop(asker);
            let total: usize = events.iter().map(String::len).sum();
            world.finish(&[&format!("{} GET /events 200 completed in {total}", client.name())]).await;
        }
    }

    /// Fields that are about the coded body are not about the plain one (RFC 9110 §8.8.3.3, RFC 9530).
    pub async fn the_head_says_what_holds_of_what_arrives(client: V, server: V) {
        let digests = ["content-digest", "repr-digest", "digest", "content-md5"];
        for method in [Method::GET, Method::HEAD] {
            for (host, coding, tag, expected) in [
                (API, Some("gzip"), "\"a\"", "W/\"a\""),
                (API, Some("gzip"), "W/\"a\"", "W/\"a\""),
                (API, None, "\"a\"", "\"a\""),
                (OPEN, None, "\"a\"", "\"a\""),
            ] {
                let world = World::new().await;
                let mut asker = world.asker(host, client).await;
                let answered =
                    asker.ask(Request::builder().method(&method).uri("/").body(crate::rig::empty()).unwrap());
                let mut origin = world.origin.accept_requests(server).await;
                let coded = if coding.is_some() { gzip(&[b"hello"]).concat() } else { b"hello".to_vec() };
                let mut response = Response::builder().header("etag", tag).header("accept-ranges", "bytes");
                for name in digests {
                    response = response.header(name, "sha-256=:AAAA:");
                }
                if let Some(coding) = coding {
                    response = response.header("content-encoding", coding);
                }
                response = response.header("content-length", coded.len());
                let coded = if method == Method::HEAD { crate::rig::empty() } else { full(coded) };
                origin.recv().await.unwrap().answer(response.body(coded).unwrap());
                let response = answered.await.unwrap().unwrap();
                let fields = response.headers().clone();
                let names = |name: &str| fields.get(name).map(|value| value.to_str().unwrap().to_owned());
                let context = format!("{method} {host} {coding:?}: {fields:?}");
                assert_eq!(names("etag").as_deref(), Some(expected), "{context}");
                assert_eq!(names("content-encoding"), None, "{context}");
                assert_eq!(names("content-length").as_deref(), coding.is_none().then_some("5"), "{context}");
                assert_eq!(names("accept-ranges").as_deref(), Some(if host == API { "none" } else { "bytes" }));
                for name in digests {
                    assert_eq!(names(name).is_some(), host == OPEN, "{context}");
                }
                let arrived = collect(response.into_body()).await.unwrap().0;
                assert_eq!(arrived, if method == Method::HEAD { "" } else { "hello" }, "{context}");
                drop(asker);
                world.end().await;
            }
        }
    }

    /// Cut off, or something else altogether: what could be read has arrived, and the end is not a clean one.
    pub async fn what_is_not_in_its_coding_is_an_error(client: V, server: V) {
        for (coding, encoder) in &CODINGS[1..] {
            let coded = encoder(&[b"hello, hello, hello"]).concat();
            let cut = coded[..coded.len() - 1].to_vec();
            for wrong in [cut, b"xyz, and nothing that could be meant".to_vec(), [&coded[..], b"!"].concat()] {
                let world = World::new().await;
                let mut asker = world.asker(API, client).await;
                let answered = asker.ask(get("/"));
                let mut origin = world.origin.accept_requests(server).await;
                let response = Response::builder().header("content-encoding", *coding).body(full(wrong)).unwrap();
                origin.recv().await.unwrap().answer(response);
                // The head may have been on its way, or not.
                if let Ok(response) = answered.await.unwrap() {
                    assert!(response.into_body().collect().await.is_err(), "{coding}");
                }
                drop(asker);
                let rows = world.end().await;
                assert_eq!(rows[0].outcome, "upstream_closed", "{rows:?}");
            }
        }
    }

    /// From a host without a grant what was asked for arrives as it was sent: whoever downloads has digests, and resumes.
    pub async fn elsewhere_codings_pass_to_the_byte(client: V, server: V) {
        let events = ["data: a\n\n".to_owned(), format!("data: {}\n\n", &SECRET[..10]), ": ping\n\n".to_owned()];
        let parts: Vec<_> = events.iter().map(String::as_bytes).collect();
        for (coding, encoder) in CODINGS {
            let world = World::new().await;
            let mut asker = world.asker(OPEN, client).await;
            let answered = asker.ask(get("/events"));
            let mut origin = world.origin.accept_requests(server).await;
            let (mut download, response_body) = body();
            let response = Response::builder()
                .header("content-encoding", *coding)
                .header("etag", "\"a\"")
                .header("content-digest", "sha-256=:AAAA:")
                .body(response_body)
                .unwrap();
            origin.recv().await.unwrap().answer(response);
            let response = answered.await.unwrap().unwrap();
            for (name, value) in
                [("content-encoding", *coding), ("etag", "\"a\""), ("content-digest", "sha-256=:AAAA:")]
            {
                assert_eq!(response.headers()[name], value);
            }
            let mut arriving = response.into_body();
            let mut total = 0;
            // In lock step: a chunk is not held up by what its end may be the beginning of.
            for chunk in encoder(&parts) {
                total += chunk.len();
                download.send_data(chunk.clone().into()).await.unwrap();
                let mut got = Vec::new();
                while got.len() < chunk.len() {
                    got.extend(arriving.frame().await.unwrap().unwrap().into_data().unwrap());
                }
                assert!(got == chunk, "{coding}");
            }
            drop(download);
            ended(arriving).await;
            drop(asker);
            world.finish(&[&format!("{} GET /events 200 completed in {total}", client.name())]).await;
        }
    }

    /// A secret cannot be taken out of what must not change, so the answer ends before it.
    pub async fn elsewhere_a_secret_in_a_coding_ends_the_answer(client: V, server: V) {
        let parts = ["data: a\n\n".to_owned(), format!("data: {SECRET}\n\n"), "data: b\n\n".repeat(99)];
        let parts: Vec<_> = parts.iter().map(String::as_bytes).collect();
        for (coding, encoder) in &CODINGS[1..] {
            let chunks = encoder(&parts);
            let coded = chunks.concat();
            for size in [1, 2, 3, 7, coded.len()] {
                let world = World::new().await;
                let mut asker = world.asker(OPEN, client).await;
                let answered = asker.ask(get("/"));
                let mut origin = world.origin.accept_requests(server).await;
                let (mut download, response_body) = body();
                let response = Response::builder().header("content-encoding", *coding).body(response_body).unwrap();
                origin.recv().await.unwrap().answer(response);
                let mut got = Vec::new();
                let sending = async {
                    for chunk in coded.chunks(size) {
                        if download.send_data(Bytes::copy_from_slice(chunk)).await.is_err() {
                            break;
                        }
                    }
                    drop(download);
                };
                let receiving = async {
                    let Ok(response) = answered.await.unwrap() else { return };
                    let mut body = response.into_body();
                    while let Some(frame) = body.frame().await {
                        let Ok(frame) = frame else { return };
                        got.extend(frame.into_data().unwrap());
                    }
                    panic!("{coding} by {size}: a clean end");
                };
                tokio::join!(sending, receiving);
                assert!(got.len() < chunks[0].len() + chunks[1].len(), "{coding} by {size}: {} bytes", got.len());
                assert!(!holds_secret(&got), "{coding} by {size}: {}", got.escape_ascii());
                // What a client makes of it.
                let decoded = match *coding {
                    "gzip" => {
                        let mut decoder = flate2::write::GzDecoder::new(vec![]);
                        decoder.write_all(&got).unwrap();
                        decoder.flush().unwrap();
                        decoder.get_ref().clone()
                    }
                    "br" => {
                        let mut decoder = brotli::DecompressorWriter::new(vec![], 4096);
                        decoder.write_all(&got).unwrap();
                        decoder.flush().unwrap();
                        decoder.get_ref().clone()
                    }
                    _ => vec![],
                };
                assert!(!holds_secret(&decoded), "{coding} by {size}: {}", decoded.escape_ascii());
                drop(asker);
                world.finish(&[&format!("{} GET / 200 scrub.unsupported_coding", client.name())]).await;
            }
        }
    }
}

/// A beginning that waits, and then chunk after chunk that decodes to nothing: the answer ends, nothing is gathered.
#[tokio::test]
async fn what_decodes_to_nothing_is_not_gathered() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(OPEN, V::H1).await;
        let answered = asker.ask(get("/"));
        let mut origin = world.origin.accept_requests(V::H1).await;
        let (mut download, response_body) = body();
        let response = Response::builder().header("content-encoding", "gzip").body(response_body).unwrap();
        origin.recv().await.unwrap().answer(response);
        let receiving = tokio::spawn(async move { collect(answered.await.unwrap().unwrap().into_body()).await });
        download.send_data(gzip(&[&SECRET.as_bytes()[..20]]).remove(0).into()).await.unwrap();
        // An empty stored block (RFC 1951 §3.2.4), as often as it is taken.
        while download.send_data(Bytes::from_static(&[0, 0, 0, 0xff, 0xff])).await.is_ok() {}
        assert!(receiving.await.unwrap().is_err());
        drop(asker);
        world.finish(&["h1 GET / 200 scrub.unsupported_coding"]).await;
    })
    .await;
}

/// Where the coding is a lie, or holds a secret beside its content, the bytes are searched as they are.
#[tokio::test]
async fn coded_bytes_from_elsewhere_are_searched_too() {
    within(async {
        let commented = |comment: &str| {
            let builder = flate2::GzBuilder::new().comment(comment);
            let mut writer = builder.write(vec![], fast());
            writer.write_all(b"hello").unwrap();
            writer.finish().unwrap()
        };
        let plain = |value: &str| format!("this is not gzip but {value}, plainly").into_bytes();
        for (told, arrives) in [(commented(SECRET), commented(STAND_IN)), (plain(SECRET), plain(STAND_IN))] {
            let world = World::new().await;
            let mut asker = world.asker(OPEN, V::H1).await;
            let answered = asker.ask(get("/"));
            let mut origin = world.origin.accept_requests(V::H1).await;
            let response = Response::builder().header("content-encoding", "gzip").body(full(told)).unwrap();
            origin.recv().await.unwrap().answer(response);
            let got = answered.await.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes();
            assert_eq!(got.escape_ascii().to_string(), arrives.escape_ascii().to_string());
            drop(asker);
            world.finish(&[&format!("h1 GET / 200 completed in {}", arrives.len())]).await;
        }
    })
    .await;
}

/// A gRPC message says how long it is before it is read, so it can be rewritten only in its length.
#[tokio::test]
async fn grpc_needs_stand_ins_as_long_as_their_secrets() {
    within(async {
        for (stand_in, status) in [(STAND_IN, 200), ("sk-standin-of-another-length", 502)] {
            let world = World::with(Setup { stand_in, ..Setup::default() }).await;
            let mut asker = world.asker(API, V::H2).await;
            let answered = asker.ask(get("/"));
            let mut origin = world.origin.accept_requests(V::H2).await;
            let response =
                Response::builder().header("content-type", "application/grpc+proto").body(full("x")).unwrap();
            origin.recv().await.unwrap().answer(response);
            assert_eq!(answered.await.unwrap().unwrap().status(), status);
            drop(asker);
            world.end().await;
        }
    })
    .await;
}

/// A digest may come behind the body (RFC 9530 §2), and is no truer there.
#[tokio::test]
async fn digests_in_trailers_are_dropped_where_bodies_are_rewritten() {
    within(async {
        for (host, kept) in [(API, false), (OPEN, true)] {
            let world = World::new().await;
            let mut asker = world.asker(host, V::H2).await;
            let answered = asker.ask(Request::get("/").header("te", "trailers").body(crate::rig::empty()).unwrap());
            let mut origin = world.origin.accept_requests(V::H2).await;
            let (mut download, response_body) = body();
            origin.recv().await.unwrap().answer(Response::new(response_body));
            download.send_data("x".into()).await.unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("repr-digest", "sha-256=:AAAA:".parse().unwrap());
            trailers.insert("x-end", "1".parse().unwrap());
            download.send_trailers(trailers).await.unwrap();
            drop(download);
            let (_, trailers) = collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
            assert_eq!((trailers.contains_key("repr-digest"), trailers.contains_key("x-end")), (kept, true));
            drop(asker);
            world.finish(&["h2 GET / 200 completed in 1"]).await;
        }
    })
    .await;
}

/// A decoder may take a large window, so there is an end to how many run at once.
#[tokio::test]
async fn decoders_are_bounded() {
    within(async {
        let world = World::new().await;
        let mut open = Vec::new();
        for (host, asked) in [(API, 128), (OPEN, 129)] {
            let mut asker = world.asker(host, V::H2).await;
            let mut origin = None;
            for number in 0..asked {
                let answered = asker.ask(get("/"));
                if number % H2_UPSTREAM_STREAMS == 0 {
                    origin = Some(world.origin.accept_requests(V::H2).await);
                }
                let (download, response_body) = body();
                let response = Response::builder().header("content-encoding", "br").body(response_body).unwrap();
                origin.as_mut().unwrap().recv().await.unwrap().answer(response);
                let response = answered.await.unwrap().unwrap();
                let passes = open.len() < 256;
                assert_eq!(response.status(), if passes { 200 } else { 502 }, "{}", open.len());
                open.push((response, download));
            }
        }
        drop(open);
        world.end().await;
    })
    .await;
}

/// What cannot be read cannot be searched: at a host with a grant it is refused, elsewhere it passes.
#[tokio::test]
async fn unknown_codings_are_refused_where_a_secret_may_be_in_them() {
    within(async {
        for (host, method, fields, passes) in [
            (API, "GET", "Content-Encoding: compress\r\nContent-Length: 3\r\n\r\nxyz", false),
            (API, "GET", "Content-Encoding: identity\r\nContent-Encoding: dcb\r\nContent-Length: 3\r\n\r\nxyz", false),
            (API, "GET", "Content-Encoding: gzip, rot13\r\nContent-Length: 3\r\n\r\nxyz", false),
            (API, "GET", "Content-Encoding: gzip, gzip, gzip\r\nContent-Length: 3\r\n\r\nxyz", false),
            (API, "GET", "Content-Encoding: identity\r\nContent-Length: 3\r\n\r\nxyz", true),
            (API, "GET", "Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n", false),
            (API, "GET", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n", false),
            (API, "GET", "gRPC-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz", false),
            (API, "GET", "gRPC-Encoding: identity\r\nContent-Length: 3\r\n\r\nxyz", true),
            (API, "GET", "Connect-Content-Encoding: br\r\nContent-Length: 3\r\n\r\nxyz", false),
            (API, "HEAD", "Content-Encoding: compress\r\nContent-Length: 3\r\n\r\n", true),
            (OPEN, "GET", "Content-Encoding: compress\r\nContent-Length: 3\r\n\r\nxyz", true),
            (OPEN, "GET", "gRPC-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz", true),
        ] {
            let world = World::new().await;
            let mut asker = world.asker(host, V::H1).await;
            let answered = asker.ask(Request::builder().method(method).uri("/").body(crate::rig::empty()).unwrap());
            let mut origin = world.origin.accept().await;
            origin.head().await;
            origin.send(format!("HTTP/1.1 200 OK\r\n{fields}")).await;
            let response = answered.await.unwrap().unwrap();
            let status = response.status();
            let body = collect(response.into_body()).await.unwrap().0;
            drop(asker);
            if passes {
                let expected = if method == "HEAD" { "" } else { "xyz" };
                assert_eq!((status.as_u16(), body.as_str()), (200, expected), "{fields}");
                world.end().await;
            } else {
                assert!(body.contains("scrub.unsupported_coding"), "{fields}: {body}");
                world.finish(&[&format!("h1 {method} / 502 scrub.unsupported_coding")]).await;
            }
        }
    })
    .await;
}
