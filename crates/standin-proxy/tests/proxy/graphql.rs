//! Mutations of GraphQL in every dress, at a path where a rule means queries only.

use crate::rig::{API, Asker, Body, STAND_IN, Setup, V, World, collect, empty, full, within};
use http::{Request, Response};
use standin_model::WrittenGraphQl;

const JSON: &str = "application/json";
const GRAPHQL: &str = "application/graphql";
const FORM: &str = "application/x-www-form-urlencoded";
const PARTS: &str = "multipart/form-data; boundary=b";

/// A method, a query, a type and a body.
type Sent = (&'static str, &'static str, &'static str, &'static str);

/// Each runs a mutation at some server, or may.
const MUTATIONS: &[Sent] = &[
    ("POST", "", JSON, r#"{"query":"mutation{a}"}"#),
    ("POST", "", JSON, r#"{"query":"mutation query{a}"}"#),
    ("POST", "", JSON, r#"{"query":"mutation Query($query:Int){query:a}"}"#),
    ("POST", "", JSON, r##"{"query":"#query\nmutation{a}"}"##),
    ("POST", "", JSON, r#"{"query":"query{a}#\rmutation{b}","operationName":null}"#),
    ("POST", "", JSON, r#"{"query":"query A{a}#\u2028mutation B{b}","operationName":"B"}"#),
    ("POST", "", JSON, r#"{"query":",,\ufeff mutation@a{b}"}"#),
    ("POST", "", JSON, r#"{"query":"\u006dutation{a}"}"#),
    ("POST", "", JSON, r#"{"query":"mutation{...A}fragment A on Mutation{...B}fragment B on Mutation{b}"}"#),
    ("POST", "", JSON, r#"{"query":"mutation{...{...on Mutation{a}}}"}"#),
    ("POST", "", JSON, r#"{"query":"query A{a}mutation B{b}","operationName":"B"}"#),
    ("POST", "", JSON, r#"{"query":"query A{a}mutation B{b}","operationName":"A"}"#),
    ("POST", "", JSON, r#"{"query":"query A{a}mutation A{b}","operationName":"A"}"#),
    ("POST", "", JSON, r#"{"query":"{a}mutation{b}"}"#),
    ("POST", "", JSON, r#"{"query":"query A{a(b:\"\"\"x\"\"\")} mutation B{c}","operationName":"B"}"#),
    (
        "POST",
        "",
        JSON,
        r#"{"query":"query A{a(x:[\"\"\"x\"])}mutation B{b}query C{a(x:[\"]\"\"\"])}","operationName":"B"}"#,
    ),
    // graphql-ruby runs B.
    (
        "POST",
        "",
        JSON,
        r##"{"query":"query A{a(x:[\"\"\"a\"\"\"\"\"\"\"\"\"#\"\"\"])}mutation B{b}query C{a(x:[\n])}","operationName":"B"}"##,
    ),
    // GitLab runs B.
    (
        "POST",
        "",
        JSON,
        r##"{"query":"#\"\nquery A{a(y:\"\\\\\",x:\"\"\"\nmutation B{b}\n#\"\"\")}","operationName":"B"}"##,
    ),
    ("POST", "", JSON, r#"{"query":"subscription{a}"}"#),
    ("POST", "", JSON, r#"{"query":"query{a}","query":"mutation{b}"}"#),
    ("POST", "", JSON, r#"{"query":"mutation{b}","query":"query{a}"}"#),
    ("POST", "", JSON, r#"{"query":"query{a}","Query":"mutation{b}"}"#),
    ("POST", "", JSON, r#"{"query":"query{a}","qu\u0065ry":"mutation{b}"}"#),
    ("POST", "", JSON, r#"[{"query":"query{a}"},{"query":"mutation{b}"}]"#),
    ("POST", "", JSON, r#"{"query":"query{a}","_json":[{"query":"mutation{b}"}]}"#),
    ("POST", "", JSON, r#"{"0":{"query":"mutation{b}"},"query":"query{a}"}"#),
    ("POST", "", JSON, r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}"#),
    ("POST", "", JSON, r#"{"query":"query{a}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}"#),
    ("POST", "", JSON, r#"{"id":"00","variables":{}}"#),
    ("POST", "", JSON, r#"{"query":"query{a}","doc_id":"00"}"#),
    ("POST", "", JSON, r#"{"query":"query{a}","documentId":"00"}"#),
    ("POST", "", JSON, r#"{"query":"query{a}","queryId":"00"}"#),
    ("POST", "?query=mutation%7Ba%7D", JSON, ""),
    ("POST", "?query=mutation%7Bb%7D", JSON, r#"{"query":"query{a}"}"#),
    ("POST", "?_json[][query]=mutation%7Bb%7D", JSON, r#"{"query":"query{a}"}"#),
    ("POST", "?operationName=B&id=00", JSON, r#"{"query":"query{a}"}"#),
    ("GET", "?query=mutation%7Ba%7D", JSON, ""),
    ("GET", "?query=query%7Ba%7D&query=mutation%7Bb%7D", JSON, ""),
    ("GET", "?query=query%7Ba%7D&%71uery=mutation%7Bb%7D", JSON, ""),
    ("GET", "?extensions=%7B%22persistedQuery%22%3A%7B%22sha256Hash%22%3A%2200%22%7D%7D", JSON, ""),
    ("GET", "?query=query%7Ba%7D", JSON, r#"{"query":"mutation{b}"}"#),
    ("POST", "", GRAPHQL, "mutation{a}"),
    ("POST", "", GRAPHQL, "query A{a} mutation B{b}"),
    ("POST", "?operationName=B", GRAPHQL, "query A{a} mutation B{b}"),
    ("POST", "", "application/graphql; charset=utf-16", "query{a}"),
    // gqlgen takes what stands there as it is: a comment, up to the line's end.
    ("POST", "", FORM, "query=#%0A{a}\nmutation{b}"),
    ("POST", "", FORM, "query=mutation%7Ba%7D"),
    ("POST", "", FORM, "query=query%7Ba%7D&query=mutation%7Bb%7D"),
    ("POST", "", FORM, "query=query%7Ba%7D&query[]=mutation%7Bb%7D"),
    ("POST", "", "text/plain", r#"{"query":"mutation{a}"}"#),
    ("POST", "", "application/json, application/graphql", r#"{"query":"mutation{a}"}"#),
    ("POST", "", "application/json; charset=utf-7", r#"{"query":"query{a}"}"#),
    (
        "POST",
        "",
        PARTS,
        "--b\r\ncontent-disposition: form-data; name=\"operations\"\r\n\r\n{\"query\":\"mutation{a}\"}\r\n--b--\r\n",
    ),
    ("POST", "", PARTS, "--b\r\ncontent-disposition: form-data; name=\"query\"\r\n\r\nmutation{a}\r\n--b--\r\n"),
    ("PUT", "", JSON, r#"{"query":"mutation{a}"}"#),
];

const QUERIES: &[Sent] = &[
    ("POST", "", JSON, r#"{"query":"query{viewer{login}}","variables":{"a":"mutation{b}"}}"#),
    ("POST", "", JSON, r#"[{"query":"{a}"},{"query":"query mutation{mutation:b}","operationName":"mutation"}]"#),
    ("POST", "", GRAPHQL, "{ ...A } fragment A on Query { a }"),
    ("GET", "?query=%7Ba(b:%22mutation%22)%7D", JSON, ""),
    ("POST", "?query=%7Ba%7D", JSON, ""),
];

fn request((method, query, content_type, body): Sent) -> Request<Body> {
    let request = Request::builder().method(method).uri(format!("/graphql{query}"));
    let request = request.header("authorization", format!("Bearer {STAND_IN}"));
    let body = if body.is_empty() { empty() } else { full(body) };
    request.header("content-type", content_type).body(body).unwrap()
}

/// The status, and why.
async fn told(asker: &mut Asker, sent: Sent) -> (u16, String) {
    let response = asker.ask(request(sent)).await.unwrap().unwrap();
    (response.status().as_u16(), collect(response.into_body()).await.unwrap().0)
}

async fn world(graphql: Option<serde_json::Value>) -> World {
    let condition = |graphql| serde_json::from_value::<WrittenGraphQl>(graphql).unwrap().condition().unwrap();
    World::with(Setup { conditions: graphql.map(condition).into_iter().collect(), ..Setup::default() }).await
}

/// Those that reach the origin, as they came.
async fn all_pass(world: World, all: &[Sent]) {
    let mut asker = world.asker(API, V::H1).await;
    let mut origin = None;
    for sent in all {
        let answered = asker.ask(request(*sent));
        if origin.is_none() {
            origin = Some(world.origin.accept_requests(V::H1).await);
        }
        let (got, answer, _) = origin.as_mut().unwrap().recv().await.unwrap().whole().await;
        assert_eq!(got, sent.3);
        answer.send(Response::new(empty())).unwrap();
        assert_eq!(answered.await.unwrap().unwrap().status(), 200, "{sent:?}");
    }
    drop(asker);
    world.end().await;
}

/// What passes where the path alone is judged does not pass as a query, in either version of HTTP.
#[tokio::test]
async fn a_mutation_is_no_query_whatever_its_spelling() {
    within(async {
        all_pass(world(None).await, MUTATIONS).await;
        let queries = serde_json::json!(["query"]);
        all_pass(world(Some(queries.clone())).await, QUERIES).await;
        let world = world(Some(queries)).await;
        for version in [V::H1, V::H2] {
            for sent in MUTATIONS {
                let mut asker = world.asker(API, version).await;
                let (status, told) = told(&mut asker, *sent).await;
                assert!(status == 403 && told.contains("GraphQL of query only"), "{sent:?}: {status} {told}");
            }
        }
        let mut asker = world.asker(API, V::H1).await;
        for (sent, why) in [
            (("POST", "", JSON, r#"{"id":"00"}"#), "names what it runs instead of writing it"),
            (("POST", "?a=b", JSON, r#"{"query":"{a}"}"#), "it has a query beside its body"),
            (("POST", "", JSON, r#"{"query":"{a"}"#), "its GraphQL is not plain"),
        ] {
            let (status, told) = told(&mut asker, sent).await;
            assert!(status == 403 && told.contains(why), "{sent:?}: {status} {told}");
        }
        assert!(world.origin.is_untouched());
        drop(asker);
        world.end().await;
    })
    .await;
}

/// One operation that changes something is allowed among all that read.
#[tokio::test]
async fn fields_are_named() {
    within(async {
        let some = serde_json::json!({ "query": ["*"], "mutation": ["addComment"] });
        let left = [
            ("POST", "", JSON, r#"{"query":"mutation{deleteIssue:addComment{id}}"}"#),
            ("POST", "", JSON, r#"[{"query":"{a}"},{"query":"mutation{...on M{addComment{id}}}"}]"#),
        ];
        all_pass(world(Some(some.clone())).await, &left).await;
        let world = world(Some(some)).await;
        let mut asker = world.asker(API, V::H1).await;
        for sent in [
            ("POST", "", JSON, r#"{"query":"mutation{addComment:deleteIssue{id}}"}"#),
            ("POST", "", JSON, r#"{"query":"mutation{addComment{id}deleteIssue{id}}"}"#),
            ("POST", "", JSON, r#"{"query":"mutation{addComment{id}...A}fragment A on M{deleteIssue{id}}"}"#),
            ("POST", "", JSON, r#"[{"query":"mutation{addComment{id}}"},{"query":"mutation{deleteIssue{id}}"}]"#),
            ("POST", "", JSON, r#"{"query":"mutation{AddComment{id}}"}"#),
        ] {
            let (status, told) = told(&mut asker, sent).await;
            assert!(status == 403 && told.contains("mutation `addComment` only"), "{sent:?}: {status} {told}");
        }
        assert!(world.origin.is_untouched());
        drop(asker);
        world.end().await;
    })
    .await;
}
