//! AWS as far as clients need it: Amazon S3, DynamoDB and STS, which take no request whose signature they do not find again.
//!
//! The signature is computed here from the published algorithm ("Signature Version 4 signing process", and for chunks Amazon S3's
//! "sigv4-streaming"), not by any SDK's code.

use super::{Body, reply};
use crate::Seen;
use aws_lc_rs::{digest, hmac};
use http::Response;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// The one key's name.
pub const KEY: &str = "AKIACANARYCANARY2345";
/// Its secret.
pub const SECRET: &str = "Canary/Aws+Canary0Canary1Canary2Canary34";
/// A temporary key's name; its secret is the same.
pub const TEMPORARY: &str = "ASIACANARYCANARY2345";
/// The token that goes with it.
pub const TOKEN: &str =
    "CanaryAwsToken//////////wEaCXVzLWVhc3QtMSJHMEUCIQCanaryAwsTokenCanaryAwsTokenCanaryAwsTokenCanary+Canary==";

/// What is kept: objects by bucket and key, and parts of uploads.
#[derive(Default)]
pub struct Objects(Mutex<BTreeMap<String, Vec<u8>>>);

/// A request's signature, taken apart.
struct Signature<'a> {
    key: String,
    date: String,
    scope: String,
    region: String,
    service: String,
    signed: Vec<String>,
    made: String,
    token: Option<String>,
    time: String,
    presigned: bool,
    seen: &'a Seen,
}

/// Whether a request says that it is signed.
pub(super) fn is_signed(seen: &Seen) -> bool {
    seen.header("authorization").is_some_and(|value| value.starts_with("AWS4-"))
        || seen.target.contains("X-Amz-Signature=")
}

/// Answers a signed request.
pub(super) fn answer(objects: &Objects, seen: &Seen, body: &[u8]) -> Response<Body> {
    let verified = Signature::read(seen).ok_or_else(|| "malformed".to_owned()).and_then(|signature| {
        let decoded = signature.verify(body)?;
        Ok((signature.service, decoded))
    });
    match verified {
        Err(why) => {
            let text = why.replace('&', "&amp;").replace('<', "&lt;");
            reply(
                403,
                "application/xml",
                format!("<Error><Code>SignatureDoesNotMatch</Code><Message>{text}</Message></Error>"),
            )
        }
        Ok((service, body)) if service == "s3" => objects.answer(seen, body),
        Ok((service, _)) if service == "dynamodb" => {
            reply(200, "application/x-amz-json-1.0", r#"{"Item":{"id":{"S":"1"},"text":{"S":"an item"}}}"#)
        }
        Ok(_) => reply(
            200,
            "text/xml",
            concat!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>",
                "<Arn>arn:aws:iam::123456789012:user/dev</Arn><UserId>AIDA</UserId><Account>123456789012</Account>",
                "</GetCallerIdentityResult></GetCallerIdentityResponse>"
            ),
        ),
    }
}

impl Objects {
    fn answer(&self, seen: &Seen, body: Vec<u8>) -> Response<Body> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let bucket = seen.host.split('.').next().unwrap_or_default();
        let name = format!("{bucket}{}", decode(path));
        let parameter =
            |wanted: &str| pairs(query).into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let xml = |text: String| reply(200, "application/xml", text);
        match (seen.method.as_str(), parameter("uploadId"), parameter("partNumber")) {
            ("POST", None, _) if parameter("uploads").is_some() => {
                xml("<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>".to_owned())
            }
            ("PUT", Some(id), Some(part)) => {
                kept.insert(format!("{name}\0{id}\0{part:>5}"), body);
                with_tag(reply(200, "text/plain", ""))
            }
            ("POST", Some(id), _) => {
                let prefix = format!("{name}\0{id}\0");
                let whole: Vec<u8> = kept
                    .range(prefix.clone()..)
                    .take_while(|(part, _)| part.starts_with(&prefix))
                    .flat_map(|(_, data)| data.clone())
                    .collect();
                kept.insert(name, whole);
                xml("<CompleteMultipartUploadResult><ETag>\"t\"</ETag></CompleteMultipartUploadResult>".to_owned())
            }
            ("PUT", ..) => {
                kept.insert(name, body);
                with_tag(reply(200, "text/plain", ""))
            }
            ("GET", ..) if path == "/" => {
                let prefix = format!("{bucket}/");
                let listed = kept.iter().filter(|(name, _)| name.starts_with(&prefix) && !name.contains('\0'));
                let keys = listed.fold(String::new(), |mut text, (name, data)| {
                    let (key, size) = (&name[prefix.len()..], data.len());
                    write!(text, "<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified><Size>{size}</Size></Contents>")
                        .expect("a string takes everything");
                    text
                });
                xml(format!("<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"))
            }
            ("GET" | "HEAD", ..) => match kept.get(&name) {
                Some(data) => part_of(data, seen.header("range")),
                None => reply(404, "application/xml", "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"),
            },
            _ => reply(204, "text/plain", ""),
        }
    }
}

