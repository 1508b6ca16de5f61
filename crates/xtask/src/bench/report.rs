//! The figures, as tables that can go into SPECIFICATION.md.

use super::arm::Arm;
use super::case::{Case, Figure};
use super::startup::Startup;
use std::time::Duration;

/// What was measured on.
#[expect(clippy::print_stdout, reason = "the bench's output")]
pub(super) fn machine() {
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("{cpus} processors, kernel {}, load before {}\n", kernel.trim(), load.trim());
}

/// Start-up times.
#[expect(clippy::print_stdout, reason = "the bench's output")]
pub(super) fn startup(ways: &[Startup]) {
    println!("| start-up, {} rounds | median | p90 | p99 | added at the median |", ways[0].times.len());
    println!("|---|---|---|---|---|");
    let at = |way: &Startup, percent: usize| way.times[(way.times.len() * percent / 100).min(way.times.len() - 1)];
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let bare = at(&ways[0], 50);
    for way in ways {
        let added = millis(at(way, 50).saturating_sub(bare));
        println!(
            "| `{}` | {:.1} ms | {:.1} ms | {:.1} ms | {added:.1} ms |",
            way.name,
            millis(at(way, 50)),
            millis(at(way, 90)),
            millis(at(way, 99)),
        );
    }
    println!();
}

/// Everything else. Ratios are Standin's to the arm's.
#[expect(clippy::print_stdout, reason = "the bench's output")]
pub(super) fn cases(cases: &[Case], arms: &[Arm], figures: &[Vec<Option<Figure>>]) {
    println!(
        "| case | arm | rate | p50 | p99 | CPU of the proxy | peak memory | Standin's rate to this | Standin's CPU to this |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (case, figures) in cases.iter().zip(figures) {
        let ours = arms.iter().position(|arm| arm.name == "Standin").and_then(|at| figures[at].clone());
        for (arm, figure) in arms.iter().zip(figures) {
            let (Some(figure), Some(ours)) = (figure, &ours) else { continue };
            println!("| {} | {} | {} |", case.name, arm.name, row(figure, ours));
        }
    }
    println!(
        "\nCPU: user and system time of the proxy's process, for a request, connection or event, or for a megabyte."
    );
}

fn row(figure: &Figure, ours: &Figure) -> String {
    let bodies = figure.bytes_rate > 0.0;
    let rate = |figure: &Figure| if bodies { figure.bytes_rate } else { figure.rate };
    let shown = |value: f64, text: String| if value > 0.0 { text } else { "-".to_owned() };
    let unit = if bodies { "MB" } else { "each" };
    [
        if bodies { format!("{:.0} MB/s", figure.bytes_rate / 1e6) } else { format!("{:.0}/s", figure.rate) },
        shown(figure.p50_us, format!("{:.0} µs", figure.p50_us)),
        shown(figure.p99_us, format!("{:.0} µs", figure.p99_us)),
        shown(figure.cpu_us, format!("{:.1} µs/{unit}", figure.cpu_us)),
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        shown(figure.peak_kib as f64, format!("{:.1} MiB", figure.peak_kib as f64 / 1024.0)),
        format!("{:.2}", rate(ours) / rate(figure)),
        shown(figure.cpu_us, format!("{:.2}", ours.cpu_us / figure.cpu_us)),
    ]
    .join(" | ")
}
