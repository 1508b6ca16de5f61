//! Ways out of the sandbox, each tried from inside.

use standin_e2e::Rig;

/// Runs Python inside; what it prints is compared.
fn inside(python: &str) -> String {
    let script = format!("python3 - <<'END'\n{python}\nEND");
    let outcome = Rig::new(&["plain.example"]).script(&script);
    format!("{}{}", outcome.stdout, if outcome.code == Some(0) { "" } else { &outcome.stderr })
}

#[test]
fn socket_families_that_lead_out_do_not_exist() {
    let tried = "import socket
for family in (40, 38, 17, 16):
    try:
        socket.socket(family, socket.SOCK_RAW if family in (16, 17) else socket.SOCK_STREAM, 12 if family == 16 else 0)
        print(family, 'open')
    except OSError as error:
        print(family, error.strerror)";
    let refused = "Address family not supported by protocol";
    assert_eq!(inside(tried), format!("40 {refused}\n38 {refused}\n17 {refused}\n16 {refused}\n"));
}

#[test]
fn system_calls_that_widen_the_kernels_surface_are_refused() {
    let tried = "import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for name, number in (('io_uring_setup', 425), ('bpf', 321), ('keyctl', 250), ('userfaultfd', 323), ('perf_event_open', 298),
                     ('unshare', 272), ('setns', 308), ('mount', 165), ('open_by_handle_at', 304), ('clone3', 435), ('x32', 0x40000000 + 39)):
    result = libc.syscall(number, 0x10000000, 0, 0, 0, 0)
    print(name, os.strerror(ctypes.get_errno()) if result < 0 else 'allowed')";
    let expected = "io_uring_setup Function not implemented\nbpf Operation not permitted\nkeyctl Operation not permitted\n\
                    userfaultfd Operation not permitted\nperf_event_open Operation not permitted\nunshare Operation not permitted\n\
                    setns Operation not permitted\nmount Operation not permitted\nopen_by_handle_at Operation not permitted\n\
                    clone3 Function not implemented\nx32 Function not implemented\n";
    assert_eq!(inside(tried), expected);
}

#[test]
fn udp_is_refused_at_once() {
    let tried = "import socket
for family, address in ((socket.AF_INET, ('93.184.216.10', 443)), (socket.AF_INET6, ('2606:4700::1', 443))):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(20)
    s.connect(address)
    s.send(b'x')
    try:
        s.recv(1)
        print('answered')
    except OSError as error:
        print(error.strerror)";
    assert_eq!(inside(tried), "Connection refused\nConnection refused\n");
}

#[test]
fn the_hosts_files_and_processes_are_not_there() {
    let tried = "import os
for path in ('/etc/shadow', '/proc/1/environ', '/proc/1/mem', '/proc/1/fd/0', '/home', '/var/lib', '/sys/kernel', '/run/docker.sock'):
    try:
        os.listdir(path) if path in ('/home', '/var/lib', '/sys/kernel') else open(path, 'rb').read(1)
        print(path, 'readable')
    except OSError as error:
        print(path, error.strerror)
for path in ('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/usr/standin-was-here', '/etc/passwd', '/standin-was-here'):
    try:
        open(path, 'w').close()
        print(path, 'writable')
    except OSError as error:
        print(path, 'refused')
print(len([p for p in os.listdir('/proc') if p.isdigit()]), 'processes')";
    let expected = "/etc/shadow No such file or directory\n/proc/1/environ Permission denied\n/proc/1/mem Permission denied\n\
                    /proc/1/fd/0 Permission denied\n/home No such file or directory\n/var/lib No such file or directory\n\
                    /sys/kernel No such file or directory\n/run/docker.sock No such file or directory\n\
                    /proc/sys/kernel/core_pattern refused\n/proc/sysrq-trigger refused\n/usr/standin-was-here refused\n\
                    /etc/passwd refused\n/standin-was-here refused\n3 processes\n";
    assert_eq!(inside(tried), expected);
}

#[test]
fn exit_codes_and_signals_pass() {
    let rig = || Rig::new(&["plain.example"]);
    assert_eq!(rig().script("exit 7").code, Some(7));
    assert_eq!(rig().script("kill -9 $$").code, Some(137));
    assert_eq!(rig().run(&["no-such-program"]).code, Some(127));
}
