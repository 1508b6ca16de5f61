//! What the sandbox sees of the host: the workspace, the tools on the PATH, what was asked for.

use super::backend;
use super::credentials::Lent;
use super::environment::environment;
use super::inputs::Inputs;
use super::ssh;
use crate::exit::Failure;
use crate::ourselves;
use standin_ca::SessionCa;
use standin_ca::trust::{self, HostTrust, OWN_CERTIFICATE};
use standin_model::{Backend, SessionId};
use standin_sandbox::backend::gvisor;
use standin_sandbox::plan::SYSTEM;
use standin_sandbox::{Ground, Held, InlineFile, Layer, LocalPorts, Overlay, Spec};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Directories of the home that hold tools and no secrets.
const TOOLS: &[&str] = &[
    ".rustup",
    ".pyenv",
    ".rbenv",
    ".nodenv",
    ".ghcup",
    ".nvm",
    ".volta",
    ".bun",
    ".deno",
    ".asdf",
    ".local/share/mise",
];

/// Directories of the home in which package managers keep what they have fetched: packages, and nothing that opens anything. Not here: clones
/// of repositories (`.cargo/git`, Go's `cache/vcs`), whose configurations may have passwords in their URLs, and models' (`.cache/huggingface` has
/// a token).
const CACHES: &[&str] = &[
    ".cargo/registry/cache",
    ".cargo/registry/index",
    ".cargo/registry/src",
    ".npm/_cacache",
    ".cache/pip",
    ".cache/uv",
    ".cache/yarn",
    ".cache/pnpm",
    ".local/share/pnpm/store",
    ".cache/go-build",
    "go/pkg/mod/cache/download",
    ".m2/repository",
    ".gradle/caches",
    ".cache/ms-playwright",
    ".cache/puppeteer",
];

/// What the sandbox can be begun with.
pub(super) fn ground(inputs: &Inputs) -> Result<Ground, Failure> {
    let ports = LocalPorts { reach: inputs.config.reach.clone(), publish: !inputs.publish.is_empty() };
    let ground = Ground::new(ports, super::terminal::wanted()?);
    let tool = backend::tool(inputs)?.filter(|_| inputs.config.backend == Backend::Bubblewrap);
    Ok(Ground { bubblewrap: tool.map(|tool| tool.path.clone()), ..ground })
}

/// Puts the sandbox's specification together.
pub(super) fn spec(
    inputs: &Inputs,
    lent: &Lent,
    ca: &SessionCa,
    session: &SessionId,
    workspace_layer: Option<Layer>,
    limits: Held,
) -> Result<Spec, Failure> {
    let trust = trust::files(ca, host_trust()?, SystemTime::now());
    let mut command = inputs.command.clone();
    command[0] = inputs.program.clone().into();
    let mut read_only = tools(inputs).to_vec();
    read_only.extend(inputs.read_only.iter().cloned());
    let is_gvisor = inputs.config.backend == Backend::Gvisor;
    if is_gvisor && let Some(tool) = backend::tool(inputs)? {
        let (ourselves, runsc) = (ourselves::program()?, tool.path.clone());
        command = gvisor::command(&ourselves, &runsc, command);
        let is_seen = |program: &PathBuf| {
            is_system(program) || inputs.asked_for().chain(&read_only).any(|shown| program.starts_with(shown))
        };
        let unseen: Vec<_> = [ourselves, runsc].into_iter().filter(|program| !is_seen(program)).collect();
        read_only.extend(unseen);
    }
    let mut files = vec![InlineFile { path: OWN_CERTIFICATE.into(), contents: trust.own_certificate }];
    files.extend(lent.login_files.iter().cloned());
    let mut overlays = vec![Overlay { directory: trust::DIRECTORY.into(), files: trust.overlay }];
    overlays.extend(ssh::known_to_the_sandbox(lent.ssh.as_ref()));
    Ok(Spec {
        command,
        environment: environment(inputs, lent, trust.variables, session),
        workspace: inputs.workspace.clone(),
        workspace_layer,
        directory: inputs.workspace.clone(),
        home: inputs.home.clone(),
        read_only,
        writable: inputs.writable.clone(),
        caches: caches(inputs),
        files,
        overlays,
        masks: lent.files.masks.clone(),
        emptied: lent.files.emptied.clone(),
        sockets: lent.files.sockets.clone(),
        watched: inputs.asked_for().cloned().collect(),
        unmasked: inputs.shown.clone(),
        harmless: lent.files.harmless.clone(),
        pinned: lent.files.pinned.clone(),
        limits,
        nested: inputs.nested || is_gvisor,
    })
}

