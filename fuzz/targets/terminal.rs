//! The terminal's filter: for every chunking the same comes out; it passes again unchanged; another reader of such sequences finds
//! nothing in it that does more than show.
#![no_main]

use libfuzzer_sys::fuzz_target;
use standin_wire::terminal::Filter;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (text, cuts) = input;
    let whole = filtered(&text, &[]);
    assert_eq!(filtered(&text, &cuts), whole);
    assert_eq!(filtered(&whole, &[]), whole);
    vte::Parser::new().advance(&mut Harmless, &whole);
});

fn filtered(text: &[u8], cuts: &[u8]) -> Vec<u8> {
    let (mut filter, mut out, mut rest) = (Filter::new(Vec::new()), Vec::new(), text);
    for cut in cuts {
        let (chunk, after) = rest.split_at(usize::from(*cut).min(rest.len()));
        filter.push(chunk, &mut out);
        rest = after;
    }
    filter.push(rest, &mut out);
    filter.finish(&mut out);
    out
}

struct Harmless;

impl vte::Perform for Harmless {
    fn execute(&mut self, byte: u8) {
        assert!(byte != 0x05, "a control that is answered");
    }

    fn hook(&mut self, _: &vte::Params, between: &[u8], _: bool, last: char) {
        assert!(between.is_empty() && last == 'q', "a device control string");
    }

    fn osc_dispatch(&mut self, parameters: &[&[u8]], _: bool) {
        let known = [&b"4"[..], b"10", b"11", b"12", b"104", b"110", b"111", b"112", b"8", b"9"];
        assert!(parameters.first().is_some_and(|code| known.contains(code)), "an operating system command");
    }

    fn csi_dispatch(&mut self, parameters: &vte::Params, _: &[u8], _: bool, last: char) {
        let first = parameters.iter().next().and_then(|parts| parts.first().copied()).unwrap_or_default();
        assert!(!"ixywz{|}".contains(last) && (last != 't' || matches!(first, 14 | 16 | 18)), "a control sequence");
    }

    fn esc_dispatch(&mut self, between: &[u8], _: bool, last: u8) {
        assert!(!matches!(between, b"%" | b" ") && !matches!(last, b'Z' | b'k'), "an escape sequence");
    }
}
