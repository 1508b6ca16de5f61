//! Conditions as they are written in TOML, in a configuration and in the catalogue alike.
//!
//! ```toml
//! query  = { state = "open" }
//! json   = { "/model" = "claude-*", "/max_tokens" = { max = 4096 }, "/tools" = { absent = true } }
//! push   = ["refs/heads/agent/**"]
//! graphql = { query = ["*"], mutation = ["addComment"] }
//! publish = { registry = "npm", packages = ["@acme/*"] }
//! ```

use super::{Condition, GraphQl, OperationKind, Place, Publish, Push, Registry, Test};
use crate::pattern::{PatternError, TextPattern};
use crate::slot::{JsonPointer, is_token};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The values that a rule asks for, by the names of their places.
pub type WrittenValues = BTreeMap<String, WrittenTest>;

/// What a value has to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "write a text, a number, `true` or `false`, a list of these, or a table of `is`, `not`, `min`, `max` and `absent`"
)]
pub enum WrittenTest {
    /// This.
    Bool(bool),
    /// This.
    Number(f64),
    /// A text like this.
    Text(String),
    /// One of these.
    Any(Vec<WrittenTest>),
    /// What a table says.
    Table(WrittenTable),
}

/// What a value has to be, in more words. What fulfils one of them is right.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenTable {
    is: Option<Box<WrittenTest>>,
    not: Option<Box<WrittenTest>>,
    min: Option<f64>,
    max: Option<f64>,
    #[serde(default)]
    absent: bool,
}

/// The refs that may be pushed to.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "write a list of refs, or a table of `refs` and `delete`")]
pub enum WrittenPush {
    /// These.
    Refs(Vec<String>),
    /// What a table says.
    Table(WrittenPushTable),
}

/// The refs that may be pushed to, in more words.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenPushTable {
    refs: Vec<String>,
    #[serde(default)]
    delete: bool,
}

/// What may be run in GraphQL.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "write a list of `query`, `mutation` and `subscription`, or a table of these with the fields of each: \
                 `{ query = [\"*\"], mutation = [\"addComment\"] }`"
)]
pub enum WrittenGraphQl {
    /// Whatever is of these kinds.
    Kinds(Vec<OperationKind>),
    /// What a table says.
    Table(WrittenOperations),
}

/// The fields that may stand at the top of operations, by their kinds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenOperations {
    query: Option<Vec<String>>,
    mutation: Option<Vec<String>>,
    subscription: Option<Vec<String>>,
}

/// The packages that may be published.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenPublish {
    /// Where.
    pub registry: Registry,
    packages: Vec<String>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
}

/// Where values are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// In the query.
    Query,
    /// In the fields of the head.
    Header,
    /// In a form.
    Form,
    /// In JSON.
    Json,
}

/// Why what is written is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Not a pattern.
    #[error("`{0}` is not understood: {1}")]
    Pattern(String, PatternError),
    /// A name that no header can have.
    #[error("`{0}` cannot be the name of a header")]
    Header(String),
    /// No name.
    #[error("a parameter and a field have a name")]
    Nameless,
    /// Not a JSON pointer, or one that means the whole document.
    #[error("`{0}` is no place in JSON; write it as RFC 6901 has it: `/model`, `/messages/0/role`")]
    Pointer(String),
    /// A table that says nothing, or a list without an element: nothing would ever fulfil it.
    #[error("nothing fulfils what is asked of `{0}`")]
    Nothing(String),
    /// Not the full name of a ref.
    #[error("`{0}` is not the full name of a ref; write `refs/heads/{0}`")]
    Ref(String),
    /// No refs: nothing could be pushed, which is said otherwise.
    #[error("an empty list of refs means nothing; a rule without `git-receive-pack` among its paths allows no push")]
    NoRefs,
    /// No operations: nothing would ever fulfil it.
    #[error("no operation of GraphQL is among what it means; write `[\"query\"]` for those that read")]
    NoOperations,
    /// No packages: nothing could be published, which is said otherwise.
    #[error("an empty list of packages means nothing")]
    NoPackages,
    /// A name that is spelt as the registry does not keep it: nothing would ever be it.
    #[error("`{0}` is no name as the registry keeps it: in lower case, and at PyPI with `-` for `_` and `.`")]
    Package(String),
    /// What only npm has.
    #[error("packages have tags at npm only")]
    Tags,
    /// Not the name of a field.
    #[error(
        "`{0}` is not the name of a field at the top of an operation, with `*` for what is any: `repository`, `add*`"
    )]
    Field(String),
}

impl PlaceKind {
    /// The conditions that a table of values asks for.
    pub fn conditions(self, values: WrittenValues) -> Result<Vec<Condition>, ConditionError> {
        let condition = |(name, test): (String, WrittenTest)| {
            let test = test.test(&name)?;
            Ok(Condition::Value(self.place(name)?, test))
        };
        values.into_iter().map(condition).collect()
    }

    fn place(self, name: String) -> Result<Place, ConditionError> {
        match self {
            Self::Json => JsonPointer::parse(&name).map(Place::Json).ok_or(ConditionError::Pointer(name)),
            _ if name.is_empty() => Err(ConditionError::Nameless),
            Self::Query => Ok(Place::Query(name)),
            Self::Form => Ok(Place::Form(name)),
            Self::Header if is_token(&name) => Ok(Place::Header(name.to_ascii_lowercase())),
            Self::Header => Err(ConditionError::Header(name)),
        }
    }
}

