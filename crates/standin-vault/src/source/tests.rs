//! One suite for all sources: what each gives, and that one that fails says why, of which nothing is a value.

use super::*;
use crate::supply::{Delivery, Supply};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use standin_model::limits::SOURCE_DEADLINE;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Looked for in whatever is said.
const CANARY: &str = "Canary0123456789abcdef";

/// A directory of programs that follow the documented output of the real ones, and files.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    /// A shell script in the place of a program.
    fn program(&self, name: &str, script: &str) {
        let path = self.file(name, format!("#!/bin/sh\n{script}\n").as_bytes());
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn surroundings(&self) -> Surroundings {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.0.path().display());
        Surroundings { path: path.into(), patience: SOURCE_DEADLINE }
    }

    fn shell(&self, command: &str) -> Arc<Supply> {
        Supply::new(Box::new(ProgramSource::shell(self.surroundings(), command, false)))
    }

    fn json(&self, text: &str) -> Arc<Supply> {
        let path = self.file("document.json", text.as_bytes());
        Supply::new(Box::new(ProgramSource::shell(self.surroundings(), &format!("cat {}", path.display()), true)))
    }
}

fn fetch(supply: &Arc<Supply>) -> Result<Delivery, SourceError> {
    // What is there for people and what is there for programs is the same.
    let asked = supply.fetch(Manner::MayAsk).map_err(|error| said(&error));
    let silent = supply.fetch(Manner::Silent);
    assert_eq!(asked.err(), silent.as_ref().err().map(|error| said(error)));
    silent
}

/// All that an error says.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    let text = all.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    assert!(!text.contains(CANARY) && !format!("{error:?}").contains(CANARY), "{text}");
    text
}

fn check(supply: &Arc<Supply>, member: &str, expected: &str) {
    let got = match fetch(supply).and_then(|delivery| delivery.value(member)) {
        Ok((secret, _)) => String::from_utf8(secret.expose().to_vec()).unwrap(),
        Err(error) => format!("error: {}", said(&error)),
    };
    assert_eq!(got, expected, "{}", supply.describe());
    assert!(!supply.describe().contains(CANARY));
}

fn supply(source: impl SecretSource + 'static) -> Arc<Supply> {
    Supply::new(Box::new(source))
}

#[test]
fn variables_and_files() {
    let bench = Bench::new();
    let file = |name: &str, contents: &[u8]| supply(FileSource::new(bench.file(name, contents), None));
    check(&supply(EnvSource::new("A", Some(CANARY.into()))), "", CANARY);
    check(&supply(EnvSource::new("A", None)), "", "error: the environment variable A is not set");
    check(&supply(EnvSource::new("A", Some(vec![]))), "", "error: env:A is empty");
    check(&file("ok", format!("{CANARY}\n").as_bytes()), "", CANARY);
    check(
        &file("ok", CANARY.as_bytes()),
        "x",
        &format!("error: file:{}/ok gave no value `x`", bench.0.path().display()),
    );
    let large = file("large", CANARY.repeat(MAX_SECRET_BYTES / CANARY.len() + 1).as_bytes());
    check(&large, "", &format!("error: {} is larger than 64 KiB", large.describe()));
    let dotenv = bench.file(".env", b"A=1\nB='two words'\n");
    let of = |name: &str| supply(FileSource::new(dotenv.clone(), Some(name.to_owned())));
    check(&of("B"), "", "two words");
    check(&of("C"), "", &format!("error: there is no value `C` in {}", dotenv.display()));
    assert_eq!(of("B").describe(), format!("file:{}#B", dotenv.display()));
    let missing = bench.0.path().join("missing");
    let expected = format!("error: cannot read {}: No such file or directory (os error 2)", missing.display());
    check(&supply(FileSource::new(missing, None)), "", &expected);
}

#[test]
fn commands() {
    let bench = Bench::new();
    check(&bench.shell(&format!("printf '{CANARY}\\n'")), "", CANARY);
    check(&bench.shell("pwd"), "", "/");
    check(&bench.shell(&format!("echo {CANARY}; exit 3")), "", "error: `cmd:echo` ended with exit status: 3");
    check(&bench.shell("true"), "", "error: cmd:true is empty");
    check(&bench.shell("echo \"x$GIT_DIR$GIT_WORK_TREE\""), "", "x");
    let hangs = Surroundings { patience: Duration::from_millis(50), ..bench.surroundings() };
    let hangs = supply(ProgramSource::shell(hangs, "exec sleep 600", false));
    check(&hangs, "", "error: `cmd:exec` gave no answer within 0 s");
}

