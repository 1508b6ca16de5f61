//! The agent dies in the middle of something: every exchange that began is on record, once.

use crate::direct::{Caller, Running, Text, wait_for_all};
use rustix::process::Signal;
use standin_e2e::{Outcome, Rig};
use std::collections::BTreeMap;
use std::process::Stdio;

/// Asks for URLs over TLS, one thread each, and kills its whole process group when all are under way.
const DIE: &str = r#"import http.client, os, signal, ssl, sys, threading
targets = sys.argv[2:]
under_way = threading.Barrier(len(targets))
def ask(target):
    connection = http.client.HTTPSConnection("echo.example")
    if sys.argv[1] == "download":
        connection.request("GET", target)
        assert connection.getresponse().read(1)
    else:
        connection.putrequest("PUT", target)
        connection.putheader("Content-Length", "100000000")
        connection.endheaders()
        for _ in range(100):
            connection.send(b"x" * 10000)
    under_way.wait()
    os.killpg(0, signal.SIGKILL)
for target in targets:
    threading.Thread(target=ask, args=[target]).start()
"#;

fn die(what: &str, targets: &[&str]) -> Outcome {
    let rig = Rig::new(&["echo.example"]).with(&["--allow", "echo.example"]);
    rig.run(&[&["/usr/bin/python3", "-c", DIE, what], targets].concat())
}

fn records(outcome: &Outcome) -> Vec<serde_json::Value> {
    outcome.log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_broken_download_is_on_record_once() {
    // Three: what a fourth client leaves unread would fill the window of the HTTP/2 connection that they share upstream.
    let targets: Vec<String> = (0..3).map(|n| format!("/bytes/20000000?n={n}")).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let outcome = die("download", &targets);
    assert_eq!(outcome.code, Some(137), "{}", outcome.stderr);
    let mut count = BTreeMap::new();
    for record in records(&outcome) {
        *count.entry(record["target"].as_str().unwrap_or_default().to_owned()).or_insert(0) += 1;
        assert_eq!(record["outcome"], "downstream_closed", "{record}");
        assert_eq!(record["status"], 200, "{record}");
        assert!(record["bytes_in"].as_u64().unwrap() > 0, "{record}");
    }
    let expected: BTreeMap<_, _> = targets.iter().map(|target| ((*target).to_owned(), 1)).collect();
    assert_eq!(count, expected);
}

#[test]
fn a_broken_upload_is_on_record_once() {
    let outcome = die("upload", &["/put"]);
    assert_eq!(outcome.code, Some(137), "{}", outcome.stderr);
    let records = records(&outcome);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!((&records[0]["method"], &records[0]["target"]), (&"PUT".into(), &"/put".into()));
    assert_ne!(records[0]["outcome"], "completed");
    assert!(records[0]["bytes_out"].as_u64().unwrap() <= 1_000_000);
}

#[test]
fn connections_that_nobody_had_accepted_yet_are_on_record() {
    let connect = "import os, signal, socket
print('ready', flush=True)
os.read(0, 1)
kept = [socket.create_connection(('93.184.216.34', port)) for port in range(1, 301)]
os.killpg(0, signal.SIGKILL)";
    let caller = Caller::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut standin = caller.standin(&["/usr/bin/python3", "-c", connect]);
    let mut standin = Running::start(standin.stdin(reader).stdout(Stdio::piped()));
    Text::from(standin.stdout()).until("ready");
    let processes = standin.descendants();
    // While it stands still it accepts nothing; the kernel does, and keeps the connections for it.
    standin.signal(Signal::STOP);
    drop(writer);
    wait_for_all(&processes);
    standin.signal(Signal::CONT);
    assert_eq!(standin.wait().code(), Some(137));
    let mut ports: Vec<_> = caller.records().iter().map(|record| record["port"].as_u64().unwrap()).collect();
    ports.sort_unstable();
    assert_eq!(ports, (1..=300).collect::<Vec<_>>());
}