impl WrittenTest {
    /// Changes every text in it.
    pub fn rewrite(&mut self, change: &impl Fn(&str) -> String) {
        match self {
            Self::Text(text) => *text = change(text),
            Self::Any(tests) => tests.iter_mut().for_each(|test| test.rewrite(change)),
            Self::Table(table) => {
                for test in table.is.iter_mut().chain(&mut table.not) {
                    test.rewrite(change);
                }
            }
            Self::Bool(_) | Self::Number(_) => {}
        }
    }

    fn test(self, of: &str) -> Result<Test, ConditionError> {
        Ok(match self {
            Self::Bool(wanted) => Test::Bool(wanted),
            Self::Number(number) => Test::Number(number, number),
            Self::Text(text) => Test::Text(Box::new(pattern(&text)?)),
            Self::Any(tests) if tests.is_empty() => return Err(ConditionError::Nothing(of.to_owned())),
            Self::Any(tests) => Test::Any(tests.into_iter().map(|test| test.test(of)).collect::<Result<_, _>>()?),
            Self::Table(table) => table.test(of)?,
        })
    }
}

impl WrittenTable {
    fn test(self, of: &str) -> Result<Test, ConditionError> {
        let Self { is, not, min, max, absent } = self;
        let mut tests = Vec::new();
        if absent {
            tests.push(Test::Absent);
        }
        if let Some(is) = is {
            tests.push(is.test(of)?);
        }
        if let Some(not) = not {
            tests.push(Test::Not(Box::new(not.test(of)?)));
        }
        if min.is_some() || max.is_some() {
            let (least, most) = (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY));
            if least > most {
                return Err(ConditionError::Nothing(of.to_owned()));
            }
            tests.push(Test::Number(least, most));
        }
        match tests.len() {
            0 => Err(ConditionError::Nothing(of.to_owned())),
            1 => Ok(tests.remove(0)),
            _ => Ok(Test::Any(tests)),
        }
    }
}

impl WrittenPush {
    /// Changes every ref in it.
    pub fn rewrite(&mut self, change: &impl Fn(&str) -> String) {
        let (Self::Refs(refs) | Self::Table(WrittenPushTable { refs, .. })) = self;
        for name in refs {
            *name = change(name);
        }
    }

    /// The condition that it asks for.
    pub fn condition(self) -> Result<Condition, ConditionError> {
        self.push().map(Condition::Push)
    }

    /// What it leaves.
    pub fn push(self) -> Result<Push, ConditionError> {
        let (refs, delete) = match self {
            Self::Refs(refs) => (refs, false),
            Self::Table(WrittenPushTable { refs, delete }) => (refs, delete),
        };
        if refs.is_empty() {
            return Err(ConditionError::NoRefs);
        }
        let full = |name: String| {
            if name.starts_with("refs/") || name.starts_with("**") {
                pattern(&name)
            } else {
                Err(ConditionError::Ref(name))
            }
        };
        Ok(Push { refs: refs.into_iter().map(full).collect::<Result<_, _>>()?, delete })
    }
}

impl WrittenGraphQl {
    /// The condition that it asks for.
    pub fn condition(self) -> Result<Condition, ConditionError> {
        let kinds: Vec<_> = match self {
            Self::Kinds(kinds) => kinds.into_iter().map(|kind| (kind, vec!["*".to_owned()])).collect(),
            Self::Table(WrittenOperations { query, mutation, subscription }) => {
                let of = |kind, fields: Option<Vec<String>>| fields.map(|fields| (kind, fields));
                let all = [
                    of(OperationKind::Query, query),
                    of(OperationKind::Mutation, mutation),
                    of(OperationKind::Subscription, subscription),
                ];
                all.into_iter().flatten().collect()
            }
        };
        if kinds.is_empty() || kinds.iter().any(|(_, fields)| fields.is_empty()) {
            return Err(ConditionError::NoOperations);
        }
        let compiled = |(kind, fields): (OperationKind, Vec<String>)| {
            Ok((kind, fields.into_iter().map(field).collect::<Result<_, _>>()?))
        };
        Ok(Condition::GraphQl(GraphQl(kinds.into_iter().map(compiled).collect::<Result<_, _>>()?)))
    }
}

impl WrittenPublish {
    /// The condition that it asks for.
    pub fn condition(self) -> Result<Condition, ConditionError> {
        let Self { registry, packages, versions, tags } = self;
        if packages.is_empty() {
            return Err(ConditionError::NoPackages);
        }
        if registry == Registry::PyPi && !tags.is_empty() {
            return Err(ConditionError::Tags);
        }
        let odd = |byte: u8| byte.is_ascii_uppercase() || (registry == Registry::PyPi && matches!(byte, b'_' | b'.'));
        if let Some(name) = packages.iter().find(|name| name.bytes().any(odd)) {
            return Err(ConditionError::Package(name.clone()));
        }
        let all = |texts: Vec<String>| texts.iter().map(|text| pattern(text)).collect::<Result<Vec<_>, _>>();
        let (packages, versions, tags) = (all(packages)?, all(versions)?, all(tags)?);
        Ok(Condition::Publish(Publish { registry, packages, versions, tags }))
    }
}

fn field(name: String) -> Result<TextPattern, ConditionError> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'*');
    if name.is_empty() || !name.bytes().all(is_name) {
        return Err(ConditionError::Field(name));
    }
    pattern(&name)
}

fn pattern(text: &str) -> Result<TextPattern, ConditionError> {
    TextPattern::parse(text).map_err(|error| ConditionError::Pattern(text.to_owned(), error))
}