/// Who has the terminal is the command's, not a program of ours; what it starts ends with it.
#[test]
fn a_silent_program_is_no_foreground_process_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let pids = bench.0.path().join("pids");
    // Both are of one process group, which is not ours.
    let script = format!("sleep 600 & echo $$ $! >{}; wait", pids.display());
    let hurried = Surroundings { patience: Duration::from_secs(1), ..bench.surroundings() };
    let hangs = supply(ProgramSource::shell(hurried, &script, false));
    assert!(matches!(hangs.fetch(Manner::Silent), Err(SourceError::Deadline { .. })));
    let text = fs::read_to_string(&pids).unwrap();
    let child = text.split_whitespace().nth(1).unwrap();
    gone(Pid::from_raw(child.parse().unwrap()).unwrap());
    let noisy = bench.shell("exec 3>&2; readlink /proc/self/fd/3");
    check_silent(&noisy, "/dev/null");
}

/// Waits for the end of a process that was ended.
fn gone(pid: Pid) {
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)), Ok(1), "it goes on");
}

fn check_silent(supply: &Arc<Supply>, expected: &str) {
    let (secret, _) = supply.fetch(Manner::Silent).and_then(|delivery| delivery.value("")).unwrap();
    assert_eq!(std::str::from_utf8(secret.expose()).unwrap(), expected);
}

