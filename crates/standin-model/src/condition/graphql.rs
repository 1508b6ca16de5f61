//! What a request runs in GraphQL, where one path serves all that there is.

use super::Evidence;
use crate::pattern::TextPattern;
use serde::Deserialize;
use std::fmt;

/// Most operations that are told of a request, and most fields of each.
const MOST_SHOWN: usize = 32;

/// Which kinds of operations may be run, and with which fields at their top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphQl(pub Vec<(OperationKind, Vec<TextPattern>)>);

/// A kind of operation (GraphQL §2.3).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum OperationKind {
    /// It reads.
    Query,
    /// It changes something.
    Mutation,
    /// It reads on.
    Subscription,
}

/// Every operation in a request, whichever of them it asks to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operations(pub Vec<Operation>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its kind.
    pub kind: OperationKind,
    /// The fields at its top by their own names, those of its fragments among them.
    pub fields: Vec<String>,
}

impl GraphQl {
    pub(super) fn surely_holds(&self, evidence: &dyn Evidence) -> bool {
        // What runs nothing, or asks for no field, is none that was understood.
        let means = |operation: &Operation| {
            let fields = self.fields(operation.kind);
            let named = |field: &String| fields.iter().any(|pattern| pattern.matches(field));
            !operation.fields.is_empty() && operation.fields.iter().all(named)
        };
        evidence.graphql().is_some_and(|asked| !asked.0.is_empty() && asked.0.iter().all(means))
    }

    pub(super) fn may_hold(&self, evidence: &dyn Evidence) -> bool {
        let means = |operation: &Operation| {
            let fields = self.fields(operation.kind);
            let named = |field: &String| fields.iter().any(|pattern| pattern.matches_in_any_case(field));
            operation.fields.iter().any(named)
        };
        evidence.graphql().is_none_or(|asked| asked.0.iter().any(means))
    }

    /// The fields that are meant of a kind; none if the kind is not.
    fn fields(&self, kind: OperationKind) -> &[TextPattern] {
        self.0.iter().find(|(of, _)| *of == kind).map_or(&[], |(_, fields)| fields)
    }
}

impl fmt::Display for GraphQl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GraphQL of ")?;
        for (n, (kind, fields)) in self.0.iter().enumerate() {
            write!(f, "{}{kind}", if n == 0 { "" } else { ", " })?;
            for (n, field) in fields.iter().filter(|field| field.as_str() != "*").enumerate() {
                write!(f, "{} `{}`", if n == 0 { "" } else { " or" }, field.as_str())?;
            }
        }
        f.write_str(" only")
    }
}

impl fmt::Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Operation { kind, fields }) in self.0.iter().take(MOST_SHOWN).enumerate() {
            let shown = &fields[..fields.len().min(MOST_SHOWN)];
            write!(f, "{}{kind} of {}", if n == 0 { "" } else { "; " }, shown.join(", "))?;
            f.write_str(if shown.len() < fields.len() { ", …" } else { "" })?;
        }
        f.write_str(if self.0.len() > MOST_SHOWN { "; …" } else { "" })
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::OperationKind::{Mutation, Query};
    use super::*;
    use crate::condition::{Fact, Place};

    struct Runs(Option<Operations>);

    impl Evidence for Runs {
        fn value(&self, _: &Place) -> Fact {
            Fact::Unknown
        }

        fn graphql(&self) -> Option<Operations> {
            self.0.clone()
        }
    }

    fn runs(list: &[(OperationKind, &[&str])]) -> Operations {
        let operation = |(kind, fields): &(OperationKind, &[&str])| Operation {
            kind: *kind,
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        };
        Operations(list.iter().map(operation).collect())
    }

    /// All operations and fields of a request are meant by what allows, one is enough for what denies.
    #[test]
    fn every_field_counts() {
        let fields = |list: &[&str]| list.iter().map(|field| TextPattern::parse(field).unwrap()).collect::<Vec<_>>();
        let rule = GraphQl(vec![(Query, fields(&["*"])), (Mutation, fields(&["add*", "closeIssue"]))]);
        for (asked, allows, denies) in [
            (Some(runs(&[(Query, &["viewer", "node"])])), true, true),
            (Some(runs(&[(Mutation, &["addComment"]), (Query, &["viewer"])])), true, true),
            (Some(runs(&[(Mutation, &["addComment", "deleteIssue"])])), false, true),
            (Some(runs(&[(Mutation, &["deleteIssue"])])), false, false),
            (Some(runs(&[(Mutation, &["ADDcomment"])])), false, true),
            (Some(runs(&[(OperationKind::Subscription, &["viewer"])])), false, false),
            (Some(runs(&[(Query, &[])])), false, false),
            (Some(runs(&[])), false, false),
            (None, false, true),
        ] {
            let evidence = Runs(asked);
            let verdict = (rule.surely_holds(&evidence), rule.may_hold(&evidence));
            assert_eq!(verdict, (allows, denies), "{:?}", evidence.0);
        }
        assert_eq!(rule.to_string(), "GraphQL of query, mutation `add*` or `closeIssue` only");
    }
}
