//! What goes out and what comes back, seen from both ends.

use standin_e2e::{ECHO_KEY, Rig};

fn echo() -> Rig {
    Rig::new(&["echo.example", "other.example"])
        .with(&["--secret", "ECHO=env:ECHO@echo.example", "--allow", "other.example"])
        .variable("ECHO", ECHO_KEY)
}

#[test]
fn the_origin_gets_the_key_and_the_echo_is_scrubbed() {
    for version in ["--http1.1", "--http2"] {
        let outcome = echo().script(&format!(
            "curl -sS {version} -i -H \"Authorization: Bearer $ECHO\" https://echo.example/; echo; echo stand-in:$ECHO"
        ));
        let outcome = outcome.succeeded();
        assert!(outcome.origin_got("authorization", &format!("Bearer {ECHO_KEY}")), "{version}: {}", outcome.stderr);
        let stand_in = outcome.stdout.rsplit("stand-in:").next().unwrap().trim();
        assert_eq!(stand_in.len(), ECHO_KEY.len());
        // Header, body and the command's own line.
        assert_eq!(outcome.stdout.matches(stand_in).count(), 3, "{version}: {}", outcome.stdout);
        assert!(outcome.log.contains("\"credentials\":[\"ECHO\"]"), "{}", outcome.log);
    }
}

#[test]
fn basic_authentication_by_either_half() {
    let outcome = echo()
        .script("curl -sS -o /dev/null -u \"user:$ECHO\" https://echo.example/a && curl -sS -o /dev/null -u \"$ECHO:\" https://echo.example/b")
        .succeeded();
    let decoded: Vec<_> = outcome.seen.iter().filter_map(|seen| seen.header("authorization")).collect();
    assert_eq!(decoded.len(), 2, "{decoded:?}");
    assert!(decoded.iter().all(|value| value.starts_with("Basic ")));
}

#[test]
fn refusals_carry_a_code_and_reach_no_origin() {
    for (script, status, code) in [
        ("-H \"Authorization: Bearer $ECHO\" https://other.example/", "403", "credential.wrong_destination"),
        ("-H 'Authorization: Bearer attacker' https://echo.example/", "403", "credential.foreign"),
        ("-H 'X-Api-Key: attacker' https://echo.example/", "403", "credential.foreign"),
        ("https://echo.example/?access_token=attacker", "403", "credential.foreign"),
        ("https://other.example/?x=$ECHO", "403", "credential.wrong_destination"),
        ("https://other.example/$ECHO", "403", "credential.wrong_slot"),
        ("-H \"X-Data: a$ECHO\" https://other.example/", "403", "credential.wrong_slot"),
        ("-X TRACE https://echo.example/", "405", "http.method_refused"),
        ("--path-as-is https://echo.example/a/../../b", "400", "http.malformed"),
        ("-H 'Host: other.example' https://echo.example/", "421", "http.authority_mismatch"),
        ("https://third.example/", "403", "net.host_not_allowed"),
        ("-k https://93.184.216.10/", "403", "net.ip_literal"),
        ("http://echo.example/", "403", "net.host_not_allowed"),
    ] {
        let outcome = echo().script(&format!("curl -sS -i -m 20 {script}"));
        let expected = format!("x-standin-reason: {code}");
        assert!(outcome.stdout.to_lowercase().contains(&expected), "{script}: {} {}", outcome.stdout, outcome.stderr);
        assert!(outcome.stdout.contains(&format!(" {status}")), "{script}: {}", outcome.stdout);
        assert!(outcome.seen.is_empty(), "{script} reached an origin: {:?}", outcome.seen);
        assert_eq!(outcome.log.lines().count(), 1, "one record: {}", outcome.log);
        assert!(outcome.log.contains(code), "{}", outcome.log);
    }
}

#[test]
fn a_proxy_by_name_serves_the_same_policy() {
    let outcome = echo()
        .script(
            "curl -sS -x http://10.0.2.2:3128 -o /dev/null -w '%{http_code} ' -H \"Authorization: Bearer $ECHO\" https://echo.example/ &&
             curl -sS -x http://10.0.2.2:3128 -o /dev/null -w '%{http_code} ' https://third.example/ &&
             curl -sS -x http://10.0.2.2:3128 -o /dev/null -w '%{http_code}' http://third.example/",
        )
        .succeeded();
    assert_eq!(outcome.stdout, "200 403 403", "{}", outcome.stderr);
    assert!(outcome.origin_got("authorization", &format!("Bearer {ECHO_KEY}")));
}

#[test]
fn socks_serves_the_same_policy() {
    // The name goes to the proxy, or is looked up first and its made-up address goes there.
    for option in ["--socks5-hostname", "--socks5", "-U user:pass --socks5-hostname"] {
        let outcome = echo()
            .script(&format!(
                "curl -sS {option} 10.0.2.2:1080 -o /dev/null -w '%{{http_code}} ' -H \"Authorization: Bearer $ECHO\" https://echo.example/ &&
                 curl -sS {option} 10.0.2.2:1080 -o /dev/null -w '%{{http_code}}' https://third.example/",
            ))
            .succeeded();
        assert_eq!(outcome.stdout, "200 403", "{option}: {}", outcome.stderr);
        assert!(outcome.origin_got("authorization", &format!("Bearer {ECHO_KEY}")));
        assert_eq!(outcome.log.matches("\"ingress\":\"socks5\"").count(), 2, "{option}: {}", outcome.log);
    }
}

