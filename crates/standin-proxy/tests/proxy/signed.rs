//! Signed requests (AWS): verified against the stand-in, signed anew with the real key, or refused.

use crate::rig::{Body, KEY, OPEN, SECRET, STAND_IN, Setup, V, World, body, collect, empty, full, within};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use http::{Request, Response};
use standin_model::OnLeak;
use standin_proxy::AlarmParts;
use standin_sigv4::{Claim, Keys, Message, Style};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc::unbounded_channel;

const BUCKET: &str = "bucket.s3.eu-central-1.amazonaws.com";
const OTHER: &str = "other.s3.eu-central-1.amazonaws.com";
const TABLES: &str = "dynamodb.eu-central-1.amazonaws.com";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// SHA-256 of `hello`.
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// How a client signs.
#[derive(Clone, Copy)]
struct Signer<'a> {
    host: &'a str,
    service: &'a str,
    region: &'a str,
    age: Duration,
    secret: &'a str,
}

impl Signer<'_> {
    fn of<'a>(host: &'a str, service: &'a str) -> Signer<'a> {
        Signer { host, service, region: "eu-central-1", age: Duration::ZERO, secret: STAND_IN }
    }

    /// A request, signed as an SDK signs it.
    fn signed(
        &self,
        world: &World,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
        content: &str,
    ) -> http::request::Builder {
        let identity = aws_credential_types::Credentials::new(KEY.1, self.secret, None, None, "test").into();
        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(SystemTime::now() - self.age)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let uri = format!("https://{}{target}", world.authority(self.host));
        let content = SignableBody::Precomputed(content.to_owned());
        let request = SignableRequest::new(method, uri, fields.iter().copied(), content).unwrap();
        let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in fields.iter().copied().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        request
    }
}

async fn world() -> World {
    World::with(Setup { signs: true, ..Setup::default() }).await
}

/// The key's name is a part of it: where that went astray, and its owner wants it revoked then, nothing is signed any more.
#[tokio::test]
async fn a_key_whose_name_went_astray_signs_nothing() {
    within(async {
        let (told, _leaks) = unbounded_channel();
        let alarm = AlarmParts { each: HashMap::new(), others: OnLeak::Revoke, told };
        let world = World::with(Setup { signs: true, alarm, ..Setup::default() }).await;
        let astray = Request::get("/x").header("x-note", KEY.1).body(empty()).unwrap();
        assert_eq!(refused(&world, OPEN, V::H1, astray).await.0, 403);
        let request = Signer::of(BUCKET, "s3").signed(&world, "GET", "/a", &[], EMPTY).body(empty()).unwrap();
        assert_eq!(refused(&world, BUCKET, V::H1, request).await, (403, "credential.revoked".to_owned()));
        world.end().await;
    })
    .await;
}

/// The status and reason of what is refused.
async fn refused(world: &World, host: &str, version: V, request: Request<Body>) -> (u16, String) {
    let mut asker = world.asker(host, version).await;
    let response = asker.ask(request).await.unwrap().unwrap();
    let reason = response.headers().get("x-standin-reason").map(|v| v.to_str().unwrap().to_owned());
    (response.status().as_u16(), reason.unwrap_or_default())
}

/// Whether the real key, and no other, signed what an origin sees.
fn assert_real(world: &World, host: &str, request: &http::request::Parts, style: Style, content: &str) {
    let authority = world.authority(host);
    let message = Message {
        method: request.method.as_str(),
        host: &authority,
        path: request.uri.path(),
        query: request.uri.query(),
        headers: &request.headers,
    };
    let claim = Claim::read(&message).unwrap().unwrap();
    assert_eq!(claim.key(), KEY.0);
    claim.verify(&message, &Keys::new(KEY.0, SECRET, None), content, style).unwrap();
    let lines = format!("{:?}", request.headers);
    assert!(!lines.contains(SECRET) && !lines.contains(STAND_IN) && !lines.contains(KEY.1), "{lines}");
}

