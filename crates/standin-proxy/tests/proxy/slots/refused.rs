//! What does not belong into a named slot, or stands in one that can be read in two ways. Nothing of it leaves.

use super::{Ask, FORM, Fields, JSON, PARTS, at, parts, refusal, setup, world};
use crate::rig::{API, BOTH, OPEN, STAND_IN, Setup, V, World, body, collect, within};

/// Status and code.
type Code<'a> = (u16, &'a str);

/// A grant's slot, a host, what is asked there, and the refusal.
type Row<'a> = (&'a str, &'a str, Ask<'a>, Code<'a>);

const FOREIGN: Code<'_> = (403, "credential.foreign");
const WRONG_SLOT: Code<'_> = (403, "credential.wrong_slot");
const AMBIGUOUS: Code<'_> = (400, "credential.ambiguous_slot");
const UNREADABLE: Code<'_> = (415, "credential.unreadable_body");
const WRONG_HOST: Code<'_> = (403, "credential.wrong_destination");
const BROKEN: Code<'_> = (502, "credential.source_failed");

async fn check(table: &[Row<'_>]) {
    for (slot, host, ask, expected) in table {
        for version in [V::H1, V::H2] {
            let world = world(&[slot]).await;
            let mut asker = world.asker(host, version).await;
            let got = refusal(&mut asker, ask.request()).await;
            assert_eq!((got.0, got.1.as_str()), *expected, "{slot} {host} {} {:?} {}", ask.path, ask.fields, ask.body);
            assert!(world.origin.is_untouched());
            drop(asker);
            let (status, code) = expected;
            world.finish(&[&format!("{} POST {} {status} {code}", version.name(), ask.path)]).await;
        }
    }
}

#[tokio::test]
async fn in_the_head() {
    within(async {
        let (path, twice) = (format!("/bot{STAND_IN}/x"), format!("/bot{STAND_IN}/{STAND_IN}"));
        let (suffixed, other) = (format!("/bot{STAND_IN}x/y"), format!("/x/bot{STAND_IN}"));
        let parameters = format!("/bot{STAND_IN};a=b/x");
        let (sid, both) = (format!("sid={STAND_IN}"), format!("sid={STAND_IN}; sid=x"));
        let mut table: Vec<Row<'_>> = vec![
            ("path:/bot{}", API, at("/bot123:abc/x"), FOREIGN),
            ("path:/bot{}", API, at("/bottle"), FOREIGN),
            ("path:/bot{}", API, at(&suffixed), FOREIGN),
            ("path:/bot{}", API, at(&parameters), FOREIGN),
            ("path:/bot{}", API, at(&twice), WRONG_SLOT),
            ("path:/bot{}", API, at(&other), WRONG_SLOT),
            ("header:x-api-key", API, at(&path), WRONG_SLOT),
            ("path:/bot{}", OPEN, at(&path), WRONG_SLOT),
            ("path:/bot{}", BOTH, at(&path), WRONG_SLOT),
        ];
        let cookies: &[(&str, &str, Fields<'_>, Code<'_>)] = &[
            ("cookie:sid", API, &[("cookie", "sid=x")], FOREIGN),
            ("cookie:sid", API, &[("cookie", "a=b"), ("cookie", "sid=x")], FOREIGN),
            ("cookie:sid", API, &[("cookie", &both)], AMBIGUOUS),
            ("cookie:sid", API, &[("cookie", &sid), ("cookie", "sid=x")], AMBIGUOUS),
            ("cookie:other", API, &[("cookie", &sid)], WRONG_SLOT),
            ("header:x-api-key", API, &[("cookie", &sid)], WRONG_SLOT),
            ("cookie:sid", OPEN, &[("cookie", &sid)], WRONG_HOST),
            ("header:x-internal", API, &[("x-internal", "x")], FOREIGN),
            ("header:x-internal", API, &[("x_internal", "x")], FOREIGN),
        ];
        table
            .extend(cookies.iter().map(|(slot, host, fields, code)| (*slot, *host, Ask { fields, ..at("/x") }, *code)));
        check(&table).await;
    })
    .await;
}

