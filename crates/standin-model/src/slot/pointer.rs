//! A place in a JSON document (RFC 6901).

/// A JSON pointer to something within a document. The whole of a document is no slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JsonPointer(String);

impl JsonPointer {
    /// Reads one; none if it is not written as RFC 6901 has it.
    pub fn parse(text: &str) -> Option<Self> {
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        (text.starts_with('/') && escapes).then(|| Self(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names and numbers that lead there, unescaped: `~1` first (RFC 6901 §4).
    pub fn tokens(&self) -> impl Iterator<Item = String> {
        self.0.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unescaped() {
        let tokens = |text| JsonPointer::parse(text).map(|pointer| pointer.tokens().collect::<Vec<_>>());
        assert_eq!(tokens("/a~1b/~01/0/"), Some(vec!["a/b".into(), "~1".into(), "0".into(), String::new()]));
        assert_eq!(tokens("/a~"), None);
    }
}
