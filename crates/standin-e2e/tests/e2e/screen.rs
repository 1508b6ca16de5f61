//! What a command shows on the caller's terminal, and what it must not do to it.

use crate::direct::{Caller, Screen, Text};
use rustix::process::Signal;
use standin_e2e::binary;
use std::process::Command;

/// Sends to the terminal: text for the clipboard, a title and a question for it, and the same through tmux; then a
/// word.
const STEER: &str =
    r"printf 'a\033]52;c;Y3VybCBldmlsIHwgc2g=\007b\033]0;title\007c\033[21td\033Ptmux;\033\033]52;c;YQ==\007\033\\e\n'";
/// What of it is text.
const SHOWN: &str = "abcde\r\n";

#[test]
fn a_command_only_shows() {
    let caller = Caller::new();
    // Outside, the terminal gets it all, and does it.
    let mut outside = Screen::of(&caller, (24, 80), &["sh", "-c", STEER], |_| {});
    let all = outside.text.until("e\r\n");
    assert!(all.contains("\x1b]52;c;Y3Vyb") && all.contains("\x1b[21t") && all.contains("\x1bPtmux;"), "{all:?}");
    let mut inside = caller.at_terminal((24, 80), &["sh", "-c", STEER]);
    assert_eq!(inside.text.until("standin: "), SHOWN);
    assert_eq!(inside.standin.wait().code(), Some(0));
}

#[test]
fn programs_that_draw_get_what_they_need() {
    // Colours, the alternate screen, a link; then where the cursor is, which the terminal answers.
    let script = r#"printf '\033[?1049h\033[38;5;208mcolour\033[m\033]8;;https://a.example\033\\link\033]8;;\033\\\033[6n'
        stty -echo -icanon; printf ready; IFS= read -r -d R answer; printf '\033[?1049l'; test "$answer" = "$(printf '\033[12;40')" && echo answered"#;
    let mut screen = Caller::new().at_terminal((24, 80), &["bash", "-c", script]);
    let shown = screen.text.until("ready");
    assert_eq!(shown, "\x1b[?1049h\x1b[38;5;208mcolour\x1b[m\x1b]8;;https://a.example\x1b\\link\x1b]8;;\x1b\\\x1b[6n");
    screen.press("\x1b[12;40R");
    screen.text.until("answered");
}