#[test]
fn a_base_url_needs_no_certificate() {
    let outcome = echo()
        .script(
            "curl -sS -i -H \"Authorization: Bearer $ECHO\" http://10.0.2.2/ECHO/a?b
             curl -sS -o /dev/null -w ' %{http_code}' -H 'Authorization: Bearer attacker' http://10.0.2.2:8080/ECHO/
             curl -sS -o /dev/null -w ' %{http_code}' http://10.0.2.2/other.example/; echo; echo stand-in:$ECHO",
        )
        .succeeded();
    assert!(outcome.stdout.contains(" 403 403"), "{}", outcome.stdout);
    assert_eq!(outcome.seen.len(), 1);
    assert_eq!((outcome.seen[0].host.as_str(), outcome.seen[0].target.as_str()), ("echo.example", "/a?b"));
    assert!(outcome.origin_got("authorization", &format!("Bearer {ECHO_KEY}")));
    let stand_in = outcome.stdout.rsplit("stand-in:").next().unwrap().trim();
    assert!(outcome.stdout.matches(stand_in).count() > 1, "the echo is scrubbed: {}", outcome.stdout);
}

#[test]
fn the_hosts_own_proxy_is_used_and_said_so() {
    let script = "env | grep -i proxy; curl -sS -o /dev/null -w '%{http_code}' https://other.example/";
    let outcome = echo().variable("HTTPS_PROXY", "http://me:parentpassword@127.0.0.1:9").script(script).succeeded();
    assert_eq!(outcome.stdout, "502", "nothing listens there, and nothing of it is inside");
    assert!(outcome.seen.is_empty());
    assert!(outcome.stderr.contains("through the proxy 127.0.0.1:9, as HTTPS_PROXY says"), "{}", outcome.stderr);
    let outcome = echo().variable("HTTPS_PROXY", "http://127.0.0.1:9").variable("NO_PROXY", "example").script(script);
    assert_eq!(outcome.succeeded().stdout, "200");
    let outcome = echo().variable("HTTPS_PROXY", "https://me:parentpassword@127.0.0.1:9").script(script);
    assert_eq!(outcome.stdout, "");
    assert!(outcome.stderr.contains("the proxy that HTTPS_PROXY names"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("parentpassword"), "{}", outcome.stderr);
}

#[test]
fn redirects_are_left_to_the_client() {
    let outcome = echo().script("curl -sS -o /dev/null -w '%{http_code}' https://echo.example/redirect").succeeded();
    assert_eq!(outcome.stdout, "302");
    assert_eq!(outcome.seen.len(), 1);
}

#[test]
fn large_bodies_pass_both_ways() {
    let outcome = echo()
        .script(
            "head -c 20000000 /dev/zero | tr '\\0' a > up && curl -sS -o /dev/null -T up https://other.example/put &&
             curl -sS https://other.example/bytes/20000000 | wc -c && rm up",
        )
        .succeeded();
    assert_eq!(outcome.stdout.trim(), "20000000");
    assert!(outcome.log.contains("\"bytes_out\":20000000"), "{}", outcome.log);
    assert!(outcome.log.contains("\"bytes_in\":20000000"), "{}", outcome.log);
}

#[test]
fn an_agents_own_service_is_reachable_and_guarded_without_a_credential() {
    let rig = Rig::new(&["api.anthropic.com"]);
    let script = "#!/bin/sh
curl -sS -o /dev/null -w '%{http_code} ' https://api.anthropic.com/api/hello
curl -sS -H 'x-api-key: attacker' https://api.anthropic.com/v1/models";
    let program = rig.workspace().join("claude");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let outcome = rig.run(&["./claude"]).succeeded();
    assert!(outcome.stdout.starts_with("200 "), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("credential.foreign"), "{}", outcome.stdout);
    assert_eq!(outcome.seen.len(), 1, "{:?}", outcome.seen);
    assert!(outcome.stderr.contains("set one of ANTHROPIC_API_KEY"), "{}", outcome.stderr);
}

/// Without the flag it goes on.
#[test]
fn a_leak_ends_what_its_owner_wants_ended() {
    let script = "curl -sS -o /dev/null -w '%{http_code} ' -H \"X-Data: $ECHO\" https://other.example/
        curl -sS -o /dev/null -w '%{http_code} ' -H \"Authorization: Bearer $ECHO\" https://echo.example/
        echo end";
    for (reaction, shown, said) in [
        ("refuse", "403 200 end\n", "it was refused; see"),
        ("revoke", "403 403 end\n", "is worth nothing in this session any more"),
    ] {
        let outcome = echo().with(&["--on-leak", reaction]).script(script).succeeded();
        assert_eq!(outcome.stdout, shown, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("the stand-in for `ECHO` was sent to other.example"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
    let waits = "curl -sS -o /dev/null -H \"X-Data: $ECHO\" https://other.example/; exec cat /dev/zero >/dev/null";
    let outcome = echo().with(&["--on-leak", "stop"]).script(waits);
    assert_eq!(outcome.code, Some(137), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("and the session ends"), "{}", outcome.stderr);
    assert!(outcome.log.contains("credential.wrong_destination"), "{}", outcome.log);
}
