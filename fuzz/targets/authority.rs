//! Hosts and authorities: what is accepted has one spelling, and that spelling means itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_model::{Authority, Host};

fuzz_target!(|text: &str| {
    if let Ok(authority) = Authority::parse(text, Some(443)) {
        let shown = authority.to_string();
        assert_eq!(Authority::parse(&shown, None).as_ref(), Ok(&authority), "{shown}");
    }
    let Ok(host) = Host::parse(text) else { return };
    assert_eq!(Host::parse(&host.to_string()).as_ref(), Ok(&host));
    if let Host::Name(name) = &host {
        let text = name.as_str();
        assert!(
            text.len() <= 253
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
        );
        assert!(text.parse::<std::net::Ipv4Addr>().is_err(), "an address is no name: {text}");
    }
});
