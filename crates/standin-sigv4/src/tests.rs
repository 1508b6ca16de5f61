//! AWS's published examples, and what a signature must not survive.

use crate::chunks::Chunks;
use crate::*;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A request, as a test writes it down.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    host: String,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
}

impl Sent {
    fn new(method: &str, host: &str, target: &str, fields: &[(&str, &str)]) -> Self {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_str(host).unwrap());
        for (name, value) in fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let query = query.map(str::to_owned);
        Self { method: method.to_owned(), host: host.to_owned(), path: path.to_owned(), query, headers }
    }

    fn message(&self) -> Message<'_> {
        Message {
            method: &self.method,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
        }
    }

    /// What comes of reading and verifying it.
    fn judged(&self, keys: &Keys, content: &str, style: Style) -> Result<Claim, Error> {
        let claim = Claim::read(&self.message())?.ok_or(Error::Malformed("signature"))?;
        claim.verify(&self.message(), keys, content, style)?;
        Ok(claim)
    }
}

/// The keys of AWS's examples.
fn example() -> Keys {
    Keys::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
}

fn example_of_s3() -> Keys {
    Keys::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None)
}

fn authorization(scope: &str, signed: &str, signature: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={scope}/aws4_request, SignedHeaders={signed}, Signature={signature}")
}

/// From the suite that comes with AWS's SDKs.
#[test]
fn the_published_suite_verifies() {
    let scope = "AKIDEXAMPLE/20150830/us-east-1/service";
    let date = ("x-amz-date", "20150830T123600Z");
    for (target, fields, signed, signature) in [
        ("/", &[][..], "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "/",
            &[("my-header1", "value1"), ("my-header2", "\"a   b   c\"")],
            "host;my-header1;my-header2;x-amz-date",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
    ] {
        let authorization = authorization(scope, signed, signature);
        let mut all = vec![date, ("authorization", &authorization)];
        all.extend(fields);
        let sent = Sent::new("GET", "example.amazonaws.com", target, &all);
        sent.judged(&example(), EMPTY, Style::Usual).unwrap();
    }
}

/// From the reference of Amazon S3's API ("Authenticating Requests").
#[test]
fn the_examples_of_s3_verify() {
    let scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3";
    let get = authorization(
        scope,
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    );
    let fields = [
        ("range", "bytes=0-9"),
        ("x-amz-content-sha256", EMPTY),
        ("x-amz-date", "20130524T000000Z"),
        ("authorization", &*get),
    ];
    let sent = Sent::new("GET", "examplebucket.s3.amazonaws.com", "/test.txt", &fields);
    let claim = sent.judged(&example_of_s3(), EMPTY, Style::Objects).unwrap();
    assert_eq!(claim.payload(true), Ok(Payload::Hash(EMPTY.to_owned())));
    let presigned = format!(
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}%2Faws4_request&X-Amz-Date=20130524T000000Z\
         &X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        scope.replace('/', "%2F")
    );
    let sent = Sent::new("GET", "examplebucket.s3.amazonaws.com", &presigned, &[]);
    let claim = sent.judged(&example_of_s3(), UNSIGNED, Style::Objects).unwrap();
    let made = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
    assert_eq!(claim.payload(true), Ok(Payload::Unsigned));
    assert_eq!(claim.is_fresh(made + Duration::from_secs(86_400)), Ok(()));
    assert_eq!(claim.is_fresh(made + Duration::from_secs(86_401)), Err(Error::Time));
    assert_eq!(claim.is_fresh(made - Duration::from_secs(901)), Err(Error::Time));
}

