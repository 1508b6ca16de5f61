//! The part of a data file that says how a credential of the service is replaced by a new one.

use serde::Deserialize;

/// How a credential is replaced.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Where a new one is made, and the old one revoked.
    pub page: String,
    /// What a new one is to be asked for.
    pub ask: String,
    /// What else the old one needs, or what is to be known of it.
    pub note: Option<String>,
    /// The service's own way to do it, if Standin knows that.
    pub by: Option<Api>,
}

/// A service's way to replace a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// `POST /api/v4/personal_access_tokens/self/rotate`: the token asks for its successor, and is worth nothing from then on.
    GitLab,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRotation {
    page: String,
    ask: String,
    note: Option<String>,
    by: Option<Api>,
}

impl RawRotation {
    pub(super) fn compile(self) -> Rotation {
        let Self { page, ask, note, by } = self;
        let restored = |text: String| text.replace("[.]", ".");
        Rotation { page: restored(page), ask, note: note.map(restored), by }
    }
}
