//! `rig DIRECTORY HOST[,HOST…] COMMAND ARGUMENT…`: runs a command in a private network with origins for these hosts.
//!
//! The directory gets `origin-ca.pem` when the origins are up, and `seen.json` when the command has ended. The
//! command finds the certificate in `SSL_CERT_FILE`, as the host's own trust store.

use standin_testkit::origin;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(directory), Some(hosts), Some(program)) = (arguments.next(), arguments.next(), arguments.next()) else {
        panic!("usage: rig DIRECTORY HOSTS COMMAND ARGUMENT…");
    };
    let directory = PathBuf::from(directory);
    let hosts = hosts.into_string().expect("host names are ASCII");
    let lines = hosts.split(',').enumerate().map(|(n, host)| format!("93.184.216.{} {host}\n", n + 10));
    let hosts_file = directory.join("hosts");
    std::fs::write(&hosts_file, format!("127.0.0.1 localhost\n{}", lines.collect::<String>()))
        .expect("a writable directory");
    // Before any thread is started.
    standin_sandbox::private_network::enter(&hosts_file).expect("user namespaces are allowed here");
    let certificate = directory.join("origin-ca.pem");
    let origins = Arc::new(origin::Origins::new(&directory));
    std::fs::write(&certificate, origins.ca.certificate_pem()).expect("a writable directory");
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    runtime.block_on(origin::start(&origins)).expect("the ports of a fresh network are free");
    let status = Command::new(program)
        .args(arguments)
        .env("SSL_CERT_FILE", &certificate)
        .status()
        .expect("the command can be started");
    let seen = serde_json::to_vec_pretty(&origins.seen()).expect("plain data");
    std::fs::write(directory.join("seen.json"), seen).expect("a writable directory");
    ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
}
