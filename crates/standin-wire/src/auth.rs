//! Where credentials stand in a request, and how a stand-in there is exchanged.
//!
//! A field is read as `Basic user:password` (RFC 7617), as `scheme token` (RFC 9110 §11.4) or as the bare value, `Cookie`
//! as a list of cookies, a parameter as the bare value; a stand-in must be the whole of a part, never a piece of it. What is
//! beside it must not be another credential: Rails reads `Token token=OTHER; x=OURS` as OTHER.

use crate::body::is_variable;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use standin_model::Slot;
use standin_model::slot::AUTH_HEADERS;
use std::borrow::Cow;
use std::ops::Range;

/// Clients pad or do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Query parameters that carry credentials or signatures made with them, in lower case.
const AUTH_PARAMETERS: &[&str] = &[
    "key",
    "api_key",
    "apikey",
    "access_token",
    "token",
    "auth_token",
    "private_token",
    "x-amz-credential",
    "x-amz-signature",
    "x-amz-security-token",
    "x-goog-credential",
    "x-goog-signature",
    "awsaccesskeyid",
    "sig",
    "oauth_token",
    "job_token",
    "feed_token",
    "rss_token",
    "client_secret",
    "api-key",
    "x-api-key",
    "subscription-key",
    // Google's other spellings, and fields in a parameter.
    "$key",
    "$access_token",
    "$oauth_token",
    "$httpheaders",
];

/// Credentials in a list of WebSocket protocols, where browsers put them: OpenAI's, Kubernetes'.
const AUTH_PROTOCOLS: &[&str] = &["openai-insecure-api-key.", "openai-ephemeral-token.", "base64url.bearer."];
/// No authentication scheme is longer (RFC 9110 §11.1 and its registry); keys are.
const MAX_SCHEME: usize = 16;

/// What a segment may not hold as it is (RFC 3986 §3.3), and `;`, where some servers' parameters begin.
const NOT_IN_SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b';')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// All but unreserved characters (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The places of a request's head that hold a credential by convention, those that are `named` as slots, and those whose
/// value `is_ours`. Most fields are none of these, and cost nothing but the look at them.
pub fn credentials_in(
    headers: &HeaderMap,
    query: Option<&str>,
    is_ours: impl Fn(&[u8]) -> bool,
    named: &[&Slot],
) -> Vec<(Slot, Vec<u8>)> {
    let mut found = Vec::new();
    for (name, value) in headers {
        let (name, value) = (name.as_str(), value.as_bytes());
        if name == COOKIE {
            let is_named = |name: &str| named.iter().any(|slot| matches!(slot, Slot::Cookie(named) if named == name));
            let cookies = cookies(value).filter(|(name, value)| is_ours(value) || is_named(name));
            found.extend(cookies.map(|(name, value)| (Slot::Cookie(name.into_owned()), value.to_vec())));
        } else if is_auth_header(name)
            || is_auth_protocol(name, value)
            || is_ours(value)
            || named.iter().any(|slot| matches!(slot, Slot::Header(named) if is_same_field(named, name)))
        {
            found.push((Slot::Header(name.to_owned()), value.to_vec()));
        }
    }
    for (name, value) in parameters(query.unwrap_or_default()) {
        let is_named = |slot: &&Slot| matches!(slot, Slot::Query(named) if is_variable(&name, named));
        if AUTH_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
            || is_ours(value.as_bytes())
            || named.iter().any(is_named)
        {
            found.push((Slot::Query(name), value.into_bytes()));
        }
    }
    found
}

/// Whether a value in this slot is a credential even if we do not know it. A cookie may be anything.
pub fn is_credential_slot(slot: &Slot) -> bool {
    match slot {
        // Of a list of protocols only a value that holds a credential was taken for a slot.
        Slot::Header(name) => name != COOKIE && (is_auth_header(name) || name == PROTOCOLS),
        Slot::Query(name) => AUTH_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()),
        Slot::Cookie(_) | Slot::Path(_) | Slot::Form(_) | Slot::Json(_) | Slot::WebSocket | Slot::SigV4 => false,
    }
}

