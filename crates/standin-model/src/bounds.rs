//! How much of the machine a command may use.

/// One bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bound {
    /// What leaves the machine well and a developer does not notice.
    #[default]
    Usual,
    /// None.
    Unlimited,
    /// So much.
    At(u64),
}

/// The bounds of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of memory.
    pub memory: Bound,
    /// Processes and threads.
    pub pids: Bound,
    /// Thousandths of a processor. Usually all of them.
    pub cpu: Bound,
    /// Bytes in its private directories, which lie in memory.
    pub tmp: Bound,
    /// Bytes that stay free on each disk that it writes to.
    pub spare: Bound,
}

/// A bound cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoundError {
    /// A size.
    #[error("write a size such as 8GiB, 512MiB or 2GB, or none")]
    Size,
    /// A number.
    #[error("write a number from 16 on, or none")]
    Count,
    /// Of processors.
    #[error("write how many processors, such as 2 or 0.5, or none")]
    Processors,
}

/// Units and their sizes in bytes; longer names first.
const UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];
/// Least processes: fewer do not run a shell.
const LEAST_PIDS: u64 = 16;
/// Least bytes: fewer hold no program.
const LEAST_BYTES: u64 = 1 << 20;
/// Least of a processor, in thousandths: the kernel's own.
const LEAST_CPU: u64 = 10;

impl Bound {
    /// Reads `8GiB`, a number of bytes, or `none`.
    pub fn size(text: &str) -> Result<Self, BoundError> {
        if text == "none" {
            return Ok(Self::Unlimited);
        }
        let unit = UNITS.iter().find_map(|(name, size)| Some((text.strip_suffix(name)?.trim_end(), *size)));
        let (number, unit) = unit.unwrap_or((text, 1));
        let bytes = digits(number).and_then(|number| number.checked_mul(unit));
        bytes.filter(|bytes| *bytes >= LEAST_BYTES).map(Self::At).ok_or(BoundError::Size)
    }

    /// Reads a number, or `none`.
    pub fn count(text: &str) -> Result<Self, BoundError> {
        if text == "none" {
            return Ok(Self::Unlimited);
        }
        digits(text).filter(|number| *number >= LEAST_PIDS).map(Self::At).ok_or(BoundError::Count)
    }

    /// Reads `2`, `0.5`, or `none`: in thousandths.
    pub fn processors(text: &str) -> Result<Self, BoundError> {
        if text == "none" {
            return Ok(Self::Unlimited);
        }
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let thousandths = (part.len() <= 3).then(|| digits(&format!("{part:0<3}"))).flatten();
        let whole = digits(whole).and_then(|whole| whole.checked_mul(1_000));
        let sum = whole.zip(thousandths).and_then(|(whole, part)| whole.checked_add(part));
        sum.filter(|sum| *sum >= LEAST_CPU).map(Self::At).ok_or(BoundError::Processors)
    }
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read() {
        for (text, expected) in [
            ("8GiB", Ok(Bound::At(8 << 30))),
            ("2 GB", Ok(Bound::At(2_000_000_000))),
            ("1048576", Ok(Bound::At(1 << 20))),
            ("none", Ok(Bound::Unlimited)),
            ("8G", Err(BoundError::Size)),
            ("-1", Err(BoundError::Size)),
            ("1kB", Err(BoundError::Size)),
            ("99999999999TiB", Err(BoundError::Size)),
        ] {
            assert_eq!(Bound::size(text), expected, "{text}");
        }
        for (text, expected) in [
            ("2", Ok(Bound::At(2_000))),
            ("0.5", Ok(Bound::At(500))),
            ("1.25", Ok(Bound::At(1_250))),
            ("0", Err(BoundError::Processors)),
            ("1.2345", Err(BoundError::Processors)),
            (".", Err(BoundError::Processors)),
        ] {
            assert_eq!(Bound::processors(text), expected, "{text}");
        }
        assert_eq!((Bound::count("4096"), Bound::count("3")), (Ok(Bound::At(4_096)), Err(BoundError::Count)));
    }
}
