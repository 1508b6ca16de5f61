//! Configurations: whatever stands in one, it is read or refused with a place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    if let Err(error) = standin_config::parse(text, Path::new("config.toml")) {
        assert!(error.to_string().contains("config.toml:"), "{error}");
    }
});
