//! The log as its users see it: written by many, read back whole, closed when it cannot be written.

use standin_audit::{
    Assurance, AuditLog, AuditReader, Kind, OpenWay, Outcome, Record, RefusedFile, SessionStart, Verdict,
};
use standin_model::{CredentialName, ExchangeId, SessionId};
use std::path::Path;

fn assurance() -> Assurance {
    let open = OpenWay { number: 49, name: "a way out".into(), why: "because".into() };
    Assurance { kernel: "6.18 x86_64".into(), layers: vec!["landlock 7".into()], open: vec![open] }
}

fn start(directory: &Path, id: &str) -> AuditLog {
    let (id, assurance) = (SessionId::new(id), assurance());
    let session = SessionStart { id, command: "true".into(), workspace: "/w".into(), assurance };
    AuditLog::start(directory.to_owned(), session).expect("a thread can be started")
}

fn record(session: &str, id: u64) -> Box<Record> {
    Box::new(Record {
        session: SessionId::new(session),
        id: ExchangeId(id),
        kind: Kind::Exchange,
        started_us: 1,
        duration_us: 2,
        ingress: "transparent",
        protocol: "h1",
        scheme: "https",
        host: "api.example.com".into(),
        port: 443,
        method: Some("GET".into()),
        target: Some("/v1".into()),
        verdict: if id.is_multiple_of(2) { Verdict::Deny } else { Verdict::Allow },
        reason: None,
        rule: None,
        credentials: vec![CredentialName::new("internal")],
        status: Some(200),
        bytes_out: 10,
        bytes_in: 20,
        peer: None,
        outcome: Outcome::Completed,
        detail: None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_between_many_writers() {
    let directory = tempfile::tempdir().unwrap();
    let log = start(directory.path(), "s1");
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let sink = log.sink();
        writers.spawn(async move {
            for n in 0..1000 {
                sink.reserve().await.unwrap().write(record("s1", writer * 1000 + n));
            }
        });
    }
    writers.join_all().await;
    let summary = tokio::task::spawn_blocking(move || log.finish(Some(0))).await.unwrap().unwrap();
    assert_eq!((summary.records, summary.denied, summary.bytes_out, summary.bytes_in), (8000, 4000, 80_000, 160_000));
    let reader = AuditReader::open(directory.path()).unwrap();
    let session = reader.last_session().unwrap().unwrap();
    assert_eq!((session.id.as_str(), session.exit_code), ("s1", Some(0)));
    assert_eq!(session.assurance, Some(assurance()));
    assert_eq!(reader.records("s1").unwrap().len(), 8000);
}

/// What a row has in common with the one before is not written anew: everything else is.
#[tokio::test]
async fn a_row_says_what_it_says_alone() {
    let changes: &[fn(&mut Record)] = &[
        |r| r.kind = Kind::Connection,
        |r| r.started_us = 7,
        |r| r.duration_us = 7,
        |r| r.ingress = "connect",
        |r| r.protocol = "h2",
        |r| r.scheme = "http",
        |r| r.host = "other.example".into(),
        |r| r.port = 80,
        |r| r.method = None,
        |r| r.target = Some("/v2".into()),
        |r| r.verdict = Verdict::Deny,
        |r| r.reason = Some("a.reason"),
        |r| r.rule = Some("a rule".into()),
        |r| r.credentials = vec![CredentialName::new("internal"), CredentialName::new("other")],
        |r| r.status = None,
        |r| r.bytes_out = 7,
        |r| r.bytes_in = 7,
        |r| r.peer = Some("192.0.2.1:443".parse().unwrap()),
        |r| r.outcome = Outcome::DownstreamClosed,
        |r| r.detail = Some("a detail".into()),
    ];
    // Each change comes after a record without it, and goes with the next one.
    let made = |n: u64| {
        let mut made = record("any", n);
        made.verdict = Verdict::Allow;
        if let Some(change) = changes.get(usize::try_from(n / 2).unwrap()).filter(|_| n % 2 == 1) {
            change(&mut made);
        }
        made
    };
    let numbers = 0..2 * changes.len() as u64 + 1;
    let directory = tempfile::tempdir().unwrap();
    let written = async |session: &str, numbers: std::ops::Range<u64>| {
        let log = start(directory.path(), session);
        for n in numbers {
            log.sink().reserve().await.unwrap().write(made(n));
        }
        tokio::task::spawn_blocking(move || log.finish(None)).await.unwrap().unwrap();
        AuditReader::open(directory.path()).unwrap().records(session).unwrap()
    };
    let mut alone = Vec::new();
    for n in numbers.clone() {
        alone.extend(written(&format!("s{n}"), n..n + 1).await);
    }
    assert_eq!(format!("{:#?}", written("all", numbers).await), format!("{alone:#?}"));
}

/// First runs that meet: all of them make the file, none may fail.
#[tokio::test]
async fn sessions_share_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..16).map(|n| format!("s{n}")).collect();
    let logs: Vec<AuditLog> = names.iter().map(|name| start(directory.path(), name)).collect();
    for (log, name) in logs.iter().zip(&names) {
        log.sink().reserve().await.unwrap().write(record(name, 1));
    }
    let finish = move || logs.into_iter().try_for_each(|log| log.finish(None).map(drop));
    tokio::task::spawn_blocking(finish).await.unwrap().unwrap();
    let reader = AuditReader::open(directory.path()).unwrap();
    for name in &names {
        assert_eq!(reader.records(name).unwrap()[0].credentials, ["internal"]);
    }
}

