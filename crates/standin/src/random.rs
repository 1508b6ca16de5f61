//! What nobody has seen before.

use crate::exit::Failure;
use std::fs::File;
use std::io::Read;

/// So many bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Failure> {
    let mut random = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .map_err(|error| Failure::because("the system gives no random bytes", &error))?;
    Ok(random)
}

/// So many lower-case letters.
pub(crate) fn letters<const N: usize>() -> Result<String, Failure> {
    Ok(bytes::<N>()?.map(|byte| char::from(b'a' + byte % 26)).iter().collect())
}