#[tokio::test]
async fn in_bodies() {
    within(async {
        let (foreign, one) = (parts("sk-other"), parts("@"));
        let twice = one.replace("--b0--", &one);
        let rows: &[(&str, Fields<'_>, &str, Code<'_>)] = &[
            ("json:/key", &[("content-type", JSON)], r#"{"key":"sk-other"}"#, FOREIGN),
            ("json:/key", &[("content-type", JSON)], r#"{"key":"Bearer @"}"#, FOREIGN),
            ("json:/key", &[("content-type", JSON)], r#"{"key":["@"]}"#, FOREIGN),
            ("json:/key", &[("content-type", JSON)], r#"{"key":12345678}"#, FOREIGN),
            ("json:/key", &[("content-type", JSON)], r#"{"key":"@","key":"@"}"#, AMBIGUOUS),
            ("json:/key", &[("content-type", JSON)], r#"{"key":"@","k\u0065y":"x"}"#, AMBIGUOUS),
            ("json:/key", &[("content-type", JSON)], r#"{"key":"@","Key":"x"}"#, AMBIGUOUS),
            ("json:/a/key", &[("content-type", JSON)], r#"{"a":{"key":"@"},"a":1}"#, AMBIGUOUS),
            ("json:/key", &[("content-type", JSON)], r#"{"key":"@"}{"#, AMBIGUOUS),
            ("json:/key", &[("content-type", JSON)], r#"{"key":"@""#, AMBIGUOUS),
            ("json:/key", &[("content-type", JSON)], "nonsense", AMBIGUOUS),
            ("json:/key", &[("content-type", JSON), ("content-type", "text/plain")], r#"{"key":"@"}"#, AMBIGUOUS),
            ("json:/key", &[("content-type", JSON), ("content-encoding", "gzip")], "x", UNREADABLE),
            ("json:/key", &[("content-type", "application/json; charset=utf-16")], "x", UNREADABLE),
            ("form:key", &[("content-type", FORM)], "key=sk-other", FOREIGN),
            ("form:key", &[("content-type", FORM)], "key=@%20", FOREIGN),
            ("form:key", &[("content-type", FORM)], "key=@&key=@", AMBIGUOUS),
            ("form:key", &[("content-type", FORM)], "key=@&k%65y=x", AMBIGUOUS),
            ("form:key", &[("content-type", FORM)], "key=@&a=b;key=x", AMBIGUOUS),
            ("form:key", &[("content-type", FORM)], "key=@%", AMBIGUOUS),
            ("form:key", &[("content-type", FORM), ("content-encoding", "br")], "x", UNREADABLE),
            ("form:key", &[("content-type", "application/x-www-form-urlencoded;charset=ibm037")], "x", UNREADABLE),
            ("form:key", &[("content-type", PARTS)], &foreign, FOREIGN),
            ("form:key", &[("content-type", PARTS)], &twice, AMBIGUOUS),
            ("form:key", &[("content-type", PARTS)], "nonsense", AMBIGUOUS),
            ("form:key", &[("content-type", "multipart/form-data; boundary=c0")], &foreign, AMBIGUOUS),
            ("form:key", &[("content-type", "multipart/form-data")], &foreign, UNREADABLE),
            ("form:key", &[("content-type", "multipart/mixed; boundary=b0")], &parts("@"), WRONG_SLOT),
            ("form:key", &[("content-type", PARTS), ("content-encoding", "gzip")], "x", UNREADABLE),
        ];
        let bodies: Vec<String> = rows.iter().map(|(_, _, body, _)| body.replace('@', STAND_IN)).collect();
        let mut table: Vec<Row<'_>> = Vec::new();
        for ((slot, fields, _, code), body) in rows.iter().zip(&bodies) {
            table.push((slot, API, Ask { path: "/x", fields, body }, *code));
        }
        check(&table).await;
    })
    .await;
}

/// A named header is no trailer either: the request is broken off before its end.
#[tokio::test]
async fn in_a_trailer() {
    within(async {
        for name in ["x-internal", "x_internal"] {
            let world = world(&["header:x-internal"]).await;
            let mut asker = world.asker(API, V::H1).await;
            let (mut upload, request_body) = body();
            let answered = asker.ask(http::Request::post("/x").header("trailer", name).body(request_body).unwrap());
            let mut origin = world.origin.accept_requests(V::H1).await;
            let seen = origin.recv().await.unwrap();
            let trailers = [(http::HeaderName::from_static(name), "sk-other".parse().unwrap())];
            upload.send_trailers(trailers.into_iter().collect()).await.unwrap();
            drop(upload);
            assert!(collect(seen.request.into_body()).await.is_err(), "the request has no end");
            assert_eq!(answered.await.unwrap().unwrap().headers()["x-standin-reason"], FOREIGN.1);
            drop(asker);
            world.finish(&["h1 POST /x 403 credential.foreign"]).await;
        }
    })
    .await;
}

/// A secret that would change what is around it does not go out, and the refusal does not repeat it.
#[tokio::test]
async fn secrets_that_do_not_fit() {
    within(async {
        let (path, cookie) = (format!("/bot{STAND_IN}/x"), format!("sid={STAND_IN}"));
        let table: &[(&str, &'static str, Ask<'_>)] = &[
            ("path:/bot{}", "sk-Real0Zq8Yw7Xv6Ut5Sr4Pn3Mk2Jh1Gf/../x", at(&path)),
            ("path:/bot{}", "sk-Real0Zq8Yw7Xv6Ut5Sr4Pn3Mk2Jh1Gf%2f", at(&path)),
            (
                "cookie:sid",
                "sk-Real0Zq8Yw7Xv6Ut5Sr4Pn3Mk2Jh1Gf; a=b",
                Ask { fields: &[("cookie", &cookie)], ..at("/x") },
            ),
        ];
        for (slot, secret, ask) in table {
            let world = World::with(Setup { secret, ..setup(&[slot]) }).await;
            let mut asker = world.asker(API, V::H1).await;
            let got = refusal(&mut asker, ask.request()).await;
            assert_eq!((got.0, got.1.as_str()), BROKEN, "{slot}");
            assert!(world.origin.is_untouched());
            drop(asker);
            world.end().await;
        }
    })
    .await;
}
