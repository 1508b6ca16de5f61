//! What is measured, on which arms, and how often.

use super::arm::Arm;
use super::load::{Outcome, Work};
use super::{NO_SECRET, progress};
use crate::Failure;
use std::time::Duration;

/// One measurement.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) work: Work,
    /// Arms that cannot do it in reasonable time, or of which it says nothing.
    pub(super) without: &'static [&'static str],
}

/// The median of one case on one arm.
#[derive(Clone, Debug, Default)]
pub(super) struct Figure {
    /// Requests, connections or events a second.
    pub(super) rate: f64,
    /// Bytes a second.
    pub(super) bytes_rate: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// CPU time of the proxy for each of them, in microseconds; for bodies, for each megabyte.
    pub(super) cpu_us: f64,
    /// The proxy's memory after the last round, at its highest, in KiB.
    pub(super) peak_kib: u64,
}

/// All cases.
pub(super) fn all(millis: u64) -> Vec<Case> {
    let case = |name, work| Case { name, work, without: &[NO_SECRET] };
    vec![
        case("keep-alive, 1 connection", Work::KeepAlive { connections: 1, millis }),
        case("keep-alive, 16 connections", Work::KeepAlive { connections: 16, millis }),
        case("keep-alive, 64 connections", Work::KeepAlive { connections: 64, millis }),
        Case {
            name: "HTTP/2, 100 streams",
            work: Work::Streams { streams: 100, millis },
            without: &[NO_SECRET, "hudsucker"],
        },
        case("new TLS connections, 8 at a time", Work::Connect { parallel: 8, millis }),
        Case { name: "100 MB down", work: Work::Down { connections: 1, bytes: 100_000_000 }, without: &[] },
        case("100 MB up", Work::Up { bytes: 100_000_000 }),
        case("events, one each 5 ms", Work::Events { count: 200 }),
        Case {
            name: "64 times 100 MB down",
            work: Work::Down { connections: 64, bytes: 100_000_000 },
            without: &["mitmproxy", NO_SECRET],
        },
    ]
}

/// Measures every case on every arm in turn, `rounds` times; the outer index is the case's.
pub(super) fn measure(cases: &[Case], arms: &mut [Arm], rounds: usize) -> Result<Vec<Vec<Option<Figure>>>, Failure> {
    let mut all = Vec::new();
    for arm in &mut *arms {
        // Fills pools, caches and leaves.
        arm.measure(Work::KeepAlive { connections: 1, millis: 100 })?;
    }
    for case in cases {
        progress(case.name);
        let mut samples: Vec<Vec<Figure>> = vec![Vec::new(); arms.len()];
        for _ in 0..rounds {
            for (arm, samples) in arms.iter_mut().zip(&mut samples) {
                if !case.without.contains(&arm.name) {
                    let (outcome, cpu) = arm.measure(case.work)?;
                    samples.push(figure(&outcome, cpu, arm.memory()?.1));
                }
            }
        }
        all.push(samples.iter().map(|samples| median_of(samples)).collect());
    }
    Ok(all)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn figure(outcome: &Outcome, cpu: Duration, peak_kib: u64) -> Figure {
    let seconds = outcome.elapsed_us as f64 / 1e6;
    let units = if outcome.count > 0 { outcome.count as f64 } else { outcome.bytes as f64 / 1e6 };
    Figure {
        rate: outcome.count as f64 / seconds,
        bytes_rate: outcome.bytes as f64 / seconds,
        p50_us: outcome.p50_us,
        p99_us: outcome.p99_us,
        cpu_us: cpu.as_secs_f64() * 1e6 / units,
        peak_kib,
    }
}

fn median_of(samples: &[Figure]) -> Option<Figure> {
    let peak_kib = samples.iter().map(|sample| sample.peak_kib).max()?;
    let median = |of: fn(&Figure) -> f64| {
        let mut values: Vec<f64> = samples.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Some(Figure {
        rate: median(|s| s.rate),
        bytes_rate: median(|s| s.bytes_rate),
        p50_us: median(|s| s.p50_us),
        p99_us: median(|s| s.p99_us),
        cpu_us: median(|s| s.cpu_us),
        peak_kib,
    })
}
