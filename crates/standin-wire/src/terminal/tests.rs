use super::*;
use proptest::prelude::*;
use standin_model::TerminalFeature::{Clipboard, Notifications, Palette, Title};

fn filtered(features: &[TerminalFeature], text: &[u8]) -> Vec<u8> {
    let (mut filter, mut out) = (Filter::new(features.to_vec()), Vec::new());
    filter.push(text, &mut out);
    out
}

/// What passes between two words, alone and byte by byte.
#[track_caller]
fn check(features: &[TerminalFeature], sequence: &[u8], expected: &[u8]) {
    let (text, expected) = ([b"before", sequence, b"after"].concat(), [b"before", expected, b"after"].concat());
    assert_eq!(show(&filtered(features, &text)), show(&expected), "{}", show(sequence));
    let (mut filter, mut out) = (Filter::new(features.to_vec()), Vec::new());
    for byte in &text {
        filter.push(&[*byte], &mut out);
    }
    assert_eq!(show(&out), show(&expected), "{}, byte by byte", show(sequence));
}

fn show(text: &[u8]) -> String {
    text.escape_ascii().to_string()
}

/// What programs that draw on the whole screen send.
const HARMLESS: &[&[u8]] = &[
    b"\x1b[31;1m",
    b"\x1b[38:2::255:0:0;4:3m",
    b"\x1b[2J\x1b[H\x1b[3;7f",
    b"\x1b[?1049h\x1b[?1049l",
    b"\x1b[?1000;1002;1003;1006h",
    b"\x1b[?2004h\x1b[?2026h\x1b[?25l\x1b[?1004h",
    b"\x1b7\x1b8\x1b[s\x1b[u\x1b[r\x1b[2;5r",
    b"\x1b(B\x1b(0\x0e\x0f\x1b#8\x1bM",
    b"\x1b[5 q\x1b[!p",
    b"\x1b[>5u\x1b[<u\x1b[=1;1u\x1b[>4;2m\x1b[>4m",
    b"\x1b[5n\x1b[6n\x1b[?6n\x1b[?996n\x1b[c\x1b[0c\x1b[>c\x1b[>0q\x1b[?u",
    b"\x1b[?2026$p\x1b[4$p\x1b[14t\x1b[16t\x1b[18t",
    b"\x1b]10;?\x1b\\\x1b]11;?\x07\x1b]12;?\x07\x1b]4;5;?\x07",
    b"\x1b]104\x07\x1b]110\x07",
    b"\x1b]8;id=a;https://example.com/?q=1\x1b\\\x1b]8;;\x07",
    b"\x1b]9;4;1;50\x07",
    b"\x1bP0;1;0q\"1;1;10;10#0;2;0;0;0~-\r\n~\x1b\\",
    "тест 盛 ü \u{a0} 👍🏽".as_bytes(),
    b"Latin-1: \xe9\xfc\xa0.",
    b"\x07\x08\t\r\n\x0b\x0c\0\x7f",
];

