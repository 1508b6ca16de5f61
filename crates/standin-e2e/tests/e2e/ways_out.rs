//! `standin doctor --attack`: every way out that is known, on this host, as the user that the tests run as.

use crate::direct::Caller;
use serde_json::Value;
use standin_e2e::binary;

/// What is not tried anywhere, for a reason that the catalogue gives.
const NOT_TRIED: &[u64] = &[22, 26, 41, 67, 92, 93, 107, 117];
/// What depends on the kernel and the host: vsock, WSL, io_uring, i386, an old setting of terminals.
const MAY_NOT_WORK: &[u64] = &[45, 46, 101, 102, 113];

#[test]
fn every_way_out_is_contained_or_known_to_be_open() {
    let caller = Caller::new();
    let scratch = caller.path("workspace");
    let mut command = caller.program(binary("standin"));
    let output = command.args(["doctor", "--attack", "--json"]).env("TMPDIR", &scratch).output().unwrap();
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
    assert_eq!(keys, ["group", "known", "name", "number", "verdict", "why"]);
    let surprises: Vec<_> = with("open").into_iter().filter(|row| row["known"].is_null()).collect();
    assert!(surprises.is_empty(), "open: {surprises:?}");
    let mended: Vec<_> = with("contained").into_iter().filter(|row| !row["known"].is_null()).collect();
    assert!(mended.is_empty(), "said to be open, and is not: {mended:?}");
    assert!(with("not tried").is_empty(), "{:?}\n{said}", with("not tried"));
    let idle: Vec<_> = with("not applicable").iter().map(number).filter(|n| !NOT_TRIED.contains(n)).collect();
    assert!(idle.iter().all(|n| MAY_NOT_WORK.contains(n)), "attempts that fail without a sandbox, too: {idle:?}");
    // The catalogue's own promise: so many attempts that work where nothing keeps them.
    assert!(with("contained").len() + with("open").len() >= 100, "{said}");
    assert_eq!(output.status.code(), Some(i32::from(!with("open").is_empty())), "{said}");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "the rig's directory goes with it");
}