/// Whether some server takes a value in `slot` for one in `named`: `_` for `-` in a field's name, another case in a
/// parameter's, or a variable's name.
pub fn means(named: &Slot, slot: &Slot) -> bool {
    match (named, slot) {
        (Slot::Header(named), Slot::Header(name)) => is_same_field(named, name),
        (Slot::Query(named), Slot::Query(name)) => is_variable(name, named),
        _ => named == slot,
    }
}

fn is_same_field(a: &str, b: &str) -> bool {
    let hyphen = |b: u8| if b == b'_' { b'-' } else { b };
    a.bytes().map(hyphen).eq(b.bytes().map(hyphen))
}

const COOKIE: &str = "cookie";
const PROTOCOLS: &str = "sec-websocket-protocol";

/// Servers of the CGI tradition take `_` for `-` (RFC 3875 §4.1.18).
fn is_auth_header(name: &str) -> bool {
    AUTH_HEADERS.contains(&name) || (name.contains('_') && AUTH_HEADERS.contains(&name.replace('_', "-").as_str()))
}

fn is_auth_protocol(name: &str, value: &[u8]) -> bool {
    let holds = |protocol: &str| AUTH_PROTOCOLS.iter().any(|known| protocol.trim().starts_with(known));
    name == PROTOCOLS && String::from_utf8_lossy(value).to_ascii_lowercase().split(',').any(holds)
}

/// Whether a grant with these slots covers `slot`. An empty list means every auth header.
pub fn covers(granted: &[Slot], slot: &Slot) -> bool {
    match slot {
        Slot::Header(name) if granted.is_empty() => AUTH_HEADERS.contains(&name.as_str()),
        // `header:cookie` means every cookie.
        Slot::Cookie(_) => {
            granted.is_empty() || granted.contains(slot) || granted.contains(&Slot::Header(COOKIE.to_owned()))
        }
        _ => granted.contains(slot),
    }
}

/// The first part of a slot's value that `lookup` knows.
pub fn find<T>(slot: &Slot, value: &[u8], lookup: impl Fn(&str) -> Option<T>) -> Option<T> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if let Some(known) = lookup(text) {
        return Some(known);
    }
    let (Slot::Header(_), Some((scheme, rest))) = (slot, scheme_of(text)) else { return None };
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        let (user, password) = basic(rest)?;
        return lookup(&user).or_else(|| lookup(&password));
    }
    lookup(rest)
}

/// `scheme rest`. The scheme is a word: in `KEY OURS` the key could be another one.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let is_word = |scheme: &str| scheme.len() <= MAX_SCHEME && scheme.bytes().all(|b| b.is_ascii_alphabetic());
    text.split_once(' ').filter(|(scheme, _)| is_word(scheme))
}

/// The value with its stand-in exchanged; `None` if the stand-in is not a part of it.
pub fn rewrite(slot: &Slot, value: &[u8], stand_in: &str, secret: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if text == stand_in {
        return Some(secret.to_vec());
    }
    let (Slot::Header(_), Some((scheme, rest))) = (slot, scheme_of(text)) else { return None };
    if scheme.eq_ignore_ascii_case("basic") {
        let (user, password) = basic(rest.trim())?;
        let user = if user == stand_in { secret } else { user.as_bytes() };
        let password = if password == stand_in { secret } else { password.as_bytes() };
        let real = BASE64.encode([user, b":", password].concat());
        return Some(format!("{scheme} {real}").into_bytes());
    }
    (rest.trim() == stand_in).then(|| [scheme.as_bytes(), b" ", secret].concat())
}

/// A line of `Cookie` with the stand-in in the cookie `name` exchanged; everything else stays as it is written. `None` if
/// it does not stand there.
pub fn rewrite_cookie(line: &[u8], name: &str, stand_in: &str, secret: &[u8]) -> Option<Vec<u8>> {
    if name.is_empty() && line.trim_ascii() == stand_in.as_bytes() {
        return Some(secret.to_vec()); // a line without a cookie: the secret is all of it
    }
    let mut exchanged = false;
    let mut written: Vec<Vec<u8>> = Vec::new();
    for part in line.split(|b| *b == b';') {
        let equals =
            part.iter().position(|b| *b == b'=').filter(|_| cookie(part) == (name.into(), stand_in.as_bytes()));
        exchanged |= equals.is_some();
        written.push(equals.map_or_else(|| part.to_vec(), |equals| [&part[..=equals], secret].concat()));
    }
    exchanged.then(|| written.join(&b';'))
}

