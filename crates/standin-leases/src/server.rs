//! What the server is asked: which engine a path belongs to, what is there, and to end a lease.

use crate::answer::{self, Given};
use crate::call::{CallError, Way};
use crate::settings::Settings;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use standin_secret::Secret;
use std::time::SystemTime;

/// What stands in a path as it is (RFC 3986 §3.3).
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@').remove(b'+');

/// The server.
pub(crate) struct Server(Way);

/// What runs until it is ended, or until then.
pub(crate) struct Lease {
    pub(crate) id: String,
    /// Of what.
    pub(crate) path: String,
    pub(crate) expires: SystemTime,
}

impl Server {
    pub(crate) fn new(settings: Settings) -> Self {
        Self(Way::new(settings))
    }

    /// What is at a path, as `vault kv get` and `vault read` take it.
    pub(crate) fn read(&self, path: &str, now: SystemTime) -> Result<(Secret, Option<Lease>), CallError> {
        let mount = self.get(&format!("sys/internal/ui/mounts/{path}"), answer::mount)?;
        let (place, versioned) = mount.map_or_else(|| (path.to_owned(), false), |mount| mount.place(path));
        let Given { values, lease } = self.get(&place, |answer| answer::secret(answer, versioned))?;
        let lease = lease.map(|(id, runs)| Lease { id, path: path.to_owned(), expires: now + runs });
        Ok((values, lease))
    }

    /// Ends a lease: what came with it is worth nothing any more.
    pub(crate) fn revoke(&self, lease: &Lease) -> Result<(), CallError> {
        let body = serde_json::json!({ "lease_id": lease.id }).to_string();
        answer::done(&self.0.ask(Method::PUT, "sys/leases/revoke", body)?)
    }

    fn get<T>(
        &self,
        path: &str,
        read: impl FnOnce(&crate::call::Answer) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let path = utf8_percent_encode(path, PATH).to_string();
        read(&self.0.ask(Method::GET, &path, String::new())?)
    }
}
