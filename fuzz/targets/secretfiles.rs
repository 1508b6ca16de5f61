//! Formats of secret files: places lie in the file, in order, apart; what is replaced is gone, all else stays.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_secretfiles::{Format, Found, entries, find, rewrite};

const FORMATS: &[Format] = &[
    Format::Dotenv,
    Format::Ini,
    Format::Npmrc,
    Format::Toml,
    Format::Netrc,
    Format::Json,
    Format::Yaml,
    Format::Urls,
    Format::Pgpass,
    Format::Pem,
    Format::Whole,
];

fuzz_target!(|data: &[u8]| {
    let Some((which, text)) = data.split_first() else { return };
    let format = FORMATS[usize::from(*which) % FORMATS.len()];
    for entry in entries(format, text).into_iter().flatten() {
        assert!(entry.range.start <= entry.range.end && entry.range.end <= text.len());
    }
    let Found::Secrets(secrets) = find(format, text) else { return };
    let mut kept = Vec::new();
    let mut at = 0;
    for secret in &secrets {
        kept.push(&text[at..secret.range.start]);
        at = secret.range.end;
    }
    kept.push(&text[at..]);
    for secret in secrets.iter().filter(|secret| secret.value.len() >= 8) {
        assert!(kept.iter().all(|part| !part.windows(secret.value.len()).any(|window| window == &secret.value[..])));
    }
    let written = rewrite(text, &secrets, |_| "standin".to_owned());
    let mut rest = written.as_slice();
    for part in kept {
        let found = rest.windows(part.len().max(1)).position(|window| window == part);
        assert!(part.is_empty() || found.is_some());
        rest = &rest[found.unwrap_or_default() + part.len()..];
    }
});
