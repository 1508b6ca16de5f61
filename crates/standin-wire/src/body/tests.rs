use super::*;
use proptest::prelude::*;

const FAKE: &str = "fake-token-1234";

/// The body with [`FAKE`] in the slot exchanged for `secret`, or what is wrong with it.
fn exchanged(slot: &str, body: &str, secret: &str) -> Result<String, String> {
    let slot = Slot::parse(slot).unwrap();
    let kind = if matches!(slot, Slot::Form(_)) { Kind::Form } else { Kind::Json };
    match find(&kind, body.as_bytes(), &slot) {
        Ok(Some(Place { range, value: Value::Text(text), .. })) if text == FAKE => {
            let real = kind.written(secret.as_bytes()).unwrap();
            Ok(String::from_utf8(splice(body.as_bytes(), vec![(range, real)])).unwrap())
        }
        Ok(Some(place)) => Err(format!("{:?}", place.value)),
        Ok(None) => Err("not there".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn check(slot: &str, body: &str, expected: Result<&str, &str>) {
    let got = exchanged(slot, body, "re\"al&");
    assert_eq!(got.as_deref().map_err(String::as_str), expected, "{slot} in {body}");
}

const DOUBLED: Result<&str, &str> = Err("its name stands there twice, or in another spelling");

#[test]
fn fields_of_forms() {
    check("form:key", "a=1&key=fake-token-1234&b=%20+", Ok("a=1&key=re%22al%26&b=%20+"));
    check("form:key", "key=fake%2Dtoken%2d1234", Ok("key=re%22al%26"));
    check("form:key", "k%65y=fake-token-1234", Ok("k%65y=re%22al%26"));
    check("form:my key", "my+key=fake-token-1234", Ok("my+key=re%22al%26"));
    check("form:key", "note=fake-token-1234&key=fake-token-1234", Ok("note=fake-token-1234&key=re%22al%26"));
    check("form:key", "note=fake-token-1234", Err("not there"));
    check("form:key", "", Err("not there"));
    check("form:key", "key=", Err("Nothing"));
    check("form:key", "key", Err("Nothing"));
    check("form:key", "key=other", Err("Text(\"other\")"));
    check("form:key", "key=fake-token-1234%0A", Err("Text(\"fake-token-1234\\n\")"));
    check("form:key", "key=fake-token-1234=", Err("Text(\"fake-token-1234=\")"));
    check("form:key", "key=fake-token-1234;a=1", Err("Text(\"fake-token-1234;a=1\")"));
    check("form:key", "key=fake-token-1234%", Err("the value has a broken escape"));
    check("form:key", "key=fake-token-1234&key=x", DOUBLED);
    check("form:key", "key=x&k%65y=fake-token-1234", DOUBLED);
    check("form:key", "KEY=x&key=fake-token-1234", DOUBLED);
    check("form:key", "KEY=fake-token-1234", DOUBLED);
    check("form:key", "key%00=x&key=fake-token-1234", DOUBLED);
    check("form:key", "a=1;key=x&key=fake-token-1234", DOUBLED);
    check("form:key", "a=1;key=fake-token-1234", DOUBLED);
}

#[test]
fn strings_in_json() {
    check(
        "json:/key",
        r#"{"a":[1,{"key":"x"}], "key" : "fake-token-1234" }"#,
        Ok(r#"{"a":[1,{"key":"x"}], "key" : "re\"al&" }"#),
    );
    check("json:/key", r#"{"key":"\u0066ake-token-1234"}"#, Ok(r#"{"key":"re\"al&"}"#));
    check("json:/key", r#"{"\u006bey":"fake-token-1234"}"#, Ok(r#"{"\u006bey":"re\"al&"}"#));
    check("json:/a/1/k~1", r#"{"a":[0,{"k/":"fake-token-1234"}]}"#, Ok(r#"{"a":[0,{"k/":"re\"al&"}]}"#));
    check("json:/0", r#"["fake-token-1234"]"#, Ok(r#"["re\"al&"]"#));
    check("json:/0", r#"{"0":"fake-token-1234"}"#, Ok(r#"{"0":"re\"al&"}"#));
    check("json:/", r#"{"":"fake-token-1234"}"#, Ok(r#"{"":"re\"al&"}"#));
    check("json:/key", r#"{"note":"fake-token-1234"}"#, Err("not there"));
    check("json:/key", r#"{"a":{"key":"fake-token-1234"}}"#, Err("not there"));
    check("json:/00", r#"["fake-token-1234"]"#, Err("not there"));
    check("json:/-", r#"["fake-token-1234"]"#, Err("not there"));
    check("json:/1", r#"["fake-token-1234"]"#, Err("not there"));
    for scalar in ["1", "-1", "1.5", "true", "null", "\"fake-token-1234\""] {
        check("json:/key", scalar, Err("not there"));
    }
    check("json:/key", r#"{"key":null}"#, Err("Nothing"));
    check("json:/key", r#"{"key":""}"#, Err("Nothing"));
    check("json:/key", r#"{"key":["fake-token-1234"]}"#, Err("Other"));
    check("json:/key", r#"{"key":12}"#, Err("Other"));
    check("json:/key", r#"{"key":"Bearer fake-token-1234"}"#, Err("Text(\"Bearer fake-token-1234\")"));
    check("json:/key", r#"{"key":"fake-token-1234","key":"x"}"#, DOUBLED);
    check("json:/key", r#"{"key":"x","k\u0065y":"fake-token-1234"}"#, DOUBLED);
    check("json:/key", r#"{"KEY":"x","key":"fake-token-1234"}"#, DOUBLED);
    check("json:/key", "{\"\u{212a}ey\":\"x\",\"key\":\"fake-token-1234\"}", DOUBLED);
    check("json:/key", r#"{"KEY":"fake-token-1234"}"#, DOUBLED);
    check("json:/key", r#"{"key\u0000x":"x","key":"fake-token-1234"}"#, DOUBLED);
    check("json:/a/key", r#"{"a":{"key":"fake-token-1234"},"a":{}}"#, DOUBLED);
}

#[test]
fn what_is_not_json_has_no_place() {
    for body in [
        "",
        "{",
        r#"{"key":"fake-token-1234"}x"#,
        r#"{"key":"fake-token-1234"}{"key":"x"}"#,
        r#"{"key":"fake-token-1234",}"#,
        r#"{"key":'fake-token-1234'}"#,
        r#"{key:"fake-token-1234"}"#,
        r#"{"key":"fake-token-1234"/**/}"#,
        "\u{feff}{\"key\":\"fake-token-1234\"}",
        "{\"key\":\"fake-token-1234\",\"a\":\"\n\"}",
        r#"{"key":"fake-token-1234","a":NaN}"#,
        r#"{"key":"fake-token-1234","a":01}"#,
    ] {
        check("json:/key", body, Err("it is not JSON"));
    }
    check("json:/key", r#"{"key":"\ud800"}"#, Err("the value has a broken escape"));
    let deep = format!(r#"{{"a":{}{},"key":"fake-token-1234"}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(exchanged("json:/key", &deep, "x").is_ok());
    assert_eq!(find(&Kind::Json, b"{\"key\":\"\xff\"}", &Slot::parse("json:/key").unwrap()), Err(BodyError::Charset));
}

#[test]
fn kinds() {
    for (content_type, expected) in [
        ("application/json", Some(Ok(Kind::Json))),
        ("Application/JSON; charset=UTF-8", Some(Ok(Kind::Json))),
        ("application/vnd.api+json;charset=\"utf-8\"", Some(Ok(Kind::Json))),
        ("application/x-www-form-urlencoded", Some(Ok(Kind::Form))),
        ("application/x-www-form-urlencoded; charset=ibm037", Some(Err(BodyError::Charset))),
        ("application/json;charset=utf-8;charset=utf-16", Some(Err(BodyError::Charset))),
        ("multipart/mixed; boundary=x", None),
        ("application/jsonp", None),
        ("text/plain", None),
        ("", None),
    ] {
        assert_eq!(Kind::of(content_type.as_bytes()), expected, "{content_type}");
    }
}

#[test]
fn secrets_are_written_as_the_body_wants_it() {
    assert_eq!(Kind::Form.written(b"a b&\xff").unwrap(), b"a%20b%26%FF");
    assert_eq!(Kind::Json.written("a\"\\\n\u{1}é/".as_bytes()).unwrap(), "\"a\\\"\\\\\\n\\u0001é/\"".as_bytes());
    assert_eq!(Kind::Json.written(b"\xff"), None);
}

proptest! {
    /// Whatever stands around the slot, a reader finds the secret in it, and all else as it was.
    #[test]
    fn json_readers_find_the_secret(secret in "\\PC{1,20}", before in "\\PC{0,10}", after in any::<i64>(), pad in "[ \\n\\t]{0,3}") {
        let body = format!("{pad}{{{pad}\"a\":{},\"key\"{pad}:{pad}\"{FAKE}\"{pad},\"b\":{after}}}", serde_json::json!([before]));
        let real: serde_json::Value = serde_json::from_str(&exchanged("json:/key", &body, &secret).unwrap()).unwrap();
        prop_assert_eq!(real, serde_json::json!({"a": [before], "key": secret, "b": after}));
    }
}

/// A body as browsers and curl write it: each part a head and a content.
fn multipart(parts: &[(&str, &str)]) -> String {
    let part = |(head, content): &(&str, &str)| format!("--b0\r\n{head}\r\n\r\n{content}\r\n");
    parts.iter().map(part).collect::<String>() + "--b0--\r\n"
}

/// What becomes of a field `key` in such a body.
fn in_multipart(body: &str, secret: &str) -> Result<String, String> {
    let kind = Kind::of(b"Multipart/Form-Data; boundary=b0").unwrap().unwrap();
    let place = find(&kind, body.as_bytes(), &Slot::parse("form:key").unwrap()).map_err(|error| error.to_string())?;
    match place {
        Some(Place { range, value: Value::Text(text), .. }) if text == FAKE => {
            let real = kind.written(secret.as_bytes()).ok_or("cannot stand there")?;
            Ok(String::from_utf8(splice(body.as_bytes(), vec![(range, real)])).unwrap())
        }
        Some(place) => Err(format!("{:?}", place.value)),
        None => Err("not there".to_owned()),
    }
}

const NAMED: &str = "Content-Disposition: form-data; name=\"key\"";
const NOT_AS_WRITTEN: &str = "it is not multipart/form-data as clients write it";

#[test]
fn fields_of_forms_with_parts() {
    let file = "Content-Disposition: form-data; name=\"f\"; filename=\"a;b.txt\"\r\nContent-Type: text/html";
    for head in [
        NAMED,
        "content-disposition:form-data;name=key",
        "Content-Disposition: form-data; name=\"key\"\r\nContent-Type: text/plain; charset=utf-8",
        "Content-Type: text/plain\r\nContent-Disposition: form-data; name=\"key\"\r\nContent-Transfer-Encoding: 8bit",
        "Content-Disposition: form-data; name=\"key\"\r\nContent-Length: 15",
    ] {
        let written =
            |value| multipart(&[(file, "x\r\n-b0"), (head, value), ("Content-Disposition: form-data; name=n", "")]);
        assert_eq!(in_multipart(&written(FAKE), "re\"al\r\n&"), Ok(written("re\"al\r\n&")), "{head}");
    }
    for (body, told) in [
        ("--b0--".to_owned(), "not there"),
        (multipart(&[(file, FAKE)]), "not there"),
        (multipart(&[(NAMED, "")]), "Nothing"),
        (multipart(&[(NAMED, "other")]), "Text(\"other\")"),
        (multipart(&[(NAMED, "fake-token-1234\r\n")]), "Text(\"fake-token-1234\\r\\n\")"),
        // A file to some, a field to others; a type that is read otherwise.
        (multipart(&[(&format!("{NAMED}; filename=\"a\""), FAKE)]), "Other"),
        (multipart(&[(&format!("{NAMED}\r\nContent-Type: text/plain; charset=utf-16"), FAKE)]), "Other"),
        (multipart(&[(&format!("{NAMED}\r\nContent-Type: multipart/mixed; boundary=c"), FAKE)]), "Other"),
    ] {
        assert_eq!(in_multipart(&body, "real"), Err(told.to_owned()), "{body}");
    }
}

/// What somebody reads as another field, another name, or not at all.
#[test]
fn forms_with_parts_are_read_in_one_way() {
    let whole = multipart(&[(NAMED, FAKE)]);
    let doubled = "its name stands there twice, or in another spelling";
    let other = |name: &str| format!("Content-Disposition: form-data; name=\"{name}\"");
    let rows = [
        (multipart(&[(NAMED, FAKE), (NAMED, "x")]), doubled),
        (multipart(&[(NAMED, "x"), (NAMED, FAKE)]), doubled),
        (multipart(&[(NAMED, FAKE), (&other("KEY"), "x")]), doubled),
        (multipart(&[(NAMED, FAKE), (&other("k%65y"), "x")]), doubled),
        (multipart(&[(NAMED, FAKE), (&other("k\\ey"), "x")]), doubled),
        (multipart(&[(&other("Key"), FAKE)]), doubled),
        (multipart(&[(&format!("{NAMED}; name=\"x\""), FAKE)]), doubled),
        (multipart(&[(&format!("{NAMED}; name*=utf-8''x"), FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[(&format!("{NAMED}; name*0=x"), FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[(&format!("{NAMED}\r\n{}", other("x")), FAKE)]), doubled),
        (multipart(&[(&format!("{NAMED}\r\n x"), FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[(&format!("X: y\n{NAMED}"), FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[(&format!("{NAMED}\r\nContent-Transfer-Encoding: base64"), FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[(&format!("{NAMED}\r\nContent-Length: 4"), FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[(&format!("{NAMED}; x=\"\\\"; name=y\""), FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[("Content-Disposition: attachment; name=\"key\"", FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[("Content-Type: text/plain", FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[("", FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[(NAMED, FAKE), (&other("_charset_"), "utf-7")]), "it is not in UTF-8"),
        // Before the first delimiter, behind the last one, without a last one, ended by line feeds alone.
        (format!("x\r\n{whole}"), NOT_AS_WRITTEN),
        (format!("\r\n{whole}"), NOT_AS_WRITTEN),
        (format!("{whole}x"), NOT_AS_WRITTEN),
        (format!("{whole}{whole}"), NOT_AS_WRITTEN),
        (whole.replace("--b0--\r\n", ""), NOT_AS_WRITTEN),
        (whole.replace("\r\n", "\n"), NOT_AS_WRITTEN),
        (multipart(&[(&other("x"), &format!("y\n--b0\n{NAMED}\n\nz")), (NAMED, FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[(&other("x"), "y\r\n--b0x"), (NAMED, FAKE)]), NOT_AS_WRITTEN),
        (multipart(&[(&other("x"), "y\r\n--b0 \r\n"), (NAMED, FAKE)]), NOT_AS_WRITTEN),
        (String::new(), NOT_AS_WRITTEN),
    ];
    for (body, told) in &rows {
        let got = in_multipart(body, "real").map_or_else(|error| error, |_| "fits".to_owned());
        assert_eq!(got, *told, "{body}");
    }
    for parameters in
        ["", "; charset=utf-8", "; boundary=", "; boundary=b0; boundary=c0", "; boundary=\"b0", "; boundary=b<0"]
    {
        let kind = Kind::of(format!("multipart/form-data{parameters}").as_bytes());
        assert_eq!(kind, Some(Err(BodyError::Multipart)), "{parameters}");
    }
    let quoted = Kind::of(b"multipart/form-data; charset=utf-8; Boundary=\"b0\"").unwrap().unwrap();
    assert_eq!(Kind::of(b"multipart/form-data;boundary=b0").unwrap().unwrap(), quoted);
    assert!(Kind::of(b"multipart/mixed; boundary=b0").is_none());
}

proptest! {
    /// Whatever bytes come, what is found is the whole content of a part.
    #[test]
    fn any_bytes_are_read_or_refused(parts in prop::collection::vec("(--b0|\r\n|--|\n|:|;|=|\"|x|key|name|Content-Disposition: form-data; name=\"key\"|fake-token-1234)", 0..24)) {
        let body = parts.concat();
        let kind = Kind::of(b"multipart/form-data; boundary=b0").unwrap().unwrap();
        if let Ok(Some(place)) = find(&kind, body.as_bytes(), &Slot::parse("form:key").unwrap()) {
            prop_assert!(body[..place.range.start].ends_with("\r\n\r\n"));
            prop_assert!(body[place.range.end..].starts_with("\r\n--b0"));
        }
    }
}

/// What PHP reads as another name or another boundary: a quote of either kind opens one wherever it stands, a comma ends a
/// boundary, and the first `boundary` counts, whatever it is a part of.
#[test]
fn parameters_are_read_in_one_way() {
    for parameters in [
        // Name `evil` to PHP.
        "foo=x\"; name=\"key\"; bar=\"; name=evil; z=\"",
        "foo='; name=\"key\"; bar=\"'; name=evil; z='\"",
        "foo=a b; name=\"key\"",
        "foo=; name=\"key\"",
    ] {
        let body = multipart(&[(&format!("Content-Disposition: form-data; {parameters}"), FAKE)]);
        assert_eq!(in_multipart(&body, "real"), Err(NOT_AS_WRITTEN.to_owned()), "{parameters}");
    }
    let file = "Content-Disposition: form-data; name=f; filename*=utf-8''na%C3%AFve.txt";
    assert!(in_multipart(&multipart(&[(file, "x"), (NAMED, FAKE)]), "real").is_ok());
    for parameters in ["boundary=a:,b", "boundary=a,b", "xboundary=a0; boundary=b0", "x=\"boundary=a0\"; boundary=b0"] {
        let kind = Kind::of(format!("multipart/form-data; {parameters}").as_bytes());
        assert_eq!(kind, Some(Err(BodyError::Multipart)), "{parameters}");
    }
    assert!(Kind::of(b"multipart/form-data; boundary=\"a:,b\"").unwrap().is_ok());
    let other = Kind::of(b"multipart/form-data; charset=utf-16; boundary=b0");
    assert_eq!(other, Some(Err(BodyError::Charset)));
}

/// Whether a secret holds a text is no answer that whoever chooses the boundary gets, one letter after the other.
#[test]
fn a_boundary_asks_nothing_of_the_secret() {
    let body = multipart(&[(NAMED, FAKE)]);
    assert_eq!(in_multipart(&body, "abc--b0def"), Ok(multipart(&[(NAMED, "abc--b0def")])));
    for secret in ["--b0", "a\n--b0", "a\r\n--b0--"] {
        assert_eq!(in_multipart(&body, secret), Err("cannot stand there".to_owned()));
    }
}

/// Servers of PHP's tradition read ` key`, `k.y` and `key[]` as names of their own variables.
#[test]
fn names_of_variables_are_the_same() {
    for (slot, body) in [
        ("form:key", "+key=x"),
        ("form:key", "key[]=x"),
        ("form:key", "key%5Ba%5D=x"),
        ("form:my_key", "my.key=x"),
        ("form:my_key", "my+key=x"),
        ("form:my_key", "my[key=x"),
    ] {
        let kind = Kind::of(b"application/x-www-form-urlencoded").unwrap().unwrap();
        let found = find(&kind, body.as_bytes(), &Slot::parse(slot).unwrap());
        assert_eq!(found, Err(BodyError::Doubled), "{body}");
    }
    // In one pass, however many brackets there are: with a look at all before each of them this takes hours.
    let brackets = "[".repeat(2_000_000);
    assert!(
        exchanged("form:key", &format!("key{brackets}]=x"), "") == DOUBLED.map(str::to_owned).map_err(str::to_owned)
    );
    assert!(exchanged("form:key", &format!("other{brackets}]=x"), "") == Err("not there".to_owned()));
}
