//! Credentials in header fields and queries: what is found can be exchanged, and is gone then.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_model::Slot;
use standin_wire::auth;

const STAND_IN: &str = "fake-token-1234";
const SECRET: &[u8] = b"real-token-5678";

fuzz_target!(|data: &[u8]| {
    let is_ours = |candidate: &str| (candidate == STAND_IN).then_some(());
    for name in ["authorization", "cookie"] {
        let slot = Slot::Header(name.to_owned());
        let found = auth::find(&slot, data, is_ours).is_some();
        if let Some(real) = auth::rewrite(&slot, data, STAND_IN, SECRET).filter(|_| found) {
            assert!(auth::find(&slot, &real, |candidate| (candidate.as_bytes() == SECRET).then_some(())).is_some());
        } else {
            assert!(!found, "found, and not exchanged");
        }
    }
    if let Ok(query) = std::str::from_utf8(data)
        && let Some(real) = auth::rewrite_query(query, "key", STAND_IN, SECRET)
    {
        assert!(real.contains("real%2Dtoken%2D5678"), "{real}");
    }
});