/// The same reference's upload in chunks, taken apart and put together with the same key: not one byte is another.
fn in_chunks() -> (Chunks, Vec<u8>) {
    let scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3";
    let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    let signed = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class";
    let authorization = authorization(scope, signed, seed);
    let content = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    let fields = [
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", content),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
        ("authorization", &*authorization),
    ];
    let sent = Sent::new("PUT", "s3.amazonaws.com", "/examplebucket/chunkObject.txt", &fields);
    let claim = sent.judged(&example_of_s3(), content, Style::Objects).unwrap();
    assert_eq!(claim.payload(true), Ok(Payload::Chunks { trailer: false }));
    let chunk = |size: usize, signature: &str| {
        let end = if size == 0 { "" } else { "\r\n" };
        format!("{size:x};chunk-signature={signature}\r\n{}{end}", "a".repeat(size))
    };
    let body = [
        chunk(65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        chunk(1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        chunk(0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
        "\r\n".to_owned(),
    ];
    (Chunks::new(&claim, example_of_s3(), example_of_s3(), seed.to_owned(), false), body.concat().into_bytes())
}

fn carried(mut chunks: Chunks, body: &[u8], step: usize) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    for piece in body.chunks(step) {
        out.extend_from_slice(&chunks.push(piece)?);
    }
    chunks.finish().map(|()| out)
}

#[test]
fn chunks_are_verified_and_signed_anew_however_they_come() {
    for step in [1, 7, 4096, 100_000] {
        let (chunks, body) = in_chunks();
        assert!(carried(chunks, &body, step).unwrap() == body, "in steps of {step}");
    }
}

#[test]
fn chunks_have_one_form() {
    let (_, body) = in_chunks();
    let text = String::from_utf8(body).unwrap();
    for (was, is) in [
        ("10000;chunk", "010000;chunk"),
        ("10000;chunk", "10000;x=y;chunk"),
        ("10000;chunk-signature", "10000 ;chunk-signature"),
        ("10000;chunk-signature", "10000;Chunk-Signature"),
        ("10000;chunk", "ffffff;chunk"),
        ("10000;chunk", "-1;chunk"),
        ("a\r\n400", "b\r\n400"),
        ("a\r\n400", "a400"),
        ("ad80c730", "ad80c731"),
        ("0;chunk-signature=b6c6", "0;chunk-signature=b6c7"),
        ("449df9\r\n\r\n", "449df9\r\n"),
        ("449df9\r\n\r\n", "449df9\r\n\r\nx"),
        ("449df9\r\n\r\n", "449df9\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"),
    ] {
        assert!(text.contains(was), "{was}");
        let (chunks, _) = in_chunks();
        assert!(carried(chunks, text.replacen(was, is, 1).as_bytes(), 4096).is_err(), "{was} {is}");
    }
}

/// What is signed as `signer` has it: by the crate, as an SDK does.
fn signed_by_the_crate(mut sent: Sent, keys: &Keys, content: &str, style: Style, presigned: bool) -> Sent {
    let mut settings = SigningSettings::default();
    if style == Style::Objects {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    if presigned {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(600));
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    }
    let parameters = v4::SigningParams::builder()
        .identity(&keys.0)
        .region("eu-west-1")
        .name("service")
        .time(UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let query = sent.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let uri = format!("https://{}{}{query}", sent.host, sent.path);
    let fields: Vec<_> = sent.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let body = SignableBody::Precomputed(content.to_owned());
    let request = SignableRequest::new(&sent.method, &uri, fields.into_iter(), body).unwrap();
    let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
    let mut request = http::Request::builder().uri(&uri).body(()).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    sent.headers.extend(std::mem::take(request.headers_mut()));
    sent.query = request.uri().query().map(str::to_owned);
    sent
}

fn requests() -> impl Strategy<Value = (Sent, Option<String>, Style, bool)> {
    let path = prop::collection::vec("[a-zA-Z0-9_.~-]{1,8}(%2F|%20|%C3%A9)?[a-z]", 0..4);
    let query = prop::collection::vec(("[a-z]{1,6}", "[a-zA-Z0-9_.~-]{0,6}(%20|%2B|%3D)?"), 0..4);
    let fields =
        prop::collection::vec(("x-amz-meta-[a-z]{1,5}|content-type|[a-z]{1,6}-[a-z]", "[!-~]( ?[!-~]){0,12}"), 0..4);
    let token = prop::option::of("[A-Za-z0-9+/=]{40}");
    let style = prop_oneof![Just(Style::Objects), Just(Style::Usual)];
    ("GET|PUT|POST|DELETE", path, query, fields, token, style, any::<bool>()).prop_map(
        |(method, path, query, fields, token, style, presigned)| {
            let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let target = format!(
                "/{}{}",
                path.join("/"),
                if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) }
            );
            let mut sent = Sent::new(&method, "bucket.example.amazonaws.com", &target, &[]);
            for (name, value) in fields {
                sent.headers
                    .insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(&value).unwrap());
            }
            (sent, token, style, presigned)
        },
    )
}

fn another(byte: u8) -> u8 {
    if byte == b'q' { b'z' } else { b'q' }
}

/// Another byte at that place, of the letters and digits.
fn changed(text: &str, at: usize) -> Option<String> {
    let places: Vec<_> =
        text.bytes().enumerate().filter(|(_, b)| b.is_ascii_alphanumeric()).map(|(at, _)| at).collect();
    let place = *places.get(at % places.len().max(1))?;
    let mut bytes = text.as_bytes().to_vec();
    bytes[place] = another(bytes[place]);
    String::from_utf8(bytes).ok()
}