/// What does more than show, or asks for what somebody may have put there.
const HARMFUL: &[&[u8]] = &[
    b"\x1b]52;c;Y3VybCBldmlsIHwgc2g=\x07",
    b"\x1b]52;c;?\x1b\\",
    b"\x1b]0;title\x07\x1b]1;icon\x07\x1b]2;title\x1b\\\x1bktitle\x1b\\",
    b"\x1b[21t\x1b[20t\x1b[22;0;0t\x1b[23;0t",
    b"\x1b[2t\x1b[3;0;0t\x1b[8;1;1t\x1b[9;1t\x1b[13t\x1b[15t\x1b[19t",
    b"\x1b]50;?\x07\x1b]50;#1\x07",
    b"\x1bP$qm\x1b\\\x1bP$q\"p\x1b\\\x1bP+q544e\x1b\\\x1bP1$r0m\x1b\\",
    b"\x1bPtmux;\x1b\x1b]52;c;YQ==\x07\x1b\\",
    b"\x1bP1;1|17/41\x1b\\\x1bP0;0;1{ @???\x1b\\",
    b"\x1b_Ga=T,t=f;L2V0Yy9wYXNzd2Q=\x1b\\\x1b^pm\x07\x1b\\\x1bXsos\x1b\\",
    b"\x1b]1337;File=inline=0:YQ==\x07\x1b]1337;CopyToClipboard=\x07\x1b]1337;ReportVariable=YQ==\x07",
    b"\x1b]7;file://host/tmp\x07\x1b]133;A\x07\x1b]633;E;ls\x07\x1b]22;hand\x07",
    b"\x1b]9;hello\x07\x1b]9;7;calc.exe\x07\x1b]777;notify;a;b\x07\x1b]99;;hello\x1b\\",
    b"\x1b]4;1;red\x07\x1b]10;#fff\x07\x1b]11;red\x1b\\\x1b]10;?;?\x07",
    b"\x1b]8;;file:///etc/passwd\x07\x1b]8;;vscode://x\x07\x1b]8;;javascript:a\x07\x1b]8;;HTTPSx:a\x07",
    b"\x1b]8;;https://a b\x07\x1b]8;;https://\xc3\xa9\x07",
    b"\x1b[5i\x1b[?5i\x1b[i\x1b[?2l\x1b[?38h\x1b[?46h\x1b[?1043h\x1b[2h\x1b[?1000;46h\x1b[?5522h",
    b"\x1b%@\x1b%G\x1b F\x1b G\x1b[62\"p\x1bZ\x1bl\x1bm",
    b"\x1b[=c\x1b[x\x1b[1;1;1;1;1;1*y\x1b[?26n\x1b[?15n\x1b[1$w\x1b['z\x1b[1;2;3;4;5T\x1b[?12345$p",
    b"\x1b[>2T\x1b[>1p\x1b[1q\x1b[?1S\x1b[#{",
    b"\x05\x11\x13\x1a",
    b"\x9b21t\xc2\x9b21t\x9d52;c;YQ==\x9c\xc2\x9d52;c;YQ==\xc2\x9c\x90$qm\x9c\xc2\x9a",
    // What an older reader takes for `ESC` and for CSI: longer forms than there must be.
    b"\xc2\x1b[21t\xe0\x82\x9b21t\xf0\x80\x82\x9b21t",
    // Begun anew, called off, cut off.
    b"\x1b]52;c;YQ==\x18\x1b[2\x1b[21t\x1b]2;x\x1b[21t\x1b[21\x18",
    b"\x1b]52;c;YQ==\x1bM",
];

#[test]
fn what_programs_need_passes() {
    for sequence in HARMLESS {
        check(&[], sequence, sequence);
    }
}

#[test]
fn what_does_more_than_show_is_dropped() {
    for sequence in HARMFUL {
        let left: &[u8] = match sequence {
            // What is no character stays, as harmless as any text.
            [0xc2, 0x1b, ..] => b"\xc2\xe0\xf0",
            [.., 0x1b, b'M'] => b"\x1bM",
            _ => b"",
        };
        check(&[], sequence, left);
    }
}

#[test]
fn features_are_let_through_one_by_one() {
    let table: &[(TerminalFeature, &[u8])] = &[
        (Clipboard, b"\x1b]52;c;YQ==\x07"),
        (Title, b"\x1b]0;t\xc3\xbc\x07\x1b]2;t\x1b\\\x1bkt\x1b\\\x1b[22;0;0t\x1b[23;0t"),
        (Notifications, b"\x1b]9;hello\x07\x1b]777;notify;a;b\x07"),
        (Palette, b"\x1b]4;1;red\x07\x1b]11;#ffffff\x1b\\"),
    ];
    for (feature, sequence) in table {
        check(&[*feature], sequence, sequence);
        for other in [Clipboard, Title, Notifications, Palette].into_iter().filter(|other| other != feature) {
            check(&[other], sequence, b"");
        }
    }
    // The clipboard is never read, a title never told, and ConEmu runs nothing.
    let all = [Clipboard, Title, Notifications, Palette];
    for sequence in [&b"\x1b]52;c;?\x07"[..], b"\x1b[21t", b"\x1b]9;7;calc.exe\x07", b"\x1b]0;a\nb\x07"] {
        check(&all, sequence, b"");
    }
}

