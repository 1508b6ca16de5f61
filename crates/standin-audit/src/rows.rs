//! Records as rows. What a record has in common with the one before stays bound: on one connection that is most of it, and
//! binding a text costs as much as a part of the writing.

use crate::record::Record;
use crate::schema;
use rusqlite::{Connection, Statement};
use standin_model::CredentialName;

/// Writes a session's rows, one after the other.
pub(crate) struct Rows<'db> {
    insert: Statement<'db>,
    /// The session's number.
    session: i64,
    /// The record whose values are bound, unless binding them failed.
    bound: Option<Box<Record>>,
}

impl<'db> Rows<'db> {
    /// Prepares for a session's.
    pub(crate) fn prepare(db: &'db Connection, session: i64) -> rusqlite::Result<Self> {
        let insert = db.prepare(
            "INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
             ?18, ?19, ?20, ?21)",
        )?;
        Ok(Self { insert, session, bound: None })
    }

    /// Writes one.
    pub(crate) fn write(&mut self, r: Box<Record>) -> rusqlite::Result<()> {
        let (insert, before) = (&mut self.insert, self.bound.take());
        let before = before.as_deref();
        macro_rules! bind {
            ($column:literal, $field:ident, $value:expr) => {
                if before.is_none_or(|before| before.$field != r.$field) {
                    insert.raw_bind_parameter($column, $value)?;
                }
            };
        }
        insert.raw_bind_parameter(1, schema::key(self.session, signed(r.id.0)))?;
        bind!(2, kind, r.kind.as_str());
        bind!(3, started_us, r.started_us);
        bind!(4, duration_us, signed(r.duration_us));
        bind!(5, ingress, r.ingress);
        bind!(6, protocol, r.protocol);
        bind!(7, scheme, r.scheme);
        bind!(8, host, &*r.host);
        bind!(9, port, r.port);
        bind!(10, method, &r.method);
        bind!(11, target, &r.target);
        bind!(12, verdict, r.verdict.as_str());
        bind!(13, reason, r.reason);
        bind!(14, rule, r.rule.as_deref());
        bind!(15, credentials, joined(&r.credentials));
        bind!(16, status, r.status);
        bind!(17, bytes_out, signed(r.bytes_out));
        bind!(18, bytes_in, signed(r.bytes_in));
        bind!(19, peer, r.peer.map(|peer| peer.to_string()));
        bind!(20, outcome, r.outcome.as_str());
        bind!(21, detail, &r.detail);
        insert.raw_execute()?;
        self.bound = Some(r);
        Ok(())
    }
}

fn joined(credentials: &[CredentialName]) -> String {
    credentials.iter().map(CredentialName::as_str).collect::<Vec<_>>().join(",")
}

/// SQLite's integers are signed; no count of ours comes near the difference.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
