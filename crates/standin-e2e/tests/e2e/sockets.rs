//! Sockets at which the host listens, where the sandbox is shown them: they do not answer inside.

use crate::direct::{Caller, stdout};
use std::fs::create_dir_all;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::PathBuf;

/// Connects to each path, sends to it, and tells what came of it.
const CALLER: &str = r"
import os, socket, sys
for path in sys.argv[1:]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            called = socket.socket(socket.AF_UNIX, kind)
            called.connect(path)
            called.send(b'x')
            print('answers')
        except OSError as error:
            print(error.strerror)
";

/// What is listened at, and by whom: one in the workspace, one for datagrams, one in what is shown besides.
fn listening() -> (Caller, Vec<PathBuf>, (UnixListener, UnixDatagram, UnixListener)) {
    let caller = Caller::new();
    create_dir_all(caller.path("workspace/deep")).unwrap();
    create_dir_all(caller.path("home/shown")).unwrap();
    let paths =
        ["workspace/deep/server.sock", "workspace/datagrams", "home/shown/docker.sock"].map(|path| caller.path(path));
    let [stream, datagrams, shown] = &paths;
    let open = (
        UnixListener::bind(stream).unwrap(),
        UnixDatagram::bind(datagrams).unwrap(),
        UnixListener::bind(shown).unwrap(),
    );
    (caller, paths.to_vec(), open)
}

#[test]
fn what_the_host_listens_at_does_not_answer() {
    let (caller, paths, open) = listening();
    let names: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let call = [&["/usr/bin/python3", "-c", CALLER], names.as_slice()].concat();
    let mut outside = caller.program(call[0]);
    let seen = stdout(&outside.args(&call[1..]).output().unwrap());
    assert_eq!(seen.matches("answers").count(), 3, "{seen}");
    let shown = caller.path("home/shown").display().to_string();
    for flags in [&["--ro", &shown][..], &["--ro", &shown, "--cow"]] {
        let output = caller.run(flags, &call).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stdout(&output), "Connection refused\n".repeat(6), "{said}");
        assert!(said.contains("docker.sock") && said.contains("do not answer inside"), "{said}");
    }
    // Nor is its name free for somebody else.
    let replaced = "import os, socket
try:
    os.remove('deep/server.sock')
except OSError as error:
    print(error.strerror)
print(open('deep/server.sock').read().split(',')[0])";
    assert_eq!(caller.python(replaced), "Device or resource busy\n# The host listens at this socket\n");
    // What is asked for is shown.
    let flags = ["--show", "deep/server.sock"];
    let seen = stdout(&caller.run(&flags, &call[..4]).output().unwrap());
    assert_eq!(seen.matches("answers").count(), 1, "{seen}");
    drop(open);
}

#[test]
fn a_command_listens_where_nobody_does() {
    let caller = Caller::new();
    // A server of an earlier session's, which has ended.
    drop(UnixListener::bind(caller.path("workspace/stale.sock")).unwrap());
    let script = "import os, socket
os.remove('stale.sock')
for name in ('stale.sock', 'new.sock'):
    server = socket.socket(socket.AF_UNIX)
    server.bind(name)
    server.listen()
    socket.socket(socket.AF_UNIX).connect(name)
    print('answers')";
    assert_eq!(caller.python(script), "answers\nanswers\n");
}
