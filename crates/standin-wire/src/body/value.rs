//! What a body or a query says at a place, for policy. What some servers read otherwise is unknown.

use super::{Kind, Value, escapes_are_whole, find, member};
use percent_encoding::percent_decode;
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
    // Some servers read the first of so many only.
    if matches!(kind, Kind::Form) && body.iter().filter(|byte| matches!(byte, b'&' | b';')).count() > MAX_FIELDS {
        return Fact::Unknown;
    }
    let found = match place {
        Place::Json(pointer) => member(body, pointer), // where nothing has names, too
        _ => find(kind, body, &slot),
    };
    match found {
        Err(_) => Fact::Unknown,
        // Escapes that are none, or of no text, are read in several ways.
        Ok(_) if matches!(kind, Kind::Form) && !is_plain(body) => Fact::Unknown,
        Ok(None) => Fact::Absent,
        Ok(Some(found)) => match found.value {
            // What is written in C ends there.
            Value::Text(text) if text.contains('\0') => Fact::Unknown,
            Value::Text(text) => Fact::Text(text),
            Value::Nothing | Value::Other if matches!(kind, Kind::Json) => literal(&body[found.range]),
            Value::Nothing => Fact::Text(String::new()),
            Value::Other => Fact::Other,
        },
    }
}

/// Most fields of a form: some servers pass over what is behind a thousand.
const MAX_FIELDS: usize = 500;

/// Whether every reader of forms reads the same: no `;`, which some take for `&`, escapes of two digits, and text.
fn is_plain(form: &[u8]) -> bool {
    let text = String::from_utf8_lossy(form);
    !form.contains(&b';') && escapes_are_whole(&text) && percent_decode(form).decode_utf8().is_ok()
}

/// What a query says at a parameter.
pub fn parameter(query: Option<&str>, name: &str) -> Fact {
    query.map_or(Fact::Absent, |query| value(&Kind::Form, query.as_bytes(), &Place::Form(name.to_owned())))
}

/// Greatest number that is exact.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// What stands there in JSON, if it is no text, or an empty one.
fn literal(json: &[u8]) -> Fact {
    match serde_json::from_slice(json) {
        Ok(serde_json::Value::Bool(is)) => Fact::Bool(is),
        // Beyond, several whole numbers are one.
        Ok(serde_json::Value::Number(number)) => match number.as_f64() {
            Some(number) if number.abs() <= MAX_EXACT => Fact::Number(number),
            _ => Fact::Other,
        },
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
            (r#"{"b":9007199254740993}"#, "/b", Fact::Other),
            (r#"{"b":"x\u0000"}"#, "/b", Fact::Unknown),
            (r#"[{"a":"x"}]"#, "/a", Fact::Unknown),
            (r#"{"a":["x"]}"#, "/a/b", Fact::Unknown),
            (r#"{"a":"x"}"#, "/a/b", Fact::Unknown),
            (r#"{"a":null}"#, "/a/b", Fact::Absent),
            (r#"["x"]"#, "/1", Fact::Absent),
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
            (Some("[a]=1"), Fact::Unknown),
            (Some("a=1&[a]=2"), Fact::Unknown),
            (Some("a]=1"), Fact::Unknown),
            (Some("%5Ba%5D=1"), Fact::Unknown),
            (Some("b=1&%u0061=2"), Fact::Unknown),
            (Some("a=1;x"), Fact::Unknown),
            (Some("a=1%00x"), Fact::Unknown),
            (Some("a=1%ff"), Fact::Unknown),
        ] {
            assert_eq!(parameter(query, "a"), expected, "{query:?}");
        }
    }
}