fn part_of(data: &[u8], range: Option<&str>) -> Response<Body> {
    let bounds = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) = bounds else { return with_tag(reply(200, "binary/octet-stream", data.to_vec())) };
    let first: usize = first.parse().unwrap_or_default();
    let last = last.parse().unwrap_or(usize::MAX).min(data.len().saturating_sub(1));
    let mut response = with_tag(reply(206, "binary/octet-stream", data[first..=last].to_vec()));
    let content_range = format!("bytes {first}-{last}/{}", data.len());
    response.headers_mut().insert("content-range", content_range.parse().expect("digits are a value"));
    response
}

fn with_tag(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert("etag", http::HeaderValue::from_static("\"t\""));
    headers.insert("last-modified", http::HeaderValue::from_static("Mon, 01 Jan 2024 00:00:00 GMT"));
    response
}

impl<'a> Signature<'a> {
    fn read(seen: &'a Seen) -> Option<Self> {
        let query = pairs(seen.target.split_once('?').map_or("", |(_, query)| query));
        let in_query = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let presigned = in_query("X-Amz-Signature").is_some();
        let part = |name: &str| {
            let header = seen.header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
            let parts = header.split(',').filter_map(|part| part.trim().split_once('='));
            parts.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
        };
        let (credential, signed, signature, time, token) = if presigned {
            let value = |name: &str| in_query(&format!("X-Amz-{name}"));
            (value("Credential"), value("SignedHeaders"), value("Signature"), value("Date"), value("Security-Token"))
        } else {
            let field = |name: &str| seen.header(name).map(str::to_owned);
            (
                part("Credential"),
                part("SignedHeaders"),
                part("Signature"),
                field("x-amz-date"),
                field("x-amz-security-token"),
            )
        };
        let credential = credential?;
        let (key, scope) = credential.split_once('/')?;
        let [date, region, service, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else { return None };
        Some(Self {
            key: key.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            scope: scope.to_owned(),
            signed: signed?.split(';').map(str::to_owned).collect(),
            made: signature?,
            time: time?,
            token,
            presigned,
            seen,
        })
    }

    /// The body, without its chunks, or why the signature is not this one's.
    fn verify(&self, body: &[u8]) -> Result<Vec<u8>, String> {
        let token = (self.key == TEMPORARY).then_some(TOKEN);
        if ![KEY, TEMPORARY].contains(&self.key.as_str()) || self.token.as_deref() != token {
            return Err(format!("unknown key {}", self.key));
        }
        let told = self.seen.header("x-amz-content-sha256");
        let hash = sha256(body);
        let content = match told {
            Some(told) => told,
            None if self.presigned && self.service == "s3" => "UNSIGNED-PAYLOAD",
            None => &hash,
        };
        if content.len() == 64 && content != hash {
            return Err("XAmzContentSHA256Mismatch".to_owned());
        }
        let canonical = self.canonical(content);
        let text = format!("AWS4-HMAC-SHA256\n{}\n{}\n{}", self.time, self.scope, sha256(canonical.as_bytes()));
        let wanted = self.sign(&text);
        if wanted != self.made {
            return Err(canonical);
        }
        let unsigned = self
            .seen
            .headers
            .iter()
            .map(|(name, _)| name)
            .find(|name| name.starts_with("x-amz-") && !self.signed.contains(name));
        match (unsigned, content) {
            (Some(name), _) => Err(format!("{name} is not signed")),
            (None, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") => self.chunks(body, &wanted, false),
            (None, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") => self.chunks(body, &wanted, true),
            (None, "STREAMING-UNSIGNED-PAYLOAD-TRAILER") => unsigned_chunks(body).ok_or_else(|| "chunks".to_owned()),
            (None, _) => Ok(body.to_vec()),
        }
    }

    fn canonical(&self, content: &str) -> String {
        let (path, query) = self.seen.target.split_once('?').unwrap_or((&self.seen.target, ""));
        let path = if self.service == "s3" { encode(&decode(path), true) } else { encode(path, true) };
        let mut query: Vec<_> = pairs(query)
            .into_iter()
            .filter(|(name, _)| !self.presigned || name != "X-Amz-Signature")
            .map(|(name, value)| (encode(&name, false), encode(&value, false)))
            .collect();
        query.sort();
        let query: Vec<_> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut text = format!("{}\n{path}\n{}\n", self.seen.method, query.join("&"));
        let one_blank = |value: &str| value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        for name in &self.signed {
            let lines = self.seen.headers.iter().filter(|(known, _)| known == name);
            let mut values: Vec<_> = lines.map(|(_, value)| one_blank(value)).collect();
            if name == "host" && values.is_empty() {
                values.push(self.seen.host.clone()); // in HTTP/2 it is no field
            }
            writeln!(text, "{name}:{}", values.join(",")).expect("a string takes everything");
        }
        write!(text, "\n{}\n{content}", self.signed.join(";")).expect("a string takes everything");
        text
    }

    fn sign(&self, text: &str) -> String {
        let steps = [self.date.as_str(), &self.region, &self.service, "aws4_request"];
        let first = format!("AWS4{SECRET}").into_bytes();
        let key = steps.iter().fold(first, |key, step| mac(&key, step.as_bytes()));
        hex(&mac(&key, text.as_bytes()))
    }

    /// Takes signed chunks apart: each is signed with the signature before it.
    fn chunks(&self, mut body: &[u8], seed: &str, trailer: bool) -> Result<Vec<u8>, String> {
        let (mut last, mut whole) = (seed.to_owned(), Vec::new());
        loop {
            let (line, rest) = line(body).ok_or("a chunk's line")?;
            let (size, signature) = line.split_once(";chunk-signature=").ok_or("a chunk's signature")?;
            let size = usize::from_str_radix(size, 16).map_err(|_| "a chunk's size")?;
            let data = rest.get(..size).ok_or("a chunk's data")?;
            let text = format!(
                "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{last}\n{}\n{}",
                self.time,
                self.scope,
                sha256(b""),
                sha256(data)
            );
            last = self.sign(&text);
            if last != signature {
                return Err("a chunk's signature is another".to_owned());
            }
            whole.extend_from_slice(data);
            body = &rest[size..];
            if size == 0 {
                break;
            }
            body = body.strip_prefix(b"\r\n").ok_or("a chunk's end")?;
        }
        if !trailer {
            return if body == b"\r\n" { Ok(whole) } else { Err("bytes behind the end".to_owned()) };
        }
        let mut fields = String::new();
        loop {
            let (line, rest) = line(body).ok_or("the trailer")?;
            body = rest;
            if let Some(signature) = line.strip_prefix("x-amz-trailer-signature:") {
                let text = format!(
                    "AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{last}\n{}",
                    self.time,
                    self.scope,
                    sha256(fields.as_bytes())
                );
                let good = self.sign(&text) == signature && body == b"\r\n";
                return if good { Ok(whole) } else { Err("the trailer's signature is another".to_owned()) };
            }
            fields.push_str(line);
            fields.push('\n');
        }
    }
}

fn unsigned_chunks(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let (line, rest) = line(body)?;
        let size = usize::from_str_radix(line, 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(rest.get(..size)?);
        body = rest[size..].strip_prefix(b"\r\n")?;
    }
}

fn line(body: &[u8]) -> Option<(&str, &[u8])> {
    let end = body.windows(2).position(|pair| pair == b"\r\n")?;
    Some((std::str::from_utf8(&body[..end]).ok()?, &body[end + 2..]))
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escape = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|d| u8::from_str_radix(d, 16).ok());
        if let (b'%', Some(byte)) = (first, escape) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encode(text: &str, is_path: bool) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (is_path && byte == b'/') {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a string takes everything");
        }
        out
    })
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn sha256(data: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, data).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Amazon S3's reference ("Authenticating Requests", GET Object): the canonical request as it is printed there.
    #[test]
    fn the_canonical_request_is_the_published_one() {
        let empty = sha256(b"");
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=0",
            ),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", &empty),
            ("x-amz-date", "20130524T000000Z"),
        ];
        let seen = Seen {
            host: "examplebucket.s3.amazonaws.com".into(),
            version: "HTTP/1.1".into(),
            method: "GET".into(),
            target: "/test.txt".into(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: String::new(),
        };
        let canonical = Signature::read(&seen).unwrap().canonical(&empty);
        assert_eq!(sha256(canonical.as_bytes()), "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972");
    }
}
