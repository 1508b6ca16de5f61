//! The nouns of Standin, and nothing else.
//!
//! Every other crate speaks in these types. A value of one of them is already valid: a [`Host`] went
//! through the one parser, a [`PathPattern`] compiles, a [`DenyReason`] has a stable code. This crate
//! does no I/O, reads no clock and knows no secret.
//!
//! Read next: [`host`] (the strict name type everything is decided on), then [`rule`] (what a policy says).

pub mod authority;
pub mod backend;
pub mod bounds;
pub mod caps;
pub mod condition;
pub mod danger;
pub mod deny;
pub mod git;
pub mod host;
pub mod host_executed;
pub mod id;
pub mod leak;
pub mod limits;
mod login;
pub mod parent;
pub mod pattern;
pub mod postgres;
pub mod preset;
pub mod protected;
pub mod rule;
pub mod slot;
pub mod spelling;
pub mod terminal;

pub use authority::{Authority, AuthorityError, Scheme};
pub use backend::{Backend, UnknownBackend};
pub use bounds::{Bound, BoundError, Bounds};
pub use caps::{Caps, SessionCaps};
pub use condition::{
    Commands, Condition, ConditionError, Evidence, Fact, GraphQl, NoEvidence, Operation, OperationKind, Operations,
    Place, PlaceKind, Publish, Published, Push, RefUpdate, Registry, Test, Wanted, WrittenGraphQl, WrittenPublish,
    WrittenPush, WrittenValues,
};
pub use danger::{DangerGroup, NoSuchGroup};
pub use deny::{Denial, DenyReason};
pub use git::{GitGrant, GitPush, GitRule, GitService, Repository, RepositoryError, RepositoryPattern};
pub use host::{Host, HostError, Name};
pub use id::{CredentialName, ExchangeId, Principal, SessionId};
pub use leak::{Leak, OnLeak, UnknownReaction};
pub use login::{Login, LoginForm, LoginToken, StateFile, TokenEndpoint, TokenKind};
pub use parent::{Bypass, ParentError, ParentProtocol, ParentProxy};
pub use pattern::{HostPattern, PathPattern, PatternError, TextPattern};
pub use postgres::{PostgresGrant, PostgresRule};
pub use preset::{PresetError, PresetUse};
pub use rule::{AddressBlocks, GrantRule, Methods, Ports, RequestRule};
pub use slot::{JsonPointer, PathSlot, Slot, SlotError};
pub use spelling::Spellings;
pub use terminal::{TerminalFeature, UnknownTerminalFeature};