/// A session's end moves nothing into the log, so the next one does, before there is much to be read.
#[test]
fn sessions_leave_little_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let wal = directory.path().join("audit.db-wal");
    let mut most = 0;
    for n in 0..100 {
        let name = format!("s{n}");
        let log = start(directory.path(), &name);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut long = record(&name, 1);
        long.detail = Some("x".repeat(20_000));
        runtime.block_on(log.sink().reserve()).unwrap().write(long);
        log.finish(None).unwrap();
        most = most.max(std::fs::metadata(&wal).unwrap().len());
    }
    assert!((100_000..1_000_000).contains(&most), "{most} bytes");
    let reader = AuditReader::open(directory.path()).unwrap();
    assert!((0..100).all(|n| reader.records(&format!("s{n}")).unwrap().len() == 1));
}

#[tokio::test]
async fn a_log_that_cannot_be_written_takes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("not-a-directory");
    std::fs::write(&file, "").unwrap();
    let log = start(&file, "s1");
    let sink = log.sink();
    let error = tokio::task::spawn_blocking(move || log.finish(None)).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("not-a-directory"), "{error}");
    assert!(sink.reserve().await.is_err());
}

#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    start(&state, "s1").finish(None).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("audit.db"))), (0o700, 0o600));
}

/// What an earlier version wrote stays readable, beside what this one writes.
#[test]
fn an_earlier_log_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(directory.path().join("audit.db")).unwrap();
    old.execute_batch(include_str!("version-1.sql")).unwrap();
    drop(old);
    let error = AuditReader::open(directory.path()).err().map(|error| error.to_string());
    assert!(error.is_some_and(|text| text.contains("run Standin once")), "an earlier log is not misread");
    start(directory.path(), "s3").finish(Some(0)).unwrap();
    let reader = AuditReader::open(directory.path()).unwrap();
    let ids: Vec<_> = reader.sessions(9).unwrap().into_iter().map(|session| session.id).collect();
    assert_eq!(ids, ["s3", "s2", "s1"]);
    let records = reader.records("s1").unwrap();
    assert_eq!(
        records.iter().map(|r| (r.id, r.host.as_str())).collect::<Vec<_>>(),
        [(1, "one.example"), (2, "two.example")]
    );
    assert_eq!(reader.records("s2").unwrap()[0].detail.as_deref(), Some("gone"));
}

/// Refused changes of files, also in a log of the version before they were kept.
#[tokio::test]
async fn refused_files_are_kept_by_session() {
    let directory = tempfile::tempdir().unwrap();
    let end = |log: AuditLog| tokio::task::spawn_blocking(move || log.finish(None).unwrap());
    end(start(directory.path(), "s1")).await.unwrap();
    let db = rusqlite::Connection::open(directory.path().join("audit.db")).unwrap();
    db.execute_batch("DROP TABLE file; ALTER TABLE session DROP COLUMN assurance; PRAGMA user_version = 2").unwrap();
    drop(db);
    let log = start(directory.path(), "s2");
    for path in ["/w/.envrc", "/w/.git/config"] {
        log.sink().refused_file(RefusedFile { path: path.into(), reason: "why".into() }).await.unwrap();
    }
    assert_eq!(end(log).await.unwrap().refused_files, 2);
    let reader = AuditReader::open(directory.path()).unwrap();
    let files = |session| reader.files(session).unwrap().into_iter().map(|file| file.path).collect::<Vec<_>>();
    assert_eq!((files("s1"), files("s2")), (vec![], vec!["/w/.envrc".to_owned(), "/w/.git/config".to_owned()]));
}

/// A log of the version before sessions said what kept them in.
#[test]
fn sessions_without_assurance_stay_readable() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path(), "s1").finish(Some(0)).unwrap();
    let db = rusqlite::Connection::open(directory.path().join("audit.db")).unwrap();
    db.execute_batch("ALTER TABLE session DROP COLUMN assurance; PRAGMA user_version = 3").unwrap();
    drop(db);
    start(directory.path(), "s2").finish(Some(0)).unwrap();
    let sessions = AuditReader::open(directory.path()).unwrap().sessions(9).unwrap();
    let found: Vec<_> = sessions.into_iter().map(|session| (session.id, session.assurance)).collect();
    assert_eq!(found, [("s2".to_owned(), Some(assurance())), ("s1".to_owned(), None)]);
}