#[test]
fn controls_beyond_ascii_go_out_in_seven_bits() {
    check(&[], b"\x9b31m\xc2\x9b1m\x84", b"\x1b[31m\x1b[1m\x1bD");
    check(&[], b"\x9d8;;https://a.example\x9c", b"\x1b]8;;https://a.example\x1b\\");
    check(&[Title], "\u{9d}0;盛\u{9c}".as_bytes(), "\x1b]0;盛\x1b\\".as_bytes());
}

#[test]
fn pictures_end_where_they_must() {
    for end in [&b"\x18"[..], b"\x07", b"\x9c", b"\xc3\xa9"] {
        let left: &[u8] = if end == b"\x18" || end == b"\x9c" { b"" } else { end };
        check(&[], &[b"\x1bPq~~", end].concat(), &[b"\x1bPq~~\x1b\\", left].concat());
    }
    check(&[], b"\x1bPq~\x1b]52;c;YQ==\x07", b"\x1bPq~\x1b\\");
    let (mut filter, mut out) = (Filter::new(Vec::new()), Vec::new());
    filter.push(b"\x1bPq~", &mut out);
    filter.finish(&mut out);
    assert_eq!(show(&out), show(b"\x1bPq~\x1b\\"));
}

#[test]
fn what_has_no_end_is_bounded() {
    let (mut filter, mut out) = (Filter::new(vec![Clipboard]), Vec::new());
    filter.push(b"\x1b]52;c;", &mut out);
    for _ in 0..3 * MAX_TEXT / 64 {
        filter.push(&[b'A'; 64], &mut out);
    }
    assert!(filter.sequence.len() <= MAX_TEXT + 8, "{}", filter.sequence.len());
    // In the end the rest is shown, in a terminal that knows of no beginning.
    assert!(!out.is_empty() && out.iter().all(|byte| *byte == b'A'));
    check(&[], &[b"\x1b[", [b'1'; 300].as_slice(), b"m"].concat(), b"");
}

#[test]
fn what_was_left_on_is_switched_off() {
    let table: &[(&[u8], &[u8])] = &[
        (b"\x1b[?1049;1003;2004h\x1b[?25l", b"\x1b[?1003l\x1b[?2004l\x1b[?1049l\x1b[?25h"),
        (b"\x1b[?1003h\x1b[?25l\x1b[?1003l\x1b[?25h\x1b[?7h", b""),
        (b"\x1b[>1u\x1b[>5u\x1b[<u\x1b[>4;2m\x1b=", b"\x1b[<1u\x1b[>4m\x1b>"),
        (b"\x1b[>1u\x1b[>4;2m\x1b=\x1b[<u\x1b[>4m\x1b>", b""),
        (b"\x1b[?1003h\x1bc", b""),
    ];
    for (shown, undone) in table {
        let (mut filter, mut out) = (Filter::new(Vec::new()), Vec::new());
        filter.push(shown, &mut out);
        filter.finish(&mut out);
        assert_eq!(show(&out), show(&[*shown, *undone].concat()));
    }
}

/// What another parser of terminals' sequences finds in what has passed.
#[derive(Default)]
struct Found(Vec<String>);

impl vte::Perform for Found {
    fn execute(&mut self, byte: u8) {
        if !is_plain(byte) {
            self.0.push(format!("control {byte:#x}"));
        }
    }

    fn hook(&mut self, _: &vte::Params, between: &[u8], _: bool, last: char) {
        if last != 'q' || !between.is_empty() {
            self.0.push(format!("DCS {between:?} {last}"));
        }
    }

    fn osc_dispatch(&mut self, parameters: &[&[u8]], _: bool) {
        let known = [&b"4"[..], b"10", b"11", b"12", b"104", b"110", b"111", b"112", b"8", b"9"];
        let harmless = match parameters {
            [b"4", _, rest @ ..] => rest == [b"?"],
            [b"10" | b"11" | b"12", rest @ ..] => rest == [b"?"],
            [b"9", rest @ ..] => rest.first() == Some(&&b"4"[..]),
            [code, ..] => known.contains(code),
            [] => false,
        };
        if !harmless {
            self.0.push(format!("OSC {parameters:?}"));
        }
    }

