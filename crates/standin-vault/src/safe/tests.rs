//! The safe: what it keeps, and what it says when something is wrong with it.

use super::*;
use crate::keychain::KeychainError;
use crate::source::Surroundings;
use crate::supply::Supply;
use age::secrecy::ExposeSecret;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

const CANARY: &str = "Canary0123456789abcdef";

/// With little work for a passphrase.
fn safe(directory: &tempfile::TempDir) -> Safe {
    let mut safe = Safe::new(directory.path());
    safe.key.work = 2;
    safe
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn secret(text: &str) -> Secret {
    Secret::copy_of(text.as_bytes())
}

fn get(safe: &Safe, name: &str) -> String {
    match safe.get(name) {
        Ok(value) => String::from_utf8(value.expose().to_vec()).unwrap(),
        Err(error) => {
            assert!(!format!("{error:?}").contains(CANARY));
            error.to_string().replace(&safe.path().parent().unwrap().display().to_string(), "…")
        }
    }
}

#[test]
fn secrets_are_set_listed_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let safe = safe(&directory);
    assert_eq!((safe.names().unwrap(), safe.has_passphrase().unwrap()), (vec![], false));
    safe.is_new().unwrap();
    assert!(!safe.set("work/api", &secret(CANARY)).unwrap());
    assert!(!safe.set("other", &secret("\0\n binary")).unwrap());
    assert!(safe.set("other", &secret("second")).unwrap());
    assert_eq!(safe.names().unwrap(), ["other", "work/api"]);
    assert_eq!((get(&safe, "work/api"), get(&safe, "other")), (CANARY.to_owned(), "second".to_owned()));
    safe.remove("other").unwrap();
    let missing = "…/secrets.age has no secret `other`; `standin secret list` names those that it has";
    assert_eq!(get(&safe, "other"), missing);
    assert!(matches!(safe.remove("other"), Err(SafeError::NoSuch { .. })));
    assert!(matches!(safe.is_new(), Err(SafeError::Exists { .. })));
    let within = directory.path().join("secrets");
    assert_eq!(fs::metadata(&within).unwrap().permissions().mode() & 0o777, 0o700);
    for name in ["secrets.age", "secrets.key"] {
        let path = within.join(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        assert!(!fs::read(path).unwrap().windows(CANARY.len()).any(|part| part == CANARY.as_bytes()), "{name}");
    }
    let supply = Supply::new(Box::new(SafeSource::new(Arc::new(safe), "work/api")));
    let (value, term) = supply.fetch(Manner::Silent).unwrap().value("").unwrap();
    assert_eq!((value.expose(), term), (CANARY.as_bytes(), None));
}

#[test]
fn what_is_wrong_names_the_file_and_the_mend() {
    let directory = tempfile::tempdir().unwrap();
    let safe = safe(&directory);
    safe.set("a", &secret(CANARY)).unwrap();
    let (file, key) = (safe.path().to_owned(), safe.key_path().to_owned());
    let (whole, whole_key) = (fs::read(&file).unwrap(), fs::read(&key).unwrap());
    let damaged =
        "…/secrets.age is damaged or was cut short; bring it back from a backup, or remove it and set its secrets anew";
    for length in 0..whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        assert_eq!(get(&safe, "a"), damaged, "cut at {length}");
    }
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&file, changed).unwrap();
    assert_eq!(get(&safe, "a"), damaged);
    assert!(matches!(safe.set("b", &secret("b")), Err(SafeError::Damaged { .. })), "nothing is written over it");
    fs::write(&file, &whole).unwrap();
    fs::write(&key, &whole_key[..40]).unwrap();
    assert_eq!(get(&safe, "a"), "…/secrets.key holds no age key; bring it back from a backup");
    fs::write(&key, format!("{}\n", x25519::Identity::generate().to_string().expose_secret())).unwrap();
    let other = "…/secrets.age is encrypted for another key than …/secrets.key; bring the right one back from a backup";
    assert_eq!(get(&safe, "a"), other);
    fs::write(&key, &whole_key).unwrap();
    fs::remove_file(&key).unwrap();
    assert!(get(&safe, "a").contains("is gone; bring it back from a backup, or remove …/secrets.age"));
    assert!(matches!(safe.set("b", &secret("b")), Err(SafeError::KeyGone { .. })), "no second key is made");
}

/// Who can read the key, or put another in its place, is nobody else.
#[test]
fn a_key_that_others_reach_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let safe = safe(&directory);
    safe.set("a", &secret(CANARY)).unwrap();
    let (key, within) = (safe.key_path().to_owned(), directory.path().join("secrets"));
    for (path, good, bad, why) in [
        (&key, 0o600, 0o640, "…/secrets.key is not yours alone; run `chmod 600 …/secrets.key`"),
        (&key, 0o600, 0o604, "…/secrets.key is not yours alone; run `chmod 600 …/secrets.key`"),
        (&within, 0o700, 0o770, "… is not yours alone; run `chmod 700 …`"),
        (&within, 0o700, 0o1777, "… is not yours alone; run `chmod 700 …`"),
    ] {
        chmod(path, bad);
        assert_eq!(get(&safe, "a"), why, "{bad:o}");
        assert!(matches!(safe.set("b", &secret("b")), Err(SafeError::Exposed { .. })), "{bad:o}");
        chmod(path, good);
        assert_eq!(get(&safe, "a"), CANARY);
    }
}

