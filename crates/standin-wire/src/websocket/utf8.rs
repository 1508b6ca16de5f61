//! Whether a text is UTF-8, chunk by chunk, with chunks cut anywhere.

/// What is known of a text so far.
#[derive(Default)]
pub(super) struct Utf8 {
    /// The beginning of a character whose end has not come.
    open: Vec<u8>,
}

impl Utf8 {
    /// Takes the next chunk; false if the text is broken.
    pub(super) fn take(&mut self, mut chunk: &[u8]) -> bool {
        while !self.open.is_empty() {
            let Some((&next, rest)) = chunk.split_first() else { return true };
            self.open.push(next);
            chunk = rest;
            match std::str::from_utf8(&self.open) {
                Ok(_) => self.open.clear(),
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match std::str::from_utf8(chunk) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                self.open.extend_from_slice(&chunk[error.valid_up_to()..]);
                true
            }
        }
    }

    /// Whether no character is open.
    pub(super) fn is_whole(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The whole text at once is the reference.
        #[test]
        fn chunking_changes_nothing(
            text in prop::collection::vec(prop_oneof![
                Just(b'a'), Just(0x80), Just(0xbf), Just(0xc3), Just(0xe2), Just(0x82), Just(0xed), Just(0xa0), Just(0xf0),
                Just(0x9f), Just(0xf4), Just(0x90),
            ], 0..12),
            valid in "[aé€😀]{0,6}",
            cut in 0usize..40,
        ) {
            for text in [text, valid.into_bytes()] {
                let (a, b) = text.split_at(cut.min(text.len()));
                let mut utf8 = Utf8::default();
                let got = utf8.take(a) && utf8.take(b) && utf8.is_whole();
                prop_assert_eq!(got, std::str::from_utf8(&text).is_ok());
            }
        }
    }
}
