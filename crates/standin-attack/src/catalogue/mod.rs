//! The catalogue: every vector, by number. `docs/threats.md` has the same list with what stops each.

mod channels;
mod files;
pub(crate) mod kernel;
mod packets;

use crate::dial;
use crate::rig::EVIL;
use crate::scene::{Arm, Scene};
use crate::vector::{Stop, Trial, Tried, Vector};
use std::fs;
use std::path::PathBuf;

/// All vectors, in the order of their numbers.
pub fn all() -> impl Iterator<Item = &'static Vector> {
    [packets::VECTORS, channels::VECTORS, files::VECTORS, kernel::VECTORS].into_iter().flatten()
}

/// The numbers of those that are tried from inside; on a copy, of those for which that makes a difference.
pub(crate) fn tried(arm: Arm) -> Vec<u16> {
    let inside = all().filter(|vector| matches!(vector.trial, Trial::Attempt(..)));
    inside.filter(|vector| arm != Arm::Copied || vector.differs_in_a_copy()).map(|vector| vector.number).collect()
}

/// The one of this number.
pub(crate) fn numbered(number: u16) -> Option<&'static Vector> {
    all().find(|vector| vector.number == number)
}

/// Tries one.
pub(crate) fn attempt(scene: &Scene, number: u16) -> Tried {
    match numbered(number).map(|vector| vector.trial) {
        Some(Trial::Attempt(_, attempt)) => attempt(scene, &scene.mark(number)),
        _ => Err(Stop::Untried("there is no such attempt".to_owned())),
    }
}

/// Allows the attacker's host in these settings, and dials it. Where they cannot be written, they are not; what counts
/// is what is let through afterwards.
fn get_by_settings(files: impl IntoIterator<Item = PathBuf>, mark: &str) -> Tried {
    let allow = format!("[[allow]]\nhosts = [\"{EVIL}\"]\nports = [80]\n");
    for file in files {
        let directory = file.parent().map_or(Ok(()), fs::create_dir_all);
        directory.and_then(|()| fs::write(&file, &allow)).ok();
    }
    dial::get(EVIL, 80, &format!("/{mark}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::{Condition, Standing};

    #[test]
    fn every_number_is_there_once_and_in_order() {
        let numbers: Vec<_> = all().map(|vector| vector.number).collect();
        assert_eq!(numbers, (1..=125).collect::<Vec<_>>());
    }

    #[test]
    fn the_document_has_the_same_list() {
        let row = |vector: &Vector| {
            let stands = match (vector.trial, vector.standing) {
                (Trial::None(reason), Standing::Held) => format!("not tried: {reason}"),
                (_, Standing::Held) => "contained".to_owned(),
                (_, Standing::Open(why)) => format!("open: {why}"),
                (_, Standing::When(Condition::InPlace, why)) => format!("open, but not with `--cow`: {why}"),
                (_, Standing::When(Condition::Wildcard, why)) => {
                    format!("contained; open where a wildcard is allowed: {why}")
                }
                (_, Standing::When(Condition::Nested, why)) => format!("contained; open with `--allow-nested`: {why}"),
                (_, Standing::When(Condition::ParentProxy, why)) => format!("open behind a parent proxy: {why}"),
            };
            format!("| {} | {} | {stands} |\n", vector.number, vector.name)
        };
        let expected: String = all().map(row).collect();
        let document = include_str!("../../../../docs/threats.md");
        let listed: String = document
            .split_inclusive('\n')
            .filter(|line| line.starts_with('|') && line[2..].starts_with(|c: char| c.is_ascii_digit()))
            .collect();
        assert_eq!(listed, expected);
    }
}
