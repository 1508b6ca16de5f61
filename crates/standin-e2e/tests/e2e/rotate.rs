//! `standin secret rotate`: a new value in the place of an old one, also for sessions that run.

use standin_e2e::{GITHUB_TOKEN, Rig, binary};
use standin_testkit::origin::gitlab::{CANNOT_ROTATE, token};

fn standin() -> String {
    binary("standin").display().to_string()
}

/// Sets a secret by a value that stands in no file of the rig's.
fn set(rig: &Rig, name: &str, value: &str) {
    let (one, two) = value.split_at(8);
    let set = rig.on_host(&["sh", "-c", &format!("printf '%s%s' {one} {two} | {} secret set {name}", standin())]);
    assert!(set.stderr.contains("is set"), "{}", set.stderr);
}

/// Asks for what the token is, in the field that GitLab's own programs use.
const ASK: &str = "curl -sS -o /dev/null -w '%{http_code} ' -H \"private-token: $TOKEN\" \
                   https://gitlab.com/api/v4/personal_access_tokens/self; printf '%s\\n' \"$TOKEN\"";

#[test]
fn a_running_session_has_the_new_value() {
    let rig = Rig::new(&["gitlab.com"]);
    set(&rig, "work/gitlab", &token(0));
    std::fs::write(rig.workspace().join("ask"), ASK).unwrap();
    let standin = standin();
    let script = format!(
        "mkfifo $HOME/to $HOME/from
        {standin} run --secret TOKEN=age:work/gitlab@gitlab.com -- sh -c 'sh ask; read line; sh ask' <$HOME/to >$HOME/from &
        exec 3>$HOME/to 4<$HOME/from
        read line <&4; echo \"$line\"; {standin} secret rotate work/gitlab --host gitlab.com
        echo >&3; read line <&4; echo \"$line\"; wait $! && rm $HOME/to $HOME/from &&
        {standin} secret rotate work/gitlab --host gitlab.com && {standin} secret list"
    );
    let outcome = rig.on_host(&["sh", "-c", &script]).succeeded();
    let lines: Vec<_> = outcome.stdout.lines().filter(|line| !line.is_empty()).collect();
    let [before, after, "work/gitlab"] = lines[..] else { panic!("{}\n{}", outcome.stdout, outcome.stderr) };
    assert!(before.starts_with("200 glpat-") && before == after, "the stand-in is the same: {before} {after}");
    let shown: Vec<_> = outcome.seen.iter().filter_map(|seen| seen.header("private-token")).collect();
    // The session, the rotation's two questions, the session again, the next rotation.
    let expected = [0, 0, 0, 1, 1, 1].map(token);
    assert_eq!(shown, expected, "{}", outcome.stderr);
    let asked = outcome.seen.iter().find(|seen| seen.method == "POST").unwrap();
    let until = asked.body.strip_prefix("expires_at=").unwrap();
    assert!(until.len() == 10 && until > "2026-12-31", "as long as the old one was good, from today: {until}");
    assert!(outcome.stderr.contains("work/gitlab is rotated at gitlab.com"), "{}", outcome.stderr);
}

/// A value that cannot be replaced stays as it is, and the error says how it is done by hand.
#[test]
fn what_is_refused_stays() {
    let rig = Rig::new(&["gitlab.com"]);
    set(&rig, "work/gitlab", &token(0));
    let rotate = |host: &str| rig.on_host(&[&standin(), "secret", "rotate", "work/gitlab", "--host", host]);
    rig.marker(CANNOT_ROTATE, "");
    let refused = rotate("gitlab.com");
    assert!(refused.code != Some(0) && refused.stderr.contains("the scope `self_rotate`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("by hand: https://gitlab.com/"), "{}", refused.stderr);
    std::fs::remove_file(rig.path(CANNOT_ROTATE)).unwrap();
    let unreachable = rotate("elsewhere.example");
    assert!(unreachable.stderr.contains("elsewhere.example cannot be asked"), "{}", unreachable.stderr);
    assert_eq!(rotate("gitlab.com").code, Some(0));
    // One that was replaced elsewhere meanwhile.
    set_again(&rig);
    let unknown = rotate("gitlab.com");
    assert!(unknown.stderr.contains("does not take the token"), "{}", unknown.stderr);
}

fn set_again(rig: &Rig) {
    let value = token(7);
    let (one, two) = value.split_at(8);
    let script = format!("printf '%s%s' {one} {two} | {} secret set work/gitlab", standin());
    assert!(rig.on_host(&["sh", "-c", &script]).stderr.contains("is replaced"));
}

/// A token is shown to nobody but the server that it is of: whose that is is not told by its beginning.
#[test]
fn nobody_else_is_shown_a_token() {
    let rig = Rig::new(&["gitlab.com", "gitlab.example"]);
    set(&rig, "own/gitlab", &token(0));
    let rotate = |rig: &Rig| rig.on_host(&[&standin(), "secret", "rotate", "own/gitlab"]);
    let told = rotate(&rig);
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    assert!(told.seen.is_empty() && told.stdout.contains("rotate own/gitlab --host HOST"), "{}", told.stdout);
    // The configuration says it.
    let settings = rig.home().join(".config/standin");
    std::fs::create_dir_all(&settings).unwrap();
    let config = "[[credential]]\nname = \"ours\"\nsource = \"age:own/gitlab\"\n[[credential.grant]]\nhosts = [\"gitlab.example\"]\n";
    std::fs::write(settings.join("config.toml"), config).unwrap();
    let done = rotate(&rig).succeeded();
    assert!(done.seen.len() == 2 && done.seen.iter().all(|seen| seen.host == "gitlab.example"), "{:?}", done.seen);
}

/// Where a service has no way of its own, it is said how.
#[test]
fn it_is_said_how() {
    let rig = Rig::new(&[]);
    set(&rig, "work/github", GITHUB_TOKEN);
    let told = |name: &str| {
        let outcome = rig.on_host(&[&standin(), "secret", "rotate", name]);
        (outcome.code, outcome.stdout + &outcome.stderr)
    };
    let expected = "work/github is for you to rotate at GitHub:
  1. open https://github.com/settings/tokens
  2. ask for a fine-grained token, for the same repositories and permissions or fewer
  3. standin secret set work/github   (running sessions have it with their next request)
  4. revoke the old one there
Note: gh's own login is replaced by `gh auth refresh`, and its old token revoked at https://github.com/settings/applications.
";
    assert_eq!(told("work/github"), (Some(1), expected.to_owned()));
    for (name, part) in [
        ("ANTHROPIC_API_KEY", "set ANTHROPIC_API_KEY to it"),
        ("aws", "`aws iam create-access-key`"),
        ("npm", "/settings/~/tokens"),
    ] {
        let (code, text) = told(name);
        assert!(code == Some(1) && text.contains(part), "{text}");
    }
    let (code, text) = told("nobody");
    assert!(code == Some(125) && text.contains("it cannot be told whose credential `nobody` is"), "{text}");
}
