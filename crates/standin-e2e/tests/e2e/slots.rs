//! Slots that a configuration names, with curl. The origin says what it was asked, and the rig looks for the key in all that
//! comes back.

use standin_e2e::{ECHO_KEY, Outcome, Rig};

const CONFIG: &str = r#"
[[credential]]
name   = "ECHO"
source = "env:ECHO"
env    = ["ECHO"]
[[credential.grant]]
hosts  = ["echo.example"]
paths  = ["/bot*/send", "/login"]
slots  = ["path:/bot{}", "cookie:sid", "form:secret", "json:/client/secret"]
[[credential.grant]]
hosts   = ["other.example"]
methods = ["GET"]
slots   = ["header:x-key"]
always  = true
"#;

/// Runs curl with these arguments in the sandbox.
fn curl(arguments: &str) -> Outcome {
    let rig = Rig::new(&["echo.example", "other.example"]).variable("ECHO", ECHO_KEY);
    // On the host, where the agent does not write.
    let config = rig.workspace().parent().expect("a workspace lies in the rig's directory").join("config.toml");
    std::fs::write(&config, CONFIG).expect("a fresh directory");
    let config = config.to_str().expect("a path of text").to_owned();
    rig.with(&["--config", &config]).script(&format!("curl -sS -i -m 20 {arguments}; echo \"stand-in:$ECHO\""))
}

#[test]
fn the_origin_gets_the_key_in_each_and_the_log_does_not() {
    let form: String = ECHO_KEY
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("%{:02X}", c as u32) })
        .collect();
    for (arguments, target, body) in [
        ("\"https://echo.example/bot$ECHO/send?a=1\"", format!("/bot{ECHO_KEY}/send?a=1"), String::new()),
        ("--data-urlencode \"secret=$ECHO\" https://echo.example/login", "/login".to_owned(), format!("secret={form}")),
        (
            "--json \"{\\\"client\\\": {\\\"secret\\\": \\\"$ECHO\\\"}}\" https://echo.example/login",
            "/login".to_owned(),
            format!("{{\"client\": {{\"secret\": \"{ECHO_KEY}\"}}}}"),
        ),
    ] {
        let outcome = curl(arguments).succeeded();
        let [seen] = outcome.seen.as_slice() else { panic!("{arguments}: {} {:?}", outcome.stdout, outcome.seen) };
        assert_eq!((&seen.target, &seen.body), (&target, &body), "{arguments}");
        let (answer, stand_in) = outcome.stdout.rsplit_once("stand-in:").expect("the last line");
        let echo = answer.replace("%2D", "-");
        assert!(answer.contains(" 200") && echo.contains(stand_in.trim()), "{arguments}: {answer}");
        assert!(outcome.log.contains("ECHO") && !outcome.log.contains(ECHO_KEY), "{}", outcome.log);
    }
    let outcome = curl("-b \"sid=$ECHO; a=b\" https://echo.example/login").succeeded();
    assert!(outcome.origin_got("cookie", &format!("sid={ECHO_KEY}; a=b")), "{:?}", outcome.seen);
}

/// A form with a file beside the field, as the usual clients write it.
#[test]
fn a_field_of_a_form_with_parts() {
    let clients = standin_e2e::clients();
    let rig = || Rig::new(&["echo.example"]).variable("ECHO", ECHO_KEY);
    let python = |client: &str| {
        let asks = format!(
            "import os, {client}\nprint({client}.post('https://echo.example/login', data={{'secret': os.environ['ECHO']}}, \
             files={{'file': ('a.txt', b'x')}}).status_code)"
        );
        format!("export PYTHONPATH={clients}/python\n/usr/bin/python3 - <<'END'\n{asks}\nEND")
    };
    let aiohttp = format!(
        "export PYTHONPATH={clients}/python\n/usr/bin/python3 - <<'END'\n\
         import aiohttp, asyncio, os\n\
         async def main():\n\
         \x20 form = aiohttp.FormData({{'secret': os.environ['ECHO']}})\n\
         \x20 form.add_field('file', b'x', filename='a.txt')\n\
         \x20 async with aiohttp.ClientSession() as session, session.post('https://echo.example/login', data=form) as answer:\n\
         \x20   print(answer.status)\n\
         asyncio.run(main())\nEND"
    );
    let node = "node -e 'const form = new FormData(); form.set(\"secret\", process.env.ECHO); \
                form.set(\"file\", new Blob([\"x\"]), \"a.txt\"); \
                fetch(\"https://echo.example/login\", {method: \"POST\", body: form}).then(r => console.log(r.status))'";
    let curl = "echo x > a.txt; curl -sS -o /dev/null -w '%{http_code}\\n' -F \"secret=$ECHO\" -F file=@a.txt https://echo.example/login";
    for script in [curl.to_owned(), node.to_owned(), python("requests"), python("httpx"), aiohttp] {
        let rig = rig();
        let config = rig.workspace().parent().expect("a workspace lies in the rig's directory").join("config.toml");
        std::fs::write(&config, CONFIG).expect("a fresh directory");
        let config = config.to_str().expect("a path of text").to_owned();
        let outcome = rig.with(&["--config", &config, "--ro", &clients]).script(&script);
        let [seen] = outcome.seen.as_slice() else { panic!("{script}: {} {}", outcome.stdout, outcome.stderr) };
        assert!(outcome.stdout.ends_with("200\n"), "{script}: {} {}", outcome.stdout, outcome.stderr);
        let fields: Vec<_> = seen.body.split("\r\n").collect();
        assert!(fields.contains(&ECHO_KEY) && seen.body.contains("filename=\"a.txt\""), "{script}: {}", seen.body);
    }
}

#[test]
fn what_is_always_put_in_needs_no_stand_in() {
    let outcome = curl("https://other.example/x").succeeded();
    assert!(outcome.origin_got("x-key", ECHO_KEY), "{} {:?}", outcome.stdout, outcome.seen);
}

#[test]
fn refusals_reach_no_origin() {
    for (arguments, code) in [
        ("https://echo.example/bot123:attacker/send", "credential.foreign"),
        ("\"https://echo.example/bot$ECHO/other\"", "http.request_not_allowed"),
        ("-b sid=attacker https://echo.example/login", "credential.foreign"),
        ("-d \"secret=$ECHO&secret=attacker\" https://echo.example/login", "credential.ambiguous_slot"),
        ("--json '{\"client\": {\"secret\": \"attacker\"}}' https://echo.example/login", "credential.foreign"),
        ("-H 'x-key: attacker' https://other.example/", "credential.foreign"),
        ("-X POST https://other.example/", "http.request_not_allowed"),
    ] {
        let outcome = curl(arguments);
        assert!(outcome.stdout.contains(&format!("x-standin-reason: {code}")), "{arguments}: {}", outcome.stdout);
        assert!(
            outcome.seen.is_empty() && outcome.log.contains(code),
            "{arguments}: {:?} {}",
            outcome.seen,
            outcome.log
        );
    }
}
