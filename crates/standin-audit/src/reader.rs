//! Queries over what was written.

use crate::assurance::Assurance;
use crate::schema::{self, SchemaError};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use std::path::Path;

/// The log, for reading.
pub struct AuditReader(Connection);

/// One session.
#[derive(Clone, Debug, Serialize)]
pub struct SessionRow {
    /// `session`, to tell it from what follows.
    pub kind: &'static str,
    /// Its identifier.
    pub id: String,
    /// When it began: microseconds since 1970-01-01 UTC.
    pub started_us: i64,
    /// When it ended; nothing if it is running or was killed.
    pub ended_us: Option<i64>,
    /// What was run.
    pub command: String,
    /// Where.
    pub workspace: String,
    /// How the command ended.
    pub exit_code: Option<i32>,
    /// What kept it in; nothing of sessions before that was kept.
    pub assurance: Option<Assurance>,
}

/// One record, as it was stored: the columns under the names of the schema.
#[derive(Clone, Debug, Serialize)]
pub struct RecordRow {
    /// Its number in the session.
    pub id: i64,
    /// `exchange`, `connection`, `published` or `reload`.
    pub kind: String,
    /// When it began: microseconds since 1970-01-01 UTC.
    pub started_us: i64,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// How it came.
    pub ingress: String,
    /// What was spoken.
    pub protocol: String,
    /// `http`, `https` or `tcp`.
    pub scheme: String,
    /// The host that was dialled.
    pub host: String,
    /// The port that was dialled.
    pub port: u16,
    /// The method.
    pub method: Option<String>,
    /// Path and query as the agent sent them.
    pub target: Option<String>,
    /// `allow` or `deny`.
    pub verdict: String,
    /// Why it was denied.
    pub reason: Option<String>,
    /// The rule that allowed it.
    pub rule: Option<String>,
    /// The credentials that were put in.
    pub credentials: Vec<String>,
    /// The status the agent got.
    pub status: Option<u16>,
    /// Bytes of the request's body.
    pub bytes_out: i64,
    /// Bytes of the response's body.
    pub bytes_in: i64,
    /// The address that was dialled for it.
    pub peer: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// For the operator.
    pub detail: Option<String>,
}

/// A change of a file that was refused.
#[derive(Clone, Debug, Serialize)]
pub struct FileRow {
    /// `file`, to tell it from records of exchanges.
    pub kind: &'static str,
    /// When: microseconds since 1970-01-01 UTC.
    pub at_us: i64,
    /// The file.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A query.
    #[error("cannot read the audit log")]
    Query(#[from] rusqlite::Error),
}

impl AuditReader {
    /// Opens the log in `directory`.
    pub fn open(directory: &Path) -> Result<Self, ReadError> {
        Ok(Self(schema::open_for_reading(directory)?))
    }

    /// The newest session.
    pub fn last_session(&self) -> Result<Option<SessionRow>, ReadError> {
        Ok(self.sessions(1)?.pop())
    }

    /// The session with this identifier.
    pub fn session(&self, id: &str) -> Result<Option<SessionRow>, ReadError> {
        Ok(self.0.query_row("SELECT * FROM session WHERE id = ?", [id], session_row).optional()?)
    }

    /// The newest sessions, newest first.
    pub fn sessions(&self, limit: u32) -> Result<Vec<SessionRow>, ReadError> {
        let mut query = self.0.prepare("SELECT * FROM session ORDER BY started_us DESC LIMIT ?")?;
        let rows = query.query_map([limit], session_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The records of a session, in the order in which they began.
    pub fn records(&self, session: &str) -> Result<Vec<RecordRow>, ReadError> {
        let number =
            self.0.query_row("SELECT number FROM session WHERE id = ?", [session], |row| row.get(0)).optional()?;
        let Some(keys) = number.map(schema::keys) else { return Ok(Vec::new()) };
        let mut query = self.0.prepare("SELECT * FROM record WHERE key >= ? AND key < ? ORDER BY key")?;
        let rows = query.query_map([keys.start, keys.end], record_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The changes of files that a session was refused.
    pub fn files(&self, session: &str) -> Result<Vec<FileRow>, ReadError> {
        let mut query = self.0.prepare(
            "SELECT at_us, path, reason FROM file JOIN session ON session.number = file.session WHERE session.id = ? \
             ORDER BY file.id",
        )?;
        let rows = query.query_map([session], |row| {
            Ok(FileRow { kind: "file", at_us: row.get("at_us")?, path: row.get("path")?, reason: row.get("reason")? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn session_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let assurance: Option<String> = row.get("assurance")?;
    Ok(SessionRow {
        kind: "session",
        id: row.get("id")?,
        started_us: row.get("started_us")?,
        ended_us: row.get("ended_us")?,
        command: row.get("command")?,
        workspace: row.get("workspace")?,
        exit_code: row.get("exit_code")?,
        // What a newer version of the same schema says in other words is no reason to show nothing.
        assurance: assurance.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

fn record_row(row: &Row<'_>) -> rusqlite::Result<RecordRow> {
    let credentials: String = row.get("credentials")?;
    Ok(RecordRow {
        id: schema::number(row.get("key")?),
        kind: row.get("kind")?,
        started_us: row.get("started_us")?,
        duration_us: row.get("duration_us")?,
        ingress: row.get("ingress")?,
        protocol: row.get("protocol")?,
        scheme: row.get("scheme")?,
        host: row.get("host")?,
        port: row.get("port")?,
        method: row.get("method")?,
        target: row.get("target")?,
        verdict: row.get("verdict")?,
        reason: row.get("reason")?,
        rule: row.get("rule")?,
        credentials: credentials.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        status: row.get("status")?,
        bytes_out: row.get("bytes_out")?,
        bytes_in: row.get("bytes_in")?,
        peer: row.get("peer")?,
        outcome: row.get("outcome")?,
        detail: row.get("detail")?,
    })
}
