//! How much of the machine the command may use, who holds it to that, and what is said when it ran into it.

use crate::exit::Failure;
use standin_model::{Bound, Bounds};
use standin_sandbox::{Group, Held, Limits, Machine};

/// What mends that nobody can hold a limit that was asked for.
const NEEDS_GROUP: &str =
    "it takes a control group (cgroup v2) that may be divided: try `systemd-run --user --scope standin run …`";

/// A command's limits while it runs.
pub(super) struct Limited {
    limits: Limits,
    group: Option<Group>,
}

impl Limited {
    /// Finds who holds them. The usual ones are held as well as the host can; those that were asked for, or nothing is run.
    pub(super) fn begin(bounds: &Bounds) -> Result<Self, Failure> {
        let limits = Limits::new(bounds, Machine::read());
        let any = limits.memory.is_some() || limits.pids.is_some() || limits.cpu.is_some();
        let limited = Self { limits, group: if any { Group::make(&limits) } else { None } };
        // Without a group the kernel counts a user's processes, but not root's.
        let counted = limited.holds("pids") || !rustix::process::geteuid().is_root();
        for (bound, what, is_held) in [
            (bounds.memory, "memory", limited.holds("memory")),
            (bounds.cpu, "processors", limited.holds("cpu")),
            (bounds.pids, "processes", counted),
        ] {
            if matches!(bound, Bound::At(_)) && !is_held {
                return Err(Failure::new(format!("the command's {what} cannot be limited here")).hint(NEEDS_GROUP));
            }
        }
        Ok(limited)
    }

    fn holds(&self, controller: &str) -> bool {
        self.group.as_ref().is_some_and(|group| group.holds(controller))
    }

    /// For the sandbox.
    pub(super) fn held(&self) -> Held {
        Held {
            group: self.group.as_ref().map(|group| group.directory().to_owned()),
            processes: self.limits.pids.filter(|_| !self.holds("pids")),
            tmp: self.limits.tmp,
        }
    }

    /// What the limits did to a command that ended with this code.
    pub(super) fn end(self, code: Option<i32>) -> Vec<String> {
        let Some(group) = self.group else { return Vec::new() };
        let toll = match group.end() {
            Ok(toll) => toll,
            Err(error) => {
                return vec![format!(
                    "warning: the command's control group is left, and perhaps processes in it: {error}"
                )];
            }
        };
        let mut lines = Vec::new();
        if let Some(memory) = self.limits.memory.filter(|_| toll.ended > 0) {
            let what = match (code, toll.ended) {
                // As shells tell of a kill.
                (Some(137), _) => "the command was ended".to_owned(),
                (_, 1) => "a process of the command was ended".to_owned(),
                (_, count) => format!("{count} processes of the command were ended"),
            };
            lines.push(format!("{what}: it used more than {} of memory (see --memory)", super::bytes(memory)));
        }
        if let Some(pids) = self.limits.pids.filter(|_| toll.refused > 0) {
            lines.push(format!("the command was refused processes: it may have {pids} at once (see --pids)"));
        }
        lines
    }
}
