//! A login: tokens that a client keeps in a file of its own, where they are good, and where they are exchanged for new ones
//! (RFC 6749 §6). What the catalogue says of one; the tokens themselves are the vault's.

use crate::rule::{GrantRule, RequestRule};
use crate::slot::JsonPointer;

/// How a client keeps a login.
#[derive(Clone, Debug)]
pub struct Login {
    /// The service's identifier.
    pub id: String,
    /// What people call the client: `Claude Code`.
    pub client: String,
    /// Its directory in the home.
    pub directory: String,
    /// The variable that names another directory.
    pub variable: String,
    /// The file in that directory.
    pub file: String,
    /// The directory that the client makes there while it exchanges tokens, so that two of it do not do so at once.
    pub lock: Option<String>,
    /// What is in the file.
    pub form: LoginForm,
    /// Where tokens are exchanged.
    pub endpoint: TokenEndpoint,
    /// Other files without which the client does not know that somebody is logged in.
    pub state: Vec<StateFile>,
}

/// What is in a login's file, which is JSON.
#[derive(Clone, Debug)]
pub struct LoginForm {
    /// The tokens.
    pub tokens: Vec<LoginToken>,
    /// What is shown as it is, because it is no secret. Everything else is left out.
    pub shown: Vec<JsonPointer>,
    /// When the access token expires, in milliseconds since 1970.
    pub expires: Option<JsonPointer>,
    /// When tokens were exchanged last, as RFC 3339 has it.
    pub refreshed: Option<JsonPointer>,
    /// A list of what the access token is good for.
    pub scopes: Option<JsonPointer>,
    /// Something that the file repeats from the identity token's claims: where it stands, and where in the claims.
    pub account: Option<(JsonPointer, JsonPointer)>,
    /// Claims that a stand-in for a JWT keeps (RFC 7519 §4), besides those about time, issuer and audience.
    pub claims: Vec<String>,
    /// A file without tokens: what a login that was made inside begins as.
    pub empty: String,
}

/// One token of a login.
#[derive(Clone, Debug)]
pub struct LoginToken {
    /// What it is for.
    pub kind: TokenKind,
    /// Where it stands in the file.
    pub at: JsonPointer,
    /// Where its stand-in is exchanged.
    pub grants: Vec<GrantRule>,
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// It is shown to the service.
    Access,
    /// It is exchanged for new ones, at the token endpoint only.
    Refresh,
    /// It tells the client who is logged in (OpenID Connect Core §2), and goes nowhere.
    Identity,
    /// An ordinary key that the client keeps in the same file. It is not exchanged.
    Key,
}

/// Where tokens are exchanged.
#[derive(Clone, Debug)]
pub struct TokenEndpoint {
    /// The requests meant.
    pub rule: RequestRule,
    /// What else of an answer the client is given, by the names of its members. The rest is left out.
    pub passes: Vec<String>,
}

/// A file of the client's state.
#[derive(Clone, Debug)]
pub struct StateFile {
    /// In the home, or in the client's directory where a variable names it.
    pub file: String,
    /// What is shown of it.
    pub shown: Vec<JsonPointer>,
}

impl TokenKind {
    /// Those that a token endpoint gives, and what it calls them in its answer (RFC 6749 §5.1, OpenID Connect Core §3.1.3.3).
    pub const GIVEN: [(Self, &'static str); 3] =
        [(Self::Access, "access_token"), (Self::Refresh, "refresh_token"), (Self::Identity, "id_token")];

    /// What it is called behind the service's name: `anthropic:login`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Access => "login",
            Self::Refresh => "refresh",
            Self::Identity => "identity",
            Self::Key => "key",
        }
    }
}
