//! Slots that a grant names: cookies, segments of a path, fields of forms, strings in JSON, and those that are always
//! filled.

mod always;
mod body;
mod refused;

use crate::bodies::pairings;
use crate::rig::{
    API, Asker, Body, RIVAL, SECRET, STAND_IN, Setup, V, World, collect, empty, full, holds_secret, within,
};
use http::{Request, Response};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const PARTS: &str = "multipart/form-data; boundary=b0";

/// A world whose grant at [`API`] has these slots.
async fn world(slots: &[&str]) -> World {
    World::with(setup(slots)).await
}

fn setup(slots: &[&str]) -> Setup {
    let slots = slots.iter().map(|slot| standin_model::Slot::parse(slot).unwrap()).collect();
    Setup { slots, ..Setup::default() }
}

/// Names and values.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// A request: its path, its fields, and what it sends in them.
#[derive(Clone, Copy)]
struct Ask<'a> {
    path: &'a str,
    fields: Fields<'a>,
    body: &'a str,
}

impl Ask<'_> {
    fn request(&self) -> Request<Body> {
        let mut request = Request::post(self.path);
        for (name, value) in self.fields {
            request = request.header(*name, *value);
        }
        request.body(if self.body.is_empty() { empty() } else { full(self.body.to_owned()) }).unwrap()
    }
}

/// A body of that type, with this in its field `key`.
fn parts(key: &str) -> String {
    let head = |name: &str| format!("--b0\r\nContent-Disposition: form-data; name={name}\r\n\r\n");
    format!("{}a\r\n{}{key}\r\n--b0--\r\n", head("\"file\"; filename=\"x\""), head("\"key\""))
}

fn at(path: &str) -> Ask<'_> {
    Ask { path, fields: &[], body: "" }
}

/// The status and the code of a refusal.
async fn refusal(asker: &mut Asker, request: Request<Body>) -> (u16, String) {
    let response = asker.ask(request).await.unwrap().unwrap();
    let code = response.headers().get("x-standin-reason").map_or("", |code| code.to_str().unwrap()).to_owned();
    let status = response.status().as_u16();
    let (told, _) = collect(response.into_body()).await.unwrap();
    assert!(!holds_secret(told.as_bytes()), "{told}");
    (status, code)
}

/// A secret with whatever has a meaning in one of the slots, as far as the slot can have it.
const ODD: &str = concat!("sk-Real0Zq8Yw7Xv6Ut5Sr4Pn3Mk2Jh1Gf", "\"\\/&+=% ;,\n\tä<>'`");
const ODD_IN_PATH: &str = concat!("sk-Real0Zq8Yw7Xv6Ut5Sr4Pn3Mk2Jh1Gf", ":@!$&'()*+,;=\"?#<>[]^`{|}~");
const ODD_IN_COOKIE: &str = concat!("sk-Real0Zq8Yw7Xv6Ut5Sr4Pn3Mk2Jh1Gf", "=&+/%!#$'()*:<>?@[]^`{|}~");

pairings! {
    every_slot_holds_the_secret_and_its_echo_does_not
    two_slots_are_both_filled
    two_credentials_share_a_body_and_a_line
}

mod run {
    use super::*;

