//! Slots in bodies and paths, against slow readers that know nothing of places: what they read of the rewritten text is what
//! they read of the first, with the secret where the stand-in was, and where they find a name twice nothing is exchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use standin_model::{JsonPointer, Slot};
use standin_wire::auth;
use standin_wire::body::{BodyError, Kind, Value, find, splice};
use standin_wire::path::normalise;
use std::fmt;

const SECRET: &str = "r\"e\\a&l=\u{e9}\n";
const SECRET_IN_PATH: &str = "r\"e&a;l=?#";
/// Names are short, so that the fuzzer meets them.
const SLOTS: &[&str] =
    &["json:/k", "json:/a/k", "json:/0", "json:/a/1/k", "form:k", "form:a b", "path:/b{}", "path:/*/{}"];

fuzz_target!(|input: (u8, &str)| {
    let (number, text) = input;
    let slot = Slot::parse(SLOTS[usize::from(number) % SLOTS.len()]).expect("a slot");
    match &slot {
        Slot::Json(pointer) => json(text, &slot, pointer),
        Slot::Form(name) => form(text, &slot, name),
        Slot::Path(_) => path(text, &slot),
        other => unreachable!("{other}"),
    }
});

fn json(text: &str, slot: &Slot, pointer: &JsonPointer) {
    let place = match (find(&Kind::Json, text.as_bytes(), slot), serde_json::from_str::<Tree>(text)) {
        (Err(BodyError::Doubled), Ok(mut tree)) => {
            return assert!(tree.at(pointer).is_none(), "one reading only: {text}");
        }
        // Our reader skips numbers and escapes that the slow one cannot take, and what is deep.
        (_, Err(_)) => return,
        (Err(BodyError::Escape | BodyError::Json), Ok(tree)) => panic!("{tree:?} can be read"),
        (Err(BodyError::Charset | BodyError::Multipart | BodyError::Nameless), _) => {
            unreachable!("for policy only, or of others")
        }
        (Ok(None), Ok(mut tree)) => return assert!(matches!(tree.at(pointer), Some(None)), "it is there: {text}"),
        (Ok(Some(place)), Ok(_)) => place,
    };
    let mut expected: Tree = serde_json::from_str(text).expect("read before");
    let found = expected.at(pointer).flatten().expect("it is there");
    match (&place.value, &*found) {
        (Value::Text(a), Tree::Text(b)) => assert_eq!(a, b),
        (Value::Nothing, Tree::Null) => {}
        (Value::Nothing, Tree::Text(text)) => assert_eq!(text, ""),
        (Value::Other, Tree::Text(_) | Tree::Null) | (Value::Text(_) | Value::Nothing, _) => panic!("{found:?}"),
        (Value::Other, _) => {}
    }
    *found = Tree::Text(SECRET.to_owned());
    let written = Kind::Json.written(SECRET.as_bytes()).expect("text");
    let real = splice(text.as_bytes(), vec![(place.range, written)]);
    assert_eq!(serde_json::from_slice::<Tree>(&real).expect("JSON stays JSON"), expected);
}

fn form(text: &str, slot: &Slot, name: &str) {
    let pairs =
        |text: &str| -> Vec<(String, String)> { form_urlencoded::parse(text.as_bytes()).into_owned().collect() };
    let mut expected = pairs(text);
    let named = |(n, _): &&mut (String, String)| n == name;
    let times = expected.iter_mut().filter(named).count();
    let Ok(place) = find(&Kind::Form, text.as_bytes(), slot) else { return };
    assert_eq!(times, usize::from(place.is_some()), "{text}");
    let Some(place) = place else { return };
    let (_, value) = expected.iter_mut().find(named).expect("it is there once");
    match &place.value {
        Value::Text(text) => assert_eq!(text, value),
        Value::Nothing => assert_eq!(value, ""),
        Value::Other => panic!("a form has texts"),
    }
    if place.range.is_empty() && !text[..place.range.start].ends_with('=') {
        return; // a name alone has no place for a value, and Nothing is not exchanged
    }
    SECRET.clone_into(value);
    let written = Kind::Form.written(SECRET.as_bytes()).expect("anything");
    let real = String::from_utf8(splice(text.as_bytes(), vec![(place.range, written)])).expect("text");
    assert_eq!(pairs(&real), expected);
}

fn path(text: &str, slot: &Slot) {
    let Slot::Path(slot) = slot else { unreachable!() };
    let Ok(target) = normalise(text) else { return };
    let Some(place) = slot.find(&target.path) else { return };
    let real = auth::rewrite_path(&target.path, place.clone(), SECRET_IN_PATH.as_bytes()).expect("it fits");
    // Only the segment with the place is another one (or the same, where the secret itself stood there).
    let at = target.path[..place.start].matches('/').count();
    let (before, after): (Vec<_>, Vec<_>) = (target.path.split('/').collect(), real.split('/').collect());
    assert_eq!(before.len(), after.len(), "{real}");
    assert!((0..after.len()).all(|n| n == at || before[n] == after[n]), "{real}");
    let decoded = auth::decode_path(after[at]).expect("text");
    assert!(decoded.ends_with(SECRET_IN_PATH) && !real.contains(['?', '#']), "{real}");
    // The place is the same to whoever looks again.
    assert_eq!(slot.find(&real).map(|found| found.start), Some(place.start));
}

/// JSON with every name as it stands, however often.
#[derive(Debug, PartialEq)]
enum Tree {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// What a pointer leads to; `None` if a name on the way is there twice, or in another case.
    fn at(&mut self, pointer: &JsonPointer) -> Option<Option<&mut Tree>> {
        let fold = |text: &str| text.split('\0').next().unwrap_or_default().to_uppercase().to_lowercase();
        let mut at = self;
        for token in pointer.tokens() {
            at = match at {
                Self::List(list) => match token.parse::<usize>() {
                    Ok(number) if number < list.len() => &mut list[number],
                    _ => return Some(None),
                },
                Self::Map(map) => {
                    if map.iter().filter(|(name, _)| fold(name) == fold(&token)).count() > 1 {
                        return None;
                    }
                    match map.iter_mut().find(|(name, _)| fold(name) == fold(&token)) {
                        Some((name, next)) if *name == token => next,
                        Some(_) => return None,
                        None => return Some(None),
                    }
                }
                _ => return Some(None),
            };
        }
        Some(Some(at))
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Map(members))
    }
}
