//! What an agent may leave in its copy so that taking it over reaches further than the workspace.

use crate::{Fixture, left};
use std::cell::Cell;
use std::fs::{self, create_dir, create_dir_all, write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

#[test]
fn a_directory_in_place_of_a_link_does_not_write_through_it() {
    let it = Fixture::new(|host| {
        symlink("../outside", host.join("link")).unwrap();
        symlink("../outside/file", host.join("file")).unwrap();
    });
    write(it.outside("file"), "hosts").unwrap();
    create_dir(it.upper("link")).unwrap();
    for path in ["link/file", "link/planted", "file"] {
        write(it.upper(path), "agents").unwrap();
    }
    assert!(it.apply(&[]).left.is_empty());
    assert_eq!(it.workspace(), ["file 644 agents", "link/", "link/file 644 agents", "link/planted 644 agents"]);
    assert_eq!(crate::listing(&it.outside("")), ["file 644 hosts"]);
}

/// git writes a reflog through a link, with the subject of a commit that the session made, into a hook of the host's.
#[test]
fn links_in_gits_own_directories_are_set_apart() {
    let it = Fixture::new(|host| create_dir_all(host.join(".git/logs")).unwrap());
    create_dir_all(it.upper(".git/logs")).unwrap();
    create_dir_all(it.upper("sub/.GIT")).unwrap();
    for (path, target) in [
        (".git/logs/HEAD", "../hooks/post-commit"),
        (".git/MERGE_MSG", "../.envrc"),
        ("sub/.GIT/ORIG_HEAD", "x"),
        ("plain", ".git/HEAD"),
    ] {
        symlink(target, it.upper(path)).unwrap();
    }
    let applied = it.apply(&[]);
    let why = "a link in git's own directory: git writes where it leads";
    let expected = [".git/MERGE_MSG", ".git/logs/HEAD", "sub/.GIT/ORIG_HEAD"].map(|path| format!("{path}: {why}"));
    let links: Vec<_> = left(&applied).into_iter().filter(|line| line.ends_with(why)).collect();
    assert_eq!(links, expected);
    assert!(it.host("plain").is_symlink() && !it.host(".git/MERGE_MSG").is_symlink());
}

/// What a mount namespace inside makes of a masked file: another name, which no later session would mask.
#[test]
fn a_secret_file_by_another_name_is_set_apart() {
    let it = Fixture::new(|host| {
        create_dir(host.join("d")).unwrap();
        for name in [".env", "d/a.env", "plain"] {
            write(host.join(name), format!("A_TOKEN={name:0<40}")).unwrap();
        }
    });
    create_dir(it.upper("d")).unwrap();
    for (from, to) in [(".env", "notes.txt"), ("d/a.env", "d/b"), ("plain", "moved")] {
        it.whiteout(from);
        write(it.upper(to), fs::read(it.host(from)).unwrap()).unwrap();
    }
    write(it.upper("of-the-same-length"), "x".repeat(48)).unwrap();
    let why = "a secret file that has another name now, by which no session would know it";
    // The second time nothing else is known of them.
    for _ in 0..2 {
        let mut all = left(&it.apply(&[]));
        all.sort();
        assert_eq!(all, [".env", "d/a.env", "d/b", "notes.txt"].map(|path| format!("{path}: {why}")));
    }
    assert!(it.host("moved").exists() && it.host("of-the-same-length").exists());
}

#[test]
fn a_directory_that_becomes_a_link_meanwhile_is_not_followed() {
    for victim in ["a", "a/b"] {
        let it = Fixture::new(|host| create_dir_all(host.join("a/b")).unwrap());
        create_dir(it.outside("b")).unwrap();
        create_dir_all(it.upper("a/b")).unwrap();
        write(it.upper("a/b/one"), "x").unwrap();
        write(it.upper("a/b/two"), vec![b'x'; 3_000_000]).unwrap();
        let asked = Cell::new(0);
        // At the first look nothing is written; later, one file is, and the other is on its way.
        let swap = || {
            asked.set(asked.get() + 1);
            if asked.get() == 1 {
                fs::rename(it.host(victim), it.host("moved")).unwrap();
                symlink(it.outside(""), it.host(victim)).unwrap();
            }
            false
        };
        let applied = it.apply_with(&[], true, true, &swap);
        assert_eq!(
            left(&applied),
            ["a/b/one", "a/b/two"].map(|path| format!("{path}: its directory is not there; apply that, too"))
        );
        assert_eq!(crate::listing(&it.outside("")), ["b/"]);
    }
}

#[test]
fn deletions_do_not_go_through_links() {
    let it = Fixture::new(|host| {
        create_dir_all(host.join("d")).unwrap();
        write(host.join("d/file"), "x").unwrap();
    });
    write(it.outside("file"), "hosts").unwrap();
    it.whiteout("d");
    let asked = Cell::new(0);
    let swap = || {
        asked.set(asked.get() + 1);
        if asked.get() == 1 {
            fs::rename(it.host("d"), it.host("moved")).unwrap();
            symlink(it.outside(""), it.host("d")).unwrap();
        }
        false
    };
    it.apply_with(&[], true, true, &swap);
    assert_eq!(crate::listing(&it.outside("")), ["file 644 hosts"]);
}

#[test]
fn a_file_of_two_names_changes_in_the_workspace_only() {
    let it = Fixture::new(|_| {});
    write(it.outside("file"), "hosts").unwrap();
    fs::hard_link(it.outside("file"), it.host("name")).unwrap();
    write(it.upper("name"), "agents").unwrap();
    // The other name was made after the session began, which is a change of the host's file.
    assert!(it.apply_with(&[], false, true, &|| false).left.is_empty());
    assert_eq!(fs::read(it.outside("file")).unwrap(), b"hosts");
    assert_eq!(fs::read(it.host("name")).unwrap(), b"agents");
}

#[test]
fn no_bit_makes_a_program_run_as_somebody_else() {
    let it = Fixture::new(|host| write(host.join("old"), "x").unwrap());
    for path in ["old", "new"] {
        write(it.upper(path), "x").unwrap();
        fs::set_permissions(it.upper(path), fs::Permissions::from_mode(0o6755)).unwrap();
    }
    create_dir(it.upper("d")).unwrap();
    fs::set_permissions(it.upper("d"), fs::Permissions::from_mode(0o3777)).unwrap();
    assert!(it.apply_with(&[], true, false, &|| false).left.is_empty());
    for (path, mode) in [("old", 0o755), ("new", 0o755), ("d", 0o777)] {
        assert_eq!(fs::metadata(it.host(path)).unwrap().permissions().mode() & 0o7777, mode, "{path}");
    }
}

#[test]
fn pipes_sockets_and_devices_are_never_taken() {
    let it = Fixture::new(|host| write(host.join("old"), "x").unwrap());
    let make = |path: &str, kind, device| {
        rustix::fs::mknodat(rustix::fs::CWD, it.upper(path), kind, rustix::fs::Mode::RUSR, device)
    };
    make("old", rustix::fs::FileType::Fifo, 0).unwrap();
    make("pipe", rustix::fs::FileType::Fifo, 0).unwrap();
    let _socket = UnixListener::bind(it.upper("socket")).unwrap();
    let mut expected = vec!["old", "pipe", "socket"];
    // Only root makes one.
    if make("device", rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(1, 3)).is_ok() {
        expected.insert(0, "device");
    }
    let applied = it.apply_with(&["old", "pipe", "socket", "device"], true, true, &|| false);
    assert_eq!(applied.left.iter().map(|(path, _)| path.to_str().unwrap()).collect::<Vec<_>>(), expected);
    assert_eq!(it.workspace(), ["old 644 x"]);
}

#[test]
fn our_own_unfinished_name_is_neither_followed_nor_taken() {
    let it = Fixture::new(|host| write(host.join("a"), "a").unwrap());
    write(it.outside("file"), "hosts").unwrap();
    symlink(it.outside("file"), it.host(".standin-apply-20260101-0")).unwrap();
    write(it.upper("a"), "A").unwrap();
    symlink(it.outside("other"), it.upper(".standin-apply-20260101-0")).unwrap();
    let applied = it.apply_with(&[], true, true, &|| false);
    assert_eq!((applied.done, applied.left.len()), (1, 1));
    assert_eq!(it.workspace(), ["a 644 A"]);
    assert_eq!(crate::listing(&it.outside("")), ["file 644 hosts"]);
}

#[test]
fn a_copy_that_hides_the_whole_workspace_is_shown_entry_by_entry() {
    let it = Fixture::new(|host| {
        create_dir_all(host.join(".git/hooks")).unwrap();
        write(host.join(".git/hooks/pre-push"), "guard").unwrap();
        write(host.join("a"), "a").unwrap();
    });
    it.opaque("");
    let expected = ["- .git !", "- .git/hooks !", "- .git/hooks/pre-push !", "- a"];
    assert_eq!(it.seen(), expected);
    it.apply(&[]);
    assert_eq!(it.workspace(), [".git/", ".git/hooks/", ".git/hooks/pre-push 644 guard"]);
}

#[test]
fn a_directory_that_may_not_be_looked_into_is_named() {
    let it = Fixture::new(|_| {});
    let mut deep = it.upper("").canonicalize().unwrap();
    for _ in 0..14 {
        deep.push("d".repeat(250));
    }
    create_dir_all(&deep).unwrap();
    let deeper = "for i in 1 2 3 4; do mkdir $0 && cd $0; done; echo > x";
    let mut shell = std::process::Command::new("sh");
    assert!(shell.args(["-c", deeper, &"e".repeat(250)]).current_dir(&deep).status().unwrap().success());
    let found = standin_workspace::changes(&it.session).unwrap();
    assert_eq!(found.unreadable.len(), 1);
    assert!(it.apply(&[]).left.iter().any(|(_, why)| why.to_string() == "the session made it unreadable"));
}
