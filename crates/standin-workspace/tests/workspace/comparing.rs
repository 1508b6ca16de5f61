//! What counts as a change.

use crate::{Fixture, plain};
use std::ffi::OsStr;
use std::fs::{self, create_dir, create_dir_all, write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn what_was_written_and_is_equal_is_no_change() {
    let it = Fixture::new(plain);
    create_dir(it.upper("d")).unwrap();
    write(it.upper("a"), "a").unwrap();
    write(it.upper("d/c"), "c").unwrap();
    symlink("a", it.upper("link")).unwrap();
    it.whiteout("never-there");
    assert!(it.seen().is_empty(), "{:?}", it.seen());
}

#[test]
fn contents_modes_links_and_kinds_are_compared() {
    let it = Fixture::new(plain);
    write(it.upper("a"), "x").unwrap(); // as long as before
    write(it.upper("b"), "b").unwrap();
    fs::set_permissions(it.upper("b"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("b", it.upper("link")).unwrap();
    write(it.upper("d"), "a file now").unwrap();
    write(it.upper("new"), "").unwrap();
    assert_eq!(it.seen(), ["~ a", "~ b", "~ d", "- d/c", "- d/e", "- d/e/f", "~ link", "+ new"]);
}

#[test]
fn attributes_are_compared_and_the_kernels_own_are_not() {
    let it = Fixture::new(plain);
    let flags = rustix::fs::XattrFlags::empty();
    for name in ["a", "b"] {
        write(it.upper(name), name).unwrap();
        rustix::fs::setxattr(it.upper(name), "user.overlay.origin", b"", flags).unwrap();
    }
    assert!(it.seen().is_empty());
    rustix::fs::setxattr(it.upper("b"), "user.note", b"n", flags).unwrap();
    assert_eq!(it.seen(), ["~ b"]);
    assert_eq!(it.apply(&[]).done, 1);
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(it.host("b"), "user.note", &mut value).unwrap(), 1);
    assert!(rustix::fs::getxattr(it.host("b"), "user.overlay.origin", &mut value).is_err());
    assert!(it.seen().is_empty());
}

#[test]
fn a_deleted_directory_is_deleted_with_all_that_is_in_it() {
    let it = Fixture::new(plain);
    it.whiteout("d");
    assert_eq!(it.seen(), ["- d", "- d/c", "- d/e", "- d/e/f"]);
}

#[test]
fn an_opaque_directory_hides_the_hosts() {
    let it = Fixture::new(plain);
    create_dir_all(it.upper("d/e")).unwrap();
    it.opaque("d");
    write(it.upper("d/c"), "c").unwrap();
    write(it.upper("d/e/g"), "g").unwrap();
    assert_eq!(it.seen(), ["- d/e/f", "+ d/e/g"]);
}

#[test]
fn what_the_host_made_since_was_never_there_to_be_deleted() {
    let it = Fixture::new(plain);
    create_dir(it.upper("d")).unwrap();
    it.opaque("d");
    write(it.host("d/since"), "since").unwrap();
    assert_eq!(it.seen(), ["- d/c", "- d/e", "- d/e/f"]);
    // Also by force: the directory stays, for it is not empty.
    it.apply_with(&[], true, true, &|| false);
    assert_eq!(fs::read(it.host("d/since")).unwrap(), b"since");
}

#[test]
fn names_may_be_anything() {
    let it = Fixture::new(plain);
    let odd = OsStr::from_bytes(b"\xff\n\x1b[2J");
    write(it.upper("").join(odd), "x").unwrap();
    assert_eq!(it.changes()[0].path.as_os_str(), odd);
    assert_eq!(it.apply(&[]).done, 1);
    assert_eq!(fs::read(it.host("").join(odd)).unwrap(), b"x");
}

#[test]
fn what_the_host_runs_wants_a_look() {
    let it = Fixture::new(|host| {
        plain(host);
        create_dir_all(host.join(".git/hooks")).unwrap();
        create_dir_all(host.join("bare.git/objects")).unwrap();
        write(host.join("bare.git/HEAD"), "ref: refs/heads/main").unwrap();
        write(host.join("tool"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(host.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    });
    for directory in [".git/hooks", ".GIT/hooks", "bare.git", "own.git/hooks", "own.git/objects", ".claude"] {
        create_dir_all(it.upper(directory)).unwrap();
    }
    for path in [
        ".git/hooks/pre-commit",
        ".GIT/hooks/post-checkout",
        "bare.git/config",
        "own.git/HEAD",
        "own.git/config",
        "own.git/hooks/update",
        ".claude/settings.json",
        "run",
        "tool",
    ] {
        write(it.upper(path), "x").unwrap();
    }
    for path in ["run", "tool"] {
        fs::set_permissions(it.upper(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    symlink("../outside", it.upper("out")).unwrap();
    symlink("d/c", it.upper("in")).unwrap();
    it.whiteout("d");
    let expected = [
        "+ .GIT !",
        "+ .GIT/hooks !",
        "+ .GIT/hooks/post-checkout !",
        "+ .claude !",
        "+ .claude/settings.json !",
        "+ .git/hooks/pre-commit !",
        "+ bare.git/config !",
        "- d",
        "- d/c",
        "- d/e",
        "- d/e/f",
        "+ in",
        "+ out !",
        "+ own.git",
        "+ own.git/HEAD !",
        "+ own.git/config !",
        "+ own.git/hooks",
        "+ own.git/hooks/update !",
        "+ own.git/objects !",
        "+ run !",
        "~ tool",
    ];
    assert_eq!(it.seen(), expected);
}
