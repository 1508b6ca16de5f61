//! From what the user wants to limits in numbers, by what the machine has.

use serde::{Deserialize, Serialize};
use standin_model::{Bound, Bounds};
use std::io;
use std::path::PathBuf;

const GIB: u64 = 1 << 30;
/// Most processes and threads, if the machine can have many more. The largest builds and browsers have some hundreds.
const USUAL_PIDS: u64 = 8_192;
/// Bytes of private directories for each file in them: a file costs the kernel a KiB, however small.
const BYTES_PER_FILE: u64 = 8 * 1024;
/// Fewest numbers of processes: some 300 are the kernel's own, and it takes no fewer than 8 for each processor.
const LEAST_NUMBERS: u64 = 4_096;
/// The first version of Linux in which each pid namespace has its own.
const OWN_NUMBERS: (u32, u32) = (6, 14);
/// How much likelier than others its processes are ended when the machine has no memory left, in thousandths of it.
pub(crate) const SCORE: i32 = 300;

/// What the machine has.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Bytes of memory.
    pub memory: u64,
    /// Processes and threads that there may be.
    pub pids: u64,
}

/// Limits in numbers. What is not there is not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Thousandths of a processor.
    pub cpu: Option<u64>,
    /// Bytes in all private directories together.
    pub tmp: u64,
}

/// How the sandbox holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The control group that the command is put into.
    pub group: Option<PathBuf>,
    /// Most processes and threads of the user in the sandbox, where no control group holds that.
    pub processes: Option<u64>,
    /// Bytes in all private directories together.
    pub tmp: u64,
}

impl Machine {
    /// Looks at this machine.
    pub fn read() -> Self {
        let number = |path: &str| std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory =
            memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
        let pids = [number("/proc/sys/kernel/pid_max"), number("/proc/sys/kernel/threads-max")];
        Self {
            // A machine that does not say what it has has as much as the smallest that one would work on.
            memory: memory.map_or(2 * GIB, |kib: u64| kib * 1024),
            pids: pids.into_iter().flatten().min().unwrap_or(32_768),
        }
    }
}

impl Limits {
    /// By default an eighth of the memory, and at least a GiB, stays for the host; private directories take at most half.
    pub fn new(bounds: &Bounds, machine: Machine) -> Self {
        let spare = (machine.memory / 8).max(GIB).min(machine.memory / 2);
        let memory = in_numbers(bounds.memory, Some(machine.memory - spare));
        let half = machine.memory.min(memory.unwrap_or(u64::MAX)) / 2;
        Self {
            memory,
            pids: in_numbers(bounds.pids, Some(USUAL_PIDS.min(machine.pids / 4))),
            cpu: in_numbers(bounds.cpu, None),
            tmp: in_numbers(bounds.tmp, Some(half)).unwrap_or(machine.memory),
        }
    }
}

/// Bounds processes by their numbers, of which this pid namespace has its own: that counts root's, too. The usual bound, where nobody else
/// holds it; gives whether it does.
pub(crate) fn bound_numbers(most: u64) -> io::Result<bool> {
    // Before, they are the whole host's, and root may set them.
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if version(&release).is_none_or(|version| version < OWN_NUMBERS) {
        return Ok(false);
    }
    std::fs::write("/proc/sys/kernel/pid_max", most.max(LEAST_NUMBERS).to_string()).map(|()| true)
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

impl Held {
    /// The number of files in all private directories together.
    pub(crate) fn files(&self) -> u64 {
        self.tmp / BYTES_PER_FILE
    }
}

fn in_numbers(bound: Bound, usual: Option<u64>) -> Option<u64> {
    match bound {
        Bound::Usual => usual,
        Bound::Unlimited => None,
        Bound::At(most) => Some(most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (release, own) in
            [("6.18.44-fc", true), ("6.14.0", true), ("7.0-rc1", true), ("6.8.0-51-generic", false), ("5.15", false)]
        {
            assert_eq!(version(release).unwrap() >= OWN_NUMBERS, own, "{release}");
        }
        assert_eq!(version("next"), None);
    }

    #[test]
    fn something_is_left_for_the_host() {
        let of = |gib: u64, bounds: Bounds| Limits::new(&bounds, Machine { memory: gib * GIB, pids: 32_768 });
        let usual = |gib| of(gib, Bounds::default());
        assert_eq!((usual(64).memory, usual(64).tmp), (Some(56 * GIB), 28 * GIB));
        assert_eq!((usual(4).memory, usual(1).memory), (Some(3 * GIB), Some(GIB / 2)));
        assert_eq!((usual(8).pids, usual(8).cpu), (Some(8_192), None));
        let asked = Bounds {
            memory: Bound::At(GIB),
            pids: Bound::Unlimited,
            cpu: Bound::At(500),
            tmp: Bound::Unlimited,
            ..Bounds::default()
        };
        let expected = Limits { memory: Some(GIB), pids: None, cpu: Some(500), tmp: 8 * GIB };
        assert_eq!(of(8, asked), expected);
    }
}