/// The certificates that the host believes.
pub(crate) fn host_trust() -> Result<HostTrust, Failure> {
    let directory = Path::new(trust::DIRECTORY);
    let bundle = directory.join("ca-certificates.crt");
    let bundle = std::fs::read(&bundle).map_err(|error| {
        Failure::because(format!("cannot read {}", bundle.display()), &error)
            .hint("install the package ca-certificates")
    })?;
    Ok(HostTrust { bundle, java: std::fs::read(directory.join("java/cacerts")).ok() })
}

/// Where the tools on the PATH live, outside of the system: narrow enough to leave credentials beside them out.
pub(super) fn tools(inputs: &Inputs) -> &[PathBuf] {
    inputs.tools.get_or_init(|| find_tools(inputs))
}

fn find_tools(inputs: &Inputs) -> Vec<PathBuf> {
    let path = inputs.variable("PATH").unwrap_or_default();
    // Without links and `..` first: what lies beside a directory is told from where it really is.
    let mut found: Vec<PathBuf> = std::env::split_paths(path)
        .filter(|directory| directory.is_absolute() && !is_steered(directory, inputs))
        .filter_map(|directory| directory.canonicalize().ok())
        .filter_map(|directory| tool_root(&directory, &inputs.real_home))
        .collect();
    found.extend(TOOLS.iter().map(|name| inputs.home.join(name)));
    // A program is often a link to where it was installed.
    if let Ok(program) = inputs.program.canonicalize()
        && !is_steered(&inputs.program, inputs)
    {
        found.extend(program.parent().map(Path::to_owned));
    }
    found.retain(|path| is_showable(path, inputs));
    let mut found: Vec<_> = found.iter().filter_map(|path| path.canonicalize().ok()).collect();
    found.retain(|path| is_showable(path, inputs));
    found.sort();
    found.dedup();
    found
}

/// The caches that are there, and are not shown or hidden otherwise.
fn caches(inputs: &Inputs) -> Vec<PathBuf> {
    let overlaps = |path: &Path, other: &PathBuf| path.starts_with(other) || other.starts_with(path);
    let mut found: Vec<_> = CACHES.iter().map(|name| inputs.home.join(name)).collect();
    // One that is elsewhere, by a link, may lie where others write.
    found.retain(|path| path.canonicalize().is_ok_and(|real| real == *path) && is_showable(path, inputs));
    found.retain(|path| !holds_clones(path));
    found.retain(|path| !inputs.asked_for().chain(&inputs.hidden).any(|other| overlaps(path, other)));
    found
}

/// Whether a directory in it is a clone: Cargo's older indices are.
fn holds_clones(path: &Path) -> bool {
    let Ok(entries) = path.read_dir() else { return true };
    path.ends_with("index") && entries.flatten().any(|entry| entry.path().join(".git").exists())
}

/// The directory to show for an entry of the PATH: what holds `bin`, except where secrets lie beside it. Programs with
/// a hidden directory of their own keep their tokens there, too (`~/.docker`, `~/.fly`, `~/.pulumi`, `~/.cargo`).
fn tool_root(entry: &Path, home: &Path) -> Option<PathBuf> {
    let parent = entry.parent()?;
    let hidden = parent.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let beside_secrets = parent.parent() == Some(home) && (hidden || parent.ends_with("go"));
    if parent == home || beside_secrets || !entry.ends_with("bin") {
        return Some(entry.to_owned());
    }
    Some(parent.to_owned())
}

/// Whether what the sandbox may write is on the way: where a path leads from there an earlier session may have chosen.
pub(super) fn is_steered(path: &Path, inputs: &Inputs) -> bool {
    leads_through(path, &writable(inputs))
}

/// What the command may write.
pub(super) fn writable(inputs: &Inputs) -> Vec<PathBuf> {
    inputs.writable.iter().chain([&inputs.workspace]).cloned().collect()
}

/// Whether one of these is on the way.
pub(crate) fn leads_through(path: &Path, writable: &[PathBuf]) -> bool {
    let holds = |at: &Path| writable.iter().any(|written| at.starts_with(written));
    path.ancestors().filter_map(|at| at.canonicalize().ok()).any(|at| holds(&at))
}

fn is_system(path: &Path) -> bool {
    SYSTEM.iter().any(|system| path.starts_with(system))
}

/// Neither part of the system, which is shown anyway, nor something that holds the home or the whole disk, nor where Standin keeps
/// its own.
fn is_showable(path: &Path, inputs: &Inputs) -> bool {
    let holds_home = inputs.home.starts_with(path) || inputs.real_home.starts_with(path);
    let state = inputs.state.canonicalize().unwrap_or_else(|_| inputs.state.clone()); // one that is not there holds nothing
    let holds_our_own = state.starts_with(path) || path.starts_with(&state);
    path.is_dir() && !is_system(path) && !holds_home && !holds_our_own && !path.starts_with(&inputs.workspace)
}
