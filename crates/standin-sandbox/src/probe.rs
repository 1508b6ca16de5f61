//! What a host refuses, and the command that mends it.

use crate::step::Step;
use std::fs;

/// How a failed step is mended, judged by what this host says of itself.
pub(crate) fn mend(step: Step, number: i32) -> Option<String> {
    let setting = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    match step {
        Step::Namespaces | Step::Identity | Step::GatewayNetwork | Step::Mounts
            if number == libc::EPERM || number == libc::EACCES || number == libc::ENOSPC =>
        {
            if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
                return Some(apparmor());
            }
            if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
                return Some("sudo sysctl -w kernel.unprivileged_userns_clone=1".to_owned());
            }
            if setting("/proc/sys/user/max_user_namespaces") == "0" {
                return Some("sudo sysctl -w user.max_user_namespaces=10000".to_owned());
            }
            matches!(step, Step::Namespaces).then(|| {
                "in a container, start it with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`"
                    .to_owned()
            })
        }
        Step::CaptureRules => Some("sudo modprobe -a nf_tables nft_tproxy".to_owned()),
        Step::SandboxNetwork if number == libc::EOPNOTSUPP => Some("sudo modprobe veth".to_owned()),
        Step::Proc => Some("in a container, start it with `--security-opt systempaths=unconfined`".to_owned()),
        _ => None,
    }
}

/// Ubuntu 24.04 and later: a program may make user namespaces only with an AppArmor profile that says so.
fn apparmor() -> String {
    let program =
        std::env::current_exe().map_or_else(|_| "/usr/local/bin/standin".to_owned(), |path| path.display().to_string());
    format!(
        "printf 'abi <abi/4.0>,\\nprofile standin {program} flags=(unconfined) {{\\n  userns,\\n}}\\n' | \
         sudo tee /etc/apparmor.d/standin && sudo apparmor_parser -r /etc/apparmor.d/standin"
    )
}