/// The AWS CLI's documentation of `credential_process`, and what others print.
#[test]
fn documents_with_a_time_of_expiry() {
    let bench = Bench::new();
    let aws = format!(
        r#"{{"Version": 1, "AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "{CANARY}", "SessionToken": "t", "Expiration": "2099-01-02T03:04:05Z"}}"#
    );
    check(&bench.json(&aws), "SecretAccessKey", CANARY);
    check(&bench.json(&aws), "AccessKeyId", "AKIAIOSFODNN7EXAMPLE");
    check(&bench.json(&aws), "Version", "error: cmd:cat gave no value `Version`");
    check(&bench.json(&aws), "", "error: cmd:cat gave no value ``");
    let odd = |what| format!("error: cmd:cat gave something else than expected: {what}");
    check(&bench.json(&aws.replace(": 1,", ": 2,")), "AccessKeyId", &odd("its version is not 1"));
    check(&bench.json(&aws.replace("2099", "1999")), "AccessKeyId", "error: what cmd:cat gave has expired already");
    check(&bench.json(&aws.replace("2099-", "soon")), "AccessKeyId", &odd("its time of expiry is not understood"));
    let twice = odd("it is no JSON, or a name stands there twice");
    check(&bench.json(&aws.replace("SessionToken", "AccessKeyId")), "AccessKeyId", &twice);
    check(&bench.json(CANARY), "token", &twice);
    let expires = |text: &str, member: &str| {
        let (_, term) = fetch(&bench.json(text)).and_then(|delivery| delivery.value(member)).unwrap();
        term.map(|term| term.end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    };
    assert_eq!(expires(&aws, "SessionToken"), Some(4_071_006_245));
    let kubernetes = r#"{"status": {"token": "t", "expirationTimestamp": "2099-01-02T03:04:05Z"}}"#;
    assert_eq!(expires(kubernetes, "/status/token"), Some(4_071_006_245));
    let gcloud = r#"{"credential": {"access_token": "t", "token_expiry": "2099-01-02T03:04:05Z"}}"#;
    assert_eq!(expires(gcloud, "/credential/access_token"), Some(4_071_006_245));
    assert_eq!(expires(r#"{"accessToken": "t", "expires_on": 4071006245}"#, "accessToken"), Some(4_071_006_245));
    assert_eq!(expires(r#"{"accessToken": "t", "expiresAt": 4071006245000}"#, "accessToken"), Some(4_071_006_245));
    assert_eq!(expires(r#"{"token": "t", "expires": null}"#, "token"), None);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(expires(r#"{"token": "t", "expires_in": 3600}"#, "token").is_some_and(|end| end >= now + 3600));
}

/// The user's real git, with a helper that prints what git-credential(1) says helpers print.
#[test]
fn git_credential_helpers() {
    let bench = Bench::new();
    bench.program("helper", &format!(
        "test \"$1\" = get || exit 0; cat >{}/asked; printf 'username=me\\npassword={CANARY}\\npassword_expiry_utc=4071006245\\n'",
        bench.0.path().display()
    ));
    let config = format!("[credential]\nhelper = {}/helper\n", bench.0.path().display());
    let config = bench.file("gitconfig", config.as_bytes());
    let real = "PATH=/usr/local/bin:/usr/bin:/bin exec git \"$@\"";
    bench.program("git", &format!("export GIT_CONFIG_GLOBAL={} GIT_ASKPASS=true; {real}", config.display()));
    let of = |url: &str| supply(ProgramSource::git(bench.surroundings(), url));
    check(&of("https://git.example.com"), "", CANARY);
    check(&of("https://git.example.com"), "username", "me");
    check(&of("https://git.example.com"), "path", "error: git:https://git.example.com gave no value `path`");
    let asked = fs::read_to_string(bench.0.path().join("asked")).unwrap();
    assert!(asked.contains("protocol=https\n") && asked.contains("host=git.example.com\n"), "{asked}");
    bench.program("helper", "printf 'quit=1\\n'");
    let failed = "error: `git:https://git.example.com` ended with exit status: 128";
    check(&of("https://git.example.com"), "", failed);
}

/// Password managers, by programs that print what the real ones are documented to.
#[test]
fn password_managers() {
    let bench = Bench::new();
    let missing = |name: &str| format!("error: cannot run `{name}`: No such file or directory (os error 2)");
    let nowhere = Surroundings { path: bench.0.path().into(), ..bench.surroundings() };
    check(&supply(ProgramSource::one_password(nowhere, "op://a/b/c")), "", &missing("op://a/b/c"));
    bench.program("op", &format!("test \"$*\" = 'read --no-newline op://Work/api/key' && printf %s {CANARY} || {{ echo 'not signed in' >&2; exit 1; }}"));
    let op = |reference: &str| supply(ProgramSource::one_password(bench.surroundings(), reference));
    check(&op("op://Work/api/key"), "", CANARY);
    check(&op("op://Work/api/other"), "", "error: `op://Work/api/other` ended with exit status: 1");
    bench.program("bw", &format!(
        "case \"$*\" in
         '--nointeraction get password -- api') printf %s {CANARY};;
         '--nointeraction get username -- api') printf me;;
         '--nointeraction get item -- api') echo '{{\"name\":\"api\",\"login\":{{\"password\":\"{CANARY}\"}},\"fields\":[{{\"name\":\"key\",\"value\":\"k\"}}]}}';;
         *) echo 'Vault is locked.' >&2; exit 1;; esac"
    ));
    let bw = |item: &str, member: &str| supply(ProgramSource::bitwarden(bench.surroundings(), item, member));
    check(&bw("api", ""), "", CANARY);
    check(&bw("api", "username"), "username", "me");
    check(&bw("api", "/fields/0/value"), "/fields/0/value", "k");
    check(&bw("--other", ""), "", "error: `bw:--other` ended with exit status: 1");
    let path = bench.file("secrets.enc.yaml", b"db: ENC[AES256_GCM,data:x]\n");
    bench.program(
        "sops",
        &format!(
            "case \"$*\" in
         '-d --output-type json {0}') echo '{{\"db\":{{\"password\":\"{CANARY}\",\"expires\":\"never\"}}}}';;
         '-d {0}') printf 'plain';; *) exit 128;; esac",
            path.display()
        ),
    );
    let sops = |path: &Path, json| supply(ProgramSource::sops(bench.surroundings(), path.to_owned(), json));
    check(&sops(&path, true), "/db/password", CANARY);
    check(&sops(&path, false), "", "plain");
    check(&sops(Path::new("/missing"), true), "/x", "error: `sops:/missing` ended with exit status: 128");
}
