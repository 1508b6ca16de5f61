//! Credentials in header fields, cookies and queries: what is found can be exchanged, and is gone then.
#![no_main]

use http::header::{COOKIE, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use standin_model::Slot;
use standin_wire::auth;

const STAND_IN: &str = "fake-token-1234";
const SECRET: &[u8] = b"real-token-5678";

fuzz_target!(|data: &[u8]| {
    let is_ours = |candidate: &str| (candidate == STAND_IN).then_some(());
    let slot = Slot::Header("authorization".to_owned());
    let found = auth::find(&slot, data, is_ours).is_some();
    if let Some(real) = auth::rewrite(&slot, data, STAND_IN, SECRET).filter(|_| found) {
        assert!(auth::find(&slot, &real, |candidate| (candidate.as_bytes() == SECRET).then_some(())).is_some());
    } else {
        assert!(!found, "found, and not exchanged");
    }
    cookies(data);
    if let Ok(query) = std::str::from_utf8(data)
        && let Some(real) = auth::rewrite_query(query, "key", STAND_IN, SECRET)
    {
        assert!(real.contains("real%2Dtoken%2D5678"), "{real}");
    }
});

/// A cookie of ours that is found is exchanged, and every other one stays.
fn cookies(line: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(line) else { return };
    let cookies = |value: HeaderValue| {
        let headers = HeaderMap::from_iter([(COOKIE, value)]);
        auth::credentials_in(&headers, None, |_| true, &[])
    };
    let before = cookies(value);
    for (slot, _) in before.iter().filter(|(_, value)| value == STAND_IN.as_bytes()) {
        let Slot::Cookie(name) = slot else { panic!("{slot}") };
        let real = auth::rewrite_cookie(line, name, STAND_IN, SECRET);
        // Without a name and beside others it is found, and refused for what it is.
        let Some(real) = real else { return assert!(name.is_empty()) };
        for ((slot, was), (after, is)) in before.iter().zip(cookies(HeaderValue::from_bytes(&real).unwrap())) {
            let ours = matches!(slot, Slot::Cookie(n) if n == name) && was == STAND_IN.as_bytes();
            assert_eq!((slot, if ours && is == SECRET { SECRET } else { was.as_slice() }), (&after, is.as_slice()));
        }
    }
}
