//! Patterns of a policy: a wildcard matches below its name and nowhere else; no pattern is too much for the matcher.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_model::{Host, HostPattern, PathPattern};

fuzz_target!(|pair: (&str, &str)| {
    let (pattern, subject) = pair;
    if let (Ok(pattern), Ok(host)) = (HostPattern::parse(pattern), Host::parse(subject))
        && pattern.matches(&host)
    {
        match (pattern.as_exact(), pattern.wildcard_parent()) {
            (Some(exact), None) => assert_eq!(exact, &host),
            (None, Some(parent)) => assert!(host.to_string().ends_with(&format!(".{parent}"))),
            _ => panic!("a pattern is exact or has a parent"),
        }
    }
    // Longer ones than any configuration holds would only show that compiling them takes long.
    if pattern.len() <= 64
        && let Ok(pattern) = PathPattern::parse(pattern)
    {
        pattern.matches(subject);
    }
});