/// A person keeps the file elsewhere; what was left aside by whoever died is not written through.
#[test]
fn links_are_followed_where_their_owner_put_them_only() {
    let directory = tempfile::tempdir().unwrap();
    let safe = safe(&directory);
    safe.set("a", &secret("1")).unwrap();
    let elsewhere = directory.path().join("elsewhere.age");
    fs::rename(safe.path(), &elsewhere).unwrap();
    symlink(&elsewhere, safe.path()).unwrap();
    let victim = directory.path().join("victim");
    fs::write(&victim, "as it was").unwrap();
    let aside = directory.path().join(format!(".elsewhere.age.standin-{}", std::process::id()));
    symlink(&victim, &aside).unwrap();
    safe.set("a", &secret("2")).unwrap();
    assert_eq!(get(&safe, "a"), "2");
    assert!(fs::symlink_metadata(safe.path()).unwrap().is_symlink() && !elsewhere.is_symlink() && !aside.exists());
    assert_eq!(fs::read(&victim).unwrap(), b"as it was");
}

#[test]
fn what_would_not_be_read_again_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let safe = safe(&directory);
    let large = Secret::new(vec![b'x'; MAX_FILE / 2]);
    safe.set("a", &large).unwrap();
    assert!(matches!(safe.set("b", &large), Err(SafeError::Full { .. })));
    assert_eq!(safe.names().unwrap(), ["a"]);
}

#[test]
fn a_passphrase_opens_what_it_closed() {
    let directory = tempfile::tempdir().unwrap();
    let opened = |passphrase: &[u8]| {
        let mut safe = safe(&directory);
        safe.open(&Secret::copy_of(passphrase)).map(|()| safe)
    };
    let why = |passphrase: &[u8]| opened(passphrase).map(|_| ()).unwrap_err();
    let mut first = safe(&directory);
    first.close_with(&secret("right")).unwrap();
    first.set("a", &secret(CANARY)).unwrap();
    assert!(safe(&directory).has_passphrase().unwrap());
    let right = opened(b"right").unwrap();
    assert_eq!(get(&right, "a"), CANARY);
    right.set("b", &secret("b")).unwrap();
    assert!(matches!(why(b"wrong"), SafeError::WrongPassphrase { .. }));
    assert!(matches!(why(b"right\xff"), SafeError::WrongPassphrase { .. }));
    assert!(matches!(why(b""), SafeError::WrongPassphrase { .. }));
    assert_eq!(get(&safe(&directory), "a"), "…/secrets.key has a passphrase, and nobody can be asked for it now");
    assert!(matches!(safe(&directory).set("b", &secret("b")), Err(SafeError::Locked { .. })));
    let key = fs::read(first.key_path()).unwrap();
    assert!(!String::from_utf8_lossy(&key).contains("AGE-SECRET-KEY-1"), "the key is closed");
    fs::write(first.key_path(), &key[..key.len() - 1]).unwrap();
    assert!(matches!(why(b"right"), SafeError::KeyDamaged { .. }));
    let work = key.windows(3).position(|part| part == b" 2\n").unwrap();
    fs::write(first.key_path(), [&key[..work], b" 30\n", &key[work + 3..]].concat()).unwrap();
    assert!(matches!(why(b"right"), SafeError::TooMuchWork { .. }), "a terabyte is not tried");
    for none in [b"".as_slice(), b"\xff"] {
        assert!(matches!(safe(&directory).close_with(&Secret::copy_of(none)), Err(SafeError::NoPassphrase)));
    }
}

/// A keychain that keeps its secrets in files, by the last attribute.
fn keychain(directory: &tempfile::TempDir) -> Keychain {
    let at = directory.path().display();
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\ncase $1 in\nlookup) exec cat {at}/$last 2>/dev/null;;\nstore) cat >{at}/$last;;\nesac\n"
    );
    let program = directory.path().join("secret-tool");
    fs::write(&program, script).unwrap();
    chmod(&program, 0o755);
    Keychain::new(Surroundings::new(format!("{at}:/usr/bin:/bin").into()))
}

