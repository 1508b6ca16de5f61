//! Packages that are published: the one that a rule names, and no other in its dress.

use crate::rig::{API, Body, STAND_IN, Setup, V, World, body as chunks, collect, empty, full, within};
use http::{Request, Response};
use hyper::body::Incoming;
use standin_model::WrittenPublish;
use standin_model::limits::{MAX_FACTS, MAX_PUBLISH};

/// As npm sends it.
fn package(name: &str, version: &str, data: usize) -> String {
    format!(
        "{{\"_id\":\"{name}\",\"name\":\"{name}\",\"dist-tags\":{{\"next\":\"{version}\"}},\
         \"versions\":{{\"{version}\":{{\"name\":\"{name}\",\"version\":\"{version}\"}}}},\"access\":null,\
         \"_attachments\":{{\"{name}-{version}.tgz\":{{\"data\":\"{}\"}}}}}}",
        "A".repeat(data)
    )
}

fn put(path: &str, body: &str) -> Request<Body> {
    let request = Request::put(path).header("content-type", "application/json");
    request.header("authorization", format!("Bearer {STAND_IN}")).body(full(body.to_owned())).unwrap()
}

async fn world(judged: bool) -> World {
    let packages = serde_json::json!({ "registry": "npm", "packages": ["@acme/widget"], "versions": ["1.*"] });
    let condition = serde_json::from_value::<WrittenPublish>(packages).unwrap().condition().unwrap();
    World::with(Setup { conditions: judged.then_some(condition).into_iter().collect(), ..Setup::default() }).await
}

async fn all_pass(world: World, all: &[(&str, String)]) {
    let mut asker = world.asker(API, V::H1).await;
    let mut origin = None;
    for (path, body) in all {
        let answered = asker.ask(put(path, body));
        if origin.is_none() {
            origin = Some(world.origin.accept_requests(V::H1).await);
        }
        let (got, answer, _) = origin.as_mut().unwrap().recv().await.unwrap().whole().await;
        assert!(got == *body, "{path} {body:.80}");
        answer.send(Response::new(empty())).unwrap();
        assert_eq!(answered.await.unwrap().unwrap().status(), 200);
    }
    drop(asker);
    world.end().await;
}

async fn assert_refused(response: Response<Incoming>, body: &str) {
    let status = response.status().as_u16();
    let told = collect(response.into_body()).await.unwrap().0;
    assert!(status == 403 && told.contains("npm package `@acme/widget` only"), "{body:.80}: {told}");
}

#[tokio::test]
async fn one_package_is_published_and_no_other() {
    within(async {
        let widget = "/@acme%2fwidget";
        let right = package("@acme/widget", "1.2.0", 9);
        let wrong = [
            ("/left-pad", package("left-pad", "1.2.0", 9)),
            (widget, package("left-pad", "1.2.0", 9)),
            ("/left-pad", right.clone()),
            (widget, package("@acme/widget", "2.0.0", 9)),
            (widget, right.replacen("\"name\"", "\"name\":\"left-pad\",\"name\"", 1)),
            (widget, right.replacen("\"_id\":\"@acme/widget\"", "\"_id\":\"left-pad\"", 1)),
            (widget, right.replacen("\"access\"", "\"_rev\"", 1)),
            (widget, right.replacen("\"version\":\"1.2.0\"", "\"version\":\"1.2.0\",\"Name\":\"left-pad\"", 1)),
            ("/@acme%2fwidget?write=true", right.clone()),
            (widget, right.replacen(",\"_attachments\"", ",\"x\"", 1)),
        ];
        all_pass(world(false).await, &wrong).await;
        all_pass(world(true).await, &[(widget, right), (widget, package("@acme/widget", "1.0.0", 2 * MAX_FACTS))])
            .await;
        let world = world(true).await;
        let mut asker = world.asker(API, V::H1).await;
        for (path, body) in &wrong {
            let response = asker.ask(put(path, body)).await.unwrap().unwrap();
            assert_refused(response, body).await;
        }
        // One that is too large, and does not say so: of one that does the client may still be sending most when it is refused, and
        // not hear it.
        let (mut upload, chunked) = chunks();
        let large = package("@acme/widget", "1.0.0", MAX_PUBLISH);
        let answered = asker.ask(put(widget, "").map(|_| chunked));
        upload.send_data(large.clone().into()).await.unwrap();
        drop(upload);
        assert_refused(answered.await.unwrap().unwrap(), &large).await;
        assert!(world.origin.is_untouched());
        drop(asker);
        world.end().await;
    })
    .await;
}