/// Whether a secret ends where its cookie ends (`cookie-octet`, RFC 6265 §4.1.1).
pub fn fits_cookie(secret: &[u8]) -> bool {
    secret.iter().all(|b| b.is_ascii_graphic() && !b"\",;\\".contains(b))
}

/// The path with what stands at `place` exchanged. `None` if the secret would change the path around it.
pub fn rewrite_path(path: &str, place: Range<usize>, secret: &[u8]) -> Option<String> {
    // An escaped slash or an escaped escape means different things to different servers.
    let fits = |b: &u8| b.is_ascii_graphic() && !b"/\\%".contains(b);
    let dots = secret.iter().all(|b| *b == b'.');
    (secret.iter().all(fits) && !dots).then(|| {
        let real = percent_encode(secret, NOT_IN_SEGMENT);
        format!("{}{real}{}", &path[..place.start], &path[place.end..])
    })
}

/// What a segment of a path, or a part of one, says.
pub fn decode_path(part: &str) -> Option<String> {
    Some(percent_decode_str(part).decode_utf8().ok()?.into_owned())
}

/// What a field that held nothing holds with a secret put in: in `Authorization` a bearer token (RFC 6750), unless the
/// secret brings its scheme.
pub fn fill_header(name: &str, secret: &[u8]) -> Vec<u8> {
    if name == "authorization" && !secret.contains(&b' ') { [b"Bearer ", secret].concat() } else { secret.to_vec() }
}

/// The query with a secret put into a parameter that was not there.
pub fn fill_query(query: Option<&str>, name: &str, secret: &[u8]) -> String {
    let (name, real) = (percent_encode(name.as_bytes(), RESERVED), percent_encode(secret, NON_ALPHANUMERIC));
    match query {
        Some(query) if !query.is_empty() => format!("{query}&{name}={real}"),
        _ => format!("{name}={real}"),
    }
}

/// A text with the stand-in exchanged wherever it stands as a word of its own. `None` if the secret would change what
/// is around it: JSON (RFC 8259 §7) escapes quotes, backslashes and control characters.
pub fn rewrite_text(text: &str, stand_in: &str, secret: &[u8]) -> Option<String> {
    let secret = std::str::from_utf8(secret).ok()?;
    if secret.contains(['"', '\\']) || secret.contains(char::is_control) {
        return None;
    }
    let of_a_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "-_".contains(c));
    let mut rewritten = String::with_capacity(text.len());
    let mut at = 0;
    for (start, found) in text.match_indices(stand_in) {
        let end = start + found.len();
        let alone = !of_a_word(text[..start].chars().next_back()) && !of_a_word(text[end..].chars().next());
        rewritten.push_str(&text[at..start]);
        rewritten.push_str(if alone { secret } else { stand_in });
        at = end;
    }
    rewritten.push_str(&text[at..]);
    Some(rewritten)
}

/// The query with the stand-in in parameter `name` exchanged; everything else stays as it is written.
pub fn rewrite_query(query: &str, name: &str, stand_in: &str, secret: &[u8]) -> Option<String> {
    let mut exchanged = false;
    let parts: Vec<String> = query
        .split('&')
        .map(|part| match part.split_once('=') {
            Some((n, v)) if decoded(n) == name && decoded(v) == stand_in => {
                exchanged = true;
                let real = percent_encode(secret, NON_ALPHANUMERIC);
                format!("{n}={real}")
            }
            _ => part.to_owned(),
        })
        .collect();
    exchanged.then(|| parts.join("&"))
}

fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    // Some servers take `;` for `&`; what they find behind it is found here, too.
    query.split(['&', ';']).filter_map(|part| part.split_once('=')).map(|(name, value)| (decoded(name), decoded(value)))
}

/// The cookies of one line: names and values. What is no pair is a cookie without a name.
fn cookies(line: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, &[u8])> {
    line.split(|b| *b == b';').map(cookie)
}

