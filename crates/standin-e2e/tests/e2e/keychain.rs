//! The desktop's keychain: gnome-keyring's, on a D-Bus session of the test's own, by libsecret's own program.

use standin_e2e::{ECHO_KEY, Outcome, Rig, binary};

/// Begins a keychain, unlocked by a password that its owner would have typed at the desktop.
const UNLOCK: &str = "export XDG_RUNTIME_DIR=$HOME/run XDG_DATA_HOME=$HOME/data; mkdir -p -m 700 $XDG_RUNTIME_DIR
    printf password | gnome-keyring-daemon --unlock --components=secrets >daemon.log 2>&1 || exit 1";
/// Asks the origin with the stand-in.
const ASK: &str =
    "curl -sS -o /dev/null -w '%{http_code}\\n' -H \"authorization: Bearer $TOKEN\" https://echo.example/";

/// Runs a script on the host, in a session with a keychain.
fn with_keychain(rig: &Rig, script: &str) -> Outcome {
    rig.on_host(&["dbus-run-session", "--", "sh", "-c", &format!("{UNLOCK}\n{script}")])
}

fn standin() -> String {
    binary("standin").display().to_string()
}

#[test]
fn a_secret_of_the_keychain_is_lent() {
    let rig = Rig::new(&["echo.example"]);
    std::fs::write(rig.workspace().join("ask"), ASK).unwrap();
    let (standin, half) = (standin(), ECHO_KEY.split_at(10));
    let outcome = with_keychain(
        &rig,
        &format!(
            "printf '%s%s' {} {} | secret-tool store --label=Test service work/api username me || exit 1
             {standin} run --secret TOKEN=keychain:work/api/me@echo.example -- sh ask
             {standin} run --secret TOKEN=keychain:service=work/api,username=me@echo.example -- sh ask
             {standin} run --secret TOKEN=keychain:work/api/you@echo.example -- sh ask",
            half.0, half.1
        ),
    );
    assert_eq!(outcome.stdout, "200\n200\n", "{}", outcome.stderr);
    assert!(outcome.origin_got("authorization", &format!("Bearer {ECHO_KEY}")));
    let mend = "no such secret, or was not unlocked; `secret-tool store --label=NAME service work/api username you` puts it in";
    assert!(outcome.stderr.contains(mend), "{}", outcome.stderr);
}

/// The bus, and so the whole keychain, cannot be reached from inside; outside the same line shows the secret.
#[test]
fn the_keychain_is_not_in_a_sandbox() {
    let rig = Rig::new(&[]);
    let (standin, lookup) = (standin(), "secret-tool lookup service work username me | tr a-y b-z");
    let outcome = with_keychain(
        &rig,
        &format!(
            "printf abc | secret-tool store --label=Test service work username me || exit 1
             {lookup}; echo; {standin} run --env DBUS_SESSION_BUS_ADDRESS --env XDG_RUNTIME_DIR -- sh -c '{lookup}; echo nothing'"
        ),
    )
    .succeeded();
    assert_eq!(outcome.stdout, "bcd\nnothing\n", "{}", outcome.stderr);
}

#[test]
fn the_safes_key_is_in_the_keychain() {
    let rig = Rig::new(&["echo.example"]);
    std::fs::write(rig.workspace().join("ask"), ASK).unwrap();
    let (standin, half) = (standin(), ECHO_KEY.split_at(10));
    let outcome = with_keychain(
        &rig,
        &format!(
            "printf '%s%s' {} {} | {standin} secret set --keychain work/echo || exit 1
             {standin} secret list
             {standin} run --secret TOKEN=age:work/echo@echo.example -- sh ask
             ! grep -r AGE-SECRET-KEY $XDG_STATE_HOME || exit 1
             secret-tool lookup service standin username $(grep ^age1 $XDG_STATE_HOME/standin/secrets/secrets.key) >identity
             cut -c 1-15 identity; rm identity",
            half.0, half.1
        ),
    )
    .succeeded();
    assert_eq!(outcome.stdout, "work/echo\n200\nAGE-SECRET-KEY-\n", "{}", outcome.stderr);
    assert!(outcome.origin_got("authorization", &format!("Bearer {ECHO_KEY}")));
    // In a session without one it says what is missing, and nothing is run.
    let address = "unix:path=/nowhere";
    let rig = rig.variable("DBUS_SESSION_BUS_ADDRESS", address);
    for words in [
        &["secret", "list"][..],
        &["secret", "set", "other"],
        &["run", "--secret", "TOKEN=age:work/echo@echo.example", "--", "sh", "ask"],
    ] {
        let outcome = rig.on_host(&[&[standin.as_str()], words].concat());
        assert!(outcome.code != Some(0) && outcome.seen.is_empty(), "{words:?}: {}", outcome.stdout);
        assert!(outcome.stderr.contains("there is no keychain that answers"), "{words:?}: {}", outcome.stderr);
    }
}
