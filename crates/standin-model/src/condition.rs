//! What a rule asks of a request beyond where it goes: of its query, its fields, its body, what it
//! runs in GraphQL, the package it publishes, and the refs it pushes.
//!
//! What a request says there is a [`Fact`], and somebody else finds it out ([`Evidence`]). Not every fact can be had: a body is
//! too large, is not what its type says, or says one thing twice. A rule that allows then means nothing, and a rule that
//! denies means it: what cannot be read is nobody's permission.

mod graphql;
mod publish;
mod push;
mod test;
mod written;

pub use graphql::{GraphQl, Operation, OperationKind, Operations};
pub use publish::{Publish, Published, Registry};
pub use push::{Commands, Push, RefUpdate};
pub use test::{Fact, Test};
pub use written::{ConditionError, PlaceKind, WrittenGraphQl, WrittenPublish, WrittenPush, WrittenTest, WrittenValues};

use crate::limits::{MAX_FACTS, MAX_PUBLISH};
use crate::slot::JsonPointer;
use crate::spelling::Spellings;
use std::fmt;

/// One condition. A rule means what fulfils all of its conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A value at a place.
    Value(Place, Test),
    /// What git pushes over HTTP.
    Push(Push),
    /// What is run in GraphQL.
    GraphQl(GraphQl),
    /// What is published at a registry of packages.
    Publish(Publish),
}

/// A place in a request that may hold a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A parameter of the query, by its decoded name.
    Query(String),
    /// A field of the head, by its name in lower case.
    Header(String),
    /// A field of a form in the body.
    Form(String),
    /// A place in JSON in the body.
    Json(JsonPointer),
}

/// What can be found out about a request.
pub trait Evidence {
    /// What stands at a place.
    fn value(&self, place: &Place) -> Fact;

    /// What git asks to be changed, if it could be read. Asked only where a request pushes.
    fn push(&self) -> Option<Commands> {
        None
    }

    /// What is run in GraphQL, if it could be read.
    fn graphql(&self) -> Option<Operations> {
        None
    }

    /// What is published at a registry of this kind by a request to this path, if it could be read.
    fn publish(&self, _registry: Registry, _path: &str) -> Option<Published> {
        None
    }
}

/// Nothing has been found out.
pub struct NoEvidence;

/// What has to be read of a body before a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The values in it.
    pub values: bool,
    /// The commands at the beginning of a push.
    pub push: bool,
    /// A package, which is larger than what else is read.
    pub publish: bool,
}

impl Condition {
    /// Whether it is fulfilled beyond doubt: for rules that allow.
    pub fn surely_holds(&self, path: &Spellings<'_>, evidence: &dyn Evidence) -> bool {
        match self {
            Self::Value(place, test) => test.surely_holds(&evidence.value(place)),
            Self::Push(push) => push.surely_holds(path, evidence),
            Self::GraphQl(graphql) => graphql.surely_holds(evidence),
            Self::Publish(publish) => publish.surely_holds(path, evidence),
        }
    }

    /// Whether it may be fulfilled, as somebody reads the request: for rules that deny.
    pub fn may_hold(&self, path: &Spellings<'_>, evidence: &dyn Evidence) -> bool {
        match self {
            Self::Value(place, test) => test.may_hold(&evidence.value(place)),
            Self::Push(push) => push.may_hold(path, evidence),
            Self::GraphQl(graphql) => graphql.may_hold(evidence),
            Self::Publish(publish) => publish.may_hold(path, evidence),
        }
    }

    /// What the request has where it is asked, for people.
    pub fn found(&self, path: &Spellings<'_>, evidence: &dyn Evidence) -> String {
        let unknown = || Fact::Unknown.to_string();
        match self {
            Self::Value(place, _) => evidence.value(place).to_string(),
            Self::Push(_) => evidence.push().as_ref().map_or_else(unknown, Commands::to_string),
            Self::GraphQl(_) => evidence.graphql().as_ref().map_or_else(unknown, Operations::to_string),
            Self::Publish(publish) => {
                let published = evidence.publish(publish.registry, path.written());
                published.as_ref().map_or_else(unknown, Published::to_string)
            }
        }
    }

    /// What has to be read to tell.
    pub fn wants(&self, path: &Spellings<'_>) -> Wanted {
        match self {
            Self::Value(Place::Form(_) | Place::Json(_), _) | Self::GraphQl(_) => {
                Wanted { values: true, ..Wanted::default() }
            }
            Self::Value(Place::Query(_) | Place::Header(_), _) => Wanted::default(),
            Self::Push(_) => Wanted { push: Push::is_pushed(path), ..Wanted::default() },
            Self::Publish(_) => Wanted { publish: true, ..Wanted::default() },
        }
    }
}

impl Wanted {
    /// Whether anything is.
    pub fn any(self) -> bool {
        self.values || self.push || self.publish
    }

    /// Most bytes of a body that are read for it.
    pub fn most(self) -> usize {
        if self.publish { MAX_PUBLISH } else { MAX_FACTS }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            values: self.values || other.values,
            push: self.push || other.push,
            publish: self.publish || other.publish,
        }
    }
}

impl Evidence for NoEvidence {
    fn value(&self, _: &Place) -> Fact {
        Fact::Unknown
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(place, test) => write!(f, "{place} {test}"),
            Self::Push(push) => push.fmt(f),
            Self::GraphQl(graphql) => graphql.fmt(f),
            Self::Publish(publish) => publish.fmt(f),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(name) => write!(f, "query `{name}`"),
            Self::Header(name) => write!(f, "header `{name}`"),
            Self::Form(name) => write!(f, "form field `{name}`"),
            Self::Json(pointer) => write!(f, "json `{}`", pointer.as_str()),
        }
    }
}