/// Whether a byte of a field could be changed.
fn field_changed(sent: &mut Sent, at: usize) -> bool {
    let names: Vec<_> = sent.headers.keys().cloned().collect();
    let name = names[at % names.len()].clone();
    if name == "host" {
        sent.host = "other.example.amazonaws.com".to_owned();
        return true;
    }
    let Some(value) = changed(sent.headers[&name].to_str().unwrap(), at) else { return false };
    sent.headers.insert(name, HeaderValue::from_str(&value).unwrap());
    true
}

proptest! {
    /// Whatever an SDK signs verifies, and signed anew it verifies with the other key, and only with that.
    #[test]
    fn what_is_signed_verifies((sent, token, style, presigned) in requests()) {
        let stand_in = Keys::new("AKIASTANDIN234567ABC", "stand/in+secret", token.as_deref());
        let real_token = token.as_ref().map(|token| format!("real{token}"));
        let real = Keys::new("AKIAREAL234567ABCDEF", "real/secret", real_token.as_deref());
        let sent = signed_by_the_crate(sent, &stand_in, EMPTY, style, presigned);
        let claim = sent.judged(&stand_in, EMPTY, style).unwrap();
        let mut out = sent.clone();
        out.headers.remove("authorization");
        out.headers.remove("x-amz-security-token");
        out.query = Claim::strip(sent.query.as_deref()).unwrap();
        let signed = claim.sign(&out.message(), &real, EMPTY, style).unwrap();
        out.query = signed.query;
        for (name, value) in signed.headers {
            out.headers.insert(name, value);
        }
        let anew = out.judged(&real, EMPTY, style).unwrap();
        prop_assert_eq!(anew.key(), "AKIAREAL234567ABCDEF");
        prop_assert!(out.judged(&stand_in, EMPTY, style).is_err());
        let wrote = format!("{:?} {:?}", out.headers.values().map(|v| v.as_bytes().to_vec()).collect::<Vec<_>>().concat(), out.query);
        prop_assert!(!wrote.contains("real/secret") && !wrote.contains("STANDIN"));
    }

    /// Any byte of what is signed is signed.
    #[test]
    fn no_changed_byte_verifies((sent, token, style, presigned) in requests(), part in 0usize..5, at in 0usize..64) {
        let keys = Keys::new("AKIASTANDIN234567ABC", "stand/in+secret", token.as_deref());
        let good = signed_by_the_crate(sent, &keys, EMPTY, style, presigned);
        let mut bad = good.clone();
        let done = match part {
            0 => changed(&bad.path, at).is_some_and(|path| {
                bad.path = path;
                true
            }),
            1 => bad.query.as_deref().and_then(|query| changed(query, at)).is_some_and(|query| {
                bad.query = Some(query);
                true
            }),
            2 => field_changed(&mut bad, at),
            3 => {
                bad.method = "PATCH".to_owned();
                true
            }
            _ => {
                prop_assert!(bad.judged(&keys, &"f".repeat(64), style).is_err());
                false
            }
        };
        if done {
            prop_assert!(bad.judged(&keys, EMPTY, style).is_err(), "{bad:?}");
        }
        prop_assert!(good.judged(&keys, EMPTY, style).is_ok());
    }

    /// Whatever comes: an answer, and no panic.
    #[test]
    fn anything_is_read(line in "(AWS4-HMAC-SHA256 )?(Credential=|SignedHeaders=|Signature=|[ -~]){0,6}", query in "(X-Amz-[A-Z][a-z]{0,8}=|&|[!-~]){0,12}") {
        let sent = Sent::new("GET", "h", &format!("/?{query}"), &[]);
        let mut sent = sent;
        if let Ok(value) = HeaderValue::from_str(&line) {
            sent.headers.insert("authorization", value);
        }
        drop(Claim::read(&sent.message()));
    }
}

