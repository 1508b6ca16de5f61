//! The unified difference: what git makes of it is what apply makes of the session.

use crate::{Fixture, listing};
use standin_workspace::diff::Contents;
use std::fs::{self, create_dir_all, write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

fn patch(it: &Fixture, raw: bool) -> Vec<u8> {
    let contents = Contents::open(&it.session).unwrap();
    let mut out = Vec::new();
    for change in it.changes() {
        contents.write(&mut out, &change, raw).unwrap();
    }
    out
}

fn git_apply(directory: &Path, patch: &[u8]) -> String {
    let mut git = Command::new("git");
    git.args(["apply", "--verbose"]).current_dir(directory).env("GIT_CEILING_DIRECTORIES", "/");
    let mut git = git.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut git.stdin.take().unwrap(), patch).unwrap();
    let output = git.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(patch));
    said
}

fn numbers(from: usize, to: usize) -> String {
    (from..to).fold(String::new(), |text, number| text + &number.to_string() + "\n")
}

/// A workspace of many kinds, and a session that changes each.
fn varied(host: &Path) {
    create_dir_all(host.join("gone/deep")).unwrap();
    write(host.join("long"), numbers(0, 100)).unwrap();
    write(host.join("crlf"), "one\r\ntwo\r\n").unwrap();
    write(host.join("no end"), "one\ntwo").unwrap();
    write(host.join("gone/deep/file"), "x\n").unwrap();
    write(host.join("emptied"), "x\n").unwrap();
    write(host.join("empty"), "").unwrap();
    write(host.join("mode"), "x\n").unwrap();
    write(host.join("to-link"), "x\n").unwrap();
    symlink("long", host.join("link")).unwrap();
}

fn change(it: &Fixture) {
    write(it.upper("long"), numbers(0, 3) + "x\n" + &numbers(4, 40) + &numbers(43, 100) + "end\n").unwrap();
    write(it.upper("crlf"), "one\r\n2\r\n").unwrap();
    write(it.upper("no end"), "one\ntwo\n").unwrap();
    it.whiteout("gone");
    write(it.upper("emptied"), "").unwrap();
    it.whiteout("empty");
    write(it.upper("mode"), "x\n").unwrap();
    fs::set_permissions(it.upper("mode"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("long", it.upper("to-link")).unwrap();
    fs::remove_file(it.upper("link")).ok();
    symlink("mode", it.upper("link")).unwrap();
    create_dir_all(it.upper("new")).unwrap();
    write(it.upper("new/empty"), "").unwrap();
    write(it.upper("new/a\n\"b\"\t\u{e9}"), "odd\n").unwrap();
    write(it.upper("new/script"), "#!/bin/sh").unwrap();
    fs::set_permissions(it.upper("new/script"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn git_reads_it_as_apply_does() {
    let it = Fixture::new(varied);
    change(&it);
    let (other, patch) = (Fixture::new(varied), patch(&it, false));
    git_apply(&other.host(""), &patch);
    assert!(it.apply_with(&[], true, false, &|| false).left.is_empty());
    assert_eq!(other.workspace(), it.workspace());
}

#[test]
fn a_text_with_controls_is_for_reading_only() {
    let it = Fixture::new(|host| write(host.join("a"), "a\n").unwrap());
    write(it.upper("a"), "\x1b]0;title\x07\u{202e}\n").unwrap();
    write(it.upper("b"), "plain\n").unwrap();
    let shown = patch(&it, false);
    let text = String::from_utf8(shown.clone()).unwrap();
    assert!(text.contains("\n| +\\x1b]0;title\\x07\\u{202e}\n"), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
    // What git takes from it is the other file only.
    let other = Fixture::new(|host| write(host.join("a"), "a\n").unwrap());
    git_apply(&other.host(""), &shown);
    assert_eq!(other.workspace(), ["a 644 a\\n", "b 644 plain\\n"]);
    // As it is, git takes it.
    let other = Fixture::new(|host| write(host.join("a"), "a\n").unwrap());
    git_apply(&other.host(""), &patch(&it, true));
    assert!(it.apply(&[]).left.is_empty());
    assert_eq!(other.workspace(), it.workspace());
}

#[test]
fn what_is_no_text_is_named() {
    let it = Fixture::new(|host| write(host.join("a"), "a\n").unwrap());
    write(it.upper("a"), b"a\0b").unwrap();
    write(it.upper("long"), vec![b'\n'; 5_000_000]).unwrap();
    let text = String::from_utf8(patch(&it, false)).unwrap();
    let expected = "# a: file, 2 bytes to file, 3 bytes; no text, or too long\n\
                    # long: new file, 5000000 bytes; no text, or too long\n";
    assert_eq!(text, expected);
    assert_eq!(listing(&it.host("")), ["a 644 a\\n"]);
}
