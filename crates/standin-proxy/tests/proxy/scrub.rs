//! The origin repeats the secret wherever it can; the client reads the stand-in.

use crate::rig::{
    API, SECRET, STAND_IN, Setup, V, World, assert_scrubbed, body, collect, full, get, holds_secret, within,
};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;

/// In the words of the status, in a field's value, in a field's name, in a chunk's extension, in the body, in a trailer.
#[tokio::test]
async fn every_part_of_an_answer_is_clean() {
    within(async {
        let world = World::new().await;
        let host = world.authority(API);
        let mut client = world.client(API).await;
        client
            .send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nTE: trailers\r\nAuthorization: Bearer {STAND_IN}\r\n\r\n"))
            .await;
        let mut origin = world.origin.accept().await;
        assert!(origin.head().await.contains(SECRET));
        origin
            .send(format!(
                "HTTP/1.1 200 {SECRET}\r\nX-Echo: <{SECRET}>\r\n{SECRET}: 1\r\nX-{SECRET}-X: 1\r\n\
                 Set-Cookie: a={SECRET}; Path=/\r\nTrailer: X-Echo\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {:x};{SECRET}={SECRET}\r\n{SECRET}\r\n0\r\nX-Echo: {SECRET}\r\n\r\n",
                SECRET.len()
            ))
            .await;
        let head = client.head().await;
        let all = [head.as_bytes(), &client.exactly(4 + SECRET.len() + 2).await].concat();
        let end = format!("0\r\nX-Echo: {STAND_IN}\r\n\r\n");
        let all = [all, client.exactly(end.len()).await].concat();
        let text = String::from_utf8(all.clone()).unwrap();
        assert!(!holds_secret(&all) && !text.to_lowercase().contains(&SECRET.to_lowercase()[3..]), "{text}");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.to_lowercase().contains(&format!("x-echo: <{STAND_IN}>\r\n").to_lowercase()), "{text}");
        assert!(text.contains(&format!("a={STAND_IN}; Path=/")), "{text}");
        assert!(text.to_lowercase().ends_with(&end.to_lowercase()), "{text}");
        drop(client);
        world.finish(&[&format!("h1 GET / 200 completed in {}", SECRET.len())]).await;
    })
    .await;
}

/// The body is cut at every place, in every pairing of versions.
async fn cut_everywhere(client: V, server: V) {
    let world = World::new().await;
    let mut asker = world.asker(API, client).await;
    let mut origin = None;
    let told = format!("<{SECRET}>{SECRET}");
    for cut in 1..told.len() {
        let answered = asker.ask(get("/"));
        if origin.is_none() {
            origin = Some(world.origin.accept_requests(server).await);
        }
        let (mut download, response_body) = body();
        origin.as_mut().unwrap().recv().await.unwrap().answer(Response::new(response_body));
        let response = answered.await.unwrap().unwrap();
        let (first, second) = told.split_at(cut);
        download.send_data(first.to_owned().into()).await.unwrap();
        download.send_data(second.to_owned().into()).await.unwrap();
        drop(download);
        assert_scrubbed(&collect(response.into_body()).await.unwrap().0, &told);
    }
    drop(asker);
    let line = format!("{} GET / 200 completed in {}", client.name(), told.len());
    world.finish(&vec![line.as_str(); told.len() - 1]).await;
}

#[tokio::test]
async fn a_body_cut_anywhere_is_clean() {
    within(async {
        cut_everywhere(V::H1, V::H1).await;
        cut_everywhere(V::H2, V::H2).await;
    })
    .await;
}

#[tokio::test]
async fn a_body_cut_anywhere_is_clean_across_versions() {
    within(async {
        cut_everywhere(V::H1, V::H2).await;
        cut_everywhere(V::H2, V::H1).await;
    })
    .await;
}

/// Each chunk a byte, which is all that HTTP/1.1 allows.
#[tokio::test]
async fn a_body_in_single_bytes_is_clean() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(API, V::H1).await;
        let answered = asker.ask(get("/"));
        let mut origin = world.origin.accept().await;
        origin.head().await;
        origin.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        for byte in SECRET.chars() {
            origin.send(format!("1\r\n{byte}\r\n")).await;
        }
        origin.send("0\r\n\r\n").await;
        assert_scrubbed(&collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, SECRET);
        drop(asker);
        world.finish(&[&format!("h1 GET / 200 completed in {}", SECRET.len())]).await;
    })
    .await;
}