/// One reading, or none.
#[test]
fn what_has_two_readings_is_refused() {
    let keys = Keys::new("AKIASTANDIN234567ABC", "stand/in+secret", None);
    let plain =
        Sent::new("PUT", "b.s3.amazonaws.com", "/k?a=1", &[("x-amz-acl", "private"), ("content-type", "text/plain")]);
    let good = signed_by_the_crate(plain, &keys, EMPTY, Style::Objects, false);
    let presigned = signed_by_the_crate(
        Sent::new("GET", "b.s3.amazonaws.com", "/k?a=1", &[]),
        &keys,
        UNSIGNED,
        Style::Objects,
        true,
    );
    let with = |sent: &Sent, change: &dyn Fn(&mut Sent)| {
        let mut sent = sent.clone();
        change(&mut sent);
        sent.judged(&keys, EMPTY, Style::Objects).map(|_| ()).unwrap_err().to_string()
    };
    let add = |name: &'static str, value: &'static str| {
        move |sent: &mut Sent| {
            sent.headers.append(name, HeaderValue::from_static(value));
        }
    };
    let ask = |more: &'static str| {
        move |sent: &mut Sent| sent.query = Some(format!("{}{more}", sent.query.as_deref().unwrap()))
    };
    let expires = |other: &'static str| {
        move |sent: &mut Sent| sent.query = sent.query.take().map(|query| query.replace("Expires=600", other))
    };
    for (got, expected) in [
        (with(&good, &add("x-amz-copy-source", "/b/other")), "the field x-amz-copy-source is not signed"),
        (with(&good, &add("x_amz_copy_source", "/b/other")), "the field x_amz_copy_source is not signed"),
        (with(&good, &add("x-amz-acl", "public-read")), "its field x-amz-acl is there more than once"),
        (with(&good, &add("x-amz-date", "20231114T221320Z")), "its field x-amz-date is there more than once"),
        (with(&good, &add("authorization", "Basic eDp5")), "its signature is there more than once"),
        (with(&good, &add("content-type", "text/html")), "the signature is not that of this request"),
        (with(&good, &ask("&X-Amz-Signature=0")), "its signature is there more than once, or in two places"),
        (
            with(&good, &ask("&x%2Damz-algorithm=AWS4-HMAC-SHA256")),
            "its signature is there more than once, or in two places",
        ),
        (with(&good, &ask("&b=1+1")), "its query has a `+` or a broken escape"),
        (with(&good, &ask("&b=%zz")), "its query has a `+` or a broken escape"),
        (with(&good, &ask("&b=%ff")), "its query has escapes that are not UTF-8"),
        (with(&good, &ask("&&b=1")), "its query has an empty pair"),
        (
            with(&good, &|sent| drop(sent.headers.remove("content-type"))),
            "the field content-type is signed and is not there",
        ),
        (with(&presigned, &ask("&X-Amz-Expires=900")), "its X-Amz-Expires is there more than once"),
        (with(&presigned, &ask("&x-amz-signature=00")), "its X-Amz-Signature is there more than once"),
        (with(&presigned, &add("x-amz-acl", "public-read")), "the field x-amz-acl is not signed"),
        (
            with(&presigned, &|sent| sent.query = sent.query.take().map(|q| q.replace("Expires=600", "Expires=0600"))),
            "its X-Amz-Expires is missing or malformed",
        ),
        (with(&presigned, &expires("Expires=604801")), "its X-Amz-Expires is missing or malformed"),
    ] {
        assert!(got.starts_with(expected), "{got:?} is not {expected:?}");
    }
}

/// What is not made here says so.
#[test]
fn other_schemes_are_refused() {
    for (line, content, expected) in [
        ("AWS4-ECDSA-P256-SHA256 Credential=A/20240101/s3/aws4_request", "", "it is signed with SigV4a"),
        ("AWS4-HMAC-SHA512 Credential=A", "", "it is signed with `AWS4-HMAC-SHA512`"),
        ("AWS4-HMAC-SHA256 Credential=A/20240101/r/s3/aws4_request", "", "its date is missing"),
    ] {
        let mut fields = vec![("authorization", line), ("x-amz-date", "x")];
        if !content.is_empty() {
            fields.push(("x-amz-content-sha256", content));
        }
        let sent = Sent::new("GET", "s3.amazonaws.com", "/", &fields);
        let error = Claim::read(&sent.message()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let unsigned = Sent::new("GET", "s3.amazonaws.com", "/?q=AWS4-HMAC-SHA256", &[("authorization", "Bearer x")]);
    assert!(Claim::read(&unsigned.message()).unwrap().is_none());
}

/// The time is held to the second.
#[test]
fn old_signatures_are_refused() {
    let keys = Keys::new("AKIASTANDIN234567ABC", "stand/in+secret", None);
    let sent = signed_by_the_crate(Sent::new("GET", "h.example", "/", &[]), &keys, EMPTY, Style::Usual, false);
    let claim = sent.judged(&keys, EMPTY, Style::Usual).unwrap();
    let at = |seconds: u64| -> SystemTime { UNIX_EPOCH + Duration::from_secs(seconds) };
    for (now, expected) in [
        (1_700_000_000, Ok(())),
        (1_700_000_900, Ok(())),
        (1_700_000_901, Err(Error::Time)),
        (1_699_999_100, Ok(())),
        (1_699_999_099, Err(Error::Time)),
    ] {
        assert_eq!(claim.is_fresh(at(now)), expected, "{now}");
    }
}