/// A range stays one, for what is in a bucket has never had the secret in it; the name of the key is exchanged in errors.
#[tokio::test]
async fn an_object_is_fetched_with_the_real_key() {
    within(async {
        for version in [V::H1, V::H2] {
            let world = world().await;
            let mut asker = world.asker(BUCKET, version).await;
            let signer = Signer::of(BUCKET, "s3");
            let request = signer.signed(&world, "GET", "/a%20b/c?x-id=1&y=%2F", &[("range", "bytes=0-1")], EMPTY);
            let answered = asker.ask(request.body(empty()).unwrap());
            let mut origin = world.origin.accept_requests(version).await;
            let seen = origin.recv().await.unwrap();
            let part = Response::builder()
                .status(206)
                .header("content-range", "bytes 0-1/5")
                .header("content-encoding", "gzip");
            let head = seen.answer(part.body(full("he")).unwrap()).into_parts().0;
            assert_real(&world, BUCKET, &head, Style::Objects, EMPTY);
            assert_eq!(head.headers["range"], "bytes=0-1");
            let response = answered.await.unwrap().unwrap();
            assert_eq!(
                (response.status().as_u16(), &response.headers()["content-encoding"]),
                (206, &"gzip".parse().unwrap())
            );
            assert_eq!(collect(response.into_body()).await.unwrap().0, "he");
            let answered = asker.ask(signer.signed(&world, "GET", "/", &[], EMPTY).body(empty()).unwrap());
            let seen = origin.recv().await.unwrap();
            let error = format!("<Error><AWSAccessKeyId>{}</AWSAccessKeyId></Error>", KEY.0);
            seen.answer(Response::builder().status(403).body(full(error)).unwrap());
            let told = collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0;
            assert_eq!(told, format!("<Error><AWSAccessKeyId>{}</AWSAccessKeyId></Error>", KEY.1));
            drop(asker);
            let rows = world.end().await;
            assert!(rows.iter().all(|row| row.credentials == ["key"]), "{rows:?}");
        }
    })
    .await;
}

/// A request that is refused.
struct Case {
    name: &'static str,
    host: &'static str,
    signer: Signer<'static>,
    target: &'static str,
    fields: &'static [(&'static str, &'static str)],
    /// What happens to it when it has been signed.
    change: fn(&mut Request<Body>),
    reason: &'static str,
}

impl Case {
    /// One to a bucket, refused for its signature.
    fn of(name: &'static str, change: fn(&mut Request<Body>)) -> Self {
        let (signer, reason) = (Signer::of(BUCKET, "s3"), "credential.signature");
        Self { name, host: BUCKET, signer, target: "/k", fields: &[], change, reason }
    }

    fn by(name: &'static str, host: &'static str, signer: Signer<'static>) -> Self {
        Self { host, signer, ..Self::of(name, |_| {}) }
    }

    fn to(self, target: &'static str, reason: &'static str) -> Self {
        Self { target, reason, ..self }
    }
}

fn add(request: &mut Request<Body>, name: &'static str, value: &str) {
    request.headers_mut().append(name, value.parse().unwrap());
}

fn changed_afterwards() -> Vec<Case> {
    let acl = &[("x-amz-acl", "private")];
    vec![
        Case { host: OTHER, ..Case::of("to another host", |_| {}) },
        Case::of("another method", |request| *request.method_mut() = http::Method::DELETE),
        Case::of("another path", |request| *request.uri_mut() = "/l".parse().unwrap()),
        Case::of("another query", |request| *request.uri_mut() = "/k?acl".parse().unwrap()),
        Case::of("a field besides", |request| add(request, "x-amz-copy-source", "/b/k")),
        Case { fields: acl, ..Case::of("a field twice", |request| add(request, "x-amz-acl", "public-read")) },
        Case::of("no signature", |request| request.headers_mut().clear()),
        Case::of("the secret itself", |request| {
            request.headers_mut().clear();
            add(request, "authorization", &format!("Bearer {STAND_IN}"));
        }),
        Case {
            reason: "credential.wrong_slot",
            ..Case::of("the secret besides", |request| add(request, "x-key", STAND_IN))
        },
        Case {
            host: TABLES,
            signer: Signer::of(TABLES, "dynamodb"),
            ..Case::of("another body", |request| *request.body_mut() = full("hello"))
        },
    ]
}

