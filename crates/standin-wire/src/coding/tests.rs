use super::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

/// What a client may be sent, and what puts it on. Bare deflate goes by the name of zlib.
const ENCODERS: &[(&str, Encoder)] = &[
    ("gzip", |parts| run(|sink| flate2::write::GzEncoder::new(sink, flate2::Compression::fast()), parts)),
    ("deflate", |parts| run(|sink| flate2::write::ZlibEncoder::new(sink, flate2::Compression::fast()), parts)),
    ("deflate", |parts| run(|sink| flate2::write::DeflateEncoder::new(sink, flate2::Compression::fast()), parts)),
    ("br", |parts| run(|sink| brotli::CompressorWriter::new(sink, 4096, 3, 22), parts)),
    ("zstd", zstd),
];

/// Encodes parts, each flushed; the end is in a chunk of its own.
type Encoder = fn(&[&[u8]]) -> Vec<Vec<u8>>;

#[derive(Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Dropping the writer ends the coding.
fn run<W: Write>(writer: impl FnOnce(Sink) -> W, parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let sink = Sink::default();
    let mut writer = writer(sink.clone());
    let mut chunks = Vec::new();
    for part in parts {
        writer.write_all(part).unwrap();
        writer.flush().unwrap();
        chunks.push(sink.0.take());
    }
    drop(writer);
    chunks.push(sink.0.take());
    chunks
}

fn zstd(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let sink = Sink::default();
    let mut encoder = mzstd::Compressor::new(mzstd::EncoderConfig::default().with_checksum(true)).unwrap();
    let mut writer = encoder.writer(sink.clone(), mzstd::StreamConfig::default());
    let mut chunks = Vec::new();
    for part in parts {
        writer.write_all(part).unwrap();
        writer.flush().unwrap();
        chunks.push(sink.0.take());
    }
    writer.finish().map_err(mzstd::io::FinishError::into_error).unwrap();
    chunks.push(sink.0.take());
    chunks
}

fn named(names: &str) -> Vec<Coding> {
    codings([names.as_bytes()].into_iter()).unwrap()
}

/// All that comes out before another chunk is needed.
fn drain(decoder: &mut Decoder) -> Result<Vec<u8>, CodingError> {
    let mut all = Vec::new();
    while let Some(piece) = decoder.next()? {
        assert!(!piece.is_empty() && piece.len() <= PIECE);
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

fn decode<'a>(names: &str, chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, CodingError> {
    let mut decoder = Decoder::new(&named(names));
    let mut all = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        all.extend(drain(&mut decoder)?);
    }
    decoder.finish().map(|()| all)
}

/// Some text, some noise, longer than a piece and than what decoders hold.
fn sample() -> Vec<u8> {
    let mut noise = 1u32;
    let mut sample = b"data: hello\n\n".repeat(9000);
    for _ in 0..70_000 {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        sample.push((noise >> 24) as u8);
    }
    sample
}

#[test]
fn what_was_put_on_is_taken_off_in_chunks_of_any_size() {
    let sample = sample();
    for (name, encoder) in ENCODERS {
        let coded = encoder(&[&sample]).concat();
        for size in [1, 2, 3, 7, 1000, coded.len()] {
            assert!(decode(name, coded.chunks(size)).unwrap() == sample, "{name} by {size}");
        }
    }
}

#[test]
fn two_codings_are_taken_off() {
    let sample = sample();
    for (inner, inner_encoder) in ENCODERS {
        for (outer, outer_encoder) in ENCODERS {
            let coded = outer_encoder(&[&inner_encoder(&[&sample]).concat()]).concat();
            let names = format!("{inner}, {outer}");
            assert!(decode(&names, coded.chunks(1000)).unwrap() == sample, "{names}");
        }
    }
}

#[test]
fn what_is_flushed_comes_out() {
    let long = "x".repeat(3 * PIECE);
    let events = ["data: a\n\n", "", "data: bb\n\n", &long, ": ping\n\n"].map(str::as_bytes);
    for (name, encoder) in ENCODERS {
        let mut decoder = Decoder::new(&named(name));
        let chunks = encoder(&events);
        for (event, chunk) in events.iter().zip(&chunks) {
            decoder.push(Bytes::copy_from_slice(chunk));
            assert!(drain(&mut decoder).unwrap() == *event, "{name}: {}", event.escape_ascii());
        }
        decoder.push(Bytes::copy_from_slice(&chunks[events.len()]));
        assert_eq!(drain(&mut decoder).unwrap(), b"");
        decoder.finish().unwrap();
    }
}

