//! The audit log: one record per exchange and per refused connection, in one SQLite file.
//!
//! Room for a record is reserved before an exchange begins ([`AuditSink::reserve`]), so writing it later is
//! synchronous and cannot fail, also from a destructor. One thread owns the database and commits what has
//! gathered, off the path of requests. If it cannot write, it closes the queue, and nothing more may happen.
//!
//! This crate does not know the secret type.

mod assurance;
mod reader;
mod record;
mod rows;
mod schema;
mod writer;

pub use assurance::{Assurance, OpenWay};
pub use reader::{AuditReader, FileRow, ReadError, RecordRow, SessionRow};
pub use record::{Kind, Outcome, Record, Verdict};
pub use schema::SchemaError;
pub use writer::{AuditClosed, AuditError, AuditLog, AuditSink, RefusedFile, SessionStart, SessionSummary, Ticket};
