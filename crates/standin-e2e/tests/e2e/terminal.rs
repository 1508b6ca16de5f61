//! At a terminal, in pipes, and when signals come: what a person's shell expects of any program.

use crate::direct::{Caller, Running, Screen, Text, wait_for_all};
use rustix::process::{Signal, kill_process};
use standin_e2e::binary;
use std::io::Read;
use std::process::Stdio;

/// Prints a word for each signal that comes; ends at the word `end` or when it is killed.
pub const TELL_SIGNALS: &str = "import os, signal, sys
def tell(number, _):
    # One write: a second signal may come in the middle.
    size = ' {} {}'.format(*os.get_terminal_size()) if os.isatty(1) else ''
    os.write(1, f'got {signal.Signals(number).name}{size}\\n'.encode())
for name in sys.argv[1:]:
    signal.signal(signal.Signals[name], tell)
# pause() would miss what comes just before it.
come, coming = os.pipe()
os.set_blocking(coming, False)
signal.set_wakeup_fd(coming)
print('rea' + 'dy', flush=True)
while True:
    os.read(come, 1)";

#[test]
fn the_command_has_a_terminal_of_its_own() {
    let script =
        "tty; stty size; test -t 2 && echo all three; : </dev/tty && echo controlling; echo me >/dev/stderr; exit 7";
    let mut screen = Caller::new().at_terminal((31, 97), &["bash", "-c", script]);
    let text = screen.text.until("standin: ");
    assert_eq!(text, "/dev/pts/0\r\n31 97\r\nall three\r\ncontrolling\r\nme\r\n");
    assert_eq!(screen.standin.wait().code(), Some(7));
}

#[test]
fn a_changed_window_is_changed_inside() {
    let mut screen = Caller::new().at_terminal((24, 80), &["/usr/bin/python3", "-c", TELL_SIGNALS, "SIGWINCH"]);
    screen.text.until("ready");
    for (rows, columns) in [(50, 132), (10, 20)] {
        screen.resize((rows, columns));
        screen.text.until(&format!("got SIGWINCH {columns} {rows}"));
    }
    screen.press("\x03");
    assert_eq!(screen.standin.wait().code(), Some(130));
}

#[test]
fn jobs_are_stopped_continued_and_interrupted() {
    let caller = Caller::new();
    std::fs::write(caller.path("workspace/job.py"), TELL_SIGNALS).unwrap();
    let mut screen = caller.at_terminal((24, 200), &["bash", "--norc", "--noprofile", "--noediting", "-i"]);
    screen.press("python3 job.py SIGCONT\r");
    screen.text.until("ready");
    screen.press("\x1a");
    screen.text.until("Stopped");
    screen.press("jobs -l | cat\r");
    screen.text.until("Stopped");
    screen.press("fg\r");
    screen.text.until("got SIGCONT");
    screen.press("\x03");
    screen.text.until("KeyboardInterrupt");
    screen.press("echo code=$?\r");
    screen.text.until("code=130");
    screen.press("exit 9\r");
    assert_eq!(screen.standin.wait().code(), Some(9));
}

#[test]
fn the_terminal_is_given_back_as_it_was() {
    let started = || {
        let mut screen = Caller::new().at_terminal((24, 80), &["sh", "-c", "echo rea''dy; read word; exit 3"]);
        screen.text.until("ready");
        assert_ne!(screen.settings(), screen.settings_before(), "while a command runs the terminal is raw");
        screen
    };
    // The command ends.
    let mut screen = started();
    screen.press("word\r");
    assert_eq!(screen.standin.wait().code(), Some(3));
    assert_eq!(screen.settings(), screen.settings_before());
    // Standin is asked to end.
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut screen = started();
        screen.standin.signal(signal);
        assert_eq!(screen.standin.wait().code(), Some(code));
        assert_eq!(screen.settings(), screen.settings_before());
    }
    // Any process of the sandbox is killed; the first ones take the others along.
    for victim in 0..4 {
        let mut screen = started();
        let processes = screen.standin.descendants();
        assert_eq!(processes.len(), 4, "one outside, the broker of files, the first inside, the command");
        kill_process(processes[victim].0, Signal::KILL).unwrap();
        assert_eq!(screen.standin.wait().code(), Some(137));
        wait_for_all(&processes);
        assert_eq!(screen.settings(), screen.settings_before());
    }
}

#[test]
fn errors_can_be_sent_elsewhere() {
    let (reader, writer) = std::io::pipe().unwrap();
    let script = "echo to the screen; echo to the file >&2; tty";
    let mut screen = Screen::start(&Caller::new(), (24, 80), &["sh", "-c", script], |standin| {
        standin.stderr(writer.try_clone().unwrap());
    });
    drop(writer);
    assert_eq!(screen.text.until("/dev/pts/0"), "to the screen\r\n");
    let errors = Text::from(reader).rest();
    assert_eq!(errors.lines().next(), Some("to the file"), "{errors}");
    assert_eq!(screen.standin.wait().code(), Some(0));
}

#[test]
fn without_a_terminal_there_is_none() {
    let caller = Caller::new();
    let script =
        "test -t 0 || test -t 1 || test -t 2 || echo none; ls /dev/pts; (: </dev/tty) 2>/dev/null || echo no tty; cat";
    let mut standin = caller.standin(&["sh", "-c", script]);
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"from a pipe\0\r\n").unwrap();
    drop(writer);
    let output = standin.stdin(reader).stderr(Stdio::piped()).output().unwrap();
    // What passes is not changed, as a terminal would.
    assert_eq!(String::from_utf8_lossy(&output.stdout), "none\nptmx\nno tty\nfrom a pipe\0\r\n");
}

