//! The last doors: no new privileges, no capabilities, Landlock, seccomp.

use crate::broker::CHANGERS;
use crate::plan::Files;
use crate::step::{At, Step, StepError};
use crate::sys;
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    Scope,
};
use rustix::fs::{FileType, fstat};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Gives up privileges, in the order in which each is still possible.
pub(crate) fn drop_privileges() -> Result<(), StepError> {
    for capability in 0..=63 {
        // The kernel knows fewer than 64; the first unknown one ends the list.
        if sys::prctl(libc::PR_CAPBSET_DROP, capability).is_err() {
            break;
        }
    }
    // Before seccomp and Landlock, which ask for it, and so that no setuid program regains what was dropped.
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).at(Step::Seccomp)?;
    sys::drop_capabilities_but(0).at(Step::Seccomp)
}

/// `CAP_SYS_PTRACE`, over the sandbox only: arguments of processes that made themselves undumpable are read, too.
const SYS_PTRACE: u32 = 1 << 19;
/// `CAP_SYS_ADMIN`, over the sandbox only: masks are mounted.
const SYS_ADMIN: u32 = 1 << 21;

/// The process outside, once the sandbox's first process exists: with the rights of the command, a look into it, and masks for
/// the thread that covers secret files.
pub(crate) fn keep_for_broker() -> Result<(), StepError> {
    sys::drop_capabilities_but(SYS_PTRACE | SYS_ADMIN).at(Step::Broker)
}

/// The thread that answers calls: a look into the sandbox is all it needs.
pub(crate) fn keep_for_answers() -> io::Result<()> {
    sys::drop_capabilities_but(SYS_PTRACE)
}

/// The thread that covers secret files.
pub(crate) fn keep_for_watcher() -> io::Result<()> {
    sys::drop_capabilities_but(SYS_ADMIN)
}

/// A second wall behind the mount view (no mounting, no reaching of the first process by signals or of other namespaces'
/// abstract sockets, where the kernel can), and the floor below the broker of files: by itself the command changes nothing
/// but what is native.
///
/// Who has files restricted by Landlock mounts nothing. So where the command may make namespaces, the mounts alone restrict them: what is
/// inherited in a user namespace is locked.
pub(crate) fn landlock(files: &Files, nested: bool) -> Result<(), StepError> {
    // Of later versions we take what there is, but a kernel without any would leave the wall out in silence.
    sys::landlock_version().at(Step::Landlock)?;
    let restrict = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let scopes = Scope::AbstractUnixSocket | Scope::Signal;
        if nested {
            Ruleset::default().set_compatibility(CompatLevel::BestEffort).scope(scopes)?.create()?.restrict_self()?;
            return Ok(());
        }
        let all = AccessFs::from_all(ABI::V3);
        let read = AccessFs::from_read(ABI::V3);
        // Sockets hold no contents, so their names do not matter.
        let everywhere = read | AccessFs::MakeSock;
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?
            .scope(scopes)?
            .create()?
            .add_rule(PathBeneath::new(PathFd::new("/")?, everywhere))?;
        // It lies in a mount of its own, below no directory: by its name (`/dev/stdin`) it would not be opened again.
        let stdin = io::stdin();
        if FileType::from_raw_mode(fstat(&stdin)?.st_mode) == FileType::RegularFile {
            rules = rules.add_rule(PathBeneath::new(stdin.as_fd(), AccessFs::ReadFile))?;
        }
        for (path, writable) in &files.native {
            // Not every directory of the list is there on every host.
            if let Ok(directory) = PathFd::new(path) {
                rules = rules.add_rule(PathBeneath::new(directory, if *writable { all } else { read }))?;
            }
        }
        rules.restrict_self()?;
        Ok(())
    };
    restrict().map_err(io::Error::other).at(Step::Landlock)
}

const EPERM: u32 = libc::EPERM as u32;
const ENOSYS: u32 = libc::ENOSYS as u32;
const EAFNOSUPPORT: u32 = libc::EAFNOSUPPORT as u32;
const EOPNOTSUPP: u32 = libc::EOPNOTSUPP as u32;