    fn csi_dispatch(&mut self, parameters: &vte::Params, between: &[u8], _: bool, last: char) {
        let first = parameters.iter().next().and_then(|parts| parts.first().copied()).unwrap_or_default();
        let harmful = match last {
            'i' | 'x' | 'y' | 'w' | 'z' | '{' | '|' | '}' => true,
            't' => !matches!(first, 14 | 16 | 18),
            'n' => !matches!(first, 5 | 6 | 996),
            'c' => between == b"=",
            'h' | 'l' => parameters.iter().any(|mode| matches!(mode, [2 | 38 | 46 | 1043])),
            'q' => between.is_empty(),
            'p' => !matches!(between, b"!" | b"$" | b"?$"),
            _ => false,
        };
        if harmful {
            self.0.push(format!("CSI {between:?} {parameters:?} {last}"));
        }
    }

    fn esc_dispatch(&mut self, between: &[u8], _: bool, last: u8) {
        if matches!(between, b"%" | b" ") || matches!(last, b'Z' | b'k') {
            self.0.push(format!("ESC {between:?} {last}"));
        }
    }
}

/// Pieces of sequences, of UTF-8 and of what is neither, so that strategies put together what matters.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<Vec<u8>> = HARMLESS.iter().chain(HARMFUL).map(|sequence| sequence.to_vec()).collect();
    let short = b"\x1b\x1b]P[_?;:52018kqtnhc\\\x07\x18\x9b\x9c\x9d\xc2\xe7\x05 $"
        .iter()
        .map(|byte| vec![*byte])
        .collect::<Vec<_>>();
    let piece = prop_oneof![
        prop::sample::select(parts),
        prop::sample::select(short),
        prop::collection::vec(any::<u8>(), 1..4),
        "[a-z]{1,4}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A text in pieces, cut anywhere.
fn in_chunks(text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let (mut filter, mut out, mut rest) = (Filter::new(Vec::new()), Vec::new(), text);
    for cut in cuts {
        let (chunk, after) = rest.split_at((*cut).min(rest.len()));
        filter.push(chunk, &mut out);
        rest = after;
    }
    filter.push(rest, &mut out);
    filter.finish(&mut out);
    out
}

proptest! {
    #[test]
    fn text_is_unchanged(text in "[^\u{0}-\u{1f}\u{80}-\u{9f}]{0,80}", cuts in prop::collection::vec(0_usize..9, 0..20)) {
        prop_assert_eq!(in_chunks(text.as_bytes(), &cuts), text.as_bytes());
    }

    #[test]
    fn harmful_sequences_vanish(
        texts in prop::collection::vec("[ -~äß盛👍]{0,6}", 1..8),
        which in prop::collection::vec(0..HARMFUL.len(), 8),
        cuts in prop::collection::vec(0_usize..9, 0..40),
    ) {
        // Those that leave a byte or a sequence of their own are in the table only.
        let sequence = |which: usize| match HARMFUL[which] {
            [0xc2, 0x1b, ..] | [.., 0x1b, b'M'] => &b"\x1b[21t"[..],
            other => other,
        };
        let woven: Vec<u8> = texts.iter().zip(&which)
            .flat_map(|(text, which)| [text.as_bytes(), sequence(*which)].concat()).collect();
        prop_assert_eq!(String::from_utf8(in_chunks(&woven, &cuts)).unwrap(), texts.concat());
    }

    #[test]
    fn chunks_do_not_matter_and_another_parser_finds_nothing(
        text in pieces(),
        cuts in prop::collection::vec(0_usize..9, 0..60),
    ) {
        let whole = in_chunks(&text, &[]);
        prop_assert_eq!(show(&in_chunks(&text, &cuts)), show(&whole));
        let mut found = Found::default();
        vte::Parser::new().advance(&mut found, &whole);
        prop_assert!(found.0.is_empty(), "{:?} in {}", found.0, show(&whole));
        // What has passed passes again, unchanged.
        prop_assert_eq!(show(&in_chunks(&whole, &[])), show(&whole));
    }
}
