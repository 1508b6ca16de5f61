//! nghttp2's own clients: another implementation of HTTP/2 than the one that Standin is built on.

use standin_e2e::{ECHO_KEY, Outcome, Rig};

/// Runs a script in the sandbox, and gives what it printed with the stand-in as `STANDIN`.
fn run(script: &str) -> (Outcome, String) {
    let rig = Rig::new(&["echo.example"]).variable("ECHO", ECHO_KEY);
    let rig = rig.with(&["--secret", "ECHO=env:ECHO@echo.example"]);
    let outcome = rig.script(&format!("{script}\necho \"stand-in:$ECHO\"")).succeeded();
    let (said, stand_in) = outcome.stdout.rsplit_once("stand-in:").expect("the last line");
    let said = said.replace(stand_in.trim(), "STANDIN");
    // Where nghttp does not believe a certificate, it goes on and says so.
    assert!(!outcome.stderr.contains("verification failed"), "{}", outcome.stderr);
    (outcome, said)
}

/// Twenty streams at once on one connection, with priorities, padding and heads in two frames each.
#[test]
fn many_streams() {
    let (outcome, said) =
        run("nghttp -v -m 20 -b 100 --continuation -H \"authorization: Bearer $ECHO\" https://echo.example/many");
    // Bodies are cut and mixed where it prints them; heads are whole.
    assert_eq!(said.matches("x-echo: Bearer STANDIN").count(), 20, "{said}\n{}", outcome.stderr);
    let got: Vec<_> = outcome.seen.iter().map(|seen| (&seen.version[..], seen.header("authorization"))).collect();
    assert_eq!(got, [("HTTP/2.0", Some(&format!("Bearer {ECHO_KEY}")[..])); 20]);
}

/// An upload with padding and a trailer, whose answer is some three thousand of the client's windows.
#[test]
fn an_upload_and_small_windows() {
    let (outcome, said) = run("head -c 3000000 /dev/zero | tr '\\0' x > upload
        nghttp -d upload -b 100 --trailer 'x-after: y' -H \"authorization: Bearer $ECHO\" -w 10 -W 16 https://echo.example/ | wc -c");
    assert!(said.trim().parse::<usize>().is_ok_and(|length| length > 3_000_000), "{said}\n{}", outcome.stderr);
    assert_eq!(outcome.seen.len(), 1);
    assert_eq!(outcome.seen[0].body.len(), 3_000_000);
    assert!(outcome.origin_got("authorization", &format!("Bearer {ECHO_KEY}")));
}

/// Two thousand requests over eight connections, twenty at a time on each: all are answered, and on record.
#[test]
fn under_load() {
    let (outcome, said) =
        run("h2load -n 2000 -c 8 -m 20 -H \"authorization: Bearer $ECHO\" https://echo.example/bytes/1000");
    assert!(said.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}\n{}", outcome.stderr);
    assert!(said.contains("Application protocol: h2"), "{said}");
    let got = format!("Bearer {ECHO_KEY}");
    assert_eq!(outcome.seen.iter().filter(|seen| seen.header("authorization") == Some(&got)).count(), 2000);
    assert_eq!(outcome.log.matches("\"outcome\":\"completed\"").count(), 2000);
}