/// Refused with "function not implemented": programs fall back (libuv from io_uring, glibc from clone3).
const ABSENT: &[libc::c_long] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_clone3,
    libc::SYS_openat2, // its mode is behind a pointer; see SET_USER_ID
    457,               // statmount
    458,               // listmount
    467,               // open_tree_attr
];

/// What makes namespaces and mounts in them, as sandboxes do it. Refused, unless they are allowed.
const NESTING: &[libc::c_long] = &[
    libc::SYS_unshare,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// The newer ways to mount, which nobody needs who has the older ones: refused, or absent where those are allowed.
const NEWER_MOUNTS: &[libc::c_long] = &[
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
];

/// Refused with "operation not permitted".
const REFUSED: &[libc::c_long] = &[
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_open_by_handle_at,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_fanotify_init,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_mbind,
    libc::SYS_set_mempolicy,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_vmsplice,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_vhangup,
];

/// Requests of `ioctl` that type into a terminal, or that make and remove directories by name, past Landlock and the broker
/// of files: a snapshot of a subvolume, called `.vscode`.
const REFUSED_REQUESTS: &[libc::Ioctl] = &[
    libc::TIOCSTI,
    libc::TIOCLINUX,
    libc::_IOW::<[u8; 4096]>(BTRFS, 1),   // SNAP_CREATE
    libc::_IOW::<[u8; 4096]>(BTRFS, 14),  // SUBVOL_CREATE
    libc::_IOW::<[u8; 4096]>(BTRFS, 15),  // SNAP_DESTROY
    libc::_IOW::<[u8; 4096]>(BTRFS, 23),  // SNAP_CREATE_V2
    libc::_IOW::<[u8; 4096]>(BTRFS, 24),  // SUBVOL_CREATE_V2
    libc::_IOW::<[u8; 4096]>(BTRFS, 63),  // SNAP_DESTROY_V2
    libc::_IOW::<[u64; 4]>(BCACHEFS, 16), // SUBVOLUME_CREATE
    libc::_IOW::<[u64; 4]>(BCACHEFS, 17), // SUBVOLUME_DESTROY
    // The older ways to what `fallocate` does.
    libc::_IOW::<[u64; 6]>(SPACE, 10), // XFS' ALLOCSP, up to Linux 5.16, and the next
    libc::_IOW::<[u64; 6]>(SPACE, 36), // ALLOCSP64
    libc::_IOW::<[u64; 6]>(SPACE, 40), // RESVSP
    libc::_IOW::<[u64; 6]>(SPACE, 42), // RESVSP64
    libc::_IOW::<[u64; 6]>(SPACE, 57), // ZERO_RANGE
];
const BTRFS: u32 = 0x94;
const BCACHEFS: u32 = 0xbc;
const SPACE: u32 = b'X' as u32;

/// Modes of `fallocate` that take no space. The others take all there is in no time, before anybody could see it: they are not
/// supported, as on some file systems, and programs write instead.
const FREEING: libc::c_int = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_COLLAPSE_RANGE | libc::FALLOC_FL_INSERT_RANGE;

/// Options of sockets for who administers a network, as anybody does in a namespace of his own: they replace the tables of iptables,
/// ip6tables (this one and the next), arptables and ebtables, or route multicast (from there on).
const REPLACE_TABLE: u32 = 64;
const OTHER_TABLES: u32 = 96;

/// Socket families that exist inside. All others (vsock reaches the host, alg and others widen the kernel's surface) do not.
const FAMILIES: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

const NEW_NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Installs the filter. The last step before the command: nothing of ours needs what it refuses, or asks the broker about,
/// who answers on what is returned.
pub(crate) fn seccomp(nested: bool) -> Result<OwnedFd, StepError> {
    sys::notify::install_listener(&filter(nested)).at(Step::Seccomp)
}

/// A program with this bit runs as its owner, and what is written here belongs to the caller outside: in a root's workspace
/// anybody on the host could become root by it. Mounts are `nosuid` inside only.
const SET_USER_ID: u32 = 0o4000;
/// Calls that set a mode, and which argument it is.
const MODE_SETTERS: &[(libc::c_long, u32)] = &[
    (libc::SYS_chmod, 1),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (452, 2), // fchmodat2
    (libc::SYS_creat, 1),
    (libc::SYS_mknod, 1),
    (libc::SYS_mknodat, 2),
];
/// Calls that may make a file, and which arguments their flags and mode are.
const OPENERS: &[(libc::c_long, u32, u32)] = &[(libc::SYS_open, 1, 2), (libc::SYS_openat, 2, 3)];

/// Offsets in `struct seccomp_data`; arguments are 64 bits, of which the low half comes first on x86-64.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENT_0: u32 = 16;
const ARGUMENT_1: u32 = 24;
const ARGUMENT_2: u32 = 32;
const ARGUMENT_BYTES: u32 = 8;
const X86_64: u32 = 0xc000_003e;
/// From here on numbers belong to the x32 ABI.
const X32: u32 = 0x4000_0000;

/// The filter as a BPF program. Where namespaces may be made the broker guards nothing, and is not asked: it would look for paths
/// where they lead outside of them.
fn filter(nested: bool) -> Vec<libc::sock_filter> {
    let asked = if nested { libc::SECCOMP_RET_ALLOW } else { libc::SECCOMP_RET_USER_NOTIF };
    let mut program = vec![
        load(ARCHITECTURE),
        jump_unless(libc::BPF_JEQ, X86_64, 1, 0),
        give(libc::SECCOMP_RET_KILL_PROCESS), // i386: another numbering of calls
        load(NUMBER),
        jump_unless(libc::BPF_JGE, X32, 0, 1),
        give(errno(ENOSYS)),
    ];
    // First, because they are the most frequent of those whose arguments are looked at.
    openers(&mut program, asked);
    for call in ABSENT {
        program.extend([jump_unless(libc::BPF_JEQ, number(*call), 0, 1), give(errno(ENOSYS))]);
    }
    for call in REFUSED {
        program.extend([jump_unless(libc::BPF_JEQ, number(*call), 0, 1), give(errno(EPERM))]);
    }
    for call in NEWER_MOUNTS {
        let answer = errno(if nested { ENOSYS } else { EPERM });
        program.extend([jump_unless(libc::BPF_JEQ, number(*call), 0, 1), give(answer)]);
    }
    if !nested {
        for call in NESTING {
            program.extend([jump_unless(libc::BPF_JEQ, number(*call), 0, 1), give(errno(EPERM))]);
        }
        let namespaces = NEW_NAMESPACES.cast_unsigned();
        let refuse = [load(ARGUMENT_0), jump_unless(libc::BPF_JSET, namespaces, 0, 1), give(errno(EPERM))];
        when(&mut program, libc::SYS_clone, &refuse);
    }
    let mut socket = vec![load(ARGUMENT_0)];
    for family in FAMILIES {
        socket.extend([jump_unless(libc::BPF_JEQ, family.cast_unsigned(), 0, 1), give(libc::SECCOMP_RET_ALLOW)]);
    }
    socket.extend([
        // Routing tables are read by getifaddrs, Go and Node; other netlink protocols are not for programs.
        jump_unless(libc::BPF_JEQ, libc::AF_NETLINK.cast_unsigned(), 0, 3),
        load(ARGUMENT_2),
        jump_unless(libc::BPF_JEQ, 0, 0, 1),
        give(libc::SECCOMP_RET_ALLOW),
        give(errno(EAFNOSUPPORT)),
    ]);
    when(&mut program, libc::SYS_socket, &socket);
    when(&mut program, libc::SYS_socketpair, &socket);
    tables(&mut program);
    let takes = [load(ARGUMENT_1), jump_unless(libc::BPF_JSET, FREEING.cast_unsigned(), 1, 0), give(errno(EOPNOTSUPP))];
    when(&mut program, libc::SYS_fallocate, &takes);
    // Only the low 32 bits of a request count for the kernel, so only they are compared (CVE-2019-10063).
    let mut ioctl = vec![load(ARGUMENT_1)];
    for request in REFUSED_REQUESTS {
        ioctl.extend([jump_unless(libc::BPF_JEQ, low_half(*request), 0, 1), give(errno(EPERM))]);
    }
    when(&mut program, libc::SYS_ioctl, &ioctl);
    for (call, mode) in MODE_SETTERS {
        let refuse = [argument(*mode), jump_unless(libc::BPF_JSET, SET_USER_ID, 0, 1), give(errno(EPERM))];
        let rest = if CHANGERS.contains(call) { asked } else { libc::SECCOMP_RET_ALLOW };
        when(&mut program, *call, &[refuse.as_slice(), &[give(rest)]].concat());
    }
    for call in CHANGERS {
        program.extend([jump_unless(libc::BPF_JEQ, number(*call), 0, 1), give(asked)]);
    }
    program.push(give(libc::SECCOMP_RET_ALLOW));
    program
}

/// Setting an option of a socket: none of the kernel's older packet filters, as netlink's newer one cannot be reached either.
fn tables(program: &mut Vec<libc::sock_filter>) {
    let [ip, ipv6] = [libc::SOL_IP, libc::SOL_IPV6].map(i32::cast_unsigned);
    let body = [
        load(ARGUMENT_1),
        jump_unless(libc::BPF_JEQ, ip, 1, 0),
        jump_unless(libc::BPF_JEQ, ipv6, 0, 5), // to the end: allowed
        load(ARGUMENT_2),
        jump_unless(libc::BPF_JGE, OTHER_TABLES, 2, 0),
        jump_unless(libc::BPF_JEQ, REPLACE_TABLE, 1, 0),
        jump_unless(libc::BPF_JEQ, REPLACE_TABLE + 1, 0, 1),
        give(errno(EPERM)),
    ];
    when(program, libc::SYS_setsockopt, &body);
}

/// Opening: no file gets the set-user-ID bit; the broker is asked about what writes or makes.
fn openers(program: &mut Vec<libc::sock_filter>, asked: u32) {
    let nameless = libc::O_TMPFILE & !libc::O_DIRECTORY;
    // Without these flags there is no mode: the argument is whatever was in its register.
    let makes = (libc::O_CREAT | nameless).cast_unsigned();
    let changes = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | nameless).cast_unsigned();
    // A descriptor of this kind has no contents, whatever the other flags.
    let path_only = libc::O_PATH.cast_unsigned();
    for (call, flags, mode) in OPENERS {
        let body = [
            argument(*flags),
            jump_unless(libc::BPF_JSET, path_only, 7, 0), // to the end: allowed
            jump_unless(libc::BPF_JSET, makes, 0, 4),
            argument(*mode),
            jump_unless(libc::BPF_JSET, SET_USER_ID, 0, 1),
            give(errno(EPERM)),
            argument(*flags),
            jump_unless(libc::BPF_JSET, changes, 0, 1),
            give(asked),
        ];
        when(program, *call, &body);
    }
}

fn argument(number: u32) -> libc::sock_filter {
    load(ARGUMENT_0 + number * ARGUMENT_BYTES)
}

/// Runs `body` for one call; what it lets pass is allowed.
fn when(program: &mut Vec<libc::sock_filter>, call: libc::c_long, body: &[libc::sock_filter]) {
    let past = u8::try_from(body.len() + 1).expect("bodies are short");
    program.push(jump_unless(libc::BPF_JEQ, number(call), 0, past));
    program.extend_from_slice(body);
    program.push(give(libc::SECCOMP_RET_ALLOW));
}

fn load(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

/// Compares and jumps: `yes` instructions ahead if it holds, `no` if not.
fn jump_unless(test: u32, value: u32, yes: u8, no: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | test | libc::BPF_K, value, yes, no)
}

fn give(verdict: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, verdict, 0, 0)
}

fn errno(number: u32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number
}

fn low_half(request: libc::Ioctl) -> u32 {
    u32::try_from(request & 0xffff_ffff).expect("32 bits")
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).expect("system calls are numbered from 0 to some hundreds")
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).expect("BPF codes have 16 bits"), jt, jf, k }
}