    /// A slot, a secret, what is asked, and what the origin sees of it: its path, its cookies, its body.
    type Row<'a> = (&'a str, &'static str, Ask<'a>, [&'a str; 3]);

    pub async fn every_slot_holds_the_secret_and_its_echo_does_not(client: V, server: V) {
        let json_secret = serde_json::to_string(ODD).unwrap();
        let code = |b: u8| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") };
        let form_secret = ODD.bytes().map(code).collect::<Vec<_>>().concat();
        let json_code = |b: u8| format!("\\u{:04x}", u32::from(b));
        let escaped = STAND_IN.bytes().map(json_code).collect::<Vec<_>>().concat();
        let percent = STAND_IN.bytes().map(|b| format!("%{b:02x}")).collect::<Vec<_>>().concat();
        let odd_path =
            concat!("sk-Real0Zq8Yw7Xv6Ut5Sr4Pn3Mk2Jh1Gf", ":@!$&'()*+,%3B=%22%3F%23%3C%3E%5B%5D%5E%60%7B%7C%7D~");
        let table: &[Row<'_>] = &[
            (
                "cookie:sid",
                ODD_IN_COOKIE,
                Ask { fields: &[("cookie", &format!("a=b; sid={STAND_IN}; c=d"))], ..at("/x") },
                ["/x", &format!("a=b; sid={ODD_IN_COOKIE}; c=d"), ""],
            ),
            (
                "path:/bot{}",
                ODD_IN_PATH,
                Ask { path: &format!("/bot{STAND_IN}/getMe?a=1"), ..at("") },
                [&format!("/bot{odd_path}/getMe?a=1"), "", ""],
            ),
            (
                "path:/bot{}",
                SECRET,
                Ask { path: &format!("/bot{STAND_IN}"), ..at("") },
                [&format!("/bot{SECRET}"), "", ""],
            ),
            (
                "path:/bot{}",
                SECRET,
                Ask { path: &format!("/x/..//bot{percent}/y"), ..at("") },
                [&format!("/bot{SECRET}/y"), "", ""],
            ),
            (
                "path:/hooks/*/{}",
                SECRET,
                Ask { path: &format!("/hooks/1/{STAND_IN}/"), ..at("") },
                [&format!("/hooks/1/{SECRET}/"), "", ""],
            ),
            (
                "form:client_secret",
                ODD,
                Ask {
                    fields: &[("content-type", FORM)],
                    body: &format!("a=%20+&client_secret={percent}&b"),
                    ..at("/x")
                },
                ["/x", "", &format!("a=%20+&client_secret={form_secret}&b")],
            ),
            (
                "json:/auth/0/key",
                ODD,
                Ask {
                    fields: &[("content-type", "application/json; charset=utf-8")],
                    body: &format!("{{ \"n\": 1e0, \"auth\": [ {{\"key\" : \"{STAND_IN}\" }} ] }}\n"),
                    ..at("/x")
                },
                ["/x", "", &format!("{{ \"n\": 1e0, \"auth\": [ {{\"key\" : {json_secret} }} ] }}\n")],
            ),
            (
                "json:/key",
                SECRET,
                Ask { fields: &[("content-type", JSON)], body: &format!("{{\"key\":\"{escaped}\"}}"), ..at("/x") },
                ["/x", "", &format!("{{\"key\":\"{SECRET}\"}}")],
            ),
            (
                "form:key",
                SECRET,
                Ask { fields: &[("content-type", PARTS)], body: &parts(STAND_IN), ..at("/x") },
                ["/x", "", &parts(SECRET)],
            ),
        ];
        for (slot, secret, ask, expected) in table {
            let world = World::with(Setup { secret, ..setup(&[slot]) }).await;
            let mut asker = world.asker(API, client).await;
            let answered = asker.ask(ask.request());
            let mut origin = world.origin.accept_requests(server).await;
            let seen = origin.recv().await.unwrap();
            let target = seen.request.uri().path_and_query().unwrap().to_string();
            let cookies: Vec<_> =
                seen.request.headers().get_all("cookie").iter().map(|v| v.to_str().unwrap().to_owned()).collect();
            let length = seen.request.headers().get("content-length").map(|v| v.to_str().unwrap().to_owned());
            let (body, answer, _) = seen.whole().await;
            assert_eq!([&target, &cookies.join("; "), &body], *expected, "{slot}");
            if !body.is_empty() {
                assert_eq!(length.as_deref(), Some(body.len().to_string().as_str()), "{slot}");
            }
            let response = Response::builder()
                .status(302)
                .header("location", format!("https://{}{target}", world.authority(API)))
                .header("set-cookie", cookies.join("; "))
                .body(full(format!("{target}\n{}\n{body}", cookies.join("; "))))
                .unwrap();
            answer.send(response).unwrap();
            let response = answered.await.unwrap().unwrap();
            let head = format!("{:?}", response.headers());
            let (told, _) = collect(response.into_body()).await.unwrap();
            for text in [&head, &told] {
                assert!(!holds_secret(text.as_bytes()), "{slot}: {text}");
            }
            // What the secret ends with is a part of it.
            assert!(!format!("{head}{told}").contains("{|}") && !told.contains("\\t\u{e4}"), "{slot}: {head} {told}");
            assert!(told.contains(&STAND_IN[3..]), "{slot}: {told}");
            drop(asker);
            let rows = world.end().await;
            let [row] = rows.as_slice() else { panic!("{rows:#?}") };
            assert_eq!(row.credentials, ["key"], "{slot}");
            assert_eq!(row.target.as_deref(), Some(ask.path), "as the client sent it");
        }
    }

    /// One credential in two slots of a request is put into both, and is one credential in the record.
    pub async fn two_slots_are_both_filled(client: V, server: V) {
        // What is a part of a segment to one slot is a whole stand-in to the other.
        let world = world(&["path:/{}", "path:/bot{}", "json:/key", "json:/a/key", "cookie:sid"]).await;
        let mut asker = world.asker(API, client).await;
        let (path, cookie) = (format!("/bot{STAND_IN}/x"), format!("sid={STAND_IN}"));
        let body = format!("{{\"a\":{{\"key\":\"{STAND_IN}\"}},\"note\":\"text\",\"key\":\"{STAND_IN}\"}}");
        let ask = Ask { fields: &[("content-type", JSON), ("cookie", &cookie)], body: &body, ..at(&path) };
        let answered = asker.ask(ask.request());
        let mut origin = world.origin.accept_requests(server).await;
        let seen = origin.recv().await.unwrap();
        assert_eq!(seen.request.uri().path(), format!("/bot{SECRET}/x"));
        assert_eq!(seen.request.headers()["cookie"], format!("sid={SECRET}"));
        let (body, answer, _) = seen.whole().await;
        assert_eq!(body, format!("{{\"a\":{{\"key\":\"{SECRET}\"}},\"note\":\"text\",\"key\":\"{SECRET}\"}}"));
        answer.send(Response::new(empty())).unwrap();
        assert_eq!(answered.await.unwrap().unwrap().status(), 200);
        drop(asker);
        let rows = world.end().await;
        assert_eq!(rows[0].credentials, ["key"]);
    }

    /// Each stand-in is exchanged for its own secret, wherever the two stand.
    pub async fn two_credentials_share_a_body_and_a_line(client: V, server: V) {
        let slots = setup(&["json:/b", "json:/a", "cookie:a", "cookie:b"]);
        let world = World::with(Setup { rival: true, ..slots }).await;
        let mut asker = world.asker(API, client).await;
        let rival = RIVAL.to_lowercase();
        let (cookie, body) =
            (format!("a={rival}; b={STAND_IN}"), format!("{{\"a\":\"{rival}\",\"b\":\"{STAND_IN}\"}}"));
        let ask = Ask { fields: &[("content-type", JSON), ("cookie", &cookie)], body: &body, ..at("/x") };
        let answered = asker.ask(ask.request());
        let mut origin = world.origin.accept_requests(server).await;
        let seen = origin.recv().await.unwrap();
        assert_eq!(seen.request.headers()["cookie"], format!("a={RIVAL}; b={SECRET}"));
        let (body, answer, _) = seen.whole().await;
        assert_eq!(body, format!("{{\"a\":\"{RIVAL}\",\"b\":\"{SECRET}\"}}"));
        answer.send(Response::new(full(format!("{RIVAL} {SECRET}")))).unwrap();
        let (told, _) = collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
        assert_eq!(told, format!("{rival} {STAND_IN}"));
        drop(asker);
        let rows = world.end().await;
        assert_eq!(rows[0].credentials, ["rival", "key"]);
    }
}
