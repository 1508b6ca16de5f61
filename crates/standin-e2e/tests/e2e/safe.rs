//! `standin secret`: secrets in an encrypted file of Standin's own.

use crate::direct::{Caller, Screen, stdout};
use crate::look;
use crate::secret_files::{SECRET, run};
use standin_e2e::{ECHO_KEY, Rig, binary};
use std::fs::{copy, create_dir, read};
use std::io::Write;
use std::process::{Output, Stdio};

fn secret(caller: &Caller, words: &[&str], input: &str) -> Output {
    let mut command = caller.program(binary("standin"));
    command.arg("secret").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who takes none has closed it.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Lets a client ask with what it was given.
const ASK_AND_LOOK: &str = r#"
import os, subprocess, sys
client = subprocess.Popen([sys.executable, "-c", """
import os, sys, urllib.request
request = urllib.request.Request("https://echo.example/", headers={"authorization": "Bearer " + os.environ["TOKEN"]})
with urllib.request.urlopen(request) as answer:
    body = answer.read()
    print(answer.status, flush=True)
sys.stdin.read()
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(client.stdout.readline().strip())
found = {b"Canary-" + b"echo": set(), b"AGE-SECRET-" + b"KEY": set(), os.environ["TOKEN"].encode(): set()}
# look everywhere
client.communicate()
print(*[sorted(places) for places in found.values()])
"#;

#[test]
fn a_secret_of_the_safe_is_lent() {
    let standin = binary("standin").display().to_string();
    let rig = Rig::new(&["echo.example"]).with(&["--secret", "TOKEN=age:work/echo@echo.example"]);
    let set = rig.on_host(&["sh", "-c", &format!("printf ' {ECHO_KEY}\n' | {standin} secret set work/echo")]);
    assert!(set.stderr.contains("work/echo is set"), "{}", set.stderr);
    let used = look::everywhere(&rig, ASK_AND_LOOK).succeeded();
    assert!(used.origin_got("authorization", &format!("Bearer {ECHO_KEY}")), "{}", used.stderr);
    assert_eq!(used.stdout, "200\n[] [] ['environment', 'memory']\n", "{}", used.stderr);
    // Nobody needs it before it is used, and then it is gone.
    let removed = rig.on_host(&[&standin, "secret", "rm", "work/echo"]);
    assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    let ask = "curl -sS -o /dev/null -H \"authorization: Bearer $TOKEN\" https://echo.example/ -w '%{http_code}'";
    let gone = rig.script(ask).succeeded();
    assert_eq!(gone.stdout, "502");
    assert!(gone.log.contains("has no secret `work/echo`"), "{}", gone.log);
}

#[test]
fn names_are_listed_and_values_are_not() {
    let caller = Caller::new();
    for (name, input, end) in [("b", SECRET, "b is set"), ("a", "x\n", "a is set"), ("a", "y", "a is replaced")] {
        let output = secret(&caller, &["set", name], input);
        assert!(output.status.success() && said(&output).contains(end), "{}", said(&output));
    }
    assert_eq!(stdout(&secret(&caller, &["list"], "")), "a\nb\n");
    assert!(secret(&caller, &["rm", "a"], "").status.success());
    assert_eq!(stdout(&secret(&caller, &["list"], "")), "b\n");
    for (words, input, why) in [
        (&["set", "no name"][..], "x", "no name for a secret"),
        (&["set", "empty"], "\n", "its value is empty"),
        (&["set", "b", SECRET], "", "unexpected argument"),
        (&["get", "b"], "", "unrecognized subcommand"),
        (&["rm", "a"], "", "has no secret `a`"),
        (&["set", "c", "--passphrase"], "x", "keeps the key that it has"),
    ] {
        let output = secret(&caller, words, input);
        assert!(!output.status.success() && said(&output).contains(why), "{words:?}: {}", said(&output));
    }
    assert_eq!(stdout(&secret(&caller, &["list"], "")), "b\n");
}

/// Nothing of the safe is inside, so nothing inside reads, lists or changes it: what is set there is set in a home that ends with the
/// session.
#[test]
fn the_safe_is_not_in_a_sandbox() {
    let caller = Caller::new();
    assert!(secret(&caller, &["set", "mine"], SECRET).status.success());
    let safe = caller.path("state/standin/secrets");
    let before = ["secrets.age", "secrets.key"].map(|name| read(safe.join(name)).unwrap());
    let tools = caller.path("tools");
    create_dir(&tools).unwrap();
    copy(binary("standin"), tools.join("standin")).unwrap();
    let (tools, state) = (tools.display().to_string(), caller.path("state").display().to_string());
    let script = format!(
        "cat {state}/standin/secrets/* 2>/dev/null; export XDG_STATE_HOME={state}
        {tools}/standin secret list; echo planted | {tools}/standin secret set mine; {tools}/standin secret rm mine; ls {state} || true"
    );
    let (seen, told) = run(&caller, &["--ro", &tools], &script);
    assert!(!seen.contains("mine") && !seen.contains(SECRET), "{seen}{told}");
    assert_eq!(before, ["secrets.age", "secrets.key"].map(|name| read(safe.join(name)).unwrap()));
    // The same commands outside do what they say.
    let outside = caller.program("/bin/sh").args(["-c", &script]).output().unwrap();
    assert!(String::from_utf8_lossy(&outside.stdout).contains("mine"), "{outside:?}");
    assert_ne!(before[0], read(safe.join("secrets.age")).unwrap());
}

/// Answers questions at a terminal; whether all went well, and what the terminal showed after the first question.
fn typed(caller: &Caller, answers: &[(&str, &str)], words: &[&str]) -> (bool, String) {
    let standin = binary("standin");
    let mut screen = Screen::of(caller, (24, 80), &[&[standin.to_str().unwrap()], words].concat(), |_| {});
    let mut shown = String::new();
    for (question, answer) in answers {
        shown += &screen.text.until(question);
        screen.press(answer);
    }
    let well = screen.standin.wait().success();
    assert_eq!(screen.settings(), screen.settings_before());
    (well, shown + &screen.rest())
}

/// What is typed is not shown, and a passphrase is asked for before anything is run.
#[test]
fn secrets_are_typed_without_an_echo() {
    let caller = Caller::new();
    let value = format!("{SECRET}\n");
    let first =
        [("New passphrase: ", "open sesame\n"), ("The same again: ", "open sesame\n"), ("Value of typed: ", &value)];
    let (well, shown) = typed(&caller, &first, &["secret", "set", "typed", "--passphrase"]);
    assert!(well && shown.contains("typed is set") && !shown.contains(SECRET) && !shown.contains("sesame"), "{shown}");
    let asked = "secrets.key: ";
    let (well, shown) = typed(&caller, &[(asked, "open sesame\n")], &["secret", "list"]);
    assert!(well && shown.contains("\ntyped\r\n") && !shown.contains("sesame"), "{shown}");
    let (well, shown) = typed(&caller, &[(asked, "wrong\n")], &["secret", "list"]);
    assert!(!well && shown.contains("not the passphrase of") && shown.contains("try again"), "{shown}");
    let lend = ["--secret", "A=age:typed@api.example.com", "--secret", "B=age:typed@b.example.com"];
    let run = [&["run"], &lend[..], &["--", "/bin/sh", "-c", "echo \"length ${#A}\""]].concat();
    let (well, shown) = typed(&caller, &[(asked, "open sesame\n")], &run);
    assert!(well && shown.contains(&format!("length {}\r\n", SECRET.len())) && !shown.contains(SECRET), "{shown}");
    // Also where nothing is fetched yet: later the terminal is the command's.
    let (well, shown) = typed(&caller, &[(asked, "wrong\n")], &run);
    assert!(!well && shown.contains("not the passphrase of") && !shown.contains("length"), "{shown}");
    let (_, told) = crate::secret_files::run(&caller, &lend, "true");
    assert!(told.contains("is not available") && told.contains("there is no terminal"), "{told}");
}

/// Ctrl-C and Ctrl-D end the question at once, and a line that the terminal cuts is not taken for a value.
#[test]
fn who_gives_up_has_set_nothing() {
    let caller = Caller::new();
    let long = "x".repeat(5000) + "\n";
    for (keys, why) in [
        ("half\x03", "nothing was typed"),
        ("\x04", "nothing was typed"),
        ("\n", "its value is empty"),
        (&long, "4094 bytes at most"),
    ] {
        let (well, shown) = typed(&caller, &[("Value of a: ", keys)], &["secret", "set", "a"]);
        assert!(!well && shown.contains(why), "{keys:?}: {shown}");
    }
    assert_eq!(stdout(&secret(&caller, &["list"], "")), "");
}
