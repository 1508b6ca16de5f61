//! The back-end: the one that was asked for, or a refusal that says what it lacks.

use super::inputs::Inputs;
use super::view::is_steered;
use crate::exit::Failure;
use standin_model::Backend;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The day of the oldest gVisor that this was tried with. In one of 2022 no key at a terminal interrupts, and `ls` fails.
const OLDEST_GVISOR: &str = "20240729";

/// The program of a back-end.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) path: PathBuf,
    /// As it says it.
    pub(crate) version: String,
}

/// The program that the session's back-end needs, if it needs one. A session that cannot have what was asked for is refused, whatever else
/// it could have.
pub(super) fn tool(inputs: &Inputs) -> Result<Option<&Tool>, Failure> {
    if let Some(found) = inputs.tool.get() {
        return Ok(found.as_ref());
    }
    if inputs.config.backend == Backend::Gvisor {
        suits_gvisor(inputs)?;
    }
    let path = inputs.variable("PATH").unwrap_or_default();
    let found = find(inputs.config.backend, path, |program| !is_steered(program, inputs))?;
    Ok(inputs.tool.get_or_init(|| found).as_ref())
}

/// Looks for the program of a back-end where it is fit to be run; nothing where it needs none.
pub(crate) fn find(backend: Backend, path: &str, is_fit: impl Fn(&Path) -> bool) -> Result<Option<Tool>, Failure> {
    let Some((name, package)) = backend.program() else { return Ok(None) };
    // An ordinary user's PATH does not lead to all places where distributions put them.
    let more = ["/usr/bin", "/usr/sbin"].map(PathBuf::from);
    let places = std::env::split_paths(path).filter(|place| place.is_absolute()).chain(more);
    let real = |program: PathBuf| program.canonicalize().ok().filter(|program| program.is_file() && is_fit(program));
    // Of a link, neither where it lies nor where it leads.
    let found = places.map(|place| place.join(name)).filter(|program| is_fit(program)).find_map(real);
    let install = format!("sudo apt-get install {package}");
    let missing =
        || Failure::new(format!("the back-end `{}` needs the program `{name}`, and there is none", backend.as_str()));
    let path = found.ok_or_else(|| missing().hint(install))?;
    let version = version(&path).ok_or_else(|| Failure::new(format!("{} does not say its version", path.display())))?;
    if backend == Backend::Gvisor && day(&version).is_none_or(|day| day < OLDEST_GVISOR) {
        return Err(Failure::new(format!("{} is gVisor {version}, and too old", path.display()))
            .hint(format!("install one of {OLDEST_GVISOR} or later: Debian 12 has it in its backports")));
    }
    Ok(Some(Tool { path, version }))
}

/// The last word of the first line, as most programs have it.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").env_clear().stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    text.lines().next()?.split_whitespace().last().map(str::to_owned)
}

/// gVisor's versions are days: `release-20240729.0`, and Debian's `0.0~20240729.0`.
fn day(version: &str) -> Option<&str> {
    version.split(|letter: char| !letter.is_ascii_digit()).find(|digits| digits.len() == 8)
}

/// The broker of the workspace's files answers system calls, and those of gVisor's kernel are not the command's.
fn suits_gvisor(inputs: &Inputs) -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        return Err(Failure::new("gVisor is not for root, whose number it would have on the host")
            .hint("run Standin as an ordinary user"));
    }
    if !inputs.copy {
        return Err(Failure::new(
            "with gVisor the command works on a copy: in the workspace itself nothing would protect files by name",
        )
        .hint("add --cow; `standin diff` shows what it changed, and `standin apply` takes it over"));
    }
    for (asked, flag) in [(!inputs.writable.is_empty(), "--rw"), (inputs.nested, "--allow-nested")] {
        if asked {
            return Err(Failure::new(format!("{flag} is not to be had with gVisor"))
                .hint("leave it out, or take another back-end: docs/backends.md says what each gives"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gvisors_versions_are_days() {
        assert_eq!(day("0.0~20240729.0"), Some("20240729"));
        assert_eq!(day("release-20251013.0"), Some("20251013"));
        assert_eq!(day("1.2.3"), None);
    }
}
