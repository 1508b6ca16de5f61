//! A host with git over SSH: OpenSSH's own server, run for each connection outside of the rig, whose port 22 leads to it.

use standin_e2e::Rig;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

/// Where OpenSSH's server is; it wants to be called by its whole path.
const SSHD: &str = "/usr/sbin/sshd";

/// What answers at port 22 of every host of a rig.
pub struct SshHost {
    directory: PathBuf,
    /// Who may log in, and whose files are served.
    pub user: String,
    serving: Option<JoinHandle<()>>,
}

impl SshHost {
    /// Makes its keys, the user's key, a repository with one commit, and tells the user who it is.
    pub fn start(rig: &Rig) -> Self {
        let directory = rig.path("sshd");
        std::fs::create_dir(&directory).unwrap();
        std::fs::create_dir_all(rig.home().join(".ssh")).unwrap();
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        keygen(&directory.join("host_key"), "ed25519");
        keygen(&rig.home().join(".ssh/id_ed25519"), "ed25519");
        let public = std::fs::read(rig.home().join(".ssh/id_ed25519.pub")).unwrap();
        std::fs::write(directory.join("authorized_keys"), public).unwrap();
        let user = output(Command::new("id").arg("-un")).trim().to_owned();
        let host = Self { serving: Some(serve(&directory, &rig.path("sshd.sock"))), directory, user };
        host.write_configuration(rig);
        host.known_as("git.example", &rig.home().join(".ssh/known_hosts"));
        for name in ["acme/app.git", "evil/app.git"] {
            repository(&rig.repositories().join(name));
        }
        host
    }

    /// Gives the host another key.
    pub fn change_key(&self) {
        for name in ["host_key", "host_key.pub"] {
            std::fs::remove_file(self.directory.join(name)).unwrap();
        }
        keygen(&self.directory.join("host_key"), "ed25519");
    }

    /// Writes its key down as this name's.
    pub fn known_as(&self, name: &str, known_hosts: &Path) {
        let key = std::fs::read_to_string(self.directory.join("host_key.pub")).unwrap();
        std::fs::write(known_hosts, format!("{name} {key}")).unwrap();
    }

    /// What its users executed: a line each.
    pub fn commands(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.directory.join("commands")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// From now on every user has a shell, as with a plain account.
    pub fn give_shells(&self) {
        std::fs::write(self.directory.join("shells"), "").unwrap();
    }

    fn write_configuration(&self, rig: &Rig) {
        let at = |name: &str| self.directory.join(name).display().to_string();
        let path = std::env::var("PATH").unwrap();
        // As services do it: the key decides who it is, and a program of theirs what is done.
        let script = format!(
            "#!/bin/sh\nPATH={path}\ncd {repositories}\n\
             printf '%s|%s\\n' \"$GIT_PROTOCOL\" \"$SSH_ORIGINAL_COMMAND\" >> {log}\n\
             [ -f {words} ] && cat {words} >&2\n\
             [ -f {shells} ] && exec sh -c \"$SSH_ORIGINAL_COMMAND\"\n\
             exec git-shell -c \"$SSH_ORIGINAL_COMMAND\"\n",
            repositories = rig.repositories().display(),
            log = at("commands"),
            words = at("words"),
            shells = at("shells"),
        );
        std::fs::write(at("run"), script).unwrap();
        let configuration = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nForceCommand sh {}\nAcceptEnv GIT_PROTOCOL\nPermitRootLogin yes\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\n",
            at("host_key"),
            at("authorized_keys"),
            at("run"),
        );
        std::fs::write(at("sshd_config"), configuration).unwrap();
    }
}

impl Drop for SshHost {
    fn drop(&mut self) {
        std::fs::write(self.directory.join("end"), "").unwrap();
        UnixStream::connect(self.directory.with_file_name("sshd.sock")).unwrap();
        self.serving.take().unwrap().join().unwrap();
    }
}

/// A server for each connection.
fn serve(directory: &Path, socket: &Path) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    let directory = directory.to_owned();
    std::thread::spawn(move || {
        let mut servers = Vec::new();
        for client in listener.incoming() {
            let client = client.unwrap();
            if directory.join("end").exists() {
                break;
            }
            let (input, output): (OwnedFd, OwnedFd) = (client.try_clone().unwrap().into(), client.into());
            let server = Command::new(SSHD)
                .arg("-i")
                .args([Path::new("-f"), &directory.join("sshd_config"), Path::new("-E"), &directory.join("log")])
                .stdin(Stdio::from(input))
                .stdout(Stdio::from(output))
                .stderr(Stdio::null())
                .spawn()
                .expect("./test installs OpenSSH");
            servers.push(server);
        }
        // Their clients are gone.
        for mut server in servers {
            server.wait().unwrap();
        }
    })
}

pub fn keygen(path: &Path, kind: &str) {
    let made = Command::new("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-f"]).arg(path).status();
    assert!(made.expect("./test installs OpenSSH").success());
}

/// A bare repository with one commit on its branch `main`.
fn repository(path: &Path) {
    let script = "git init -q -b main seed && cd seed && echo hello > file && git add file && \
                  git -c user.name=a -c user.email=a@b.c commit -q -m first && \
                  git clone -q --bare . \"$1\" && cd .. && rm -r seed";
    let parent = path.parent().unwrap();
    std::fs::create_dir_all(parent).unwrap();
    output(Command::new("sh").args(["-c", script, "sh"]).arg(path).current_dir(parent));
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
