//! An arm: one way from a load to the origin, and the process in between.

use super::load::{Outcome, Work};
use super::{DUMMY, HOST, MITMPROXY, NO_SECRET, ORIGIN, RELAY, TOKEN, TOKEN_VARIABLE, process, progress};
use crate::Failure;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The release that is compared with.
const MITMPROXY_VERSION: &str = "11.0.2";
/// How long mitmproxy may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that goes when its owner does.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The origin, while it runs.
pub(super) struct Origin(#[expect(dead_code, reason = "held for its Drop")] Owned);

impl Origin {
    pub(super) fn start(directory: &Path) -> Result<Self, Failure> {
        let mut command = ourselves("__origin")?;
        command.arg(certificate(directory));
        let (child, ..) = start(command)?;
        Ok(Self(child))
    }
}

/// One way to the origin.
pub(super) struct Arm {
    pub(super) name: &'static str,
    load: Owned,
    proxy: Option<Owned>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Arm {
    /// Lets the load do its work; gives what came of it and the CPU time that the proxy took.
    pub(super) fn measure(&mut self, work: Work) -> Result<(Outcome, Duration), Failure> {
        let before = self.cpu_time()?;
        writeln!(self.input, "{}", serde_json::to_string(&work)?)?;
        self.input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let outcome = serde_json::from_str(&line).map_err(|_| format!("{}: {work:?} failed, see above", self.name))?;
        Ok((outcome, self.cpu_time()?.saturating_sub(before)))
    }

    /// Resident memory of the proxy now and at its highest, in KiB.
    pub(super) fn memory(&self) -> Result<(u64, u64), Failure> {
        Ok(self.pid().map_or(Ok((0, 0)), process::memory)?)
    }

    fn cpu_time(&self) -> Result<Duration, Failure> {
        Ok(self.pid().map_or(Ok(Duration::ZERO), process::cpu_time)?)
    }

    /// The proxy's process. Standin's is the one that was started to run the load.
    fn pid(&self) -> Option<u32> {
        match (&self.proxy, self.name) {
            (Some(proxy), _) => Some(proxy.0.id()),
            (None, "Standin" | NO_SECRET) => Some(self.load.0.id()),
            (None, _) => None,
        }
    }
}

/// Starts all of them.
pub(super) fn start_all(directory: &Path, standin: &Path, mitmproxy: Option<&Path>) -> Result<Vec<Arm>, Failure> {
    let mut direct = ourselves("__load")?;
    direct.arg(ORIGIN).env(TOKEN_VARIABLE, TOKEN).env("SSL_CERT_FILE", certificate(directory));
    let secret = format!("{TOKEN_VARIABLE}=env:{TOKEN_VARIABLE}@{HOST}");
    let mut arms = vec![
        arm("direct", direct, None)?,
        relayed(directory)?,
        inside("Standin", &["--secret", &secret], directory, standin)?,
        inside(NO_SECRET, &["--allow", HOST, "--env", TOKEN_VARIABLE], directory, standin)?,
        #[cfg(feature = "hudsucker")]
        through_hudsucker(directory)?,
    ];
    if let Some(program) = mitmproxy {
        arms.push(through_mitmproxy(directory, program)?);
    }
    Ok(arms)
}

fn relayed(directory: &Path) -> Result<Arm, Failure> {
    let own = directory.join("relay.pem");
    let mut relay = ourselves("__relay")?;
    relay.arg(&own).env("SSL_CERT_FILE", certificate(directory));
    let (relay, ..) = start(relay)?;
    let mut load = ourselves("__load")?;
    load.arg(RELAY).env(TOKEN_VARIABLE, TOKEN).env("SSL_CERT_FILE", own);
    arm("relay", load, Some(relay))
}

#[cfg(feature = "hudsucker")]
fn through_hudsucker(directory: &Path) -> Result<Arm, Failure> {
    let own = directory.join("hudsucker.pem");
    let mut proxy = ourselves("__hudsucker")?;
    proxy.arg(&own).env("SSL_CERT_FILE", certificate(directory));
    let (proxy, ..) = start(proxy)?;
    let mut load = ourselves("__load")?;
    load.args([&format!("{HOST}:443"), super::HUDSUCKER]).env(TOKEN_VARIABLE, DUMMY).env("SSL_CERT_FILE", own);
    arm("hudsucker", load, Some(proxy))
}

/// The load in the sandbox: its token is a stand-in (or, to compare, its own), and nothing is set up.
fn inside(name: &'static str, flags: &[&str], directory: &Path, standin: &Path) -> Result<Arm, Failure> {
    let program = std::env::current_exe()?;
    let workspace = directory.join("workspace");
    std::fs::create_dir_all(&workspace)?;
    let mut command = Command::new(standin);
    command
        .arg("run")
        .args(flags)
        .arg("--ro")
        .arg(program.parent().ok_or("this program lies in no directory")?)
        .arg("--")
        .arg(&program)
        .args(["__load", &format!("{HOST}:443")])
        .current_dir(workspace)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("XDG_STATE_HOME", directory.join("state"))
        .env("SSL_CERT_FILE", certificate(directory))
        .env(TOKEN_VARIABLE, TOKEN);
    arm(name, command, None)
}

/// The same swap by the usual add-on, with bodies streamed, which is the best it can do.
fn through_mitmproxy(directory: &Path, program: &Path) -> Result<Arm, Failure> {
    let addon = directory.join("swap.py");
    std::fs::write(
        &addon,
        format!(
            "class Swap:
    def requestheaders(self, flow):
        flow.request.stream = True
        if flow.request.pretty_host == '{HOST}' and flow.request.headers.get('authorization') == 'Bearer {DUMMY}':
            flow.request.headers['authorization'] = 'Bearer {TOKEN}'
    def responseheaders(self, flow):
        flow.response.stream = True
addons = [Swap()]
"
        ),
    )?;
    let home = directory.join("mitmproxy");
    let mut command = Command::new(program);
    let (host, port) = MITMPROXY.split_once(':').ok_or("mitmproxy has an address with a port")?;
    command
        .args(["--quiet", "--listen-host", host, "--listen-port", port, "--scripts"])
        .arg(&addon)
        .arg("--set")
        .arg(format!("confdir={}", home.display()))
        .arg("--set")
        .arg(format!("ssl_verify_upstream_trusted_ca={}", certificate(directory).display()))
        .stdin(Stdio::null());
    let proxy = Owned(command.spawn()?);
    let own = home.join("mitmproxy-ca-cert.pem");
    let since = Instant::now();
    while std::net::TcpStream::connect(MITMPROXY).is_err() || !own.exists() {
        if since.elapsed() > PATIENCE {
            return Err("mitmproxy did not start".into());
        }
        // It says nothing when it is ready, and no event tells of a port that somebody else begins to listen on.
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut load = ourselves("__load")?;
    load.args([ORIGIN, MITMPROXY]).env(TOKEN_VARIABLE, DUMMY).env("SSL_CERT_FILE", own);
    arm("mitmproxy", load, Some(proxy))
}

/// Installs mitmproxy in an environment of its own, once; gives its program.
pub(super) fn install_mitmproxy(target: &Path) -> Result<PathBuf, Failure> {
    let environment = target.join(format!("bench/mitmproxy-{MITMPROXY_VERSION}"));
    let program = environment.join("bin/mitmdump");
    if program.exists() {
        return Ok(program);
    }
    progress("installing mitmproxy from PyPI (once)");
    let run = |command: &mut Command| match command.stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::from(format!("{command:?} ended with {status}; --no-mitmproxy leaves it out"))),
        Err(error) => Err(error.into()),
    };
    run(Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(&environment))?;
    let package = format!("mitmproxy=={MITMPROXY_VERSION}");
    run(Command::new(environment.join("bin/pip")).args(["install", "--quiet", &package]))?;
    Ok(program)
}

/// Whether a program can be found.
pub(super) fn on_the_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

fn arm(name: &'static str, load: Command, proxy: Option<Owned>) -> Result<Arm, Failure> {
    let (load, input, output) = start(load)?;
    Ok(Arm { name, load, proxy, input, output })
}

/// Starts one of ours and waits until it says that it is ready.
fn start(mut command: Command) -> Result<(Owned, ChildStdin, BufReader<ChildStdout>), Failure> {
    let mut child = Owned(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    let input = child.0.stdin.take().ok_or("stdin is a pipe")?;
    let mut output = BufReader::new(child.0.stdout.take().ok_or("stdout is a pipe")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    if line == "ready\n" { Ok((child, input, output)) } else { Err(format!("{command:?} did not start").into()) }
}

fn ourselves(role: &str) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(role);
    Ok(command)
}

/// The origin's certificate.
fn certificate(directory: &Path) -> PathBuf {
    directory.join("origin.pem")
}