/// A stand-in of another length changes the length of the answer, so none is promised, to `HEAD` neither.
#[tokio::test]
async fn lengths_follow_the_stand_in() {
    within(async {
        let stand_in = "sk-standin-of-another-length";
        for (client, server) in [(V::H1, V::H1), (V::H2, V::H2), (V::H1, V::H2), (V::H2, V::H1)] {
            let world = World::with(Setup { stand_in, ..Setup::default() }).await;
            let mut asker = world.asker(API, client).await;
            let answered = asker.ask(get("/"));
            let mut origin = world.origin.accept_requests(server).await;
            origin.recv().await.unwrap().answer(Response::new(full(format!("<{SECRET}>"))));
            let response = answered.await.unwrap().unwrap();
            assert!(!response.headers().contains_key("content-length"));
            assert_eq!(collect(response.into_body()).await.unwrap().0, format!("<{stand_in}>"));
            let answered = asker.ask(Request::head("/").body(crate::rig::empty()).unwrap());
            let response =
                Response::builder().header("content-length", SECRET.len() + 2).body(crate::rig::empty()).unwrap();
            origin.recv().await.unwrap().answer(response);
            let response = answered.await.unwrap().unwrap();
            assert!(!response.headers().contains_key("content-length"));
            collect(response.into_body()).await.unwrap();
            drop(asker);
            world
                .finish(&[
                    &format!("{} GET / 200 completed in {}", client.name(), stand_in.len() + 2),
                    &format!("{} HEAD / 200 completed", client.name()),
                ])
                .await;
        }
    })
    .await;
}

/// A head that cannot be read: our own answer says nothing of it.
#[tokio::test]
async fn our_own_errors_are_clean() {
    within(async {
        for head in [
            format!("HTTP/1.1 200 OK\r\nNo colon {SECRET}\r\n\r\n"),
            format!("{SECRET}\r\n\r\n"),
            format!("HTTP/1.1 {SECRET}\r\n\r\n"),
            format!("HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n"),
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {SECRET}\r\n\r\n"),
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: {SECRET}\r\nContent-Length: 3\r\n\r\nxyz"),
        ] {
            let world = World::new().await;
            let mut asker = world.asker(API, V::H1).await;
            let answered = asker.ask(get("/"));
            let mut origin = world.origin.accept().await;
            origin.head().await;
            origin.send(&head).await;
            drop(origin);
            let response = answered.await.unwrap().unwrap();
            assert_eq!(response.status(), 502, "{head}");
            let fields = format!("{:?}", response.headers());
            let body = collect(response.into_body()).await.unwrap().0;
            assert!(body.contains("standin_refused"), "{body}");
            assert!(!holds_secret(body.as_bytes()) && !holds_secret(fields.as_bytes()), "{fields} {body}");
            drop(asker);
            world.end().await;
        }
    })
    .await;
}

/// HTTP/2 repeats it in fields and trailers.
#[tokio::test]
async fn fields_of_http2_are_clean() {
    within(async {
        let world = World::new().await;
        let mut asker = world.asker(API, V::H2).await;
        let answered = asker.ask(Request::get("/").header("te", "trailers").body(crate::rig::empty()).unwrap());
        let mut origin = world.origin.accept_frames().await;
        let (_, mut respond) = origin.accept().await.unwrap().unwrap();
        let named = SECRET.to_lowercase();
        let head = Response::builder().header("x-echo", SECRET).header(&named, "1").body(()).unwrap();
        let mut stream = respond.send_response(head, false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", SECRET.parse().unwrap());
        trailers.insert(http::HeaderName::from_bytes(named.as_bytes()).unwrap(), "1".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
        tokio::spawn(async move { while origin.accept().await.is_some() {} });
        let response = answered.await.unwrap().unwrap();
        assert_eq!(response.headers()["x-echo"], STAND_IN);
        assert!(!response.headers().contains_key(&named));
        let collected = response.into_body().collect().await.unwrap();
        let trailers = collected.trailers().unwrap();
        assert_eq!((trailers.len(), &trailers["x-end"]), (1, &STAND_IN.parse().unwrap()));
        drop(asker);
        world.finish(&["h2 GET / 200 completed"]).await;
    })
    .await;
}
