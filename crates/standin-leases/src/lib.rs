//! Secrets of HashiCorp Vault and OpenBao, and the leases that they come with.
//!
//! * [`settings`]: where the server is and who asks: what its own command line goes by, handed in;
//! * [`server`]: what it is asked: which engine a path belongs to, a secret, the end of a lease;
//! * [`answer`]: what it says, and what is meant when it says no;
//! * [`call`]: one request over verified TLS;
//! * here: a source of credentials, and every lease ended with the session.
//!
//! It knows nothing of sandboxes, of the proxy, and reads no environment.

mod answer;
mod call;
mod server;
mod settings;
#[cfg(test)]
mod tests;

pub use call::CallError;
pub use settings::{Settings, SettingsError};

use server::{Lease, Server};
use standin_secret::{Fetched, Manner, Secret, SecretSource, SourceError, Value};
use standin_wire::body::{Value as Found, find_in_json};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

/// The server, and what was leased from it in this session.
pub struct Leases {
    server: Server,
    /// Held shared by whoever asks for a secret: the end waits for them, so that no lease is forgotten.
    open: RwLock<bool>,
    running: Mutex<Vec<Lease>>,
}

/// A secret of the server: several values that came together.
pub struct LeasedSource {
    leases: Arc<Leases>,
    path: String,
}

impl Leases {
    /// Of the server that these lead to.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { server: Server::new(settings), open: RwLock::new(true), running: Mutex::default() })
    }

    /// Ends every lease of this session; a line for each that could not be. Nothing is fetched afterwards.
    pub fn end(&self) -> Vec<String> {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = false;
        let leases = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let now = SystemTime::now();
        let revoked = |lease: &Lease| self.server.revoke(lease).err().map(|error| not_ended(lease, now, &error));
        // At once: a server that does not answer is waited for once.
        std::thread::scope(|scope| {
            let running = leases.iter().filter(|lease| lease.expires > now);
            let ending: Vec<_> = running.map(|lease| scope.spawn(|| revoked(lease))).collect();
            ending.into_iter().filter_map(|one| one.join().expect("asking does not panic")).collect()
        })
    }

    fn fetch(&self, path: &str) -> Result<Fetched, CallError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if !*open {
            return Err(CallError::Ended);
        }
        let at = SystemTime::now();
        let (text, lease) = self.server.read(path, at)?;
        let expires = lease.as_ref().map(|lease| lease.expires);
        if let Some(lease) = lease {
            let mut leases = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            leases.retain(|old| old.expires > at);
            leases.push(lease);
        }
        Ok(Fetched { text, at, expires })
    }
}

fn not_ended(lease: &Lease, now: SystemTime, error: &CallError) -> String {
    let seconds = lease.expires.duration_since(now).unwrap_or_default().as_secs();
    format!("a lease of vault:{} was not revoked and runs for {seconds} s more: {error}", lease.path)
}

impl LeasedSource {
    /// The secret at this path.
    pub fn new(leases: Arc<Leases>, path: &str) -> Self {
        Self { leases, path: path.to_owned() }
    }
}

impl SecretSource for LeasedSource {
    fn describe(&self) -> String {
        format!("vault:{}", self.path)
    }

    fn fetch(&self, _: Manner) -> Result<Fetched, SourceError> {
        self.leases
            .fetch(&self.path)
            .map_err(|error| SourceError::Service { source_name: self.describe(), source: Box::new(error) })
    }

    fn value(&self, fetched: &Fetched, member: &str) -> Result<Value, SourceError> {
        let missing = || SourceError::NoMember { source_name: self.describe(), member: member.to_owned() };
        let pointer = if member.starts_with('/') { member.to_owned() } else { format!("/{member}") };
        let pointer = standin_model::JsonPointer::parse(&pointer).ok_or_else(missing)?;
        let odd = |_| SourceError::NotUnderstood { source_name: self.describe(), what: "a name stands in it twice" };
        let found = find_in_json(fetched.text.expose(), &pointer).map_err(odd)?;
        match found.map(|place| place.value) {
            Some(Found::Text(value)) => Ok(Value { secret: Secret::new(value.into_bytes()), expires: fetched.expires }),
            _ => Err(missing()),
        }
    }
}
