//! The shapes of values, remembered: with a shape a stand-in is made before the value is there.
//!
//! A shape is a value with every character that a stand-in replaces written as `a`, `A` or `0`. What is kept of the value
//! is what the stand-in shows of it: its length, where its letters and digits are, and what its vendor puts in front.

use crate::key::StandInKey;
use crate::{mint, read_bounded};
use aws_lc_rs::hmac;
use standin_model::limits::MAX_SECRET_BYTES;
use standin_secret::Secret;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where the shape of one value is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeFile(PathBuf);

impl ShapeFile {
    /// That of a value, by what names it in the configuration; in that directory. The file's name tells nobody what.
    pub fn new(directory: &Path, key: &StandInKey, source: &str) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.bytes()), format!("shape {source}").as_bytes());
        let name = tag.as_ref().iter().take(16).fold(String::new(), |mut name, byte| {
            write!(name, "{byte:02x}").expect("a string takes whatever is written");
            name
        });
        Self(directory.join("shapes").join(name))
    }

    /// The shape, as if it were the value; nothing if none is remembered, or what is there is no shape.
    pub fn recall(&self) -> Option<Secret> {
        let file = File::open(&self.0).ok()?;
        let shape = Secret::copy_of(&read_bounded(file, 0, MAX_SECRET_BYTES).ok()?);
        (mint::shape(&shape) == shape.expose()).then_some(shape)
    }

    /// Remembers the shape of a value. Replaces another at once or not at all.
    pub fn keep(&self, value: &Secret) -> io::Result<()> {
        let shape = mint::shape(value);
        if self.recall().is_some_and(|known| known.expose() == shape) {
            return Ok(());
        }
        let directory = self.0.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let aside = self.0.with_extension(std::process::id().to_string());
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(&shape)?;
        std::fs::rename(&aside, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_kept_and_tells_nothing_of_the_value() {
        let directory = tempfile::tempdir().unwrap();
        let key = StandInKey::ephemeral().unwrap();
        let file = |source| ShapeFile::new(directory.path(), &key, source);
        assert!(file("op://a/b/c").recall().is_none());
        file("op://a/b/c").keep(&Secret::new(b"ghp_Zq4Xw1Vu7Ts0Rp3Yn6Mk9Jh2Gf5Ed8Cb1Az4".to_vec())).unwrap();
        let shape = file("op://a/b/c").recall().unwrap();
        assert_eq!(shape.expose(), b"ghp_Aa0Aa0Aa0Aa0Aa0Aa0Aa0Aa0Aa0Aa0Aa0Aa0");
        assert!(file("op://a/b/d").recall().is_none(), "another source");
        std::fs::write(&file("op://a/b/c").0, "ghp_Zq4Xw1Vu7Ts0Rp3Yn6Mk9Jh2Gf5Ed8Cb1Az4").unwrap();
        assert!(file("op://a/b/c").recall().is_none(), "no shape");
    }
}
