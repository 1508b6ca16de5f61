//! `standin doctor --attack`: the catalogue of ways out, tried on this host.

use crate::exit::{self, Failure};
use crate::scratch::Scratch;
use crate::{ourselves, random};
use standin_attack::stage::{self, Cue, Report};
use standin_attack::verdict::{Judged, Verdict, judge};
use standin_model::Backend;
use standin_sandbox::private_network;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Stdio;

/// The part that this process plays, if it was started for one.
pub(super) fn hidden_role(first: Option<&OsStr>) -> Option<fn() -> Result<i32, Failure>> {
    match first?.to_str()? {
        stage::ARGUMENT => Some(play),
        text if text.starts_with("__attack-") => Some(|| {
            let role = stage::hidden_role(std::env::args().skip(1));
            role.ok_or_else(|| Failure::new("there is no such part to play"))
        }),
        _ => None,
    }
}

fn play() -> Result<i32, Failure> {
    let directory = std::env::args_os().nth(2).map(PathBuf::from).ok_or_else(|| Failure::new("no directory"))?;
    stage::play(&directory, private_network::enter).map_err(|error| Failure::because("the attack failed", &error))?;
    Ok(exit::SUCCESS)
}

/// Tries everything in a sandbox of this back-end; the exit code says whether anything is open.
pub(super) fn attack(backend: Backend, json: bool) -> Result<i32, Failure> {
    if backend == Backend::Gvisor {
        return Err(Failure::new(
            "the attack cannot be made with gVisor yet: one of its attempts ends the session there",
        )
        .hint("docs/backends.md says what is known of gVisor"));
    }
    let scratch = Scratch::new("attack")?;
    let (seed, secret) = (random::letters::<16>()?, random::letters::<16>()?);
    let cue = Cue { seed, secret, backend: backend.as_str().to_owned() };
    let report = perform(&scratch, &cue)?;
    let judged = judge(&report);
    let out = &mut io::stdout().lock();
    for row in &judged {
        if json { write_json(out, row) } else { write_text(out, row) }.map_err(Failure::output)?;
    }
    let count = |verdict| judged.iter().filter(|row| row.verdict == verdict).count();
    let all = [Verdict::Contained, Verdict::Open, Verdict::NotApplicable, Verdict::Untried];
    let counts: Vec<_> = all.iter().map(|verdict| format!("{} {}", count(*verdict), verdict.as_str())).collect();
    exit::say(&format!("{}; docs/threats.md says what stops each", counts.join(", ")));
    let held = count(Verdict::Open) == 0 && count(Verdict::Untried) == 0;
    Ok(if held { exit::SUCCESS } else { exit::CHECK_FAILED })
}

fn perform(scratch: &Scratch, cue: &Cue) -> Result<Report, Failure> {
    let cannot = |error: io::Error| Failure::because("cannot start the attack", &error);
    let mut stage = ourselves::playing(stage::ARGUMENT)?
        .arg(scratch.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    if let Some(mut stdin) = stage.stdin.take() {
        stdin.write_all(serde_json::to_string(cue).unwrap_or_default().as_bytes()).map_err(cannot)?;
    }
    let output = stage.wait_with_output().map_err(cannot)?;
    if !output.status.success() {
        return Err(Failure::new(format!("the attack's stage ended with {}", output.status))
            .hint("`standin doctor` says whether sandboxes start here"));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| Failure::because("the attack's report cannot be read", &error))
}

fn write_text(out: &mut impl Write, row: &Judged) -> io::Result<()> {
    writeln!(out, "{:>3} {:<14} {}", row.vector.number, row.verdict.as_str(), row.vector.name)?;
    if row.verdict == Verdict::Contained {
        return Ok(());
    }
    writeln!(out, "{:19}{}", "", row.why)?;
    if let Some(known) = row.known() {
        writeln!(out, "{:19}known: {known}", "")?;
    }
    row.copied.map_or(Ok(()), |copied| writeln!(out, "{:19}with --cow: {}", "", copied.as_str()))
}

fn write_json(out: &mut impl Write, row: &Judged) -> io::Result<()> {
    let json = serde_json::json!({
        "number": row.vector.number,
        "name": row.vector.name,
        "group": row.vector.group.as_str(),
        "verdict": row.verdict.as_str(),
        "why": row.why,
        "known": row.known(),
        "with_cow": row.copied.map(Verdict::as_str),
    });
    writeln!(out, "{json}")
}
