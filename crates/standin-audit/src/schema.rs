//! The tables, and opening the file they are in.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Written to `user_version`; a file of a newer version is not touched.
const VERSION: i64 = 4;
/// How long one process waits while another commits.
const BUSY: Duration = Duration::from_secs(10);
/// Most bytes that sessions leave in the write-ahead log. Who opens the log reads it all.
const KEPT_WAL: u32 = 512 * 1024;

const TABLES: &str = "
CREATE TABLE session (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    started_us INTEGER NOT NULL,
    ended_us INTEGER,
    command TEXT NOT NULL,
    workspace TEXT NOT NULL,
    exit_code INTEGER
) STRICT;
CREATE TABLE record (
    key INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    started_us INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    ingress TEXT NOT NULL,
    protocol TEXT NOT NULL,
    scheme TEXT NOT NULL,
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    method TEXT,
    target TEXT,
    verdict TEXT NOT NULL,
    reason TEXT,
    rule TEXT,
    credentials TEXT NOT NULL,
    status INTEGER,
    bytes_out INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    peer TEXT,
    outcome TEXT NOT NULL,
    detail TEXT
) STRICT;
";

/// From version 1, whose keys were texts.
const UPGRADE: &str = "
ALTER TABLE session RENAME TO old_session;
ALTER TABLE record RENAME TO old_record;
{TABLES}
INSERT INTO session (id, started_us, ended_us, command, workspace, exit_code)
    SELECT * FROM old_session ORDER BY started_us;
INSERT INTO record
    SELECT (number << {SHIFT}) | old_record.id, kind, old_record.started_us, duration_us, ingress, protocol, scheme, host,
        port, method, target, verdict, reason, rule, credentials, status, bytes_out, bytes_in, peer, outcome, detail
    FROM old_record JOIN session ON session.id = old_record.session;
DROP TABLE old_record;
DROP TABLE old_session;
";

/// The bits of a record's key that number it within its session; above them stands the session's number. So the records
/// of a session lie together and in order, and a new one goes to the end, which costs a fifth less than a key of text.
const SHIFT: u32 = 40;

/// The key of a session's record.
pub(crate) fn key(session: i64, record: i64) -> i64 {
    (session << SHIFT) | record
}

/// The keys of a session's records.
pub(crate) fn keys(session: i64) -> std::ops::Range<i64> {
    key(session, 0)..key(session + 1, 0)
}

/// A record's number in its session.
pub(crate) fn number(key: i64) -> i64 {
    key & ((1 << SHIFT) - 1)
}

/// Since version 3: changes of files that were refused.
const FILES: &str = "
CREATE TABLE file (
    session INTEGER NOT NULL REFERENCES session(number),
    id INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    path TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (session, id)
) STRICT, WITHOUT ROWID;
";

/// Since version 4: what kept a session in, in JSON.
const ASSURANCE: &str = "ALTER TABLE session ADD COLUMN assurance TEXT";

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The directory cannot be made or locked.
    #[error("cannot make or lock the directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file cannot be made or opened.
    #[error("cannot open {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("cannot use {path} as an audit log")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// An earlier Standin wrote it, and no session has run since.
    #[error(
        "{path} was written by an earlier version of Standin; run Standin once (`standin run -- true`) to take it over"
    )]
    Older {
        /// The file.
        path: PathBuf,
    },
    /// A newer Standin wrote it.
    #[error("{path} was written by a newer version of Standin (schema {found}, this one knows {VERSION})")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
}

/// Where the log lies in the state directory.
pub(crate) fn file_in(directory: &Path) -> PathBuf {
    directory.join("audit.db")
}

/// Opens the log for writing; makes it, readable by its owner only, if it is not there.
pub(crate) fn open_for_writing(directory: &Path) -> Result<Connection, SchemaError> {
    let path = file_in(directory);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| SchemaError::Directory { path: directory.to_owned(), source })?;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| SchemaError::Open { path: path.clone(), source })?;
    // Two first runs may meet: changing to WAL fails at once where another does the same, whatever the busy timeout, so
    // whoever opens holds this lock until the file is set up. It ends with the function.
    let lock = std::fs::File::open(directory).and_then(|directory| directory.lock().map(|()| directory));
    let _lock = lock.map_err(|source| SchemaError::Directory { path: directory.to_owned(), source })?;
    let prepare = || -> rusqlite::Result<(Connection, i64)> {
        let mut db = Connection::open(&path)?;
        db.busy_timeout(BUSY)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.pragma_update(None, "journal_size_limit", KEPT_WAL)?;
        // A session's end does not wait for the disk: what is in the write-ahead log stays there.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let found = version(&db)?;
        if found < VERSION {
            let change = db.transaction()?;
            if found < 2 {
                let upgrade = UPGRADE.replace("{TABLES}", TABLES).replace("{SHIFT}", &SHIFT.to_string());
                change.execute_batch(if found == 0 { TABLES } else { &upgrade })?;
            }
            if found < 3 {
                change.execute_batch(FILES)?;
            }
            change.execute_batch(ASSURANCE)?;
            change.pragma_update(None, "user_version", VERSION)?;
            change.commit()?;
        }
        let found = version(&db)?;
        Ok((db, found))
    };
    let (db, found) = prepare().map_err(|source| SchemaError::Sqlite { path: path.clone(), source })?;
    if found > VERSION {
        return Err(SchemaError::Newer { path, found });
    }
    Ok(db)
}

/// Moves what earlier sessions left in the write-ahead log into the log itself, once it is so much that reading it makes
/// whoever opens wait. Of use to later sessions only, so a failure is theirs to report.
pub(crate) fn tidy(directory: &Path, db: &Connection) {
    let wal = file_in(directory).with_extension("db-wal");
    if std::fs::metadata(wal).is_ok_and(|wal| wal.len() > KEPT_WAL.into()) {
        drop(db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())));
    }
}

/// Opens the log for reading.
pub(crate) fn open_for_reading(directory: &Path) -> Result<Connection, SchemaError> {
    let path = file_in(directory);
    let open = || {
        let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        db.busy_timeout(BUSY)?;
        let found = version(&db)?;
        Ok((db, found))
    };
    match open() {
        Ok((_, found)) if found > VERSION => Err(SchemaError::Newer { path, found }),
        Ok((_, found)) if found < VERSION => Err(SchemaError::Older { path }),
        Ok((db, _)) => Ok(db),
        Err(source) => Err(SchemaError::Sqlite { path, source }),
    }
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}
