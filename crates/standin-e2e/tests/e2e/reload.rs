//! A running session takes over what its configuration says now: all of it or nothing, from its owner and from nobody else.

use standin_e2e::{ECHO_KEY, Outcome, Rig, binary};

/// A session that asks for each URL it is told, and tells the status; `ask` tells it one. What Standin says is in `$HOME/said`.
fn session(rig: &Rig, flags: &str, steps: &str) -> Outcome {
    let standin = binary("standin").display().to_string();
    let script = format!(
        "standin() {{ {standin} \"$@\"; }}
        mkfifo $HOME/to $HOME/from $HOME/said
        {standin} run {flags} -- sh asks <$HOME/to >$HOME/from 2>$HOME/said &
        exec 3>$HOME/to 4<$HOME/from 5<$HOME/said
        ask() {{ echo \"$1\" >&3; read -r line <&4; echo \"$line\"; }}
        said() {{ while read -r line <&5; do echo \"$line\" >&2; case $line in *\"$1\"*) return;; esac; done; echo \"not said: $1\"; }}
        echo '!true' >&3; read -r line <&4 # it runs
        {steps}
        exec 3>&-; cat <&5 >&2; wait $! && rm $HOME/to $HOME/from $HOME/said"
    );
    let asks = "while read -r url; do case $url in
        !*) eval \"${url#!}\" >/dev/null 2>&1; echo done;;
        *) curl -sS -m 20 -o /dev/null -w '%{http_code}\\n' -H \"Authorization: Bearer $ECHO\" $url 2>/dev/null;;
        esac; done";
    std::fs::write(rig.workspace().join("asks"), asks).unwrap();
    rig.on_host(&["sh", "-c", &script])
}

fn rig() -> Rig {
    let rig = Rig::new(&["a.example", "b.example"]).variable("ECHO", ECHO_KEY);
    let settings = rig.home().join(".config/standin");
    std::fs::create_dir_all(settings).unwrap();
    for (name, text) in [
        ("a", format!("{KEY}hosts = [\"a.example\"]\n")),
        ("b", format!("[[deny]]\nhosts = [\"a.example\"]\n{KEY}hosts = [\"b.example\"]\n")),
        ("bad", "[[allow]]\nhost = [\"b.example\"]\n".to_owned()),
        (
            "more",
            format!(
                "{KEY}hosts = [\"a.example\"]\n[[credential]]\nname = \"more\"\nsource = \"cmd:touch $HOME/run\"\n[[credential.grant]]\nhosts = [\"b.example\"]\n"
            ),
        ),
        ("open", format!("{KEY}hosts = [\"a.example\"]\n[[allow]]\nhosts = [\"**.gate.invalid\"]\n")),
    ] {
        std::fs::write(rig.home().join(name), text).unwrap();
    }
    rig
}

const KEY: &str = "[[credential]]\nname = \"echo\"\nsource = \"env:ECHO\"\nenv = [\"ECHO\"]\n[[credential.grant]]\n";
const FILE: &str = "$HOME/.config/standin/config.toml";

fn lines(outcome: &Outcome) -> Vec<&str> {
    outcome.stdout.lines().collect()
}

/// After each reload the next request is decided by what the file says then, however often it changes.
#[test]
fn what_is_asked_next_is_decided_by_what_the_file_says() {
    let rig = rig();
    let both = "ask https://a.example/; ask https://b.example/";
    let steps = format!(
        "{both}; for other in b a b a b; do cp $HOME/$other {FILE}; standin reload || echo failed; {both}; done; standin reload || echo failed"
    );
    std::fs::copy(rig.home().join("a"), rig.home().join(".config/standin/config.toml")).unwrap();
    let outcome = session(&rig, "", &steps).succeeded();
    let (a, b) = (["200", "403"], ["403", "200"]);
    assert_eq!(lines(&outcome), [a, b, a, b, a, b].concat(), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("the policy is the same"), "{}", outcome.stderr);
    let told = outcome.stderr.matches("config.toml is in force").count();
    assert_eq!(told, 10, "who asked and who owns the session: {}", outcome.stderr);
    let reloads: Vec<_> = outcome.records().into_iter().filter(|record| record.starts_with("reload ")).collect();
    assert!(reloads.len() == 5 && reloads.iter().all(|record| record.ends_with("allow null completed")), "{reloads:?}");
    assert!(outcome.log.contains("sha256:"), "{}", outcome.log);
    assert!(outcome.seen.iter().all(|seen| seen.header("authorization") == Some(&format!("Bearer {ECHO_KEY}"))));
}

/// A file that is no good leaves the policy that is in force, and says so: to who asked, to the owner and on record.
#[test]
fn a_bad_file_leaves_the_policy_that_is_in_force() {
    let rig = rig();
    std::fs::copy(rig.home().join("a"), rig.home().join(".config/standin/config.toml")).unwrap();
    let steps = format!(
        "for bad in bad more; do cp $HOME/$bad {FILE}; standin reload; echo $?; ask https://a.example/; ask https://b.example/; done
        rm {FILE}; standin reload; echo $?; ask https://a.example/; ls $HOME/run; standin reload nobody; echo $?"
    );
    let outcome = session(&rig, "", &steps).succeeded();
    assert_eq!(lines(&outcome), ["1", "200", "403", "1", "200", "403", "1", "200", "1"], "{}", outcome.stderr);
    for told in [
        "config.toml:2:1",
        "there is no key `host` here; hint: did you mean `hosts`?",
        "config.toml: this needs a new session: line 7: the credential `more`, which it does not hold",
        "No such file",
        "no session `nobody` is running",
    ] {
        assert!(outcome.stderr.contains(told), "{told}: {}", outcome.stderr);
    }
    let refused = outcome.records().iter().filter(|record| record.contains(" deny policy.refused denied")).count();
    assert_eq!(refused, 3, "{}", outcome.log);
}

/// The attack: the command writes the file that its session was started with, or a link on the way to it, and waits for the next reload. Without
/// the check the first would be obeyed.
#[test]
fn a_file_that_the_command_has_a_hand_in_is_not_obeyed() {
    let rig = rig();
    std::fs::copy(rig.home().join("a"), rig.workspace().join("own.toml")).unwrap();
    std::fs::copy(rig.home().join("b"), rig.workspace().join("wanted.toml")).unwrap();
    let steps =
        "ask '!cp wanted.toml own.toml'; cmp own.toml wanted.toml; standin reload; echo $?; ask https://b.example/";
    let outcome = session(&rig, "--config own.toml", steps).succeeded();
    assert_eq!(lines(&outcome), ["done", "1", "403"], "{}", outcome.stderr);
    assert!(outcome.stderr.contains("is not obeyed while the command runs"), "{}", outcome.stderr);
    let rig = self::rig();
    std::os::unix::fs::symlink(rig.home().join("a"), rig.workspace().join("link")).unwrap();
    std::os::unix::fs::symlink(rig.workspace().join("link"), rig.home().join("config.toml")).unwrap();
    let steps =
        "ask \"!ln -sf $HOME/b link\"; readlink link | grep -c /b; standin reload; echo $?; ask https://b.example/";
    let outcome = session(&rig, "--config $HOME/config.toml", steps).succeeded();
    assert_eq!(lines(&outcome), ["done", "1", "1", "403"], "{}", outcome.stderr);
}

/// The attack: the command holds a file open in the workspace, which its owner moves to where the configuration is, and writes it then; or opens it
/// again by the descriptor that it has. A file of another number is obeyed again.
#[test]
fn a_file_that_the_command_holds_open_is_not_obeyed() {
    let rig = rig();
    std::fs::copy(rig.home().join("a"), rig.home().join(".config/standin/config.toml")).unwrap();
    std::fs::copy(rig.home().join("b"), rig.workspace().join("wanted")).unwrap();
    for name in ["open", "read"] {
        std::fs::copy(rig.home().join("a"), rig.workspace().join(name)).unwrap();
    }
    let steps = format!(
        "ask '!exec 7<>open 8<read'
        mv open {FILE}; ask '!cat wanted >&7'; cmp wanted {FILE}; standin reload; echo $?; ask https://b.example/
        ask '!exec 7>&-'; standin reload; echo $?; ask https://b.example/
        mv read {FILE}; ask '!cat wanted >/proc/self/fd/8'; cmp -s wanted {FILE} && echo written
        standin reload; echo $?; ask https://b.example/
        cp $HOME/b $HOME/new; mv $HOME/new {FILE}; standin reload; echo $?; ask https://b.example/"
    );
    let outcome = session(&rig, "", &steps).succeeded();
    let expected = ["done", "done", "1", "403", "done", "1", "403", "done", "0", "403", "0", "200"];
    assert_eq!(lines(&outcome), expected, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("is open for writing"), "{}", outcome.stderr);
}

/// Nothing inside can ask for it: the socket is not there.
#[test]
fn nobody_inside_can_ask() {
    let rig = rig();
    let look = "ls $HOME/../state/standin && touch found; find / -type s -path '*standin*' | grep -q . && touch found";
    std::fs::write(rig.workspace().join("look"), look).unwrap();
    let steps = "find $HOME/../state -type s | wc -l; ask '!sh look'; ls";
    let outcome = session(&rig, "", steps).succeeded();
    assert_eq!(lines(&outcome), ["1", "done", "asks", "look"], "{}", outcome.stderr);
}

/// With `--watch` a file that is put in the place of the other is taken, and one that is bad is told; without it a saved line changes nothing.
#[test]
fn a_watched_file_is_taken_when_it_changes() {
    let rig = rig();
    std::fs::copy(rig.home().join("a"), rig.home().join(".config/standin/config.toml")).unwrap();
    let steps = format!(
        "ask https://b.example/
        cp $HOME/b $HOME/.config/standin/.new; mv $HOME/.config/standin/.new {FILE}; said 'is in force'; ask https://b.example/
        cp $HOME/bad {FILE}; said 'stays as it was'; ask https://b.example/
        cp $HOME/a {FILE}; said 'is in force'; ask https://b.example/"
    );
    let outcome = session(&rig, "--watch", &steps).succeeded();
    assert_eq!(lines(&outcome), ["403", "200", "200", "403"], "{}", outcome.stderr);
    let rig = self::rig();
    std::fs::copy(rig.home().join("a"), rig.home().join(".config/standin/config.toml")).unwrap();
    let outcome =
        session(&rig, "", &format!("cp $HOME/b {FILE}; ask https://b.example/; ask https://a.example/")).succeeded();
    assert_eq!(lines(&outcome), ["403", "200"], "{}", outcome.stderr);
}

/// The attack: the command holds connections until Standin has no descriptor left to hear its owner with. Standin takes the room that the caller's
/// hard bound leaves it; the command's own bound stays what it was.
#[test]
fn the_bound_of_descriptors_is_raised_for_standin_alone() {
    let rig = rig();
    let script = format!(
        "mkfifo $HOME/to $HOME/from; ulimit -Sn 300
        {} run -- sh -c 'ulimit -Sn; cat >/dev/null' <$HOME/to >$HOME/from &
        exec 3>$HOME/to 4<$HOME/from; read -r inside <&4
        awk -v inside=$inside '/open files/ {{ print inside, ($4 > 300) }}' /proc/$!/limits
        exec 3>&-; wait $!; rm $HOME/to $HOME/from",
        binary("standin").display()
    );
    let outcome = rig.on_host(&["sh", "-c", &script]).succeeded();
    assert_eq!(outcome.stdout.trim(), "300 1", "{}", outcome.stderr);
}

/// The gate after each: under a policy that lets through what nobody may reach, nothing is let through, until there is a better one.
#[test]
fn behind_a_shut_gate_nothing_passes() {
    let rig = rig();
    std::fs::copy(rig.home().join("a"), rig.home().join(".config/standin/config.toml")).unwrap();
    let steps = format!(
        "cp $HOME/open {FILE}; standin reload; echo $?; ask https://a.example/; standin reload; echo $?
        cp $HOME/a {FILE}; standin reload; echo $?; ask https://a.example/"
    );
    let outcome = session(&rig, "", &steps).succeeded();
    assert_eq!(lines(&outcome), ["1", "403", "1", "0", "200"], "{}", outcome.stderr);
    assert!(outcome.stderr.contains("NOTHING is allowed any more"), "{}", outcome.stderr);
    assert!(outcome.log.contains("policy.gate"), "{}", outcome.log);
}
