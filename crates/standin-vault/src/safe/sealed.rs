//! Files in age's format (age-encryption.org/v1).

use age::{DecryptError, Decryptor, Encryptor, Identity, Recipient};
use std::io::{self, Read, Write};
use zeroize::Zeroizing;

/// Encrypts a text for one recipient.
pub(super) fn seal(recipient: &dyn Recipient, text: &[u8]) -> io::Result<Vec<u8>> {
    let mut sealed = Vec::new();
    let encryptor = Encryptor::with_recipients(std::iter::once(recipient)).map_err(io::Error::other)?;
    let mut writer = encryptor.wrap_output(&mut sealed)?;
    writer.write_all(text)?;
    writer.finish()?;
    Ok(sealed)
}

/// What was encrypted: all of it, or nothing.
pub(super) fn open(file: &[u8], identity: &dyn Identity) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let mut reader = Decryptor::new_buffered(file)?.decrypt(std::iter::once(identity))?;
    // It is shorter than the file, so it need not grow.
    let mut text = Zeroizing::new(Vec::with_capacity(file.len()));
    reader.read_to_end(&mut text)?;
    Ok(text)
}
