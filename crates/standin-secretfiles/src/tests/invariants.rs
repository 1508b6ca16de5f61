//! What holds of every file, whatever is in it. The fuzz target asks the same of other texts; so these names come from above.

use super::{Format, Found, MIN_REPEATED, entries, find, rewrite};

/// Formats that are looked into.
pub(super) const FORMATS: &[Format] = &[
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

/// Places lie in the file, between characters, in order, apart; what is a secret is gone, and all else stays, byte for byte.
pub(super) fn hold(format: Format, text: &[u8]) {
    for entry in entries(format, text).into_iter().flatten() {
        let text = std::str::from_utf8(text).expect("who has entries is text");
        assert!(text.get(entry.range.clone()).is_some(), "{:?} in {text}", entry.range);
    }
    let Found::Secrets(secrets) = find(format, text) else { return };
    let written = rewrite(text, &secrets, |_| "standin".to_owned());
    let (mut rest, mut at, mut kept) = (written.as_slice(), 0, Vec::new());
    for secret in &secrets {
        assert!(at <= secret.range.start, "{:?} begins before {at}", secret.range);
        kept.push(&text[at..secret.range.start]);
        rest = rest.strip_prefix(&text[at..secret.range.start]).expect("what is no secret stays");
        rest = rest.strip_prefix(secret.writing.write("standin").as_bytes()).expect("what takes its place is there");
        at = secret.range.end;
    }
    kept.push(&text[at..]);
    assert_eq!(rest, &text[at..], "nothing is left out at the end");
    for secret in secrets.iter().filter(|secret| secret.value.len() >= MIN_REPEATED) {
        let holds = |part: &&[u8]| part.windows(secret.value.len()).any(|window| window == secret.value.as_slice());
        assert!(!kept.iter().any(holds), "{} stands in another place, too", secret.name);
    }
}
