//! A PostgreSQL server of the distribution's, outside of the rig, whose port 5432 leads to it.

use standin_e2e::{DATABASE_PASSWORD, Rig};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where Debian has what a server needs, by version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Who administers it; the tests, never the sandbox.
const ADMIN: &str = "boss";
const ADMIN_PASSWORD: &str = "not-the-one-that-is-lent";

/// What answers at port 5432 of every host of a rig.
pub struct Server {
    directory: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    process: Child,
}

impl Server {
    /// Makes a cluster with the role `app`, its databases `shop` and `other`, and one table, and starts it.
    pub fn start(rig: &Rig) -> Self {
        let mut versions: Vec<PathBuf> = std::fs::read_dir(VERSIONS)
            .expect("./test installs PostgreSQL")
            .map(|entry| entry.unwrap().path())
            .collect();
        versions.sort();
        let programs = versions.pop().expect("./test installs PostgreSQL").join("bin");
        // Its user need not be able to reach the rig's directory.
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        certificate(directory.path(), "db.example");
        std::fs::copy(directory.path().join("server.crt"), rig.path("database-root.pem")).unwrap();
        std::fs::write(directory.path().join("password"), ADMIN_PASSWORD).unwrap();
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").args(["-R", "postgres:postgres"]).arg(directory.path()));
        }
        let data = directory.path().join("data");
        run(as_ordinary_user(&programs.join("initdb"))
            .args(["--no-sync", "--encoding", "UTF8", "--locale", "C", "--auth", "scram-sha-256", "--username", ADMIN])
            .arg(format!("--pwfile={}", directory.path().join("password").display()))
            .args([Path::new("--pgdata"), &data]));
        let settings = data.join("postgresql.auto.conf");
        std::fs::write(settings, "ssl = on\n").unwrap();
        let (process, port) = launch(&programs, directory.path(), &data);
        bridge(&rig.path("postgres.sock"), port);
        let server = Self { directory, programs, port, process };
        server.sql("postgres", &format!("CREATE ROLE app LOGIN PASSWORD '{DATABASE_PASSWORD}'"));
        for database in ["shop", "other"] {
            server.sql("postgres", &format!("CREATE DATABASE {database} OWNER app"));
        }
        server.sql("shop", "CREATE TABLE goods (id int, name text); ALTER TABLE goods OWNER TO app; INSERT INTO goods VALUES (1, 'tea')");
        server
    }

    /// Runs a statement as its administrator and gives what came of it.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", ADMIN, "-d", database])
            .args(["-p", &self.port.to_string(), "-c", statement])
            .env("PGPASSWORD", ADMIN_PASSWORD)
            .output()
            .unwrap();
        assert!(output.status.success(), "{statement}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Takes another line first when it judges who may enter how.
    pub fn authenticates(&self, line: &str) {
        let path = self.directory.path().join("data/pg_hba.conf");
        let rules = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{line}\n{rules}")).unwrap();
        self.reload();
    }

    /// Has no TLS from now on.
    pub fn without_tls(&self) {
        self.sql("postgres", "ALTER SYSTEM SET ssl = off");
        self.reload();
    }

    /// Until those who come know its new settings.
    fn reload(&self) {
        let loaded = || self.sql("postgres", "SELECT pg_conf_load_time()");
        let before = loaded();
        self.sql("postgres", "SELECT pg_reload_conf()");
        while loaded() == before {}
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT: it ends its connections, and itself.
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        self.process.wait().unwrap();
    }
}

/// Starts it at a port that was free a moment ago, or at another one if that was taken meanwhile.
fn launch(programs: &Path, directory: &Path, data: &Path) -> (Child, u16) {
    for _ in 0..10 {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let setting = |name: &str, value: &str| ["-c".to_owned(), format!("{name}={value}")];
        let at = |name: &str| directory.join(name).display().to_string();
        let mut server = as_ordinary_user(&programs.join("postgres"))
            .arg("-D")
            .arg(data)
            .args(setting("listen_addresses", "127.0.0.1"))
            .args(setting("port", &port.to_string()))
            .args(setting("unix_socket_directories", ""))
            .args(setting("fsync", "off"))
            .args(setting("ssl_cert_file", &at("server.crt")))
            .args(setting("ssl_key_file", &at("server.key")))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap);
        if said.any(|line| line.contains("ready to accept connections")) {
            std::thread::spawn(move || said.for_each(drop));
            return (server, port);
        }
        server.wait().unwrap();
    }
    panic!("PostgreSQL finds no port");
}

/// PostgreSQL does not run as root.
fn as_ordinary_user(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
    command
}

/// A certificate for this name that nobody signed but itself, and its key.
fn certificate(directory: &Path, name: &str) {
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", &format!("/CN={name}"), "-addext", &format!("subjectAltName=DNS:{name}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "server.key", "-out", "server.crt"])
        .current_dir(directory));
    std::fs::set_permissions(directory.join("server.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Leads whoever comes to this socket to the server.
fn bridge(socket: &Path, port: u16) {
    let listener = UnixListener::bind(socket).unwrap();
    // It ends with the test.
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
            let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || upwards(from_client, to_server));
            std::thread::spawn(move || downwards(server, client));
        }
    });
}

fn upwards(mut from: UnixStream, mut to: TcpStream) {
    std::io::copy(&mut from, &mut to).ok(); // whoever breaks off has its reasons
    to.shutdown(Shutdown::Write).ok();
}

fn downwards(mut from: TcpStream, mut to: UnixStream) {
    std::io::copy(&mut from, &mut to).ok();
    to.shutdown(Shutdown::Write).ok();
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}
