//! What the kernel says of a process: CPU time and memory.

use std::fs;
use std::time::Duration;

/// User and system time of all threads of a process: `utime` and `stime` (proc_pid_stat(5), fields 14 and 15), in clock
/// ticks.
pub(super) fn cpu_time(pid: u32) -> std::io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in parentheses that may hold anything, spaces too.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<u64> = after_name.split_whitespace().skip(11).take(2).filter_map(|f| f.parse().ok()).collect();
    let ticks: u64 = fields.iter().sum();
    Ok(Duration::from_micros(ticks * 1_000_000 / rustix::param::clock_ticks_per_second()))
}

/// Resident memory now and at its highest, in KiB (`VmRSS`, `VmHWM` of proc_pid_status(5)).
pub(super) fn memory(pid: u32) -> std::io::Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    Ok((field("VmRSS:"), field("VmHWM:")))
}
