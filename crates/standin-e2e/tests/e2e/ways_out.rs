//! `standin doctor --attack`: every way out that is known, on this host, as the user that the tests run as.

use crate::direct::Caller;
use serde_json::Value;
use standin_e2e::binary;

/// What is not tried anywhere, for a reason that the catalogue gives.
const NOT_TRIED: &[u64] = &[22, 26, 41, 67, 72, 92, 93, 107, 117];
/// What depends on the kernel and the host: vsock, WSL, io_uring, i386, an old setting of terminals.
const MAY_NOT_WORK: &[u64] = &[45, 46, 101, 102, 113];

#[test]
fn every_way_out_is_contained_or_known_to_be_open() {
    attacked("native");
}

#[test]
fn bubblewrap_contains_the_same() {
    attacked("bwrap");
}

fn attacked(backend: &str) {
    let caller = Caller::new();
    let scratch = caller.path("workspace");
    let mut command = caller.program(binary("standin"));
    command.args(["doctor", "--attack", "--json", "--backend", backend]);
    let output = command.env("TMPDIR", &scratch).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let rows: Vec<Value> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let with = |verdict: &str| rows.iter().filter(|row| row["verdict"] == verdict).collect::<Vec<_>>();
    let number = |row: &&Value| row["number"].as_u64().unwrap();
    assert_eq!(
        rows.iter().map(|row| row["number"].as_u64()).collect::<Vec<_>>(),
        (1..=125).map(Some).collect::<Vec<_>>()
    );
    let keys: Vec<_> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["group", "known", "name", "number", "verdict", "why", "with_cow"]);
    let surprises: Vec<_> = with("open").into_iter().filter(|row| row["known"].is_null()).collect();
    assert!(surprises.is_empty(), "open: {surprises:?}");
    let mended: Vec<_> = with("contained").into_iter().filter(|row| !row["known"].is_null()).collect();
    assert!(mended.is_empty(), "said to be open, and is not: {mended:?}");
    // What a copy of the workspace is said to hold, it holds.
    let copied: Vec<_> = rows.iter().filter(|row| !row["with_cow"].is_null()).collect();
    assert!(!copied.is_empty() && copied.iter().all(|row| row["with_cow"] == "contained"), "{copied:?}");
    assert!(with("not tried").is_empty(), "{:?}\n{said}", with("not tried"));
    let idle: Vec<_> = with("not applicable").iter().map(number).filter(|n| !NOT_TRIED.contains(n)).collect();
    assert!(idle.iter().all(|n| MAY_NOT_WORK.contains(n)), "attempts that fail without a sandbox, too: {idle:?}");
    // The catalogue's own promise: so many attempts that work where nothing keeps them.
    assert!(with("contained").len() + with("open").len() >= 100, "{said}");
    assert_eq!(output.status.code(), Some(i32::from(!with("open").is_empty())), "{said}");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "the rig's directory goes with it");
}

/// The numbers of what a session says is open.
fn told(caller: &Caller, arguments: &[&str]) -> Vec<u64> {
    let status = caller.run(arguments, &["true"]).output().unwrap();
    assert!(status.status.success(), "{status:?}");
    let session = caller.log().remove(0);
    assert_eq!(session["kind"], "session");
    let assurance = &session["assurance"];
    assert!(assurance["kernel"].as_str().unwrap().contains(' '), "{session}");
    let last = if arguments.contains(&"--cow") { "copy of the workspace" } else { "broker of the workspace's files" };
    assert_eq!(assurance["layers"].as_array().unwrap().last().unwrap(), last);
    let open = assurance["open"].as_array().unwrap();
    assert!(open.iter().all(|way| way["name"].is_string() && way["why"].is_string()), "{session}");
    open.iter().map(|way| way["number"].as_u64().unwrap()).collect()
}

#[test]
fn a_sessions_record_starts_with_what_is_open_in_it() {
    let caller = Caller::new();
    let plain = told(&caller, &[]);
    assert!(plain.contains(&49) && plain.contains(&88), "{plain:?}");
    let printed = caller.program(binary("standin")).arg("log").output().unwrap();
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    let numbers: Vec<_> = plain.iter().map(u64::to_string).collect();
    let second = text.lines().nth(1).unwrap();
    assert!(
        second.starts_with("  kernel ") && second.ends_with(&format!("open (docs/threats.md): {}", numbers.join(" "))),
        "{text}"
    );
    let copy = told(&caller, &["--cow"]);
    assert!(!copy.contains(&88) && copy.iter().all(|number| plain.contains(number)), "{copy:?}");
    let wildcard = told(&caller, &["--allow", "*.plain.example"]);
    assert_eq!(wildcard.iter().filter(|number| !plain.contains(number)).collect::<Vec<_>>(), [&24]);
}
