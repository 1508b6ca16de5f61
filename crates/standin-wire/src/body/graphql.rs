//! What a request runs in GraphQL, for policy: every operation in it, whichever of them it asks for by `operationName`.
//!
//! Servers agree about little beyond the language: what else they look at (`_json`, `doc_id`, `extensions.persistedQuery`, the query
//! of a `POST`) may be another operation than the one that stands there. So a request has `query`, `operationName`,
//! `variables` and harmless `extensions`, each once, in one place, or it is not understood. Of the language itself what some
//! parsers read otherwise is not understood either: line ends that only some take for one, and whatever makes them find the end of a
//! string elsewhere.

use super::{Kind, decoded, value};
use apollo_parser::cst::{Definition, FragmentDefinition, OperationDefinition, Selection, SelectionSet};
use apollo_parser::{Lexer, Parser, TokenKind};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use standin_model::limits::MAX_GRAPHQL;
use standin_model::{Fact, Operation, OperationKind, Operations, Place};
use std::collections::{HashMap, HashSet};

/// Deepest nesting of fields, lists and objects that is read. Clients that ask a server for its types go some fifteen deep.
const MAX_DEPTH: usize = 64;
/// Most tokens of a document, white space included.
const MAX_TOKENS: usize = 32 * 1024;
/// Most fields that are looked at in one request, one that several operations have by a fragment counted for each of them.
const MAX_LOOKED_AT: usize = 32 * 1024;
/// Most fields at the top of all operations of a request, each once.
const MAX_FIELDS: usize = 1024;

const TOO_LONG: &str = "its GraphQL is too long";
const NO_DOCUMENT: &str = "its GraphQL is not plain, or not of this language (texts are best put into variables: block strings, escaped \
                           backslashes, and quotes in comments are not read)";
const NO_REQUEST: &str = "it is not plainly a request of GraphQL, or names what it runs instead of writing it";

/// The members of a request (GraphQL over HTTP §5.4). Another, or one that is there twice, is none that was understood.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request<'a> {
    query: String,
    #[serde(rename = "operationName")]
    _name: Option<IgnoredAny>,
    #[serde(rename = "variables")]
    _variables: Option<IgnoredAny>,
    #[serde(borrow)]
    extensions: Option<&'a RawValue>,
}

/// Extensions that say nothing about what is run: Apollo's client says its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extensions {
    #[serde(rename = "clientLibrary")]
    _client: Option<IgnoredAny>,
}

/// What JSON in a body runs: a request, or a list of them.
pub fn json(body: &[u8]) -> Result<Operations, &'static str> {
    let read = || -> Option<Vec<Request<'_>>> {
        let whole: &RawValue = serde_json::from_slice(body).ok()?;
        if whole.get().starts_with('[') {
            let list: Vec<&RawValue> = serde_json::from_str(whole.get()).ok()?;
            return list.into_iter().map(object).collect();
        }
        Some(vec![object(whole)?])
    };
    let requests = read().filter(|requests| !requests.is_empty()).ok_or(NO_REQUEST)?;
    if !requests.iter().all(|request| request.extensions.is_none_or(is_harmless)) {
        return Err(NO_REQUEST);
    }
    if requests.iter().map(|request| request.query.len()).sum::<usize>() > MAX_GRAPHQL {
        return Err(TOO_LONG);
    }
    let (mut all, mut bounds) = (Operations::default(), Bounds::default());
    for request in requests {
        all.0.extend(within(&request.query, &mut bounds)?.0);
    }
    Ok(all)
}

/// What a query runs. (A form in a body is not read: gqlgen takes what stands in it as it is, escapes included.)
pub fn parameters(form: &str) -> Result<Operations, &'static str> {
    let known = ["query", "operationName", "variables", "extensions"];
    let name = |part: &str| decoded(part.split('=').next().unwrap_or_default());
    if !form.split('&').all(|part| known.contains(&name(part).as_str())) {
        return Err(NO_REQUEST);
    }
    // Each is there once, in one spelling.
    let values = known.map(|name| value(&Kind::Form, form.as_bytes(), &Place::Form(name.to_owned())));
    let [Fact::Text(query), rest @ .., extensions] = values else { return Err(NO_REQUEST) };
    let harmless = match extensions {
        Fact::Absent => true,
        Fact::Text(text) => serde_json::from_str(&text).is_ok_and(is_harmless),
        _ => false,
    };
    if !harmless || rest.contains(&Fact::Unknown) {
        return Err(NO_REQUEST);
    }
    document(&query)
}

/// What a document runs.
pub fn document(text: &str) -> Result<Operations, &'static str> {
    within(text, &mut Bounds::default())
}

fn within(text: &str, bounds: &mut Bounds) -> Result<Operations, &'static str> {
    if text.len() > MAX_GRAPHQL {
        return Err(TOO_LONG);
    }
    if !is_plain(text) {
        return Err(NO_DOCUMENT);
    }
    let tree = Parser::new(text).recursion_limit(MAX_DEPTH).token_limit(MAX_TOKENS).parse();
    if tree.errors().len() > 0 {
        return Err(NO_DOCUMENT);
    }
    let (mut operations, mut fragments) = (Vec::new(), Fragments::default());
    for definition in tree.document().definitions() {
        let taken = match definition {
            Definition::OperationDefinition(operation) => {
                operations.push(operation);
                true
            }
            Definition::FragmentDefinition(fragment) => fragments.add(&fragment).is_some(),
            _ => false, // of a schema
        };
        if !taken {
            return Err(NO_DOCUMENT);
        }
    }
    if !are_apart(&operations) {
        return Err(NO_DOCUMENT);
    }
    let read: Result<Vec<_>, _> = operations.iter().map(|operation| fragments.operation(operation, bounds)).collect();
    read.map(Operations)
}

