//! Where credentials of a session come from, now and anew: several may come from one source at once.

use crate::Credential;
use crate::shapes::ShapeFile;
use standin_secret::{Fetched, Manner, Secret, SecretSource, SourceError, Value};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A value is fetched anew so long before it expires, or a quarter of its time before if that is less: requests that are under
/// way when it expires would fail.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// A source that credentials come from.
pub struct Supply(Box<dyn SecretSource>);

/// What a supply gave.
pub struct Delivery(Arc<Supply>, Fetched);

/// How a credential comes from a supply.
#[derive(Clone)]
pub struct Supplied {
    /// The supply.
    pub supply: Arc<Supply>,
    /// Which of its values it is.
    pub member: String,
    /// Whether such a value may be lent.
    pub admits: Admits,
    /// Where its shape is remembered.
    pub shape: ShapeFile,
    /// How long the value is good for; nothing if it has none yet, or for ever.
    pub term: Option<Term>,
}

/// Judges a value.
pub type Admits = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// How long a value is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// From when on it is to be fetched anew.
    pub renew: SystemTime,
    /// From when on it is worth nothing.
    pub end: SystemTime,
}

impl Supply {
    /// From this source.
    pub fn new(source: Box<dyn SecretSource>) -> Arc<Self> {
        Arc::new(Self(source))
    }

    /// The source, for messages.
    pub fn describe(&self) -> String {
        self.0.describe()
    }

    /// Whether it has something else now than it gave the last time, as far as it knows.
    pub fn is_behind(&self) -> bool {
        self.0.is_behind()
    }

    /// Fetches what there is. Blocks.
    pub fn fetch(self: &Arc<Self>, manner: Manner) -> Result<Delivery, SourceError> {
        Ok(Delivery(Arc::clone(self), self.0.fetch(manner)?))
    }
}

impl Delivery {
    /// One of its values, and how long it is good for.
    pub fn value(&self, member: &str) -> Result<(Secret, Option<Term>), SourceError> {
        let Self(supply, fetched) = self;
        let Value { secret, expires } = supply.0.value(fetched, member)?;
        if secret.is_empty() {
            return Err(SourceError::Empty(supply.describe()));
        }
        let Some(end) = expires else { return Ok((secret, None)) };
        let left = end.duration_since(fetched.at).unwrap_or_default();
        if left.is_zero() {
            return Err(SourceError::Expired(supply.describe()));
        }
        Ok((secret, Some(Term { renew: end - AHEAD.min(left / 4), end })))
    }

    /// The credential with its value of this. Its stand-in stays.
    pub fn to(&self, credential: &Credential) -> Result<Credential, SourceError> {
        let Some(supplied) = &credential.supplied else { return Ok(credential.clone()) };
        let (secret, term) = self.value(&supplied.member)?;
        if !(supplied.admits)(secret.expose()) {
            return Err(SourceError::Administers(self.0.describe()));
        }
        // If it cannot be, the next session fetches the value before it starts.
        supplied.shape.keep(&secret).ok();
        let (secret, supplied) = (Arc::new(secret), Some(Supplied { term, ..supplied.clone() }));
        Ok(Credential { secret, supplied, ..credential.clone() })
    }
}

impl Credential {
    /// Whether it is to be fetched before it is used next: it has no value yet, one that expires soon, or one that its owner replaced.
    pub fn is_due(&self, now: SystemTime) -> bool {
        let is_behind = || self.supplied.as_ref().is_some_and(|supplied| supplied.supply.is_behind());
        self.secret.is_empty() || self.term().is_some_and(|term| now >= term.renew) || is_behind()
    }

    /// Whether it has no value that is worth anything.
    pub fn is_spent(&self, now: SystemTime) -> bool {
        self.secret.is_empty() || self.term().is_some_and(|term| now >= term.end)
    }

    /// Whether it comes from this supply.
    pub fn comes_from(&self, supply: &Arc<Supply>) -> bool {
        self.supplied.as_ref().is_some_and(|supplied| Arc::ptr_eq(&supplied.supply, supply))
    }

    fn term(&self) -> Option<Term> {
        self.supplied.as_ref().and_then(|supplied| supplied.term)
    }
}
