//! What the server says, as its API is documented: KV version 2, any other engine, and what is meant when it says no.

use crate::call::{Answer, CallError};
use serde::Deserialize;
use serde_json::value::RawValue;
use standin_secret::Secret;
use std::collections::HashMap;
use std::time::Duration;

/// The longest that a lease is taken to run: a hundred years, so that its end is a time that can be told.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// What is at a path.
pub(crate) struct Given {
    /// Its values, an object of JSON.
    pub(crate) values: Secret,
    /// The lease that came with it: its name, and how long it runs.
    pub(crate) lease: Option<(String, Duration)>,
}

/// `/v1/PATH`
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(default)]
    lease_id: String,
    #[serde(default)]
    lease_duration: u64,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// What version 2 has in `data`.
#[derive(Deserialize)]
struct Version<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    deletion_time: String,
    destroyed: bool,
}

/// `/v1/sys/internal/ui/mounts/PATH`
#[derive(Deserialize)]
struct Mounted {
    data: Mount,
}

/// An engine, and where it is.
#[derive(Deserialize)]
pub(crate) struct Mount {
    path: String,
    options: Option<HashMap<String, String>>,
}

impl Mount {
    /// Whether it keeps versions, and so has its secrets in another place.
    fn is_versioned(&self) -> bool {
        self.options.as_ref().and_then(|options| options.get("version")).is_some_and(|version| version == "2")
    }

    /// Where the server has what is called so in `vault kv get` and `vault read`.
    pub(crate) fn place(&self, path: &str) -> (String, bool) {
        let versioned = self.is_versioned();
        match path.strip_prefix(&self.path).filter(|_| versioned) {
            Some(rest) => (format!("{}data/{rest}", self.path), true),
            None => (path.to_owned(), false),
        }
    }
}

/// Which engine a path belongs to; nothing if the server does not say.
pub(crate) fn mount(answer: &Answer) -> Result<Option<Mount>, CallError> {
    match answer.status {
        200 => Ok(Some(parsed::<Mounted>(&answer.body)?.data)),
        404 => Ok(None),
        _ => Err(refusal(answer)),
    }
}

/// What is at a path.
pub(crate) fn secret(answer: &Answer, versioned: bool) -> Result<Given, CallError> {
    if answer.status != 200 {
        return Err(refusal(answer));
    }
    let read: Read<'_> = parsed(&answer.body)?;
    let data = read.data.ok_or(CallError::NotUnderstood("it has no `data`"))?;
    let values = if versioned {
        let version: Version<'_> = parsed(data.get().as_bytes())?;
        version.data.ok_or(CallError::Deleted)?
    } else {
        data
    };
    let runs = Duration::from_secs(read.lease_duration).min(LONGEST);
    let lease = (!read.lease_id.is_empty()).then_some((read.lease_id, runs));
    Ok(Given { values: Secret::copy_of(values.get().as_bytes()), lease })
}

/// Whether what was to be done was done.
pub(crate) fn done(answer: &Answer) -> Result<(), CallError> {
    if matches!(answer.status, 200 | 204) { Ok(()) } else { Err(refusal(answer)) }
}

fn refusal(answer: &Answer) -> CallError {
    match answer.status {
        403 => CallError::Forbidden,
        404 if is_of_a_deleted_version(&answer.body) => CallError::Deleted,
        404 => CallError::NotFound,
        503 => CallError::Sealed,
        status @ 300..400 => CallError::Elsewhere(status),
        status => CallError::Status(status),
    }
}

/// Version 2 answers 404 for one, too, but says what became of it.
fn is_of_a_deleted_version(body: &[u8]) -> bool {
    let version = serde_json::from_slice::<Read<'_>>(body).ok().and_then(|read| read.data);
    let version = version.and_then(|data| serde_json::from_str::<Version<'_>>(data.get()).ok());
    version.is_some_and(|version| version.metadata.destroyed || !version.metadata.deletion_time.is_empty())
}

fn parsed<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, CallError> {
    // What serde_json says of it may quote it.
    serde_json::from_slice(text).map_err(|_| CallError::NotUnderstood("it is no JSON of that form"))
}
