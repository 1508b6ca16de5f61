//! `standin log`: what a session did.

use crate::cli::LogArguments;
use crate::exit::{self, Failure};
use crate::run::{bytes, state_directory};
use serde::Serialize;
use standin_audit::{AuditReader, FileRow, RecordRow, SessionRow};
use standin_workspace::printable;
use std::io::{self, BufWriter, Write};

/// Prints records (or sessions), for people or for programs.
pub(crate) fn log(arguments: &LogArguments) -> Result<i32, Failure> {
    let cannot_read = |error: standin_audit::ReadError| Failure::because("cannot show the log", &error);
    let reader = AuditReader::open(&state_directory()?).map_err(cannot_read)?;
    let out = &mut BufWriter::new(io::stdout().lock());
    if arguments.sessions {
        let sessions = reader.sessions(50).map_err(cannot_read)?;
        for session in &sessions {
            print_session(out, session, arguments.json).map_err(Failure::output)?;
        }
        return out.flush().map_err(Failure::output).map(|()| exit::SUCCESS);
    }
    let session = match &arguments.session {
        Some(id) => reader.session(id),
        None => reader.last_session(),
    };
    let Some(session) = session.map_err(cannot_read)? else {
        return Err(Failure::new("no such session is recorded").code(exit::CHECK_FAILED));
    };
    if !(arguments.json && arguments.denied) {
        print_session(out, &session, arguments.json).map_err(Failure::output)?;
        print_assurance(out, &session, arguments.json).map_err(Failure::output)?;
    }
    for record in reader.records(&session.id).map_err(cannot_read)? {
        if arguments.denied && record.verdict != "deny" {
            continue;
        }
        print_record(out, &record, arguments.json).map_err(Failure::output)?;
    }
    for file in reader.files(&session.id).map_err(cannot_read)? {
        print_file(out, &file, arguments.json).map_err(Failure::output)?;
    }
    out.flush().map_err(Failure::output)?;
    Ok(exit::SUCCESS)
}

fn print_session(out: &mut impl Write, session: &SessionRow, json: bool) -> io::Result<()> {
    if json {
        return json_line(out, session);
    }
    let end = match (session.ended_us, session.exit_code) {
        (None, _) => "not ended".to_owned(),
        (Some(_), None) => "ended".to_owned(),
        (Some(_), Some(code)) => format!("exit code {code}"),
    };
    writeln!(out, "session {} · {} · {end}", session.id, shown(&session.command))
}

/// One line: what kept the session in, and the numbers of what does not. In JSON it is part of the session.
fn print_assurance(out: &mut impl Write, session: &SessionRow, json: bool) -> io::Result<()> {
    let Some(assurance) = session.assurance.as_ref().filter(|_| !json) else { return Ok(()) };
    let open: Vec<_> = assurance.open.iter().map(|way| way.number.to_string()).collect();
    let open = if open.is_empty() { "nothing that is known".to_owned() } else { open.join(" ") };
    writeln!(out, "  kernel {} · {} · open (docs/threats.md): {open}", assurance.kernel, assurance.layers.join(", "))
}

/// One line a record: verdict, request, status, credentials, sizes, reason.
pub(crate) fn print_record(out: &mut impl Write, record: &RecordRow, json: bool) -> io::Result<()> {
    if json {
        return json_line(out, record);
    }
    let status = record.status.map_or_else(|| "---".to_owned(), |status| status.to_string());
    let request = match (&record.method, &record.target) {
        (Some(method), Some(target)) => format!("{method} {}://{}:{}{target}", record.scheme, record.host, record.port),
        (_, Some(file)) if record.kind == "reload" => format!("policy of {file}"),
        _ if record.kind == "published" => format!("published at {}:{}", record.host, record.port),
        _ => format!("connection to {}:{}", record.host, record.port),
    };
    write!(out, "{:>5} {:<5} {status} {}", record.id, record.verdict, shown(&request))?;
    if !record.credentials.is_empty() {
        // Those of files are called by their paths and names.
        write!(out, " · with {}", shown(&record.credentials.join(", ")))?;
    }
    let size = |count: i64| bytes(u64::try_from(count).unwrap_or_default());
    write!(out, " · {} out, {} in", size(record.bytes_out), size(record.bytes_in))?;
    if let Some(reason) = &record.reason {
        write!(out, " · {reason}")?;
    }
    if record.outcome != "completed" && record.outcome != "denied" {
        write!(out, " · {}", record.outcome)?;
    }
    writeln!(out)
}

fn print_file(out: &mut impl Write, file: &FileRow, json: bool) -> io::Result<()> {
    if json {
        return json_line(out, file);
    }
    writeln!(out, " file deny  {} · {}", shown(&file.path), file.reason)
}

/// An agent chooses paths and commands; what it chose must not steer the terminal of whoever reads them.
fn shown(text: &str) -> String {
    printable::line(text.as_bytes()).0
}

/// A line for programs, in which nothing steers the terminal of whoever looks at it.
pub(crate) fn json_line(out: &mut impl Write, row: &impl Serialize) -> io::Result<()> {
    writeln!(out, "{}", printable::json(&serde_json::to_string(row)?))
}
