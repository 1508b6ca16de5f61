//! Credentials whose values are fetched when a request is about to carry them.

use crate::direct::{Caller, Running};
use crate::secret_files::run;
use standin_e2e::{ECHO_KEY, Rig};
use std::fs::{Permissions, create_dir_all, read_to_string, remove_file, set_permissions, write};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

/// Asks the origin with the stand-in, so many times at once.
const ASK: &str = "for n in 1 2 3; do
    curl -sS -H \"authorization: Bearer $TOKEN\" -w ' %{http_code}\\n' https://echo.example/ & done; wait";

fn program(path: &Path, script: &str) {
    write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// The first session has to know the value's shape; later ones remember it.
#[test]
fn a_command_is_asked_on_first_use() {
    let outside = tempfile::tempdir().unwrap();
    let at = outside.path().display();
    let (value, asked) = (outside.path().join("value"), outside.path().join("asked"));
    write(&value, ECHO_KEY).unwrap();
    program(&outside.path().join("source"), &format!("echo . >>{at}/asked; cat {at}/value"));
    let times = || read_to_string(&asked).unwrap_or_default().lines().count();
    let rig = Rig::new(&["echo.example"]).with(&["--secret", &format!("TOKEN=cmd:{at}/source@echo.example")]);
    let stand_in = rig.script("printf %s \"$TOKEN\"").succeeded().stdout;
    assert_eq!((times(), stand_in.len()), (1, ECHO_KEY.len()));
    assert_eq!(rig.script("printf %s \"$TOKEN\"").succeeded().stdout, stand_in);
    assert_eq!(times(), 1, "what nobody uses is not fetched");
    let used = rig.script(ASK).succeeded();
    assert_eq!(used.stdout.matches(" 200\n").count(), 3, "{}{}", used.stdout, used.stderr);
    assert!(used.origin_got("authorization", &format!("Bearer {ECHO_KEY}")));
    assert_eq!(times(), 2);
    remove_file(&value).unwrap();
    let failed = rig.script(ASK).succeeded();
    assert_eq!(failed.stdout.matches(" 502\n").count(), 3, "{}", failed.stdout);
    assert!(failed.stdout.contains("credential.source_failed") && failed.seen.is_empty(), "{}", failed.stdout);
    assert!(failed.log.contains("/source` ended with exit status: 1"), "{}", failed.log);
    assert!(!failed.stdout.contains("exit status"), "the agent learns nothing of the host: {}", failed.stdout);
    assert_eq!(times(), 3);
}

/// While a session runs the sandbox may write into a directory of the caller's PATH.
#[test]
fn no_program_of_the_workspace_is_run_for_a_source() {
    let outside = tempfile::tempdir().unwrap();
    let at = outside.path().display();
    create_dir_all(outside.path().join("bin")).unwrap();
    program(&outside.path().join("bin/token"), &format!("echo {ECHO_KEY}"));
    let rig = Rig::new(&["echo.example"]).with(&["--secret", "TOKEN=cmd:token@echo.example"]);
    let workspace = rig.workspace();
    create_dir_all(workspace.join("bin")).unwrap();
    let path = format!("{}/bin:{at}/bin:/usr/local/bin:/usr/bin:/bin", workspace.display());
    let rig = rig.variable("PATH", &path);
    assert!(rig.script("true").succeeded().seen.is_empty());
    let plant = format!("printf '#!/bin/sh\\ntouch {at}/planted; echo x\\n' >bin/token; chmod 755 bin/token; {ASK}");
    let used = rig.script(&plant).succeeded();
    assert!(used.origin_got("authorization", &format!("Bearer {ECHO_KEY}")), "{}{}", used.stdout, used.stderr);
    assert!(!outside.path().join("planted").exists());
    // The attack is real: a shell outside runs what was planted.
    assert_eq!(rig.on_host(&["sh", "-c", "token"]).stdout, "x\n");
    assert!(outside.path().join("planted").exists());
}

/// Who may write an encrypted file says where its key is asked for, and with whose token.
#[test]
fn an_encrypted_file_in_the_workspace_is_no_source() {
    let caller = Caller::new();
    write(caller.path("workspace").join("secrets.enc.json"), "{}").unwrap();
    let (_, said) = run(&caller, &["--secret", "A=sops:secrets.enc.json#/a@api.example.com"], "true");
    assert!(said.contains("is not available") && said.contains("to which server SOPS shows"), "{said}");
}

/// The process that holds the values leaves no core, whatever is done with cores: one of a byte is none.
#[test]
fn the_process_that_holds_values_leaves_no_core() {
    let caller = Caller::new();
    let mut standin = Running::start(caller.standin(&["cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()));
    let (mut stdin, mut stdout) = (standin.stdin(), BufReader::new(standin.stdout()));
    stdin.write_all(b"there\n").unwrap();
    stdout.read_line(&mut String::new()).unwrap();
    let limits = read_to_string(format!("/proc/{}/limits", standin.pid().as_raw_pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("1"), "{core}");
    drop(stdin);
    assert!(standin.wait().success());
}