/// Whether there are operations, and each is one that can be asked for: a name is there once, and one without a name is alone (GraphQL
/// §5.2.1, §5.2.2).
fn are_apart(operations: &[OperationDefinition]) -> bool {
    let name = |operation: &OperationDefinition| Some(operation.name()?.text().to_string());
    let names: HashSet<_> = operations.iter().filter_map(name).collect();
    match operations {
        [] => false,
        [_] => true,
        several => names.len() == several.len(),
    }
}

/// A member of JSON that has to be an object. (Serde takes a list for one, too.)
fn object<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Option<T> {
    json.get().starts_with('{').then(|| serde_json::from_str(json.get()).ok()).flatten()
}

fn is_harmless(extensions: &RawValue) -> bool {
    extensions.get() == "null" || object::<Extensions>(extensions).is_some()
}

/// Whether all parsers find the same tokens: a comment ends at one kind of line end, and a string where it ends for one that knows no block
/// strings, too, for graphql-ruby's, which takes quotes that touch for more of one, and for GitLab's step before that, which counts quotes
/// in comments and stumbles over an escaped backslash. (apollo-parser lets a string begin with a line end.)
fn is_plain(text: &str) -> bool {
    let odd = |char: char| matches!(char, '\u{2028}' | '\u{2029}') || (char.is_control() && !"\t\n\r".contains(char));
    let returns = text.matches('\r').count() == text.matches("\r\n").count();
    if !returns || text.contains(odd) || text.contains("\"\"\"") {
        return false;
    }
    let mut after_string = false;
    Lexer::new(text).with_limit(MAX_TOKENS).all(|token| {
        let Ok(token) = token else { return false };
        let touches = std::mem::replace(&mut after_string, token.kind() == TokenKind::StringValue);
        match token.kind() {
            TokenKind::StringValue => !touches && !token.data().contains('\n') && !token.data().contains("\\\\"),
            TokenKind::Comment => !token.data().contains('"'),
            _ => true,
        }
    })
}

/// What is left of what may be read of one request.
struct Bounds {
    looked_at: usize,
    fields: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { looked_at: MAX_LOOKED_AT, fields: MAX_FIELDS }
    }
}

impl Bounds {
    fn take(left: &mut usize) -> Result<(), &'static str> {
        *left = left.checked_sub(1).ok_or(TOO_LONG)?;
        Ok(())
    }
}

/// The fragments of a document by their names.
#[derive(Default)]
struct Fragments(HashMap<String, SelectionSet>);

impl Fragments {
    /// Adds one that has a name of its own.
    fn add(&mut self, fragment: &FragmentDefinition) -> Option<()> {
        let name = fragment.fragment_name()?.name()?.text().to_string();
        self.0.insert(name, fragment.selection_set()?).is_none().then_some(())
    }

    /// An operation with the fields at its top, those of fragments among them: under their own names, whatever they are called
    /// in the answer. Beside others `__typename` says nothing.
    fn operation(&self, operation: &OperationDefinition, bounds: &mut Bounds) -> Result<Operation, &'static str> {
        let kind = match operation.operation_type() {
            None => OperationKind::Query, // without a word
            Some(kind) if kind.query_token().is_some() => OperationKind::Query,
            Some(kind) if kind.subscription_token().is_some() => OperationKind::Subscription,
            Some(_) => OperationKind::Mutation,
        };
        let mut open = vec![operation.selection_set().ok_or(NO_DOCUMENT)?];
        let (mut entered, mut found, mut fields) = (HashSet::new(), HashSet::new(), Vec::new());
        while let Some(selections) = open.pop() {
            for selection in selections.selections() {
                Bounds::take(&mut bounds.looked_at)?;
                match self.part(selection).ok_or(NO_DOCUMENT)? {
                    Part::Field(name) if found.insert(name.clone()) => {
                        Bounds::take(&mut bounds.fields)?;
                        fields.push(name);
                    }
                    Part::Of(Some(name), _) if !entered.insert(name.clone()) => {}
                    Part::Of(_, selections) => open.push(selections),
                    Part::Field(_) => {}
                }
            }
        }
        if fields.len() > 1 {
            fields.retain(|name| name != "__typename");
        }
        if fields.is_empty() { Err(NO_DOCUMENT) } else { Ok(Operation { kind, fields }) }
    }

    fn part(&self, selection: Selection) -> Option<Part> {
        Some(match selection {
            Selection::Field(field) => Part::Field(field.name()?.text().to_string()),
            Selection::InlineFragment(fragment) => Part::Of(None, fragment.selection_set()?),
            Selection::FragmentSpread(spread) => {
                let name = spread.fragment_name()?.name()?.text().to_string();
                let of = self.0.get(&name)?.clone();
                Part::Of(Some(name), of)
            }
        })
    }
}

/// A part of what is asked for at a top.
enum Part {
    Field(String),
    /// What a fragment has, with its name if it has one.
    Of(Option<String>, SelectionSet),
}

#[cfg(test)]
mod tests;