#[test]
fn half_a_terminal_is_none_and_interrupts_arrive_once() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let count = "import os, signal
count = 0
def interrupt(*_):
    global count
    count += 1
    os.write(1, b'interrupted\\n')
def end(*_):
    # Not by print(): it may be in the middle of one.
    os.write(1, f'{count} in all\\n'.encode())
    os._exit(5)
signal.signal(signal.SIGINT, interrupt)
signal.signal(signal.SIGTERM, end)
come, coming = os.pipe()
os.set_blocking(coming, False)
signal.set_wakeup_fd(coming)
print('ready', flush=True)
while True:
    os.read(come, 1)";
    let mut screen = Screen::start(&Caller::new(), (24, 80), &["/usr/bin/python3", "-c", count], |standin| {
        standin.stdout(writer.try_clone().unwrap());
    });
    drop(writer);
    let mut lines = vec![String::new()];
    let mut next_line = || loop {
        let mut byte = [0];
        assert_eq!(reader.read(&mut byte).unwrap(), 1, "{lines:?}");
        match byte[0] {
            b'\n' => {
                lines.push(String::new());
                return lines[lines.len() - 2].clone();
            }
            other => lines.last_mut().unwrap().push(char::from(other)),
        }
    };
    assert_eq!(next_line(), "ready");
    assert_eq!(screen.settings(), screen.settings_before(), "the caller's terminal is left alone");
    for _ in 0..20 {
        screen.press("\x03");
        assert_eq!(next_line(), "interrupted");
    }
    screen.standin.signal(Signal::TERM);
    assert_eq!(next_line(), "20 in all");
    assert_eq!(screen.standin.wait().code(), Some(5));
}

#[test]
fn signals_reach_the_command() {
    let caller = Caller::new();
    let names = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"];
    let command = [&["/usr/bin/python3", "-c", TELL_SIGNALS], &names[..]].concat();
    let mut standin = Running::start(caller.standin(&command).stdout(Stdio::piped()));
    let mut text = Text::from(standin.stdout());
    text.until("ready\n");
    for (signal, name) in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].into_iter().zip(names) {
        standin.signal(signal);
        assert_eq!(text.until("\n"), format!("got {name}"));
    }
}

/// Whoever is stopped and continued finds his call interrupted (signal(7)).
#[test]
fn a_session_that_was_stopped_goes_on() {
    let caller = Caller::new();
    let mut standin = caller.standin(&["/bin/sh", "-c", "echo up; read line; echo $line"]);
    let mut running = Running::start(standin.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut said = Text::from(running.stdout());
    said.until("up\n");
    let below = running.descendants();
    for (pid, _) in &below {
        kill_process(*pid, Signal::STOP).unwrap();
    }
    for (pid, _) in &below {
        let stat = format!("/proc/{pid}/stat");
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            std::thread::yield_now();
        }
    }
    for (pid, _) in &below {
        kill_process(*pid, Signal::CONT).unwrap();
    }
    std::io::Write::write_all(&mut running.stdin(), b"on\n").unwrap();
    assert_eq!(running.wait().code(), Some(0));
    said.until("on\n");
}

#[test]
fn a_signal_that_ends_the_command_is_its_exit_code() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129), (Signal::QUIT, 131)] {
        let caller = Caller::new();
        let mut standin =
            Running::start(caller.standin(&["sh", "-c", "echo ready; exec sleep 1000"]).stdout(Stdio::piped()));
        Text::from(standin.stdout()).until("ready");
        standin.signal(signal);
        assert_eq!(standin.wait().code(), Some(code));
    }
    // Also what the caller ignores, as `nohup` does.
    let caller = Caller::new();
    let ignoring = "trap '' HUP TERM; exec \"$0\" run -- sh -c 'echo ready; exec sleep 1000'";
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut shell = caller.program("sh");
        let mut standin = Running::start(shell.args(["-c", ignoring]).arg(binary("standin")).stdout(Stdio::piped()));
        Text::from(standin.stdout()).until("ready");
        standin.signal(signal);
        assert_eq!(standin.wait().code(), Some(code));
    }
}

/// Leaves processes behind in every way that a program can: in the background, in another session, as orphans.
const SCATTER: &str = "sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000; :' &) ; trap '' TERM HUP INT; echo rea''dy; sleep 1000; :";

#[test]
fn nothing_outlives_standin() {
    let caller = Caller::new();
    let mut standin = Running::start(caller.standin(&["bash", "-c", SCATTER]).stdout(Stdio::piped()));
    let mut text = Text::from(standin.stdout());
    text.until("ready");
    let processes = standin.descendants();
    assert!(processes.len() >= 6, "{processes:?}");
    standin.signal(Signal::KILL);
    // The pipe ends when nobody holds it any more.
    assert_eq!(text.rest(), "\n");
    wait_for_all(&processes);

    let mut screen = caller.at_terminal((24, 80), &["bash", "-c", SCATTER]);
    screen.text.until("ready");
    let processes = screen.standin.descendants();
    assert!(processes.len() >= 6, "{processes:?}");
    screen.standin.signal(Signal::KILL);
    wait_for_all(&processes);
}

#[test]
fn nothing_outlives_the_command() {
    let caller = Caller::new();
    let script = "sleep 1000 & setsid sleep 1000 & echo ready; read word; exit 4";
    let (reader, writer) = std::io::pipe().unwrap();
    let mut standin = Running::start(caller.standin(&["bash", "-c", script]).stdin(reader).stdout(Stdio::piped()));
    let mut text = Text::from(standin.stdout());
    text.until("ready");
    let processes = standin.descendants();
    drop(writer);
    assert_eq!(standin.wait().code(), Some(4));
    wait_for_all(&processes);
}
