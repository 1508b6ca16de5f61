//! A host that lacks something: nothing is run, and the message says what is missing and how it is mended.

use crate::direct::Caller;
use standin_e2e::binary;
use std::process::Command;

/// Runs a program that finds one system call refused: `NUMBER ERRNO ARGUMENT VALUE PROGRAM…`; the refusal may depend on
/// an argument of the call (which tells netlink's protocols apart). A seccomp filter survives `exec`.
const WITHOUT: &str = "import ctypes, os, struct, sys
number, errno, argument, value = map(int, sys.argv[1:5])
LOAD, EQUAL, GIVE, ALLOW, REFUSE = 0x20, 0x15, 0x06, 0x7fff0000, 0x00050000
program = [(LOAD, 0, 0, 0), (EQUAL, 0, 3, number), (LOAD, 0, 0, 16 + 8 * argument), (EQUAL, 0, 1, value),
           (GIVE, 0, 0, REFUSE | errno), (GIVE, 0, 0, ALLOW)]
if argument < 0:
    program = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, number), (GIVE, 0, 0, REFUSE | errno), (GIVE, 0, 0, ALLOW)]
code = b''.join(struct.pack('HBBI', *instruction) for instruction in program)
code = ctypes.create_string_buffer(code)
filter = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(program), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, filter, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[5], sys.argv[5:])";

/// Standin where this system call ends with this error, if one of its arguments has this value; of none, always.
pub fn without(caller: &Caller, call: i32, errno: i32, (argument, value): (i32, i32)) -> Command {
    let mut command = caller.program("/usr/bin/python3");
    command.args(["-c", WITHOUT]);
    command.args([call, errno, argument, value].map(|number| number.to_string())).arg(binary("standin"));
    command
}

/// Standin where none of these kinds of namespaces can be made. In a user namespace of one's own these limits are one's
/// own, too.
pub fn without_namespaces(caller: &Caller, kinds: &str) -> Command {
    let script = format!(
        "for kind in {kinds}; do echo 0 >/proc/sys/user/max_${{kind}}_namespaces || exit 99; done; exec \"$0\" \"$@\""
    );
    let mut command = caller.program("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", &script]).arg(binary("standin"));
    command
}

/// What standin says when it runs by this command; the sandboxed command must not have run.
fn refused(caller: &Caller, mut command: Command) -> String {
    command.args(["run", "--", "touch", "it-ran"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(!caller.path("workspace/it-ran").exists());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn said(what: &str, system: &str, mend: Option<&str>) -> String {
    let hint = mend.map_or_else(String::new, |mend| format!("standin: hint: {mend}\n"));
    format!("standin: error: the sandbox did not start, and nothing was run: cannot {what}: {system}\n{hint}")
}

const NAMESPACES: &str = "make the namespaces that the sandbox is built of (user, mount, pid, net, ipc, uts, cgroup)";

#[test]
fn missing_system_calls_are_named_with_their_mend() {
    let anything = (-1, 0);
    let container =
        "in a container, start it with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`";
    let modules = "sudo modprobe -a nf_tables nft_tproxy";
    let kernel = "boot a kernel of version 5.14 or later (mount_setattr, close_range, Landlock)";
    let landlock = "add landlock to the list after `lsm=` on the kernel's command line, and boot again";
    let absent = "Function not implemented (os error 38)";
    for (call, errno, when, what, system, mend) in [
        (272, 1, anything, NAMESPACES, "Operation not permitted (os error 1)", Some(container)),
        (
            41,
            93,
            (2, 12),
            "capture connections with nftables (kernel modules nf_tables and nft_tproxy)",
            "Protocol not supported (os error 93)",
            Some(modules),
        ),
        (442, 38, anything, "set up the sandbox's files: /usr", absent, Some(kernel)),
        (436, 38, anything, "close the caller's descriptors with close_range", absent, Some(kernel)),
        (
            444,
            95,
            anything,
            "restrict the command with Landlock (a kernel with CONFIG_SECURITY_LANDLOCK)",
            "Operation not supported (os error 95)",
            Some(landlock),
        ),
        // The gate: what it sends to nobody must be answered.
        (
            42,
            101,
            anything,
            "run anything in this sandbox, which does not hold",
            "a datagram is not refused: Network is unreachable (os error 101)",
            None,
        ),
        // Only the broker asks for this one (CLONE_FS).
        (
            272,
            1,
            (0, 0x200),
            "start the broker of the workspace's files (seccomp's user notification)",
            "Operation not permitted (os error 1)",
            None,
        ),
        (317, 22, anything, "restrict the command's system calls with seccomp", "Invalid argument (os error 22)", None),
    ] {
        let caller = Caller::new();
        assert_eq!(refused(&caller, without(&caller, call, errno, when)), said(what, system, mend), "call {call}");
    }
}

#[test]
fn namespaces_of_which_none_are_allowed_are_named() {
    for (kinds, mend) in [
        ("user", "sudo sysctl -w user.max_user_namespaces=10000"),
        ("net", "sudo sysctl -w user.max_net_namespaces=10000"),
        ("pid cgroup", "sudo sysctl -w user.max_pid_namespaces=10000 user.max_cgroup_namespaces=10000"),
    ] {
        let caller = Caller::new();
        let said = said(NAMESPACES, "No space left on device (os error 28)", Some(mend));
        assert_eq!(refused(&caller, without_namespaces(&caller, kinds)), said, "{kinds}");
    }
}