fn cookie(part: &[u8]) -> (Cow<'_, str>, &[u8]) {
    let (name, value) = match part.iter().position(|b| *b == b'=') {
        Some(equals) => (&part[..equals], &part[equals + 1..]),
        None => (&[][..], part),
    };
    (String::from_utf8_lossy(name.trim_ascii()), value.trim_ascii())
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn basic(credentials: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(BASE64.decode(credentials).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAKE: &str = "fake-token-1234";
    const REAL: &[u8] = b"real-token-5678";

    fn check(value: &str, expected: Option<&str>) {
        check_in("authorization", value, expected);
    }

    fn check_in(name: &str, value: &str, expected: Option<&str>) {
        let slot = Slot::Header(name.to_owned());
        let found = find(&slot, value.as_bytes(), |candidate| (candidate == FAKE).then_some(()));
        assert_eq!(found.is_some(), expected.is_some(), "find in {value:?}");
        let got = rewrite(&slot, value.as_bytes(), FAKE, REAL).map(|v| String::from_utf8(v).unwrap());
        if expected.is_some() {
            assert_eq!(got.as_deref(), expected, "rewrite of {value:?}");
        }
    }

    #[test]
    fn a_word_in_a_text_is_exchanged() {
        let rewritten = |text: &str, secret: &[u8]| rewrite_text(text, FAKE, secret);
        let text = format!("{{\"key\":\"{FAKE}\",\"h\":\"Bearer {FAKE}\"}}");
        assert_eq!(rewritten(&text, b"real").unwrap(), "{\"key\":\"real\",\"h\":\"Bearer real\"}");
        for part in [format!("x{FAKE}"), format!("{FAKE}é"), format!("-{FAKE}_")] {
            assert_eq!(rewritten(&part, b"real").unwrap(), part);
        }
        for odd in [&b"a\"b"[..], b"a\\b", b"a\nb", b"\xff"] {
            assert_eq!(rewritten(FAKE, odd), None);
        }
    }

    #[test]
    fn a_stand_in_is_exchanged_as_the_whole_of_a_part() {
        check("fake-token-1234", Some("real-token-5678"));
        check("Bearer fake-token-1234", Some("Bearer real-token-5678"));
        check("token  fake-token-1234", Some("token real-token-5678"));
        check("Token token=other; x=fake-token-1234", None);
        check_in("x-api-key", "other; x=fake-token-1234", None);
        check_in("x-api-key", "sk-other fake-token-1234", None);
        check("Bearer xfake-token-1234", None);
        check("Bearer fake-token-1234x", None);
        check("Bearer fake-token-1234 more", None);
        check("", None);
        check("Basic !!!", None);
    }

    #[test]
    fn either_half_of_basic() {
        let encode = |text: &str| format!("Basic {}", BASE64.encode(text));
        check(&encode("user:fake-token-1234"), Some(&encode("user:real-token-5678")));
        check(&encode("fake-token-1234:"), Some(&encode("real-token-5678:")));
        check(&encode("fake-token-1234:x-oauth-basic"), Some(&encode("real-token-5678:x-oauth-basic")));
        check(&encode("user:other"), None);
        check(encode("user:fake-token-1234").trim_end_matches('='), Some(&encode("user:real-token-5678")));
    }

    #[test]
    fn cookies_are_exchanged_by_name() {
        let rewritten = |line: &str, name: &str, secret: &[u8]| {
            rewrite_cookie(line.as_bytes(), name, FAKE, secret).map(|line| String::from_utf8(line).unwrap())
        };
        let line = "a=b; session=fake-token-1234; c=d";
        assert_eq!(rewritten(line, "session", REAL).as_deref(), Some("a=b; session=real-token-5678; c=d"));
        assert_eq!(rewritten(line, "a", REAL), None);
        assert_eq!(rewritten("session=xfake-token-1234", "session", REAL), None);
        assert_eq!(rewritten("a=fake-token-1234;b=fake-token-1234", "b", b"x").unwrap(), "a=fake-token-1234;b=x");
        for odd in [&b"a;b"[..], b"a b", b"a,b", b"\"a\"", b"a\\b", b"a\nb", b"\xff"] {
            assert!(!fits_cookie(odd), "{odd:?}");
        }
        assert!(fits_cookie(REAL));
        assert_eq!(rewritten("fake-token-1234", "", b"a=b; c=d").as_deref(), Some("a=b; c=d"));
        assert_eq!(rewritten("a=b; fake-token-1234", "", b"a=b; c=d"), None);
    }

    #[test]
    fn paths_keep_their_shape() {
        let rewritten = |secret: &[u8]| rewrite_path("/botX/me", 4..5, secret);
        assert_eq!(rewritten(b"12:A-b_c.~!$&'()*+,=@").as_deref(), Some("/bot12:A-b_c.~!$&'()*+,=@/me"));
        assert_eq!(rewritten(b"a;b?c#d").as_deref(), Some("/bota%3Bb%3Fc%23d/me"));
        for odd in [&b"a/b"[..], b"a\\b", b"a%2fb", b"..", b".", b"", b"a b", b"a\nb", b"\xff"] {
            assert_eq!(rewritten(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn what_was_empty_is_filled() {
        assert_eq!(fill_header("authorization", b"abc"), b"Bearer abc");
        assert_eq!(fill_header("authorization", b"Basic abc"), b"Basic abc");
        assert_eq!(fill_header("x-api-key", b"abc"), b"abc");
        assert_eq!(fill_query(None, "key", b"a&b"), "key=a%26b");
        assert_eq!(fill_query(Some("a=1"), "a[b]_c", b"x"), "a=1&a%5Bb%5D_c=x");
    }

    #[test]
    fn query_parameters() {
        let got = rewrite_query("a=1&key=fake-token-1234&b=%20", "key", FAKE, b"re/al");
        assert_eq!(got.as_deref(), Some("a=1&key=re%2Fal&b=%20"));
        assert_eq!(rewrite_query("key=other", "key", FAKE, REAL), None);
    }

    #[test]
    fn parameters_that_some_server_takes_for_the_named_one() {
        let named = Slot::Query("my_key".into());
        for query in ["MY_KEY=x", "my.key=x", "+my%20key=x", "my%5Bkey=x", "my_key%5B%5D=x", "my_key[a]=x"] {
            let found = credentials_in(&HeaderMap::new(), Some(query), |_| false, &[&named]);
            assert!(matches!(&found[..], [(slot, _)] if means(&named, slot)), "{query}");
        }
        assert_eq!(credentials_in(&HeaderMap::new(), Some("my_keys=x&my=x"), |_| false, &[&named]), []);
    }

    #[test]
    fn conventional_places_are_found_and_ours_anywhere() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", "k".parse().unwrap());
        headers.insert("x-other", FAKE.parse().unwrap());
        headers.insert("accept", "*/*".parse().unwrap());
        let sid = Slot::Cookie("sid".into());
        headers.insert("cookie", format!("a=b; sid=x; c={FAKE}; d={FAKE}x").parse().unwrap());
        let found = credentials_in(&headers, Some("sig=s&q=1"), |value| value == FAKE.as_bytes(), &[&sid]);
        let mut slots: Vec<_> = found.iter().map(|(slot, _)| slot.to_string()).collect();
        slots.sort();
        assert_eq!(slots, ["cookie:c", "cookie:sid", "header:x-api-key", "header:x-other", "query:sig"]);
    }

    #[test]
    fn other_spellings_of_places() {
        let foreign = |name: &'static str, value: &'static str, query: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            credentials_in(&headers, Some(query), |_| false, &[]).iter().any(|(slot, _)| is_credential_slot(slot))
        };
        assert!(foreign("private_token", "k", ""));
        assert!(foreign("x_api_key", "k", ""));
        assert!(foreign("sec-websocket-protocol", "realtime, openai-insecure-api-key.sk-x", ""));
        assert!(!foreign("sec-websocket-protocol", "realtime, openai-beta.realtime-v1", ""));
        assert!(foreign("accept", "*/*", "a=1;private_token=k"));
        assert!(foreign("accept", "*/*", "%24key=k"));
        assert!(!foreign("accept", "*/*", "page_token=k;keys=1"));
    }
}
