//! Each back-end gives the same: one body of a test for all, and what one cannot give is refused.

use crate::direct::{Caller, Running, Screen, Text, stdout};
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::Signal;
use standin_e2e::{ECHO_KEY, Rig};
use std::fs::{self, write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

/// Flags for each back-end, on a copy of the workspace. gVisor is not for root.
fn all() -> Vec<[&'static str; 3]> {
    let names = ["native", "bwrap", "gvisor"];
    let may = if rustix::process::geteuid().is_root() { &names[..2] } else { &names[..] };
    may.iter().map(|name| ["--cow", "--backend", name]).collect()
}

#[test]
fn requests_files_and_records_are_the_same() {
    let script = "id -u; id -un; umask; hostname; pwd | sed 's:.*/::'; echo $ECHO | wc -c
        curl -sS -m 20 -H \"Authorization: Bearer $ECHO\" https://echo.example/a | grep -c $ECHO
        curl -sS -m 20 -H \"Authorization: Bearer $ECHO\" https://other.example/b | grep -o 'credential[.a-z_]*'
        curl -sS -m 20 https://third.example/ | grep -o 'net[.a-z_]*'
        curl -sS -m 20 http://192.0.2.9/ | grep -o 'net[.a-z_]*'
        python3 -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect((\"192.0.2.9\", 9)); s.send(b\"x\")
import time
for _ in range(2000):
    try: s.send(b\"x\"); time.sleep(0.001)
    except OSError as error: print(error.strerror); break'
        cat .env | cut -c1-16; cat note; echo made > made; rm gone; python3 -c 'import os; print(sorted(os.listdir(\".\")), os.stat(\"made\").st_uid == os.getuid())'
        echo x 2>/dev/null > /usr/made || echo read-only; grep -e CapEff -e CapBnd /proc/self/status | sort | tr -d '\\t'
        echo to errors >&2; exit 7";
    let outcomes = all().into_iter().map(|flags| {
        let rig = Rig::new(&["echo.example", "other.example"])
            .with(&["--secret", "ECHO=env:ECHO@echo.example", "--allow", "other.example"])
            .with(&flags)
            .variable("ECHO", ECHO_KEY);
        write(rig.workspace().join(".env"), "A_TOKEN=sk_live_0123456789abcdefghijklmn\n").unwrap();
        write(rig.workspace().join("note"), "a note\n").unwrap();
        write(rig.workspace().join("gone"), "").unwrap();
        let outcome = rig.script(script);
        assert_eq!(outcome.code, Some(7), "{flags:?}: {}{}", outcome.stdout, outcome.stderr);
        assert!(outcome.origin_got("authorization", &format!("Bearer {ECHO_KEY}")), "{flags:?}: {}", outcome.stderr);
        assert_eq!(outcome.seen.len(), 1, "{flags:?}");
        assert!(rig.workspace().join("gone").exists() && !rig.workspace().join("made").exists(), "{flags:?}");
        let said: Vec<_> =
            outcome.stderr.lines().filter(|line| !line.contains("exchanges")).map(str::to_owned).collect();
        (flags, (outcome.stdout.clone(), said, outcome.records()))
    });
    let outcomes: Vec<_> = outcomes.collect();
    let (_, native) = &outcomes[0];
    for expected in [
        "credential.wrong_destination\n",
        "net.host_not_allowed\nnet.ip_literal\nConnection refused\n",
        "a note\n",
        "read-only\n",
    ] {
        assert!(native.0.contains(expected), "{expected}: {native:?}");
    }
    for (flags, outcome) in &outcomes {
        assert_eq!(outcome, native, "{flags:?}");
    }
}

#[test]
fn what_was_made_is_taken_over() {
    for flags in all() {
        let caller = Caller::new();
        write(caller.path("workspace/old"), "before\n").unwrap();
        let script = "echo after > old; mkdir -p a/b; echo new > a/b/c; chmod 640 a/b/c; ln -s old link";
        stdout(&caller.run(&flags, &["sh", "-c", script]).output().unwrap());
        stdout(&caller.program(standin_e2e::binary("standin")).arg("apply").output().unwrap());
        assert_eq!(fs::read_to_string(caller.path("workspace/old")).unwrap(), "after\n", "{flags:?}");
        assert_eq!(fs::read_to_string(caller.path("workspace/a/b/c")).unwrap(), "new\n", "{flags:?}");
        let mode = fs::metadata(caller.path("workspace/a/b/c")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{flags:?}");
        assert_eq!(fs::read_link(caller.path("workspace/link")).unwrap().to_str(), Some("old"), "{flags:?}");
    }
}

/// Says which signal came, and how it ended.
const TELL: &str = "import signal, sys, os
def tell(number, _):
    os.write(1, f'got {number}\\n'.encode())
    if number == 15: sys.exit(9)
for number in (1, 2, 10, 15): signal.signal(number, tell)
print('ready', flush=True)
while True: signal.pause()";

#[test]
fn signals_arrive_and_codes_come_back() {
    for flags in all() {
        let caller = Caller::new();
        let start =
            |command: &[&str]| Running::start(caller.run(&flags, command).stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut running = start(&["/usr/bin/python3", "-c", TELL]);
        let mut text = Text::from(running.stdout());
        text.until("ready");
        for (signal, number) in [(Signal::HUP, 1), (Signal::INT, 2), (Signal::TERM, 15)] {
            running.signal(signal);
            text.until(&format!("got {number}"));
        }
        assert_eq!(running.wait().code(), Some(9), "{flags:?}");
        let mut running = start(&["sh", "-c", "echo ready; read never"]);
        // Standard input is empty, so `read` ends at once; a signal of one's own is the other end.
        Text::from(running.stdout()).until("ready");
        assert_eq!(running.wait().code(), Some(1), "{flags:?}");
        let code = start(&["sh", "-c", "kill -KILL $$"]).wait().code();
        assert_eq!(code, Some(137), "{flags:?}");
    }
}

#[test]
fn much_passes_and_nothing_is_changed() {
    for flags in all() {
        let caller = Caller::new();
        let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.to_le_bytes()[..1].to_vec()).collect();
        write(caller.path("input"), &bytes).unwrap();
        let input = fs::File::open(caller.path("input")).unwrap();
        let output = caller.run(&flags, &["cat"]).stdin(input).output().unwrap();
        assert!(output.stdout == bytes, "{flags:?}: {} bytes of a file", output.stdout.len());
        let mut cat = caller.run(&flags, &["cat"]);
        let mut from = Running::start(caller.program("cat").arg(caller.path("input")).stdout(Stdio::piped()));
        let output = cat.stdin(from.stdout()).output().unwrap();
        assert!(output.stdout == bytes, "{flags:?}: {} bytes of a pipe", output.stdout.len());
    }
}

/// Output and errors share one open pipe, as after `2>&1`, and there is never room for what is written at once.
#[test]
fn what_a_slow_reader_has_no_room_for_is_not_lost() {
    for flags in all() {
        let caller = Caller::new();
        let (reader, writer) = std::io::pipe().unwrap();
        fcntl_setpipe_size(&writer, 4096).unwrap();
        let mut standin = caller.run(&flags, &["sh", "-c", "seq 100000 >&2"]);
        standin.stdout(writer.try_clone().unwrap()).stderr(writer);
        let mut running = Running::start(&mut standin);
        drop(standin);
        let seen = Text::from(reader).rest();
        assert_eq!(running.wait().code(), Some(0), "{flags:?}");
        assert_eq!(numbers(&seen), 100_000, "{flags:?}: {} bytes", seen.len());
    }
}

#[test]
fn much_passes_at_a_terminal() {
    for flags in all() {
        let mut screen = Screen::run(&Caller::new(), (24, 80), &flags, &["seq", "100000"], |_| {});
        let seen = screen.text.until("100000");
        assert_eq!(screen.standin.wait().code(), Some(0), "{flags:?}");
        assert_eq!(numbers(&seen), 99_999, "{flags:?}: {} bytes", seen.len());
    }
}

fn numbers(text: &str) -> usize {
    text.lines().filter(|line| line.trim().parse::<u32>().is_ok()).count()
}

#[test]
fn at_a_terminal_jobs_are_stopped_and_interrupted() {
    for flags in all() {
        let caller = Caller::new();
        write(caller.path("workspace/job.py"), crate::terminal::TELL_SIGNALS).unwrap();
        let shell = ["bash", "--norc", "--noprofile", "-i"];
        let mut screen = Screen::run(&caller, (31, 97), &flags, &shell, |_| {});
        // gVisor's terminal keeps what is typed ahead until the next key.
        screen.text.until("$ ");
        screen.press("tty; python3 -c 'import os; print(os.get_terminal_size())'\r");
        screen.text.until("/dev/pts/0");
        screen.text.until("columns=97, lines=31");
        screen.text.until("$ ");
        screen.press("python3 job.py SIGWINCH SIGCONT\r");
        screen.text.until("ready");
        screen.resize((20, 50));
        screen.text.until("got SIGWINCH 50 20");
        screen.press("\x1a");
        screen.text.until("Stopped");
        screen.text.until("$ ");
        screen.press("fg\r");
        screen.text.until("got SIGCONT");
        screen.press("\x03");
        screen.text.until("KeyboardInterrupt");
        screen.text.until("$ ");
        screen.press("echo code=$?; exit 9\r");
        screen.text.until("code=130");
        assert_eq!(screen.standin.wait().code(), Some(9), "{flags:?}");
        assert_eq!(screen.settings(), screen.settings_before(), "{flags:?}");
    }
}

#[test]
fn half_a_terminal_is_half_a_terminal() {
    for flags in all() {
        let script = "test -t 1 && test ! -t 2 && echo to the screen; echo to the file >&2; exit 3";
        let (reader, writer) = std::io::pipe().unwrap();
        let mut screen = Screen::run(&Caller::new(), (24, 80), &flags, &["sh", "-c", script], |standin| {
            standin.stderr(writer.try_clone().unwrap());
        });
        drop(writer);
        assert_eq!(screen.text.until("screen"), "to the ", "{flags:?}");
        assert_eq!(Text::from(reader).rest().lines().next(), Some("to the file"), "{flags:?}");
        assert_eq!(screen.standin.wait().code(), Some(3), "{flags:?}");
    }
}

#[test]
fn bubblewrap_protects_files_by_name_as_ever() {
    let script = "mkdir .git; echo made > made; echo x > .git/config; mkdir -p .vscode; echo {} > .vscode/tasks.json; cat .env; ls -A";
    let outcome = |backend: &str| {
        let caller = Caller::new();
        write(caller.path("workspace/.env"), "A_TOKEN=sk_live_0123456789abcdefghijklmn\n").unwrap();
        let output = caller.run(&["--backend", backend], &["sh", "-c", script]).output().unwrap();
        let seen = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(seen.starts_with("A_TOKEN=sk_live_") && !seen.contains("0123456789"), "{seen}");
        assert!(caller.path("workspace/made").exists() && !caller.path("workspace/.vscode/tasks.json").exists());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let refused = caller.records().iter().filter(|record| record["kind"] == "file").count();
        (seen.lines().skip(1).map(str::to_owned).collect::<Vec<_>>(), said.lines().count(), refused)
    };
    let native = outcome("native");
    assert!(native.2 > 0, "{native:?}");
    assert_eq!(outcome("bwrap"), native);
}

/// Else the copy would hold the secret under another name, `diff` would show it and `apply` take it.
#[test]
fn what_is_masked_keeps_its_name() {
    let script = "for name in .env sub/.env; do
            mv $name moved; rm -f $name; ln $name linked; echo x > new; mv new $name; echo x > $name
            grep -c sk_live_ $name
        done 2>/dev/null
        mv sub elsewhere 2>/dev/null; cat .env */.env | grep -c -e 0123456789abc -e 9876543210abc; ls -d moved linked .env sub/.env 2>/dev/null; true";
    for flags in all() {
        let caller = Caller::new();
        fs::create_dir(caller.path("workspace/sub")).unwrap();
        write(caller.path("workspace/.env"), "A_TOKEN=sk_live_0123456789abcdefghijklmn\n").unwrap();
        write(caller.path("workspace/sub/.env"), "A_TOKEN=sk_live_9876543210abcdefghijklmn\n").unwrap();
        let output = caller.run(&flags, &["sh", "-c", script]).output().unwrap();
        assert_eq!(stdout(&output), "1\n1\n0\n.env\nsub/.env\n", "{flags:?}");
        let diff = stdout(&caller.program(standin_e2e::binary("standin")).arg("diff").output().unwrap());
        assert!(!["0123456789abc", "9876543210abc"].iter().any(|secret| diff.contains(secret)), "{flags:?}: {diff}");
    }
}

#[test]
fn what_keeps_a_session_in_is_said() {
    for flags in all() {
        let caller = Caller::new();
        stdout(&caller.run(&flags, &["true"]).output().unwrap());
        let layers = caller.log()[0]["assurance"]["layers"].to_string();
        let said = [("bwrap", "namespaces made by bubblewrap "), ("gvisor", "the command under gVisor's kernel (")];
        for (backend, words) in said {
            assert_eq!(layers.contains(words), flags[2] == backend, "{layers}");
        }
    }
}

#[test]
fn under_gvisor_the_kernel_is_another() {
    let Some(flags) = all().into_iter().find(|flags| flags[2] == "gvisor") else { return refused_for_root() };
    let caller = Caller::new();
    let script = "dmesg | head -n 1; grep -c . /run/standin/gvisor/* /run/standin/gvisor 2>&1 | grep -v director; head -c 20 /proc/1/environ; \
                  python3 -c 'import socket; socket.socket(40)' 2>&1 | tail -n 1; cat /proc/self/mountinfo | grep -c scratch";
    let output = caller.run(&flags, &["sh", "-c", script]).output().unwrap();
    let seen = String::from_utf8_lossy(&output.stdout);
    assert!(seen.contains("Starting gVisor..."), "{seen}{}", String::from_utf8_lossy(&output.stderr));
    assert!(seen.contains("Address family not supported"), "{seen}");
    assert!(!seen.contains("config.json"), "what runsc keeps is not seen: {seen}");
}

fn refused_for_root() {
    let output = Caller::new().run(&["--cow", "--backend", "gvisor"], &["echo", "started"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout.is_empty() && said.contains("gVisor is not for root"), "{said}");
}

fn gvisor<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    [flags, &["--backend", "gvisor"]].concat()
}

#[test]
fn what_a_back_end_cannot_give_is_refused() {
    if rustix::process::geteuid().is_root() {
        return refused_for_root();
    }
    let caller = Caller::new();
    let (old, elsewhere) = (caller.path("old"), caller.path("elsewhere"));
    fs::create_dir(&old).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    write(old.join("runsc"), "#!/bin/sh\necho runsc version 0.0~20221219.0\n").unwrap();
    fs::set_permissions(old.join("runsc"), fs::Permissions::from_mode(0o755)).unwrap();
    for (flags, path, words) in [
        (gvisor(&[]), None, "works on a copy"),
        (gvisor(&["--cow", "--rw", elsewhere.to_str().unwrap()]), None, "--rw is not to be had with gVisor"),
        (gvisor(&["--cow", "--allow-nested"]), None, "--allow-nested is not to be had with gVisor"),
        (gvisor(&["--cow"]), Some(&old), "is gVisor 0.0~20221219.0, and too old"),
        (vec!["--backend", "podman"], None, "a back-end is `native`, `bwrap` or `gvisor`"),
    ] {
        let mut standin = caller.run(&flags, &["echo", "started"]);
        if let Some(path) = path {
            standin.env("PATH", format!("{}:/usr/bin:/bin", path.display()));
        }
        let output = standin.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.stdout.is_empty() && said.contains(words), "{flags:?}: {said}");
    }
}

#[test]
fn the_configuration_names_one() {
    let caller = Caller::new();
    let config = caller.path("config.toml");
    let run = |text: &str| {
        write(&config, text).unwrap();
        caller.run(&["--config", config.to_str().unwrap()], &["echo", "started"]).output().unwrap()
    };
    assert_eq!(stdout(&run("[sandbox]\nbackend = \"bwrap\"\n")), "started\n");
    assert!(caller.log()[0]["assurance"]["layers"].to_string().contains("bubblewrap"));
    let said = String::from_utf8_lossy(&run("[sandbox]\nbackend = \"bubble\"\n").stderr).into_owned();
    assert!(said.contains("a back-end is `native`, `bwrap` or `gvisor`"), "{said}");
}

#[test]
fn what_a_session_left_in_the_workspace_is_not_run() {
    let caller = Caller::new();
    let (bin, ran) = (caller.path("workspace/bin"), caller.path("ran"));
    fs::create_dir(&bin).unwrap();
    write(bin.join("bwrap"), format!("#!/bin/sh\n: > {}\nexec /usr/bin/bwrap \"$@\"\n", ran.display())).unwrap();
    fs::set_permissions(bin.join("bwrap"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    stdout(&caller.program(bin.join("bwrap")).arg("--version").output().unwrap());
    assert!(ran.exists(), "it would have been seen to run");
    fs::remove_file(&ran).unwrap();
    let output = caller.run(&["--backend", "bwrap"], &["echo", "started"]).env("PATH", &path).output().unwrap();
    assert_eq!(stdout(&output), "started\n");
    assert!(!ran.exists());
    let mut doctor = caller.program(standin_e2e::binary("standin"));
    let rows = stdout(&doctor.args(["doctor", "--json"]).env("PATH", path).output().unwrap());
    assert!(rows.contains(r#""layer":"bwrap""#), "{rows}");
    assert!(!ran.exists(), "nor by the doctor: {rows}");
}

#[test]
fn ports_lead_in_and_out() {
    for flags in all() {
        crate::ports::lead_in_and_out(&flags);
    }
}
