//! Request targets: what is judged is what is sent, and it means the same to whoever normalises it again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_wire::path::normalise;

fuzz_target!(|text: &str| {
    let Ok(target) = normalise(text) else { return };
    assert_eq!(normalise(&target.to_string()).as_ref(), Ok(&target));
    assert!(target.path.split('/').all(|segment| segment != "." && segment != ".."), "{}", target.path);
    assert!(target.to_string().bytes().all(|b| b.is_ascii_graphic()), "{target}");
    let lower = target.path.to_ascii_lowercase();
    assert!(!["%2e", "%00", "%0a", "%0d", "%5c"].iter().any(|bad| lower.contains(bad)), "{}", target.path);
});