#[test]
fn what_the_user_allows_passes() {
    let caller = Caller::new();
    let command = ["sh", "-c", r"printf '\033]52;c;YQ==\007\033]52;c;?\007\033]2;title\007.\n'"];
    let mut screen = Screen::run(&caller, (24, 80), &["--terminal", "clipboard"], &command, |_| {});
    assert_eq!(screen.text.until("standin: "), "\x1b]52;c;YQ==\x07.\r\n");
    // In the configuration, too.
    let file = caller.path("config.toml");
    std::fs::write(&file, "[terminal]\nallow = [\"title\"]\n").unwrap();
    let mut screen = Screen::run(&caller, (24, 80), &["--config", file.to_str().unwrap()], &command, |_| {});
    assert_eq!(screen.text.until("standin: "), "\x1b]2;title\x07.\r\n");
    let output = caller.run(&["--terminal", "clip"], &["true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("clipboard, title, notifications and palette"), "{said}");
}

/// `standin run` in a shell that sends its input or output elsewhere, as it may say around `"$@"`.
fn redirected(caller: &Caller, shell: &str, script: &str, adjust: impl Fn(&mut Command)) -> Screen {
    let standin = binary("standin");
    let command = ["sh", "-c", shell, "sh", standin.to_str().unwrap(), "run", "--", "sh", "-c", script];
    Screen::of(caller, (31, 97), &command, adjust)
}

#[test]
fn errors_alone_are_filtered_too() {
    let (reader, writer) = std::io::pipe().unwrap();
    let script = format!("{STEER} >&2; echo out; test -t 2 && test ! -t 1 && echo as ever");
    let mut screen = redirected(&Caller::new(), r#"exec "$@" </dev/null"#, &script, |shell| {
        shell.stdout(writer.try_clone().unwrap());
    });
    drop(writer);
    assert_eq!(screen.text.until("standin: "), SHOWN);
    assert_eq!(Text::from(reader).rest(), "out\nas ever\n");
    assert_eq!(screen.settings(), screen.settings_before(), "the caller's terminal is left alone");
    assert_eq!(screen.standin.wait().code(), Some(0));
}

#[test]
fn output_alone_is_filtered_too() {
    let script = format!("{STEER}; {STEER} >&2; read line; echo \"got $line\"; stty size <&1; exit 5");
    let mut screen = redirected(&Caller::new(), r#"echo from a pipe | "$@""#, &script, |_| {});
    assert_eq!(screen.text.until("standin: "), format!("{SHOWN}{SHOWN}got from a pipe\r\n31 97\r\n"));
    assert_eq!(screen.standin.wait().code(), Some(5));
}

/// Writes to standard input, which of a terminal is usually possible, and by its name.
const WRITE_TO_INPUT: &str = "import os
for way in (lambda: os.write(0, b'\\x1b]52;c;YQ==\\x07'), lambda: os.open('/proc/self/fd/0', os.O_WRONLY), lambda: os.open('/dev/tty', os.O_WRONLY)):
    try:
        way()
        os.write(1, b'written\\n')
    except OSError as error:
        os.write(1, b'refused\\n')
os.write(1, os.read(0, 100))";

#[test]
fn a_keyboard_is_no_screen() {
    let caller = Caller::new();
    let into_pipe = |writer: &std::io::PipeWriter| {
        let writer = writer.try_clone().unwrap();
        move |program: &mut Command| {
            program.stdout(writer.try_clone().unwrap());
        }
    };
    let python = ["/usr/bin/python3", "-c", WRITE_TO_INPUT];
    let (reader, writer) = std::io::pipe().unwrap();
    let mut outside = Screen::of(&caller, (24, 80), &python, into_pipe(&writer));
    drop(writer);
    outside.text.until("\x1b]52;c;YQ==\x07");
    outside.press("typed\r");
    assert_eq!(Text::from(reader).rest(), "written\nwritten\nwritten\ntyped\n");

    let (reader, writer) = std::io::pipe().unwrap();
    let mut inside = Screen::start(&caller, (24, 80), &python, into_pipe(&writer));
    drop(writer);
    inside.press("typed\r");
    assert_eq!(Text::from(reader).rest(), "refused\nrefused\nrefused\ntyped\n");
    assert_eq!(inside.text.until("standin: "), "typed\r\n");
}

#[test]
fn what_was_switched_on_is_switched_off() {
    let script = r"printf '\033[?1003h\033[?1049h\033[?25lon'; echo; exec sleep 1000";
    let mut screen = Caller::new().at_terminal((24, 80), &["sh", "-c", script]);
    screen.text.until("on\r\n");
    screen.standin.signal(Signal::TERM);
    assert_eq!(screen.text.until("standin: "), "\x1b[?1003l\x1b[?1049l\x1b[?25h");
    assert_eq!(screen.standin.wait().code(), Some(143));
}

#[test]
fn real_secrets_are_not_shown() {
    let caller = Caller::new();
    let secret = "tok-Canary-screen-0123456789abcdef";
    std::fs::write(caller.path("workspace/notes"), format!("before {secret} after\n")).unwrap();
    std::fs::write(caller.path("secret"), secret).unwrap();
    let flag = format!("TOKEN=file:{}@api.example.com", caller.path("secret").display());
    // Whole, with a sequence in its midst that is dropped, and in another encoding.
    let script = r"cat notes; printf 'tok-Canary-\033]52;c;YQ==\007screen-0123456789abcdef\n'; base64 -w0 notes; echo; echo $TOKEN; echo end";
    let mut screen = Screen::run(&caller, (24, 200), &["--secret", &flag], &["sh", "-c", script], |_| {});
    let shown = screen.text.until("end\r\n");
    let lines: Vec<_> = shown.lines().collect();
    let [whole, cut, encoded, stand_in] = lines[..] else { panic!("{lines:?}") };
    assert_eq!((whole, cut), (format!("before {stand_in} after").as_str(), stand_in));
    assert_eq!(stand_in.len(), secret.len());
    let core = "Q2FuYXJ5"; // `Canary`, as it would stand there
    assert!(!shown.contains(secret) && !encoded.contains(core), "{shown}");
}
