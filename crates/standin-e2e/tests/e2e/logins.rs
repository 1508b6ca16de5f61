//! Logins that agents keep: the agents themselves, logged in as their owner is, with nothing but stand-ins.
//!
//! The origins' refresh tokens are good once; one that is shown again ends the login. Every run's files, output and
//! records are searched for the mark that stands in every real token.

use serde_json::Value;
use standin_e2e::{Outcome, Rig, clients};
use standin_testkit::Seen;
use standin_testkit::origin::oauth::{self, MARK};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const CLAUDE_HOSTS: &[&str] = &["api.anthropic.com", "platform.claude.com"];
const CODEX_HOSTS: &[&str] = &["api.openai.com", "chatgpt.com", "auth.openai.com"];

fn claude() -> String {
    format!("{}/node_modules/.bin/claude -p --dangerously-skip-permissions 'write the proof'", clients())
}

fn codex() -> String {
    format!(
        "{}/node_modules/.bin/codex exec --dangerously-bypass-approvals-and-sandbox --skip-git-repo-check 'write the proof'",
        clients()
    )
}

fn rig(agent: &str, hosts: &[&str]) -> Rig {
    Rig::new(hosts).with(&["--login", agent, "--ro", &clients()])
}

/// The agent's whole home lands in the workspace, where it is searched; the file with its login, too.
fn and_show_the_home(command: &str) -> String {
    format!(
        "{command} && {{ cat ~/.claude/.credentials.json ~/.codex/auth.json > login.json 2> nothing; tar -C ~ -cf home.tar . && env > environment; }}"
    )
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What stood in the bodies of the requests that asked for new tokens.
fn refreshes(outcome: &Outcome) -> Vec<String> {
    let asks = |seen: &&Seen| seen.method == "POST" && seen.target.ends_with("oauth/token");
    let token =
        |seen: &Seen| serde_json::from_str::<Value>(&seen.body).unwrap()["refresh_token"].as_str().unwrap().to_owned();
    outcome.seen.iter().filter(asks).map(token).collect()
}

/// Every access token that an origin saw.
fn shown(outcome: &Outcome) -> Vec<&str> {
    outcome.seen.iter().filter_map(|seen| seen.header("authorization")).collect()
}

#[test]
fn claude_code_is_logged_in() {
    let rig = rig("claude", CLAUDE_HOSTS);
    let file = rig.log_in_to_claude(oauth::now() + 7200);
    let before = std::fs::read(&file).unwrap();
    let outcome = rig.script(&and_show_the_home(&claude())).succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert_eq!(std::fs::read_to_string(rig.workspace().join("proof.txt")).unwrap(), "made-by-the-tool\n");
    let real = format!("Bearer {}", oauth::anthropic_access(0));
    assert!(!shown(&outcome).is_empty() && shown(&outcome).iter().all(|token| *token == real), "{:?}", shown(&outcome));
    assert!(refreshes(&outcome).is_empty());
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let inside = json(&rig.workspace().join("login.json"));
    assert_eq!(inside["claudeAiOauth"]["subscriptionType"], "max");
    assert!(inside["claudeAiOauth"]["accessToken"].as_str().unwrap().starts_with("sk-ant-oat01-"), "{inside}");
    assert!(inside.get("mcpOAuth").is_none(), "{inside}");
}

/// Nothing has to be asked for where the agent itself is what is run, and it knows what it knew.
#[test]
fn an_agent_is_lent_its_own_login() {
    let clients = clients();
    let rig = Rig::new(CLAUDE_HOSTS).with(&["--ro", &clients]);
    rig.log_in_to_claude(oauth::now() + 7200);
    let state = serde_json::json!({
        "hasCompletedOnboarding": true, "oauthAccount": { "emailAddress": "owner@example.com", "accountUuid": "account-1" },
        "mcpServers": { "server": { "env": { "TOKEN": format!("{MARK}-of-a-server") } } },
    });
    let claude_json = rig.keep(".claude.json", &state);
    let before = std::fs::read(&claude_json).unwrap();
    let agent = format!("{clients}/node_modules/.bin/claude");
    let prompt = ["-p", "--dangerously-skip-permissions", "write the proof"];
    let outcome = rig.run(&[&[agent.as_str()], &prompt[..]].concat()).succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert_eq!(std::fs::read(&claude_json).unwrap(), before);
    let rig = rig.with(&["--login", "claude"]);
    let outcome = rig.script("cat ~/.claude.json").succeeded();
    let shown: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(shown["oauthAccount"]["emailAddress"], "owner@example.com");
    assert!(shown.get("mcpServers").is_none(), "{shown}");
}

#[test]
fn claude_code_refreshes_what_has_expired() {
    let rig = rig("claude", CLAUDE_HOSTS);
    let file = rig.log_in_to_claude(oauth::now() - 60);
    let outcome = rig.script(&and_show_the_home(&claude())).succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert_eq!(refreshes(&outcome), [oauth::anthropic_refresh(0)]);
    let real = format!("Bearer {}", oauth::anthropic_access(1));
    assert!(shown(&outcome).iter().all(|token| *token == real), "{:?}", shown(&outcome));
    let host = json(&file);
    assert_eq!(host["claudeAiOauth"]["accessToken"], oauth::anthropic_access(1));
    assert_eq!(host["claudeAiOauth"]["refreshToken"], oauth::anthropic_refresh(1));
    assert!(host["claudeAiOauth"]["expiresAt"].as_u64().unwrap() > (oauth::now() + 3600) * 1000);
    assert_eq!(host["mcpOAuth"]["server"]["accessToken"], format!("{MARK}-of-a-server"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // The next session begins where this one ended.
    let outcome = rig.script(&claude()).succeeded();
    assert!(refreshes(&outcome).is_empty() && outcome.stdout.contains("all done"), "{}", outcome.stderr);
}

#[test]
fn claude_code_refreshes_what_is_refused_on_the_way() {
    let rig = rig("claude", CLAUDE_HOSTS);
    let file = rig.log_in_to_claude(oauth::now() + 7200);
    rig.marker(oauth::REFUSES_ONCE, "");
    let outcome = rig.script(&and_show_the_home(&claude())).succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert_eq!(refreshes(&outcome), [oauth::anthropic_refresh(0)]);
    assert_eq!(json(&file)["claudeAiOauth"]["refreshToken"], oauth::anthropic_refresh(1));
}

#[test]
fn codex_is_logged_in() {
    let rig = rig("codex", CODEX_HOSTS);
    let expires = oauth::now() + 7200;
    rig.log_in_to_codex(expires);
    let outcome = rig.script(&and_show_the_home(&codex())).succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    let real = format!("Bearer {}", oauth::openai_access(0, expires));
    let answered = |seen: &&Seen| seen.method == "POST" && seen.target == "/backend-api/codex/responses";
    let asked = outcome.seen.iter().find(answered).expect("a turn");
    assert_eq!(asked.header("authorization"), Some(real.as_str()));
    assert_eq!(asked.header("chatgpt-account-id"), Some(oauth::ACCOUNT));
    assert!(refreshes(&outcome).is_empty());
}

#[test]
fn codex_refreshes_what_has_expired() {
    let rig = rig("codex", CODEX_HOSTS);
    let file = rig.log_in_to_codex(oauth::now() - 60);
    let outcome = rig.script(&and_show_the_home(&codex())).succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert_eq!(refreshes(&outcome), [oauth::openai_refresh(0)]);
    let host = json(&file);
    assert_eq!(host["tokens"]["refresh_token"], oauth::openai_refresh(1));
    assert!(host["tokens"]["access_token"].as_str().unwrap().contains(&format!("{MARK}-access-1-")), "{host}");
    assert_eq!(host["tokens"]["account_id"], oauth::ACCOUNT);
    assert_ne!(host["last_refresh"], "2026-11-28T00:00:00Z");
}

#[test]
fn codex_refreshes_what_is_refused_on_the_way() {
    let rig = rig("codex", CODEX_HOSTS);
    let file = rig.log_in_to_codex(oauth::now() + 7200);
    rig.marker(oauth::REFUSES_ONCE, "");
    let outcome = rig.script(&and_show_the_home(&codex())).succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert_eq!(refreshes(&outcome), [oauth::openai_refresh(0)]);
    assert_eq!(json(&file)["tokens"]["refresh_token"], oauth::openai_refresh(1));
}

/// An API key in Codex's file is lent as one in a variable is.
#[test]
fn codex_has_its_key_from_its_file() {
    let rig = rig("codex", CODEX_HOSTS);
    rig.keep(
        ".codex/auth.json",
        &serde_json::json!({ "auth_mode": "apikey", "OPENAI_API_KEY": format!("sk-proj-{MARK}0123456789abcdef") }),
    );
    let outcome = rig.script(&and_show_the_home(&codex())).succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert!(outcome.origin_got("authorization", &format!("Bearer sk-proj-{MARK}0123456789abcdef")), "{}", outcome.log);
    assert!(!outcome.seen.iter().any(|seen| seen.host == "chatgpt.com"), "a key has no business there");
}

/// While the agent waits for its tool, with a login that it has just refreshed: what is in the memory of all processes inside.
/// The tool waits too, for somebody to read from the pipe that its file leads to.
const LOOK_INTO_MEMORY: &str = r#"
import glob, os, re, subprocess, sys
os.mkfifo("/tmp/pipe")
os.symlink("/tmp/pipe", "proof.txt")
agent = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
def others():
    return [int(path.split("/")[2]) for path in glob.glob("/proc/[0-9]*/mem") if f"/{os.getpid()}/" not in path]
def command(pid):
    try:
        return open(f"/proc/{pid}/cmdline", "rb").read()
    except OSError:
        return b""
while not any(b"proof.txt" in command(pid) for pid in others()):
    assert agent.poll() is None, agent.stdout.read()
found = {"Canary" + "Token": 0, "sk-ant-" + "oat01-": 0, "sk-ant-" + "ort01-": 0}
for pid in others():
    try:
        maps, memory = open(f"/proc/{pid}/maps").read(), open(f"/proc/{pid}/mem", "rb", 0)
    except OSError:
        continue
    for start, end in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw", maps, re.M):
        for at in range(int(start, 16), int(end, 16), 1 << 24):
            try:
                memory.seek(at)
                piece = memory.read(min((1 << 24) + 64, int(end, 16) - at))
            except OSError:
                continue
            for text in found:
                found[text] += piece.count(text.encode())
open("/tmp/pipe").read()
print(agent.communicate()[0].decode().strip())
print(" ".join("some" if count else "none" for count in found.values()))
"#;

#[test]
fn nothing_real_is_in_the_agents_memory() {
    let clients = clients();
    let rig = rig("claude", CLAUDE_HOSTS);
    rig.log_in_to_claude(oauth::now() - 60);
    std::fs::write(rig.workspace().join("look.py"), LOOK_INTO_MEMORY).unwrap();
    let agent = format!("{clients}/node_modules/.bin/claude");
    let command = ["python3", "look.py", &agent, "-p", "--dangerously-skip-permissions", "write the proof"];
    let outcome = rig.run(&command).succeeded();
    assert_eq!(refreshes(&outcome), [oauth::anthropic_refresh(0)]);
    // Stand-ins are there, so it was looked at the right place.
    assert_eq!(outcome.stdout, "all done\nnone some some\n", "{}", outcome.stderr);
}

/// Two sessions with one login that has expired: one exchanges it, the other is told what came of that.
#[test]
fn two_sessions_at_once_do_not_end_the_login() {
    let rig = rig("claude", CLAUDE_HOSTS);
    let file = rig.log_in_to_claude(oauth::now() - 60);
    let standin = standin_e2e::binary("standin");
    let (standin, clients, claude) = (standin.display(), clients(), claude());
    let one = |number: u32| {
        let script = format!(
            "cd {number} && {standin} run --login claude --ro {clients} -- sh -c \"{claude}; cat ~/.claude/.credentials.json\""
        );
        format!("({script} > output 2>&1) & ")
    };
    for number in [1, 2] {
        std::fs::create_dir(rig.workspace().join(number.to_string())).unwrap();
    }
    let outcome = rig.on_host(&["sh", "-c", &format!("{}{}wait", one(1), one(2))]).succeeded();
    for number in [1, 2] {
        let output = std::fs::read_to_string(rig.workspace().join(format!("{number}/output"))).unwrap();
        assert!(output.contains("all done"), "{output}");
    }
    assert_eq!(refreshes(&outcome), [oauth::anthropic_refresh(0)], "once, by one of them");
    assert_eq!(json(&file)["claudeAiOauth"]["refreshToken"], oauth::anthropic_refresh(1));
}

/// A refresh token that was shown already would end the login. Whoever shows its stand-in is told what came of it.
#[test]
fn an_old_refresh_token_is_not_shown_again() {
    let rig = rig("claude", CLAUDE_HOSTS);
    rig.log_in_to_claude(oauth::now() - 60);
    let script = format!("{REFRESH_TOKEN}; {0} > one; {0} > two", ask("\"$BODY\""));
    let outcome = rig.script(&script).succeeded();
    let answer = |name: &str| std::fs::read_to_string(rig.workspace().join(name)).unwrap();
    let token = |text: &str| {
        let (body, status) = text.rsplit_once('\n').unwrap();
        assert_eq!(status, "200", "{text}");
        let body: Value = serde_json::from_str(body).unwrap();
        (body["access_token"].clone(), body["refresh_token"].clone())
    };
    assert_eq!(token(&answer("one")), token(&answer("two")));
    assert_eq!(refreshes(&outcome), [oauth::anthropic_refresh(0)]);
}

/// Puts the request that exchanges the login's refresh token into `$BODY`.
const REFRESH_TOKEN: &str = r#"BODY=$(python3 -c '
import json, os
login = json.load(open(os.path.expanduser("~/.claude/.credentials.json")))["claudeAiOauth"]
print(json.dumps({"grant_type": "refresh_token", "refresh_token": login["refreshToken"]}))')"#;

/// What a program in the sandbox asks by itself, and gets.
fn ask(body: &str) -> String {
    format!(
        "curl -sS -w '\\n%{{http_code}}' -H 'content-type: application/json' -d {body} https://platform.claude.com/v1/oauth/token"
    )
}

#[test]
fn a_login_made_inside_stays_on_the_host() {
    let rig = rig("claude", CLAUDE_HOSTS);
    let code = format!(r#"'{{"grant_type":"authorization_code","code":"{}","code_verifier":"v"}}'"#, oauth::CODE);
    let outcome = rig.script(&format!("{} > answer", ask(&code))).succeeded();
    let answer = std::fs::read_to_string(rig.workspace().join("answer")).unwrap();
    assert!(answer.contains("sk-ant-oat01-") && answer.ends_with("\n200"), "{answer}");
    assert!(outcome.stderr.contains("made inside is kept in"), "{}", outcome.stderr);
    let kept = rig.own_login("anthropic");
    assert_eq!(json(&kept)["claudeAiOauth"]["refreshToken"], oauth::anthropic_refresh(1));
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!rig.home().join(".claude").exists(), "the home is not ours to write");
    // The agent's next session is logged in.
    let outcome = rig.script(&and_show_the_home(&claude())).succeeded();
    assert!(outcome.stderr.contains("made inside earlier"), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    // Until its owner logs in outside.
    rig.log_in_to_claude(oauth::now() + 7200);
    let outcome = rig.script("true").succeeded();
    assert!(!outcome.stderr.contains("made inside earlier"), "{}", outcome.stderr);
}

/// Codex's own login, by a code that is typed into a browser outside.
#[test]
fn codex_logs_in_inside() {
    let rig = rig("codex", CODEX_HOSTS);
    let login = format!("{}/node_modules/.bin/codex login --device-auth", clients());
    let outcome = rig.script(&and_show_the_home(&format!("{login} && {}", codex()))).succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    let kept = json(&rig.own_login("openai"));
    assert_eq!(kept["tokens"]["refresh_token"], oauth::openai_refresh(1));
    assert_eq!(kept["tokens"]["account_id"], oauth::ACCOUNT);
    // And it is still logged in next time.
    let outcome = rig.script(&codex()).succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
}

/// Gemini CLI's login with Google, asked for as its library does: in a form, with a refresh token that forms escape.
#[test]
fn geminis_login_is_lent() {
    let rig = Rig::new(&["oauth2.googleapis.com", "cloudcode-pa.googleapis.com"]).with(&["--login", "gemini"]);
    let file = rig.log_in_to_gemini(oauth::now() - 60);
    let ask = r#"
import json, os, urllib.parse, urllib.request as request
login = json.load(open(os.path.expanduser("~/.gemini/oauth_creds.json")))
fields = {"client_id": "c", "client_secret": "public", "grant_type": "refresh_token", "refresh_token": login["refresh_token"]}
new = json.load(request.urlopen("https://oauth2.googleapis.com/token", urllib.parse.urlencode(fields).encode()))
bearer = {"authorization": "Bearer " + new["access_token"], "content-type": "application/json"}
request.urlopen(request.Request("https://cloudcode-pa.googleapis.com/v1internal:x", b"{}", bearer))
print(json.load(open(os.path.expanduser("~/.gemini/settings.json"))), sorted(new))
"#;
    let outcome = rig.run(&["python3", "-c", ask]).succeeded();
    let told = "{'security': {'auth': {'selectedType': 'oauth-personal'}}} \
                ['access_token', 'expires_in', 'id_token', 'scope', 'token_type']\n";
    assert_eq!(outcome.stdout, told, "{}", outcome.stderr);
    assert!(outcome.origin_got("authorization", &format!("Bearer {}", oauth::google_access(1))), "{}", outcome.log);
    let host = json(&file);
    assert_eq!(host["access_token"], oauth::google_access(1));
    assert_eq!(host["refresh_token"], oauth::google_refresh());
    assert!(host["expiry_date"].as_u64().unwrap() > oauth::now() * 1000);
}

/// Where no login is lent, none is made: not even if its owner allows the host. Without the rule for its endpoint the answer
/// would be like any other, and the agent would hold real tokens (`standin-proxy`: `tokens::elsewhere_*`).
#[test]
fn no_login_is_made_where_none_is_lent() {
    let rig = Rig::new(CLAUDE_HOSTS).with(&["--allow", "platform.claude.com"]);
    let code = format!(r#"'{{"grant_type":"authorization_code","code":"{}"}}'"#, oauth::CODE);
    let outcome = rig.script(&ask(&code)).succeeded();
    assert!(outcome.stdout.contains("login.request") && outcome.stdout.ends_with("\n403"), "{}", outcome.stdout);
    assert!(outcome.seen.is_empty());
}

/// Nobody inside puts a login of their own in the place of the owner's.
#[test]
fn no_other_login_is_made_where_there_is_one() {
    let rig = rig("claude", CLAUDE_HOSTS);
    rig.log_in_to_claude(oauth::now() + 7200);
    let code = format!(r#"'{{"grant_type":"authorization_code","code":"{}"}}'"#, oauth::CODE);
    let outcome = rig.script(&ask(&code)).succeeded();
    assert!(outcome.stdout.contains("login.unavailable") && outcome.stdout.ends_with("\n502"), "{}", outcome.stdout);
    assert!(outcome.seen.is_empty());
}

#[test]
fn an_answer_that_is_not_understood_goes_nowhere() {
    for answer in [
        format!(r#"{{"token":"{MARK}"}}"#),
        format!(r#"{{"data":{{"access_token":"{MARK}"}}}}"#),
        format!(r#"{{"access_token":["{MARK}"]}}"#),
        format!(r#"{{"access_token":"{MARK}-1","Access_Token":"{MARK}-2"}}"#),
        format!("access_token={MARK}"),
    ] {
        let rig = rig("claude", CLAUDE_HOSTS);
        rig.log_in_to_claude(oauth::now() - 60);
        rig.marker(oauth::ANSWERS, &answer);
        let outcome = rig.script(&format!("{REFRESH_TOKEN}; {}", ask("\"$BODY\""))).succeeded();
        assert!(
            outcome.stdout.contains("login.unavailable") && outcome.stdout.ends_with("\n502"),
            "{}",
            outcome.stdout
        );
    }
}

/// The files themselves are not to be seen, whatever is asked for.
#[test]
fn the_real_file_is_not_shown() {
    let rig = Rig::new(CLAUDE_HOSTS);
    let file = rig.log_in_to_claude(oauth::now() + 7200);
    let directory = file.parent().unwrap().to_str().unwrap().to_owned();
    for flag in ["--ro", "--rw"] {
        let rig = Rig::new(CLAUDE_HOSTS).variable("CLAUDE_CONFIG_DIR", &directory).with(&[flag, &directory]);
        let outcome = rig.script("true");
        assert_eq!(outcome.code, Some(125));
        assert!(outcome.stderr.contains("which the sandbox must not see"), "{}", outcome.stderr);
    }
}

/// Without being asked for, a login is lent to its own agent only.
#[test]
fn a_login_is_its_agents() {
    let rig = Rig::new(CLAUDE_HOSTS);
    rig.log_in_to_claude(oauth::now() + 7200);
    let outcome = rig.script("ls -A ~").succeeded();
    assert_eq!(outcome.stdout, "");
}
