//! `standin doctor`: what it says of a host that has everything, and of hosts that lack something.

use crate::direct::Caller;
use crate::refusal::{without, without_namespaces};
use serde_json::Value;
use standin_e2e::binary;
use std::process::Command;

/// Runs it; gives the exit code and its lines.
fn examined(mut command: Command) -> (Option<i32>, Vec<Value>) {
    let output = command.args(["doctor", "--json"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    (output.status.code(), text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Each layer that a run needs, and its state.
fn needed(rows: &[Value]) -> String {
    let needed = rows.iter().filter(|row| row["needed"] == true);
    let line = |row: &Value| [row["layer"].as_str().unwrap(), ": ", row["state"].as_str().unwrap(), "\n"].concat();
    needed.map(line).collect()
}

const ALL: &str = "kernel: ok\nnamespaces: ok\nnetwork: ok\nlandlock: ok\nsystem calls: ok\ntrust store: ok\n\
                   records: ok\nstart: ok\n";

#[test]
fn a_host_that_runs_sandboxes_has_every_layer() {
    let caller = Caller::new();
    let scratch = caller.path("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let mut standin = caller.program(binary("standin"));
    standin.env("TMPDIR", &scratch);
    let (code, rows) = examined(standin);
    assert_eq!((code, needed(&rows).as_str()), (Some(0), ALL), "{rows:?}");
    let rest: Vec<_> = rows.iter().filter(|row| row["needed"] == false).map(|row| row["layer"].as_str()).collect();
    assert_eq!(rest, ["copies", "bwrap", "gvisor", "limits", "fuse", "kvm"].map(Some));
    let state = |layer: &str| rows.iter().find(|row| row["layer"] == layer).map(|row| row["state"].to_string());
    let gvisor = if rustix::process::geteuid().is_root() { "\"missing\"" } else { "\"ok\"" };
    assert_eq!([state("bwrap"), state("gvisor")], ["\"ok\"", gvisor].map(|state| Some(state.to_owned())), "{rows:?}");
    for row in &rows {
        let keys: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["costs", "detail", "layer", "mend", "needed", "state"]);
    }
    for used in [caller.path("state/standin"), scratch] {
        assert_eq!(std::fs::read_dir(used).unwrap().count(), 0, "what was tried is gone");
    }
}

#[test]
fn what_is_missing_is_told_with_its_mend_and_nothing_below_it_is_tried() {
    let caller = Caller::new();
    let (code, rows) = examined(without_namespaces(&caller, "user"));
    let expected = ALL
        .replace("namespaces: ok", "namespaces: missing")
        .replace("network: ok", "network: untried")
        .replace("start: ok", "start: untried");
    assert_eq!((code, needed(&rows)), (Some(1), expected));
    assert_eq!(rows[1]["mend"], "sudo sysctl -w user.max_user_namespaces=10000");
    assert!(rows[1]["detail"].as_str().unwrap().contains("No space left on device"));
}

#[test]
fn each_layer_is_tried_by_itself() {
    // A call and the error that it ends with, when an argument has a value; which layer that is.
    for (call, errno, when, layer) in [
        (41, 93, (2, 12), "network"),       // netlink to nftables
        (444, 95, (-1, 0), "landlock"),     // landlock_create_ruleset
        (317, 22, (-1, 0), "system calls"), // seccomp
    ] {
        let caller = Caller::new();
        let (code, rows) = examined(without(&caller, call, errno, when));
        let lacking = format!("{layer}: missing");
        let expected = ALL.replace(&format!("{layer}: ok"), &lacking).replace("start: ok", "start: untried");
        assert_eq!((code, needed(&rows)), (Some(1), expected), "{layer}");
    }
}