#[test]
fn a_body_that_ends_early_is_an_error_and_one_without_a_byte_is_empty() {
    for (name, encoder) in ENCODERS {
        let coded = encoder(&[b"hello, hello, hello"]).concat();
        for cut in 1..coded.len() {
            assert!(decode(name, [&coded[..cut]]).is_err(), "{name} cut at {cut} of {}", coded.len());
        }
        assert_eq!(decode(name, [&coded[..]]).unwrap(), b"hello, hello, hello");
        assert_eq!(decode(name, []).unwrap(), b"");
    }
}

#[test]
fn what_follows_the_end_is_an_error_unless_it_begins_again() {
    for (name, encoder) in ENCODERS {
        let coded = encoder(&[b"hello"]).concat();
        for rest in [&b"\0"[..], b"x", b"hello, hello"] {
            assert!(decode(name, [&coded[..], rest]).is_err(), "{name}");
            assert!(decode(name, [&[&coded[..], rest].concat()[..]]).is_err(), "{name}");
        }
        let twice = [&coded[..], &coded[..]].concat();
        for size in [1, coded.len(), twice.len()] {
            match (*name, decode(name, twice.chunks(size))) {
                ("gzip" | "zstd", twice) => assert_eq!(twice.unwrap(), b"hellohello"),
                (_, twice) => assert!(twice.is_err(), "{name}"),
            }
        }
    }
}

/// A checksum that does not fit is an error, where the coding has one.
#[test]
fn what_was_changed_is_an_error() {
    for (name, encoder) in [ENCODERS[0], ENCODERS[1], ENCODERS[4]] {
        let mut coded = encoder(&[b"hello"]).concat();
        *coded.last_mut().unwrap() ^= 1;
        assert!(decode(name, [&coded[..]]).is_err(), "{name}");
    }
}

/// 16 MiB from a few bytes: it comes in pieces, as fast as they are asked for, and nothing is gathered.
#[test]
fn what_unfolds_comes_in_pieces() {
    let zeros = vec![0; 1 << 20];
    for (name, encoder) in ENCODERS {
        let coded = encoder(&[&zeros[..]; 16]).concat();
        assert!(coded.len() < 1 << 20, "{name}: {} bytes", coded.len());
        let mut decoder = Decoder::new(&named(name));
        decoder.push(coded.into());
        let mut total = 0;
        while let Some(piece) = decoder.next().unwrap() {
            assert!(piece.len() <= PIECE);
            total += piece.len();
        }
        decoder.finish().unwrap();
        assert_eq!(total, 16 << 20, "{name}");
    }
}

#[test]
fn a_window_larger_than_the_coding_allows_is_an_error() {
    let window = |log| {
        let params = mzstd::CompressionParams::default().with_window_log(log);
        let mut encoder = mzstd::Compressor::new(mzstd::EncoderConfig::default().with_params(params)).unwrap();
        let mut writer = encoder.writer(Vec::new(), mzstd::StreamConfig::default());
        writer.write_all(b"hello").unwrap();
        writer.flush().unwrap();
        let frame = writer.finish().map_err(mzstd::io::FinishError::into_error).unwrap();
        decode("zstd", [&frame[..]])
    };
    assert_eq!(window(23).unwrap(), b"hello");
    assert!(window(24).is_err());
}

#[test]
fn codings_are_read_from_fields() {
    use Coding::{Brotli, Deflate, Gzip, Zstd};
    for (fields, expected) in [
        (&[][..], Some(vec![])),
        (&["identity"], Some(vec![])),
        (&["", " , "], Some(vec![])),
        (&["gzip"], Some(vec![Gzip])),
        (&["X-GZip"], Some(vec![Gzip])),
        (&["identity, br"], Some(vec![Brotli])),
        (&["deflate,\tzstd"], Some(vec![Deflate, Zstd])),
        (&["zstd", "gzip"], Some(vec![Zstd, Gzip])),
        (&["gzip, gzip, gzip"], None),
        (&["compress"], None),
        (&["dcb"], None),
        (&["gzip;q=1"], None),
        (&["gzip", "rot13"], None),
    ] {
        assert_eq!(codings(fields.iter().map(|field| field.as_bytes())), expected, "{fields:?}");
    }
}

proptest! {
    /// Whatever comes, however it is cut, there is an end to it and no panic.
    #[test]
    fn anything_is_survived(
        number in 0usize..5,
        valid in 0usize..60,
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        size in 1usize..20,
    ) {
        let (name, encoder) = ENCODERS[number];
        let coded = encoder(&[b"hello, hello, hello, hello"]).concat();
        let all = [&coded[..valid.min(coded.len())], &bytes[..]].concat();
        let mut decoder = Decoder::new(&named(name));
        for chunk in all.chunks(size) {
            decoder.push(Bytes::copy_from_slice(chunk));
            // What was broken stays broken, and asking again is no harm.
            while let Ok(Some(_)) = decoder.next() {}
        }
        drop(decoder.finish());
    }
}