#[test]
fn a_key_in_the_keychain_is_in_no_file() {
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keychain = keychain(&elsewhere);
    let opened = || {
        let mut safe = safe(&directory);
        safe.open_from(&keychain).map(|()| safe)
    };
    let mut first = safe(&directory);
    first.keep_in(keychain.clone());
    first.set("a", &secret(CANARY)).unwrap();
    let key = fs::read_to_string(first.key_path()).unwrap();
    assert!(
        !key.contains("AGE-SECRET-KEY") && key.contains("secret-tool lookup service standin username age1"),
        "{key}"
    );
    assert!(safe(&directory).is_in_keychain().unwrap() && !safe(&directory).has_passphrase().unwrap());
    let second = opened().unwrap();
    assert_eq!(get(&second, "a"), CANARY);
    second.set("b", &secret("b")).unwrap();
    assert_eq!(get(&safe(&directory), "a"), "the key of …/secrets.key is in the keychain, which was not asked");
    assert!(matches!(safe(&directory).set("b", &secret("b")), Err(SafeError::NotFetched { .. })));
    // Another key under its name is not believed, and one that is gone is told.
    let kept = elsewhere.path().join(key.lines().last().unwrap());
    let other = x25519::Identity::generate().to_string();
    fs::write(&kept, other.expose_secret()).unwrap();
    assert!(matches!(opened(), Err(SafeError::OtherInKeychain { .. })));
    fs::remove_file(kept).unwrap();
    assert!(matches!(opened(), Err(SafeError::Keychain { source: KeychainError::Nothing { .. }, .. })));
    // Who wants it there gets no key that lies in a file.
    let plain = tempfile::tempdir().unwrap();
    let mut late = safe(&plain);
    late.keep_in(keychain);
    safe(&plain).set("a", &secret("a")).unwrap();
    assert!(matches!(late.set("b", &secret(CANARY)), Err(SafeError::Exists { .. })));
}

/// A keychain that takes nothing leaves no key behind, and no safe that nobody can open.
#[test]
fn without_a_keychain_nothing_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let mut safe = safe(&directory);
    safe.keep_in(Keychain::new(Surroundings::new(directory.path().into())));
    assert!(matches!(safe.set("a", &secret(CANARY)), Err(SafeError::Keychain { .. })));
    assert!(!safe.path().exists() && !safe.key_path().exists());
}

/// Who wants a passphrase gets no key without one that another process has just made.
#[test]
fn a_passphrase_is_not_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut late = safe(&directory);
    late.close_with(&secret("right")).unwrap();
    safe(&directory).set("a", &secret("a")).unwrap();
    assert!(matches!(late.set("b", &secret(CANARY)), Err(SafeError::Exists { .. })));
    assert_eq!(safe(&directory).names().unwrap(), ["a"]);
}

/// Every one of them is there afterwards, and there is one key.
#[test]
fn several_set_secrets_at_once() {
    let directory = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let safe = safe(&directory);
            scope.spawn(move || safe.set(&format!("n{number}"), &secret(CANARY)).unwrap());
        }
    });
    assert_eq!(safe(&directory).names().unwrap().len(), 8);
}

#[test]
fn names() {
    let longest = "x".repeat(MAX_NAME);
    for good in ["a", "work/api.key_2-b", &longest] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", "-a", "a b", "a\nb", "a#b", "a@b", "ä", &format!("{longest}x")] {
        assert!(!is_name(bad), "{bad}");
    }
}

/// A file that another implementation wrote (age 1.1.1, armoured so that it can stand here), with the key that its `age-keygen` made.
#[test]
fn what_age_itself_wrote_is_read() {
    const FILE: &str = "\
-----BEGIN AGE ENCRYPTED FILE-----
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSA3V2ZSU2lmeEV5ak5UNTFM
KzNUbExGN1ZObjcxSDk3UnFpUExFb2tYNWdZCjVLYVFTdDVhUXZOVXYzYW9hTVN2
S1liR3NyeXNXZldHSmphZjFndExPcmMKLS0tIE5sVzExTjF6SFFic0xyS0grbVpC
OU1VSkczQkdGUlh4VXB6TUl0NFpSTmMKZYlausOPkRrg+eqLTN5rZv76JS+nXJof
A0tbfSgFY/nZoqAB7MloaNx57CfhoAn8xW/1JOHT+abYaJFjNSzvVgeUEdyVg/P4
NykI6XQOrBT+ZcRhCw==
-----END AGE ENCRYPTED FILE-----
";
    const KEY: &str =
        "# created: 2026-11-28T08:30:30Z\nAGE-SECRET-KEY-1X683KARD8RYKYWYY2WNW5RWU7HDF0Z7AU8TR937XANTSJPTR8AWQYW20LA\n";
    let directory = tempfile::tempdir().unwrap();
    let safe = safe(&directory);
    let within = directory.path().join("secrets");
    fs::create_dir(&within).unwrap();
    chmod(&within, 0o700);
    fs::write(safe.key_path(), KEY).unwrap();
    chmod(safe.key_path(), 0o600);
    let body: String = FILE.lines().filter(|line| !line.starts_with('-')).collect();
    fs::write(safe.path(), base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body).unwrap()).unwrap();
    assert_eq!(get(&safe, "a"), CANARY);
}
