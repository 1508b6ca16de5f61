//! The one thread that writes.

use crate::assurance::Assurance;
use crate::record::{Kind, Record, Verdict};
use crate::rows::{Rows, signed};
use crate::schema::{self, SchemaError};
use rusqlite::{Connection, params};
use standin_model::limits::{AUDIT_BATCH, AUDIT_PAUSE, AUDIT_QUEUE};
use standin_model::{CredentialName, SessionId};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// A session's log while it is written.
pub struct AuditLog {
    sink: AuditSink,
    thread: JoinHandle<Result<SessionSummary, AuditError>>,
}

/// Where records go. Cheap to clone.
#[derive(Clone)]
pub struct AuditSink(mpsc::Sender<Message>);

/// Room for one record.
pub struct Ticket(mpsc::OwnedPermit<Message>);

/// What is known of a session when it begins.
#[derive(Clone, Debug)]
pub struct SessionStart {
    /// The session.
    pub id: SessionId,
    /// What is run, as a shell would write it.
    pub command: String,
    /// Where.
    pub workspace: PathBuf,
    /// What keeps it in.
    pub assurance: Assurance,
}

/// What a session came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionSummary {
    /// Records of exchanges and connections.
    pub records: u64,
    /// Of these, denied.
    pub denied: u64,
    /// Credentials that were used.
    pub credentials: BTreeSet<CredentialName>,
    /// Bytes of request bodies.
    pub bytes_out: u64,
    /// Bytes of response bodies.
    pub bytes_in: u64,
    /// Changes of files that were refused.
    pub refused_files: u64,
}

/// A change of a file that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedFile {
    /// The file.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// No record can be taken, so nothing may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log takes no records")]
pub struct AuditClosed;

/// Why the log could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A write.
    #[error("cannot write to the audit log")]
    Write(#[source] rusqlite::Error),
    /// The thread.
    #[error("cannot start the thread that writes the audit log")]
    Thread(#[source] std::io::Error),
    /// A bug of ours.
    #[error("the thread that writes the audit log ended unexpectedly")]
    Panicked,
}

/// How our own connections come, which are there to be refused.
const GATE: &str = "gate";

enum Message {
    Record(Box<Record>),
    File(RefusedFile),
    End { exit_code: Option<i32> },
}

impl AuditLog {
    /// Starts writing to the log in `directory`. Opening happens on the writer's thread and delays nobody; until
    /// it has succeeded records gather in the queue, and if it fails the queue closes.
    pub fn start(directory: PathBuf, session: SessionStart) -> Result<Self, AuditError> {
        let (sender, receiver) = mpsc::channel(AUDIT_QUEUE);
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_session(&directory, &session, receiver))
            .map_err(AuditError::Thread)?;
        Ok(Self { sink: AuditSink(sender), thread })
    }

    /// Where records go.
    pub fn sink(&self) -> AuditSink {
        self.sink.clone()
    }

    /// Writes what is left and the end of the session; blocks until it is written, not until it is on disk.
    pub fn finish(self, exit_code: Option<i32>) -> Result<SessionSummary, AuditError> {
        // A closed queue means that the writer has failed; its own error, which follows, says more.
        drop(self.sink.0.blocking_send(Message::End { exit_code }));
        self.thread.thread().unpark();
        self.thread.join().map_err(|_| AuditError::Panicked)?
    }
}

impl AuditSink {
    /// Reserves room for one record; waits while the queue is full.
    pub async fn reserve(&self) -> Result<Ticket, AuditClosed> {
        self.0.clone().reserve_owned().await.map(Ticket).map_err(|_| AuditClosed)
    }

    /// Puts a refused change of a file on record; waits while the queue is full.
    pub async fn refused_file(&self, file: RefusedFile) -> Result<(), AuditClosed> {
        self.0.send(Message::File(file)).await.map_err(|_| AuditClosed)
    }
}

impl Ticket {
    /// Writes the record. Cannot fail and does not wait.
    pub fn write(self, record: Box<Record>) {
        self.0.send(Message::Record(record));
    }
}

fn write_session(
    directory: &std::path::Path,
    session: &SessionStart,
    mut queue: mpsc::Receiver<Message>,
) -> Result<SessionSummary, AuditError> {
    let db = schema::open_for_writing(directory)?;
    let assurance = serde_json::to_string(&session.assurance).expect("plain data");
    db.execute(
        "INSERT INTO session (id, started_us, command, workspace, assurance) VALUES (?, ?, ?, ?, ?)",
        params![session.id.as_str(), now_us(), session.command, session.workspace.display().to_string(), assurance],
    )
    .map_err(AuditError::Write)?;
    let number = db.last_insert_rowid();
    schema::tidy(directory, &db);
    let mut summary = SessionSummary::default();
    let mut rows = Rows::prepare(&db, number).map_err(AuditError::Write)?;
    let mut batch = Vec::with_capacity(AUDIT_BATCH);
    // `blocking_recv_many` waits for the first record and takes what has gathered: one transaction each time, and then
    // a pause in which the next ones gather, which `finish` cuts short.
    while queue.blocking_recv_many(&mut batch, AUDIT_BATCH) > 0 {
        let end = write_batch(&db, number, &mut rows, batch.drain(..), &mut summary).map_err(AuditError::Write)?;
        if let Some(End(exit_code)) = end {
            db.execute(
                "UPDATE session SET ended_us = ?, exit_code = ? WHERE number = ?",
                params![now_us(), exit_code, number],
            )
            .map_err(AuditError::Write)?;
            break;
        }
        std::thread::park_timeout(AUDIT_PAUSE);
    }
    Ok(summary)
}

/// A session's end, with the command's exit code if it is known.
struct End(Option<i32>);

/// Commits a batch; gives the session's end if it was in it.
fn write_batch(
    db: &Connection,
    session: i64,
    rows: &mut Rows<'_>,
    batch: impl Iterator<Item = Message>,
    summary: &mut SessionSummary,
) -> rusqlite::Result<Option<End>> {
    let mut end = None;
    // There is no other one on this connection, which the compiler cannot see: the rows are prepared on it, too.
    let transaction = db.unchecked_transaction()?;
    for message in batch {
        match message {
            Message::Record(record) => {
                summary.add(&record);
                rows.write(record)?;
            }
            Message::File(file) => {
                summary.refused_files += 1;
                transaction.execute(
                    "INSERT INTO file VALUES (?, ?, ?, ?, ?)",
                    params![session, signed(summary.refused_files), now_us(), file.path, file.reason],
                )?;
            }
            Message::End { exit_code } => end = Some(End(exit_code)),
        }
    }
    transaction.commit()?;
    Ok(end)
}

impl SessionSummary {
    fn add(&mut self, record: &Record) {
        // They came from the host, or from us, and left nothing.
        if matches!(record.kind, Kind::Published | Kind::Reload) || record.ingress == GATE {
            return;
        }
        self.records += 1;
        self.denied += u64::from(record.verdict == Verdict::Deny);
        self.bytes_out += record.bytes_out;
        self.bytes_in += record.bytes_in;
        for name in &record.credentials {
            if !self.credentials.contains(name) {
                self.credentials.insert(name.clone());
            }
        }
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