fn signed_otherwise() -> Vec<Case> {
    let (bucket, tables) = (Signer::of(BUCKET, "s3"), Signer::of(TABLES, "dynamodb"));
    let (api, sts) = ("x.execute-api.eu-central-1.amazonaws.com", "sts.eu-central-1.amazonaws.com");
    let plain = |name| Case::of(name, |_| {});
    vec![
        Case::by("another secret", BUCKET, Signer { secret: "another", ..bucket }),
        Case::by("too old", BUCKET, Signer { age: Duration::from_secs(960), ..bucket }),
        Case::by("another service", BUCKET, Signer { service: "dynamodb", ..bucket }),
        Case::by("another region", TABLES, Signer { region: "us-east-1", ..tables }),
        plain("an empty segment").to("/a//b", "http.malformed"),
        plain("dot segments").to("/a/../b", "http.malformed"),
        plain("another escape").to("/a%7eb", "http.malformed"),
        Case::by("somebody's program", api, Signer::of(api, "execute-api")).to("/", "credential.wrong_destination"),
        Case::by("new credentials", sts, Signer::of(sts, "sts"))
            .to("/?Action=GetSessionToken", "http.request_not_allowed"),
    ]
}

#[tokio::test]
async fn what_is_not_as_it_was_signed_is_refused_and_nothing_leaves() {
    within(async {
        for Case { name, host, signer, target, fields, change, reason } in
            changed_afterwards().into_iter().chain(signed_otherwise())
        {
            for version in [V::H1, V::H2] {
                let world = world().await;
                let mut request = signer.signed(&world, "GET", target, fields, EMPTY).body(empty()).unwrap();
                change(&mut request);
                let status = if reason == "http.malformed" { 400 } else { 403 };
                assert_eq!(
                    refused(&world, host, version, request).await,
                    (status, reason.to_owned()),
                    "{name} {version:?}"
                );
                assert!(world.origin.is_untouched(), "{name}");
                world.end().await;
            }
        }
    })
    .await;
}

/// A body that streams is held to the hash in its head: the origin never has all of another one.
#[tokio::test]
async fn a_body_of_another_hash_does_not_arrive() {
    within(async {
        for (sent, arrives) in
            [(["he", "llo"], true), (["he", "llO"], false), (["", ""], false), (["hello", "hello"], false)]
        {
            let world = world().await;
            let mut asker = world.asker(BUCKET, V::H1).await;
            let (mut sender, body) = body();
            let request = Signer::of(BUCKET, "s3").signed(&world, "PUT", "/k", &[], HELLO).body(body).unwrap();
            let answered = asker.ask(request);
            let mut origin = world.origin.accept_requests(V::H1).await;
            let seen = origin.recv().await.unwrap();
            for piece in sent {
                sender.send_data(piece.into()).await.unwrap();
            }
            drop(sender);
            let (head, body) = seen.request.into_parts();
            assert_real(&world, BUCKET, &head, Style::Objects, HELLO);
            assert_eq!(collect(body).await.ok().map(|(text, _)| text), arrives.then(|| "hello".to_owned()), "{sent:?}");
            if arrives {
                seen.answer.send(Response::new(empty())).unwrap();
            }
            assert_eq!(answered.await.unwrap().unwrap().status(), if arrives { 200 } else { 403 }, "{sent:?}");
            drop(asker);
            let rows = world.end().await;
            assert_eq!(rows[0].reason.as_deref(), (!arrives).then_some("credential.signature"));
        }
    })
    .await;
}

/// A body of another service is here as a whole, signed without its hash being told.
#[tokio::test]
async fn a_question_is_signed_with_its_body() {
    within(async {
        let world = world().await;
        let mut asker = world.asker(TABLES, V::H1).await;
        let fields = [("x-amz-target", "DynamoDB_20120810.GetItem"), ("content-type", "application/x-amz-json-1.0")];
        let request =
            Signer::of(TABLES, "dynamodb").signed(&world, "POST", "/", &fields, HELLO).body(full("hello")).unwrap();
        let answered = asker.ask(request);
        let mut origin = world.origin.accept_requests(V::H1).await;
        let seen = origin.recv().await.unwrap();
        let (head, body) = seen.request.into_parts();
        assert_real(&world, TABLES, &head, Style::Usual, HELLO);
        assert_eq!(collect(body).await.unwrap().0, "hello");
        seen.answer.send(Response::new(full("{}"))).unwrap();
        assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "{}");
        drop(asker);
        world.finish(&["h1 POST / 200 completed out 5 in 2"]).await;
    })
    .await;
}
