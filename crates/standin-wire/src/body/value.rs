//! What a body or a query says at a place, for policy. What some servers read otherwise is unknown.

use super::{Kind, Value, find};
use standin_model::{Fact, Place, Slot};

/// What a body says at a place.
pub fn value(kind: &Kind, body: &[u8], place: &Place) -> Fact {
    let slot = match place {
        Place::Form(name) => Slot::Form(name.clone()),
        Place::Json(pointer) => Slot::Json(pointer.clone()),
        Place::Query(_) | Place::Header(_) => return Fact::Unknown,
    };
    if !kind.has(&slot) {
        return Fact::Unknown; // it may be read as what it does not say it is
    }
    match find(kind, body, &slot) {
        Err(_) => Fact::Unknown,
        Ok(None) => Fact::Absent,
        Ok(Some(found)) => match found.value {
            Value::Text(text) => Fact::Text(text),
            Value::Nothing | Value::Other if matches!(kind, Kind::Json) => literal(&body[found.range]),
            Value::Nothing => Fact::Text(String::new()),
            Value::Other => Fact::Other,
        },
    }
}

/// What a query says at a parameter.
pub fn parameter(query: Option<&str>, name: &str) -> Fact {
    query.map_or(Fact::Absent, |query| value(&Kind::Form, query.as_bytes(), &Place::Form(name.to_owned())))
}

/// What stands there in JSON, if it is no text, or an empty one.
fn literal(json: &[u8]) -> Fact {
    match serde_json::from_slice(json) {
        Ok(serde_json::Value::Bool(is)) => Fact::Bool(is),
        Ok(serde_json::Value::Number(number)) => number.as_f64().map_or(Fact::Other, Fact::Number),
        Ok(serde_json::Value::String(text)) => Fact::Text(text),
        _ => Fact::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use standin_model::JsonPointer;

    #[test]
    fn json() {
        let at = |body: &str, pointer: &str| {
            value(&Kind::Json, body.as_bytes(), &Place::Json(JsonPointer::parse(pointer).unwrap()))
        };
        let text = |text: &str| Fact::Text(text.to_owned());
        for (body, pointer, expected) in [
            (r#"{"ref":"refs/heads/m\u0061in"}"#, "/ref", text("refs/heads/main")),
            (r#"{"ref":""}"#, "/ref", text("")),
            (r#"{"n":4096}"#, "/n", Fact::Number(4096.0)),
            (r#"{"n":-1e3}"#, "/n", Fact::Number(-1000.0)),
            (r#"{"b":false}"#, "/b", Fact::Bool(false)),
            (r#"{"b":null}"#, "/b", Fact::Other),
            (r#"{"b":["x"]}"#, "/b", Fact::Other),
            (r#"{"b":["x"]}"#, "/b/0", text("x")),
            (r#"{"b":1}"#, "/a", Fact::Absent),
            (r#"{"a":1,"a":2}"#, "/a", Fact::Unknown),
            (r#"{"a":1,"A":2}"#, "/a", Fact::Unknown),
            (r#"{"A":2}"#, "/a", Fact::Unknown),
            (r#"{"a":1"#, "/a", Fact::Unknown),
            ("", "/a", Fact::Unknown),
        ] {
            assert_eq!(at(body, pointer), expected, "{body} {pointer}");
        }
        assert_eq!(value(&Kind::Form, b"a=1", &Place::Json(JsonPointer::parse("/a").unwrap())), Fact::Unknown);
        assert_eq!(value(&Kind::Json, b"{}", &Place::Form("a".to_owned())), Fact::Unknown);
    }

    #[test]
    fn forms_and_queries() {
        let text = |text: &str| Fact::Text(text.to_owned());
        for (query, expected) in [
            (Some("b=1&a=x%20y+z"), text("x y z")),
            (Some("a"), text("")),
            (Some("%61=1"), text("1")),
            (Some("b=1"), Fact::Absent),
            (None, Fact::Absent),
            (Some("a=1&a=2"), Fact::Unknown),
            (Some("a=1;a=2"), Fact::Unknown),
            (Some("A=1"), Fact::Unknown),
            (Some("a[]=1"), Fact::Unknown),
            (Some("a=%zz"), Fact::Unknown),
        ] {
            assert_eq!(parameter(query, "a"), expected, "{query:?}");
        }
    }
}
