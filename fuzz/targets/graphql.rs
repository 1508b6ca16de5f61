//! What a request runs in GraphQL, against another parser (by the GraphQL-Rust project): what is told of a document is what that one
//! finds in it, if it takes it for one. A document is also wrapped up as clients do, and as they never would.
#![no_main]

use graphql_parser::query::{self as other, Definition, OperationDefinition, Selection, SelectionSet};
use libfuzzer_sys::fuzz_target;
use standin_model::{OperationKind, Operations};
use standin_wire::body::graphql::{document, json, parameters};
use std::collections::{BTreeSet, HashMap};

type Found = BTreeSet<(String, Vec<String>)>;

fuzz_target!(|text: &str| {
    let wrapped = serde_json::to_vec(&serde_json::json!({ "query": text, "variables": null })).expect("text");
    let query = format!("query={}", form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let told = document(text);
    if text.is_empty() || !text.contains(['\u{fffd}', '\0']) {
        assert_eq!(json(&wrapped), told);
    }
    assert!(parameters(&query).is_err() || parameters(&query) == told);
    // As it is it may be any request; what is told of it is what stands in `query`, each.
    if let (Ok(told), Ok(value)) = (json(text.as_bytes()), serde_json::from_str::<serde_json::Value>(text)) {
        let requests = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        let all = requests.iter().map(|request| document(request["query"].as_str().expect("a text")).expect("read"));
        assert_eq!(told, Operations(all.flat_map(|operations| operations.0).collect()));
    }
    let Ok(told) = told else { return };
    assert!(!told.0.is_empty() && told.0.iter().all(|operation| !operation.fields.is_empty()));
    let Ok(found) = other::parse_query::<String>(text) else { return };
    let told: Found =
        told.0.into_iter().map(|operation| (operation.kind.to_string(), sorted(operation.fields))).collect();
    assert_eq!(told, read(&found), "{text}");
});

/// What the other parser finds.
fn read<'t>(document: &other::Document<'t, String>) -> Found {
    let mut fragments = HashMap::new();
    for definition in &document.definitions {
        if let Definition::Fragment(fragment) = definition {
            fragments.insert(fragment.name.as_str(), &fragment.selection_set);
        }
    }
    let mut found = Found::new();
    for definition in &document.definitions {
        let Definition::Operation(operation) = definition else { continue };
        let (kind, selections): (_, &SelectionSet<'t, String>) = match operation {
            OperationDefinition::SelectionSet(selections) => (OperationKind::Query, selections),
            OperationDefinition::Query(query) => (OperationKind::Query, &query.selection_set),
            OperationDefinition::Mutation(mutation) => (OperationKind::Mutation, &mutation.selection_set),
            OperationDefinition::Subscription(other) => (OperationKind::Subscription, &other.selection_set),
        };
        let mut fields = Vec::new();
        collect(selections, &fragments, &mut Vec::new(), &mut fields);
        found.insert((kind.to_string(), sorted(fields)));
    }
    found
}

fn collect<'t>(
    selections: &SelectionSet<'t, String>,
    fragments: &HashMap<&str, &SelectionSet<'t, String>>,
    entered: &mut Vec<String>,
    fields: &mut Vec<String>,
) {
    for selection in &selections.items {
        match selection {
            Selection::Field(field) => fields.push(field.name.clone()),
            Selection::InlineFragment(inline) => collect(&inline.selection_set, fragments, entered, fields),
            Selection::FragmentSpread(spread) if !entered.contains(&spread.fragment_name) => {
                entered.push(spread.fragment_name.clone());
                collect(fragments[spread.fragment_name.as_str()], fragments, entered, fields);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn sorted(mut fields: Vec<String>) -> Vec<String> {
    fields.sort();
    fields.dedup();
    fields
}
