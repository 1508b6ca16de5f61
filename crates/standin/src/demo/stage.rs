//! The stage: a private network with an origin in it, and `standin run`, as anybody would run it.

use super::origin::{self, Seen};
use super::{AGENT, API, Finding, OTHER, STAGE, agent};
use crate::exit::{self, Failure};
use crate::ourselves;
use standin_ca::SessionCa;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::SystemTime;

/// Public addresses, so that nothing about them is special; in the private network they are local.
const ADDRESSES: &[(&str, &str)] =
    &[(API, "93.184.215.14"), (OTHER, "93.184.215.15"), (agent::SSH_HOST, "93.184.215.17")];
/// Where the npm registry's name leads.
const REGISTRY_ADDRESS: &str = "93.184.215.16";

/// What the presenter learns.
pub(super) struct Report {
    /// What the agent printed: a line a try, `label<TAB>status<TAB>text`.
    tries: Vec<(String, String, String)>,
    /// What the origin saw.
    seen: Vec<Seen>,
    pub(super) stand_in: String,
}

/// Starts the stage and waits for its end.
pub(super) fn start(directory: &Path, secret: &str) -> Result<Report, Failure> {
    let registry = agent::registry_host();
    let mut hosts = String::from("127.0.0.1 localhost\n");
    for (name, address) in ADDRESSES.iter().copied().chain([(registry.as_str(), REGISTRY_ADDRESS)]) {
        hosts.extend([address, " ", name, "\n"]);
    }
    let hosts_file = directory.join("hosts");
    std::fs::write(&hosts_file, hosts).map_err(|e| Failure::because("cannot write the demonstration's hosts", &e))?;
    let output = ourselves::playing(STAGE)?
        .arg(directory)
        .env("STANDIN_DEMO_SECRET", secret)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::because("cannot start the demonstration", &error))?;
    if !output.status.success() {
        return Err(Failure::new(format!("the demonstration's stage ended with {}", output.status)));
    }
    let tries = std::fs::read_to_string(directory.join("tries")).unwrap_or_default();
    let seen = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let mut report = Report { tries: Vec::new(), seen, stand_in: String::new() };
    for line in tries.lines() {
        let mut fields = line.splitn(3, '\t').map(str::to_owned);
        let (Some(label), Some(status), Some(text)) = (fields.next(), fields.next(), fields.next()) else { continue };
        if label == agent::STAND_IN {
            report.stand_in = text;
        } else {
            report.tries.push((label, status, text));
        }
    }
    Ok(report)
}

/// Plays the stage. The first process to have one thread and the caller's rights in a network of its own.
pub(super) fn play() -> Result<i32, Failure> {
    let directory = std::env::args_os().nth(2).map(PathBuf::from).ok_or_else(|| Failure::new("no directory"))?;
    let secret = std::env::var("STANDIN_DEMO_SECRET").map_err(|_| Failure::new("no secret"))?;
    standin_sandbox::private_network::enter(&directory.join("hosts")).map_err(|error| {
        Failure::because("cannot make a private network for the demonstration", &error)
            .hint("user namespaces may be switched off; `standin run -- true` says how to mend that")
    })?;
    let fault = |what: &'static str| move |error: std::io::Error| Failure::because(what, &error);
    let ca = SessionCa::generate(SystemTime::now()).map_err(|e| Failure::because("cannot make the origin's CA", &e))?;
    let roots = directory.join("origin-ca.pem");
    std::fs::write(&roots, ca.certificate_pem()).map_err(fault("cannot write the origin's certificate"))?;
    let origin = Arc::new(origin::Origin::new(ca, secret.clone()));
    let runtime = tokio::runtime::Runtime::new().map_err(fault("cannot start the origin"))?;
    runtime.block_on(origin::start(&origin)).map_err(fault("cannot start the origin"))?;
    let mut child = ourselves::playing("run")?
        .args(["--secret", &format!("DEMO_TOKEN=env:DEMO_TOKEN@{API}"), "--allow", OTHER, "--"])
        .arg(ourselves::program()?)
        .arg(AGENT)
        .current_dir(directory.join("workspace"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", std::env::var_os("HOME").unwrap_or_else(|| "/nonexistent".into()))
        .env("XDG_STATE_HOME", directory.join("state"))
        .env("XDG_CONFIG_HOME", directory.join("config"))
        .env("SSL_CERT_FILE", &roots)
        .env("DEMO_TOKEN", &secret)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(fault("cannot run the agent"))?;
    let mut tries = String::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_string(&mut tries).map_err(fault("cannot read what the agent prints"))?;
    }
    let status = child.wait().map_err(fault("lost the agent"))?;
    std::fs::write(directory.join("tries"), tries).map_err(fault("cannot keep what the agent printed"))?;
    serde_json::to_writer(std::io::stdout(), &origin.seen()).map_err(|e| Failure::because("cannot report", &e))?;
    Ok(if status.success() { exit::SUCCESS } else { exit::CHECK_FAILED })
}

impl Report {
    /// What held of what the agent tried.
    pub(super) fn findings(&self, secret: &str) -> Vec<Finding> {
        let mut findings = vec![self.used(secret)];
        for (label, expected, what) in agent::ATTACKS {
            let tried = self.tries.iter().find(|(tried, ..)| tried == label);
            let (status, text) = tried.map_or(("not tried", ""), |(_, status, text)| (status.as_str(), text.as_str()));
            findings.push(Finding {
                held: status == *expected && !text.contains(secret),
                what: (*what).to_owned(),
                seen: format!("{status} {text}").trim().to_owned(),
            });
        }
        findings.push(self.origin_saw_no_attack());
        findings
    }

    fn used(&self, secret: &str) -> Finding {
        let tried = self.tries.iter().find(|(label, ..)| label == agent::USE);
        let text = tried.map_or("", |(_, _, text)| text.as_str());
        let authorised = self.seen.iter().any(|seen| seen.host == API && seen.authorised);
        let answered = tried.is_some_and(|(_, status, _)| status == "200");
        Finding {
            held: authorised && answered && text.contains(&self.stand_in) && !text.contains(secret),
            what: format!("uses {API} with its stand-in: the origin gets the real key, and even echoes it"),
            seen: text.to_owned(),
        }
    }

    /// The origin plays all hosts: but for the one good request nothing may have reached any of them.
    fn origin_saw_no_attack(&self) -> Finding {
        let others: Vec<_> = self
            .seen
            .iter()
            .filter(|seen| !seen.authorised)
            .map(|seen| format!("{} {}", seen.host, seen.what))
            .collect();
        Finding {
            held: others.is_empty(),
            what: "none of these seven reached a server, not even a DNS query did".to_owned(),
            seen: if others.is_empty() { format!("{} request in all", self.seen.len()) } else { others.join("; ") },
        }
    }
}
