//! Taking changes over: all of them, some, again, in the face of the host's own.

use crate::{Fixture, later_than_now, left, listing, plain};
use standin_workspace::Store;
use std::cell::Cell;
use std::fs::{self, create_dir, create_dir_all, write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

#[test]
fn everything_is_taken_over_and_nothing_is_left() {
    let it = Fixture::new(plain);
    write(it.upper("a"), "A").unwrap();
    fs::set_permissions(it.upper("a"), fs::Permissions::from_mode(0o640)).unwrap();
    it.whiteout("b");
    write(it.upper("d"), "a file now").unwrap();
    create_dir(it.upper("link")).unwrap();
    write(it.upper("link/below"), "").unwrap();
    create_dir_all(it.upper("closed/deeper")).unwrap();
    write(it.upper("closed/deeper/x"), "x").unwrap();
    fs::set_permissions(it.upper("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    symlink("closed/deeper/x", it.upper("near")).unwrap();
    let applied = it.apply(&[]);
    assert!(applied.left.is_empty() && !applied.stopped, "{:?}", applied.left);
    let expected = [
        "a 640 A",
        "closed/",
        "closed/deeper/",
        "closed/deeper/x 644 x",
        "d 644 a file now",
        "link/",
        "link/below 644 ",
        "near -> closed/deeper/x",
    ];
    assert_eq!(it.workspace(), expected);
    assert_eq!(fs::metadata(it.host("closed")).unwrap().mode() & 0o777, 0o555);
    let times = [it.upper("a"), it.host("a")].map(|path| fs::metadata(path).unwrap().modified().unwrap());
    assert_eq!(times[0], times[1]);
    assert!(it.seen().is_empty(), "{:?}", it.seen());
    assert_eq!(it.apply(&[]).done, 0);
}

#[test]
fn paths_select_what_they_name_and_hold() {
    let it = Fixture::new(plain);
    create_dir_all(it.upper("new/deep")).unwrap();
    create_dir(it.upper("d")).unwrap();
    for path in ["a", "d/c", "new/deep/x", "new/deep/y"] {
        write(it.upper(path), "new").unwrap();
    }
    // Directories that are needed are made.
    assert_eq!(it.apply(&["d", "new/deep/x"]).done, 4);
    assert_eq!(it.seen(), ["~ a", "+ new/deep/y"]);
}

#[test]
fn what_the_host_runs_is_taken_when_it_is_named_or_asked_for() {
    let it = Fixture::new(|host| create_dir_all(host.join(".git/hooks")).unwrap());
    create_dir_all(it.upper(".git/hooks")).unwrap();
    create_dir(it.upper(".vscode")).unwrap();
    for path in [".git/hooks/pre-commit", ".vscode/tasks.json", ".vscode/settings.json", "x"] {
        write(it.upper(path), "x").unwrap();
    }
    let why = "editors run tasks and programs that it names";
    let expected = [
        ".git/hooks/pre-commit: git's hooks run it".to_owned(),
        format!(".vscode: {why}"),
        format!(".vscode/settings.json: {why}"),
        format!(".vscode/tasks.json: {why}"),
    ];
    let applied = it.apply(&[]);
    assert_eq!((applied.done, left(&applied)), (1, expected.to_vec()));
    // A directory that holds it does not name it.
    assert_eq!(it.apply(&[".git", ".git/hooks", ".vscode"]).done, 1); // the empty `.vscode`, which was named
    assert_eq!(it.workspace(), [".git/", ".git/hooks/", ".vscode/", "x 644 x"]);
    assert_eq!(it.apply(&[".vscode/tasks.json"]).done, 1);
    let applied = it.apply_with(&[], true, false, &|| false);
    assert_eq!((applied.done, left(&applied)), (2, vec![]));
}

#[test]
fn what_changed_on_the_host_is_left_unless_forced() {
    let it = Fixture::new(plain);
    write(it.upper("a"), "session's").unwrap();
    it.whiteout("b");
    write(it.upper("made"), "session's").unwrap();
    write(it.upper("untouched"), "session's").unwrap();
    for path in ["a", "b", "made"] {
        write(it.host(path), "hosts").unwrap();
    }
    assert_eq!(it.seen(), ["~ a conflict", "- b conflict", "~ made conflict", "+ untouched"]);
    let why = "it was changed on the host since the session began";
    let applied = it.apply(&[]);
    assert_eq!((applied.done, left(&applied)), (1, ["a", "b", "made"].map(|name| format!("{name}: {why}")).to_vec()));
    assert_eq!(fs::read(it.host("a")).unwrap(), b"hosts");
    assert_eq!(it.apply_with(&[], false, true, &|| false).done, 3);
    assert_eq!(fs::read(it.host("made")).unwrap(), b"session's");
}

#[test]
fn a_session_that_goes_on_does_not_conflict_with_what_was_applied() {
    let it = Fixture::new(plain);
    write(it.upper("a"), "one").unwrap();
    symlink("b", it.upper("link")).unwrap();
    assert_eq!(it.apply(&[]).done, 2);
    write(it.upper("a"), "two").unwrap();
    fs::remove_file(it.upper("link")).unwrap();
    it.whiteout("link");
    assert_eq!(it.seen(), ["~ a", "- link"]);
    assert_eq!(it.apply(&[]).done, 2);
    write(it.upper("a"), "three").unwrap();
    later_than_now(it.outside("").as_path());
    write(it.host("a"), "hosts").unwrap();
    assert_eq!(it.seen(), ["~ a conflict"]);
}

#[test]
fn stopped_anywhere_it_leaves_nothing_half_and_can_be_done_again() {
    let big = vec![b'x'; 3_000_000];
    let mut looks = 0;
    loop {
        let it = Fixture::new(plain);
        it.whiteout("b");
        write(it.upper("a"), &big).unwrap();
        create_dir(it.upper("new")).unwrap();
        write(it.upper("new/y"), "y").unwrap();
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() > looks
        };
        let applied = it.apply_with(&[], false, false, &stop);
        let there: Vec<_> = fs::read_dir(it.host("")).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert!(there.iter().all(|name| !name.to_string_lossy().starts_with(".standin")), "{there:?}");
        assert!([1, big.len() as u64].contains(&fs::metadata(it.host("a")).unwrap().len()));
        let rest = it.apply(&[]);
        assert!(rest.left.is_empty() && it.seen().is_empty());
        assert!(applied.done + rest.done >= 4); // a directory that was made had not got its mode yet
        if !applied.stopped {
            break;
        }
        looks += 1;
    }
    assert!(looks > 5, "only {looks} places to stop at");
}

#[test]
fn what_a_killed_apply_left_is_cleared_away() {
    let it = Fixture::new(plain);
    write(it.upper("a"), "A").unwrap();
    write(it.host(".standin-apply-20260101-0"), "half").unwrap();
    assert_eq!(it.apply(&[]).done, 1);
    assert!(!it.host(".standin-apply-20260101-0").exists());
}

#[test]
fn a_file_that_the_session_is_writing_is_left() {
    let it = Fixture::new(plain);
    write(it.upper("a"), "A").unwrap();
    let asked = Cell::new(0);
    let write_on = || {
        // The first look comes before the change, the second while it is copied.
        asked.set(asked.get() + 1);
        if asked.get() == 2 {
            later_than_now(it.outside("").as_path());
            write(it.upper("a"), "AAAA").unwrap();
        }
        false
    };
    assert_eq!(left(&it.apply_with(&[], false, false, &write_on)), ["a: the session is writing it"]);
    assert_eq!(fs::read(it.host("a")).unwrap(), b"a");
}

#[test]
fn the_store_finds_the_last_session_of_a_directory_and_forgets_it() {
    let it = Fixture::new(plain);
    let state = it.outside("../state");
    let store = Store::within(&state);
    let id = |path: &Path| store.last_of(path).unwrap().map(|session| session.id().to_owned());
    assert_eq!(id(&it.host("")).as_deref(), Some("20260101-0"));
    assert_eq!(id(&it.host("d/e")).as_deref(), Some("20260101-0"));
    assert_eq!(id(&it.outside("")), None);
    let (later, running) = store.begin("20260102-0", &it.host("")).unwrap();
    assert_eq!(id(&it.host("d")).as_deref(), Some("20260102-0"));
    assert!(store.session("../20260102-0").unwrap().is_none());
    // Not while it runs.
    assert!(later.runs().unwrap());
    assert_eq!(later.discard().unwrap_err().to_string(), "session 20260102-0 still runs");
    drop(running);
    let later = store.session("20260102-0").unwrap().unwrap();
    // Modes and depth do not matter.
    let mut deep = later.upper();
    for _ in 0..14 {
        deep.push("d".repeat(250));
    }
    create_dir_all(&deep).unwrap();
    std::process::Command::new("sh")
        .args(["-c", "for i in 1 2 3 4 5 6 7 8; do mkdir $0 && cd $0; done; echo > x", &"e".repeat(250)])
        .current_dir(&deep)
        .status()
        .unwrap();
    write(later.upper().join("x"), "").unwrap();
    fs::set_permissions(deep.parent().unwrap(), fs::Permissions::from_mode(0o0)).unwrap();
    fs::create_dir(later.work().join("work")).unwrap();
    fs::set_permissions(later.work().join("work"), fs::Permissions::from_mode(0o0)).unwrap();
    later.discard().unwrap();
    assert!(store.session("20260102-0").unwrap().is_none());
    assert_eq!(listing(&state).iter().filter(|line| line.contains("20260102")).count(), 0);
}

#[test]
fn what_changes_on_the_host_meanwhile_is_left_even_by_force() {
    let it = Fixture::new(plain);
    write(it.upper("a"), "A").unwrap();
    it.whiteout("b");
    write(it.upper("made"), "made").unwrap();
    let asked = Cell::new(0);
    let change = || {
        asked.set(asked.get() + 1);
        if asked.get() == 1 {
            for path in ["a", "b", "made"] {
                write(it.host(path), "hosts").unwrap();
            }
        }
        false
    };
    let applied = it.apply_with(&[], true, true, &change);
    let why = "it is being changed on the host";
    assert_eq!((applied.done, left(&applied)), (0, ["a", "b", "made"].map(|name| format!("{name}: {why}")).to_vec()));
}

#[test]
fn what_a_session_never_wrote_takes_no_room() {
    let it = Fixture::new(plain);
    let long = fs::File::create(it.upper("long")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&long, b"start", 0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&long, b"middle", 3 << 40).unwrap();
    long.set_len(8 << 40).unwrap();
    assert_eq!(it.apply(&[]).done, 1);
    let made = fs::File::open(it.host("long")).unwrap();
    let stat = made.metadata().unwrap();
    assert!(stat.len() == 8 << 40 && stat.blocks() < 1000, "{stat:?}");
    let mut text = [0; 8];
    std::os::unix::fs::FileExt::read_exact_at(&made, &mut text, 3 << 40).unwrap();
    assert_eq!(&text, b"middle\0\0");
}

#[test]
fn a_directory_that_is_kept_is_not_replaced() {
    let it = Fixture::new(|host| {
        plain(host);
        create_dir(host.join("e")).unwrap();
        write(host.join("e/f"), "f").unwrap();
    });
    write(it.upper("d"), "a file now").unwrap();
    symlink("a", it.upper("e")).unwrap(); // the last: what it leaves nobody clears away
    for path in ["d/since", "e/since"] {
        write(it.host(path), "hosts").unwrap();
    }
    let why = "the directory is not empty";
    let applied = it.apply(&[]);
    let expected = ["d: ", "d/since: ", "e: ", "e/since: "];
    assert!(left(&applied).iter().zip(expected).all(|(line, start)| line.starts_with(start)), "{:?}", applied.left);
    assert_eq!(left(&applied).iter().filter(|line| line.ends_with(why)).count(), 2);
    assert_eq!(
        it.workspace(),
        ["a 644 a", "b 644 b", "d/", "d/since 644 hosts", "e/", "e/since 644 hosts", "link -> a"]
    );
}

#[test]
fn a_session_that_ran_when_the_machine_went_down_is_known() {
    let it = Fixture::new(plain);
    assert!(!it.session.was_cut_off().unwrap());
    let store = Store::within(&it.outside("../state"));
    let facts = it.outside("../state/workspaces/20260101-0/session.json");
    let mut told: serde_json::Value = serde_json::from_slice(&fs::read(&facts).unwrap()).unwrap();
    told["boot"] = "another".into();
    write(&facts, told.to_string()).unwrap();
    let again = || store.session("20260101-0").unwrap().unwrap();
    assert!(again().was_cut_off().unwrap());
    again().end().unwrap();
    assert!(!again().was_cut_off().unwrap());
}
