//! What a host refuses, and the command that mends it.

use crate::step::Step;
use std::fs;
use std::path::Path;

/// What a host says of itself: the settings under /proc/sys, trimmed; nothing where there is no such setting.
pub(crate) trait Host {
    /// A setting, by its name for `sysctl`.
    fn setting(&self, name: &str) -> Option<String>;
    /// Our own program, as the host calls it.
    fn program(&self) -> String;
}

/// The host we run on.
pub(crate) struct ThisHost;

impl Host for ThisHost {
    fn setting(&self, name: &str) -> Option<String> {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
    }

    fn program(&self) -> String {
        std::env::current_exe().map_or_else(|_| "/usr/local/bin/standin".to_owned(), |path| path.display().to_string())
    }
}

/// Namespaces of which a host may allow none.
const KINDS: &[&str] = &["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];
const CONTAINER: &str =
    "in a container, start it with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined`";

/// How a failed step is mended, judged by what the host says of itself.
pub(crate) fn mend(step: Step, number: i32, host: &impl Host) -> Option<String> {
    let refused = number == libc::EPERM || number == libc::EACCES;
    match step {
        // The kernel's word for "no more of these".
        Step::Namespaces | Step::SandboxNetwork if number == libc::ENOSPC => Some(more_namespaces(host)),
        Step::Namespaces | Step::Identity | Step::GatewayNetwork | Step::Mounts if refused => {
            let is = |name: &str, value: &str| host.setting(name).as_deref() == Some(value);
            if is("kernel.apparmor_restrict_unprivileged_userns", "1") {
                return Some(apparmor(&host.program()));
            }
            if is("kernel.unprivileged_userns_clone", "0") {
                return Some("sudo sysctl -w kernel.unprivileged_userns_clone=1".to_owned());
            }
            (step == Step::Namespaces).then(|| CONTAINER.to_owned())
        }
        Step::Layer if number == libc::ENODEV => Some("sudo modprobe overlay".to_owned()),
        Step::Layer => Some(
            "Standin's state directory must lie on a local file system that is no overlay itself, and nothing may be \
             mounted below the workspace; set XDG_STATE_HOME, or run without --cow"
                .to_owned(),
        ),
        Step::CaptureRules => Some("sudo modprobe -a nf_tables nft_tproxy".to_owned()),
        Step::SandboxNetwork if number == libc::EOPNOTSUPP => Some("sudo modprobe veth".to_owned()),
        Step::Proc => Some("in a container, start it with `--security-opt systempaths=unconfined`".to_owned()),
        Step::Mounts | Step::Descriptors if number == libc::ENOSYS => {
            Some("boot a kernel of version 5.14 or later (mount_setattr, close_range, Landlock)".to_owned())
        }
        Step::Limits => Some("run without: standin run --memory none --pids none".to_owned()),
        Step::Landlock => {
            Some("add landlock to the list after `lsm=` on the kernel's command line, and boot again".to_owned())
        }
        _ => None,
    }
}

/// Names the limits that are zero, or else that of user namespaces, which is the one that runs out.
fn more_namespaces(host: &impl Host) -> String {
    let name = |kind: &&str| format!("user.max_{kind}_namespaces");
    let mut exhausted: Vec<_> = KINDS.iter().map(name).filter(|n| host.setting(n).as_deref() == Some("0")).collect();
    if exhausted.is_empty() {
        exhausted.push(name(&"user"));
    }
    let settings: Vec<_> = exhausted.iter().map(|name| format!("{name}=10000")).collect();
    format!("sudo sysctl -w {}", settings.join(" "))
}

/// Ubuntu 24.04 and later: a program may make user namespaces only with an AppArmor profile that says so.
fn apparmor(program: &str) -> String {
    format!(
        "printf 'abi <abi/4.0>,\\nprofile standin {program} flags=(unconfined) {{\\n  userns,\\n}}\\n' | \
         sudo tee /etc/apparmor.d/standin && sudo apparmor_parser -r /etc/apparmor.d/standin"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host with these settings and no others.
    struct Settings(&'static [(&'static str, &'static str)]);

    impl Host for Settings {
        fn setting(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        }

        fn program(&self) -> String {
            "/opt/standin".to_owned()
        }
    }

    const PLAIN: &[(&str, &str)] = &[("user.max_user_namespaces", "60000")];
    const UBUNTU: &[(&str, &str)] = &[("kernel.apparmor_restrict_unprivileged_userns", "1")];
    const UBUNTU_OFF: &[(&str, &str)] = &[("kernel.apparmor_restrict_unprivileged_userns", "0")];
    const OLD_DEBIAN: &[(&str, &str)] = &[("kernel.unprivileged_userns_clone", "0")];
    const NO_USERS: &[(&str, &str)] = &[("user.max_user_namespaces", "0")];
    const NO_NETWORKS: &[(&str, &str)] = &[("user.max_net_namespaces", "0"), ("user.max_ipc_namespaces", "0")];

    #[test]
    fn every_refusal_has_its_mend() {
        let apparmor = "printf 'abi <abi/4.0>,\\nprofile standin /opt/standin flags=(unconfined) {\\n  userns,\\n}\\n' | \
                        sudo tee /etc/apparmor.d/standin && sudo apparmor_parser -r /etc/apparmor.d/standin";
        let one_setting = "sudo sysctl -w kernel.unprivileged_userns_clone=1";
        let modules = "sudo modprobe -a nf_tables nft_tproxy";
        let state = "Standin's state directory must lie on a local file system that is no overlay itself, and nothing may be \
                     mounted below the workspace; set XDG_STATE_HOME, or run without --cow";
        let masked = "in a container, start it with `--security-opt systempaths=unconfined`";
        for (step, number, settings, expected) in [
            (Step::Namespaces, libc::EPERM, UBUNTU, Some(apparmor)),
            (Step::Identity, libc::EACCES, UBUNTU, Some(apparmor)),
            (Step::GatewayNetwork, libc::EPERM, UBUNTU, Some(apparmor)),
            (Step::Mounts, libc::EACCES, UBUNTU, Some(apparmor)),
            (Step::Namespaces, libc::EPERM, OLD_DEBIAN, Some(one_setting)),
            (Step::Namespaces, libc::EPERM, UBUNTU_OFF, Some(CONTAINER)),
            (Step::Namespaces, libc::EPERM, PLAIN, Some(CONTAINER)),
            (Step::Mounts, libc::EPERM, PLAIN, None),
            (Step::Namespaces, libc::ENOSPC, NO_USERS, Some("sudo sysctl -w user.max_user_namespaces=10000")),
            (Step::Namespaces, libc::ENOSPC, PLAIN, Some("sudo sysctl -w user.max_user_namespaces=10000")),
            (
                Step::SandboxNetwork,
                libc::ENOSPC,
                NO_NETWORKS,
                Some("sudo sysctl -w user.max_net_namespaces=10000 user.max_ipc_namespaces=10000"),
            ),
            (Step::CaptureRules, libc::EOPNOTSUPP, PLAIN, Some(modules)),
            (Step::CaptureRules, libc::ENOENT, PLAIN, Some(modules)),
            (Step::SandboxNetwork, libc::EOPNOTSUPP, PLAIN, Some("sudo modprobe veth")),
            (Step::Layer, libc::ENODEV, PLAIN, Some("sudo modprobe overlay")),
            (Step::Layer, libc::EINVAL, PLAIN, Some(state)),
            (Step::Proc, libc::EPERM, PLAIN, Some(masked)),
            (Step::Limits, libc::EBUSY, PLAIN, Some("run without: standin run --memory none --pids none")),
            (Step::Exec, libc::ENOENT, UBUNTU, None),
        ] {
            assert_eq!(mend(step, number, &Settings(settings)).as_deref(), expected, "{step:?} {number}");
        }
    }

    #[test]
    fn this_host_is_asked_by_the_names_of_sysctl() {
        assert_eq!(ThisHost.setting("kernel.ostype").as_deref(), Some("Linux"));
        assert_eq!(ThisHost.setting("kernel.no_such_setting"), None);
    }
}
