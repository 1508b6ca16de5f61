//! What a value has to be.

use crate::pattern::TextPattern;
use percent_encoding::percent_decode_str;
use std::fmt;

/// What stands at a place of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// Nothing: there is no such place.
    Absent,
    /// A text.
    Text(String),
    /// Several texts, and how they stand there, where one was to be.
    List(Vec<String>, String),
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `null`, a list, an object.
    Other,
    /// It cannot be told, or some servers read one thing and some another.
    Unknown,
}

/// What it has to be.
#[derive(Clone, Debug)]
pub enum Test {
    /// Nothing may stand there.
    Absent,
    /// A text like this.
    Text(Box<TextPattern>),
    /// A number between these, both included.
    Number(f64, f64),
    /// This.
    Bool(bool),
    /// One of these.
    Any(Vec<Test>),
    /// Not this.
    Not(Box<Test>),
}

impl Test {
    /// Whether it is that, beyond doubt.
    pub fn surely_holds(&self, fact: &Fact) -> bool {
        match (self, fact) {
            (Self::Any(tests), fact) => tests.iter().any(|test| test.surely_holds(fact)),
            (Self::Not(test), fact) => !test.may_hold(fact),
            (Self::Absent, Fact::Absent) => true,
            (Self::Text(pattern), Fact::Text(text)) => pattern.matches(text),
            (Self::Text(pattern), Fact::List(texts, _)) => texts.iter().all(|text| pattern.matches(text)),
            (Self::Number(least, most), Fact::Number(number)) => (least..=most).contains(&number),
            (Self::Bool(wanted), Fact::Bool(is)) => wanted == is,
            _ => false,
        }
    }

    /// Whether somebody may take it for that. Servers turn texts to numbers and lists of one to that one, so what is of another kind
    /// may be anything.
    pub fn may_hold(&self, fact: &Fact) -> bool {
        match (self, fact) {
            (Self::Any(tests), fact) => tests.iter().any(|test| test.may_hold(fact)),
            (Self::Not(test), fact) => !test.surely_holds(fact),
            // What is empty, zero or false is nothing to some.
            (Self::Absent, Fact::Text(text)) => text.trim().is_empty(),
            (Self::Absent, Fact::Number(number)) => *number == 0.0,
            (Self::Absent, fact) => matches!(fact, Fact::Absent | Fact::Unknown | Fact::Other | Fact::Bool(false)),
            (_, Fact::Absent) => false,
            (Self::Text(pattern), Fact::Text(text)) => is_taken_for(pattern, text),
            (Self::Text(pattern), Fact::List(texts, whole)) => {
                texts.iter().chain([whole]).any(|text| is_taken_for(pattern, text))
            }
            (Self::Number(least, most), Fact::Number(number)) => (least..=most).contains(&number),
            (Self::Bool(wanted), Fact::Bool(is)) => wanted == is,
            _ => true,
        }
    }
}

/// Whether some server takes a text for one of those meant: in any case, without space around it, undone once more.
fn is_taken_for(pattern: &TextPattern, text: &str) -> bool {
    let undone = percent_decode_str(text).decode_utf8_lossy();
    [text, text.trim(), undone.trim()].into_iter().any(|text| pattern.matches_in_any_case(text))
}

impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) => true,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Number(a, b), Self::Number(c, d)) => (a.to_bits(), b.to_bits()) == (c.to_bits(), d.to_bits()),
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Any(a), Self::Any(b)) => a == b,
            (Self::Not(a), Self::Not(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Test {}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Text(pattern) => write!(f, "`{}`", pattern.as_str()),
            Self::Number(least, most) if least.to_bits() == most.to_bits() => write!(f, "{least}"),
            Self::Number(least, most) => write!(f, "{least} to {most}"),
            Self::Bool(wanted) => wanted.fmt(f),
            Self::Not(test) => write!(f, "not {test}"),
            Self::Any(tests) => {
                for (n, test) in tests.iter().enumerate() {
                    write!(f, "{}{test}", if n == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("nothing"),
            Self::Text(text) | Self::List(_, text) => write!(f, "{text:?}"),
            Self::Number(number) => number.fmt(f),
            Self::Bool(is) => is.fmt(f),
            Self::Other => f.write_str("null, a list or an object"),
            Self::Unknown => f.write_str("what cannot be told"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pattern: &str) -> Test {
        Test::Text(Box::new(TextPattern::parse(pattern).unwrap()))
    }

    fn list(texts: &[&str]) -> Fact {
        Fact::List(texts.iter().map(|text| (*text).to_owned()).collect(), texts.join(", "))
    }

    fn not(test: Test) -> Test {
        Test::Not(Box::new(test))
    }

    /// What each kind of value is to a rule that allows, and to one that denies.
    #[test]
    fn doubt_allows_nothing_and_denies() {
        let word = |text: &str| Fact::Text(text.to_owned());
        for (test, fact, allows, denies) in [
            (text("refs/heads/agent/**"), word("refs/heads/agent/a/b"), true, true),
            (text("refs/heads/agent/**"), word("refs/heads/main"), false, false),
            (text("claude-*"), word("CLAUDE-x"), false, true),
            (text("claude-*"), word("claude-x/y"), false, false),
            (text("**"), word("a/b c"), true, true),
            (text("7"), Fact::Number(7.0), false, true),
            (text("x"), Fact::Other, false, true),
            (text("x"), Fact::Unknown, false, true),
            (text("x"), Fact::Absent, false, false),
            (Test::Absent, Fact::Absent, true, true),
            (Test::Absent, Fact::Other, false, true),
            (Test::Absent, word(""), false, true),
            (Test::Absent, word("x"), false, false),
            (Test::Absent, Fact::Bool(false), false, true),
            (Test::Absent, Fact::Number(0.0), false, true),
            (text("main"), word("main "), false, true),
            (text("main"), word("m%61in"), false, true),
            (text("a-*"), list(&["a-1", "a-2"]), true, true),
            (text("a-*"), list(&["a-1", "b"]), false, true),
            (text("a-*"), list(&["b", "c"]), false, false),
            (Test::Absent, list(&["b", "c"]), false, false),
            (Test::Absent, Fact::Unknown, false, true),
            (Test::Number(0.0, 4096.0), Fact::Number(4096.0), true, true),
            (Test::Number(0.0, 4096.0), Fact::Number(4097.0), false, false),
            (Test::Number(0.0, 4096.0), Fact::Number(f64::NAN), false, false),
            (Test::Number(0.0, 4096.0), word("1"), false, true),
            (Test::Bool(true), Fact::Bool(true), true, true),
            (Test::Bool(true), Fact::Bool(false), false, false),
            (Test::Bool(true), word("yes"), false, true),
            (Test::Any(vec![Test::Absent, text("agent")]), Fact::Absent, true, true),
            (Test::Any(vec![Test::Absent, text("agent")]), word("main"), false, false),
            (Test::Any(Vec::new()), Fact::Absent, false, false),
            (not(text("claude-*")), word("claude-x"), false, false),
            (not(text("claude-*")), word("CLAUDE-x"), false, true),
            (not(text("claude-*")), word("gpt-x"), true, true),
            (not(text("claude-*")), Fact::Absent, true, true),
            (not(text("claude-*")), Fact::Other, false, true),
            (not(text("claude-*")), Fact::Unknown, false, true),
            (not(Test::Number(0.0, 9.0)), Fact::Number(10.0), true, true),
            (not(Test::Number(0.0, 9.0)), word("1"), false, true),
            (not(Test::Absent), word(""), false, true),
            (not(Test::Absent), word("x"), true, true),
            (not(Test::Absent), Fact::Absent, false, false),
            (not(not(text("a"))), word("a"), true, true),
        ] {
            assert_eq!((test.surely_holds(&fact), test.may_hold(&fact)), (allows, denies), "{test} {fact:?}");
        }
    }
}
