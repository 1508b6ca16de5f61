//! The proofs of the data plane hold because code that goes around them does not compile. Each case is this crate
//! with one stage skipped, and what the compiler must say to it.
//!
//! The types are the crate's own, so a test from outside could not even name them; the crate is copied, changed in
//! one place and checked.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A way around a proof.
struct Detour {
    what: &'static str,
    file: &'static str,
    /// Stands in that file exactly once.
    honest: &'static str,
    instead: &'static str,
    /// The compiler's code, and a part of what it says.
    error: (&'static str, &'static str),
}

const DETOURS: &[Detour] = &[
    Detour {
        what: "a permit for a connection that policy was not asked about",
        file: "connection/mod.rs",
        honest: "let permit = verdict?;",
        instead: "let permit = TunnelPermit { authority: destination.authority.clone(), ..unreachable!() };",
        error: ("E0451", "of struct `TunnelPermit` are private"),
    },
    Detour {
        what: "resolving a name without a permit",
        file: "connection/mod.rs",
        honest: "session.upstreams.resolve(permit)",
        instead: "session.upstreams.resolve(&session.principal)",
        error: ("E0277", "the trait bound `Principal: MayResolve` is not satisfied"),
    },
    Detour {
        what: "a peer that was neither looked up nor vetted",
        file: "connection/mod.rs",
        honest: "let tunnel = Tunnel::new(Arc::clone(&session), destination, permit, scheme, peer);",
        instead: "let peer = PinnedPeer { authority: Arc::new(peer.authority().clone()), addresses: Arc::default(), parent: None, mark: 0 };
                 let tunnel = Tunnel::new(Arc::clone(&session), destination, permit, scheme, peer);",
        error: ("E0451", "of struct `PinnedPeer` are private"),
    },
    Detour {
        what: "intercepting before there is a tunnel",
        file: "connection/mod.rs",
        honest: "intercept::terminate(&tunnel, face)",
        instead: "intercept::terminate(&destination, face)",
        error: ("E0308", "expected `&Tunnel`, found `&Destination`"),
    },
    Detour {
        what: "a permit for a request that policy was not asked about",
        file: "request/mod.rs",
        honest: "let mut permit = authorize::request(tunnel, by, &bound, &seen)?;",
        instead: "let mut permit = authorize::Permit { rule: Arc::from(\"\"), grants: vec![], ..unreachable!() };",
        error: (
            "E0451",
            "of struct `request::authorize::Permit` are private",
        ),
    },
    Detour {
        what: "authorizing a request that is not bound to its tunnel",
        file: "request/mod.rs",
        honest: "authorize::request(tunnel, by, &bound, &seen)?",
        instead: "authorize::request(tunnel, by, &request, &seen)?",
        error: ("E0308", "expected `&BoundRequest`, found `&Request<Incoming>`"),
    },
    Detour {
        what: "authorizing by another policy than the one that said what has to be read: an older one is not at hand",
        file: "request/mod.rs",
        honest: "authorize::request(tunnel, by, &bound, &seen)?",
        instead: "authorize::request(tunnel, tunnel.permit.by.clone(), &bound, &seen)?",
        error: ("E0616", "field `permit` of struct `tunnel::Tunnel` is private"),
    },
    Detour {
        what: "sending without injection, which also judges foreign credentials",
        file: "request/mod.rs",
        honest: "upstream::send(tunnel, outbound, exchange)",
        instead: "upstream::send(tunnel, bound, exchange)",
        error: ("E0308", "expected `Outbound`, found `BoundRequest`"),
    },
    Detour {
        what: "an answer that was not scrubbed",
        file: "request/mod.rs",
        honest: "scrub::scrub(tunnel, &permit, none, response)",
        instead: "Ok(response)",
        error: ("E0308", "expected `Reply`, found `UpstreamResponse`"),
    },
    Detour {
        what: "a token endpoint's answer that goes on like any other",
        file: "request/mod.rs",
        honest: "tokens::capture(tunnel, turn, response).await",
        instead: "scrub::scrub(tunnel, &permit, tokens::NoTokens(()), response)",
        error: ("E0603", "tuple struct constructor `NoTokens` is private"),
    },
    Detour {
        what: "a request whose credentials were not fetched",
        file: "request/mod.rs",
        honest: "let ready = fetch::fetch(tunnel, &mut permit, &bound).await?;",
        instead: "let ready = fetch::Ready(());",
        error: ("E0603", "tuple struct constructor `Ready` is private"),
    },
    Detour {
        what: "a permit for a command over SSH that policy was not asked about",
        file: "connection/ssh/mod.rs",
        honest: "let permit = permit::git(tunnel, &asked.user, &command)?;",
        instead: "let permit = permit::GitPermit { user: asked.user.clone(), ..unreachable!() };",
        error: ("E0451", "of struct `GitPermit` are private"),
    },
    Detour {
        what: "a command over SSH that is sent without a permit",
        file: "connection/ssh/mod.rs",
        honest: "upstream::run(tunnel, ssh, &permit, asked.protocol)",
        instead: "upstream::run(tunnel, ssh, &command, asked.protocol)",
        error: ("E0308", "expected `&GitPermit`, found `&GitCommand`"),
    },
    Detour {
        what: "a permit for a client of PostgreSQL that policy was not asked about, or that proved nothing",
        file: "connection/postgres/mod.rs",
        honest: "let (permit, words) = permit::proven(tunnel, meant, startup, client).await?;",
        instead: "let (permit, words) = (permit::PostgresPermit { plaintext: true, ..unreachable!() }, String::new());",
        error: ("E0451", "of struct `PostgresPermit` are private"),
    },
    Detour {
        what: "a PostgreSQL server that is entered without a permit",
        file: "connection/postgres/mod.rs",
        honest: "upstream::enter(tunnel, permit, startup, exchange)",
        instead: "upstream::enter(tunnel, meant, startup, exchange)",
        error: ("E0308", "expected `PostgresPermit`, found `Meant`"),
    },
    Detour {
        what: "an exchange without room for its record",
        file: "exchange.rs",
        honest: "let ticket = session.audit.reserve().await?;",
        instead: "let ticket = Ticket(todo!());",
        error: ("E0423", "cannot initialize a tuple struct which contains private fields"),
    },
    Detour {
        what: "a secret in a log line",
        file: "request/inject.rs",
        honest: "Self::Secret => Ok(vault.secret(index).expose()),",
        instead: "Self::Secret => { tracing::warn!(\"{:?}\", vault.secret(index)); Ok(vault.secret(index).expose()) }",
        error: ("E0277", "`standin_secret::Secret` doesn't implement `Debug`"),
    },
];

#[test]
fn no_stage_can_be_skipped() -> io::Result<()> {
    let copy = Copy::new()?;
    assert_eq!(copy.check()?, "", "the unchanged copy compiles");
    let mut passed = Vec::new();
    for detour in DETOURS {
        let file = copy.sources().join(detour.file);
        let honest = std::fs::read_to_string(&file)?;
        assert_eq!(honest.matches(detour.honest).count(), 1, "{}: `{}` once", detour.file, detour.honest);
        std::fs::write(&file, honest.replace(detour.honest, detour.instead))?;
        let said = copy.check()?;
        let (code, text) = detour.error;
        if !said.contains(&format!("error[{code}]")) || !said.contains(text) {
            passed.push(format!("{}:\n{said}", detour.what));
        }
        std::fs::write(&file, honest)?;
    }
    assert!(passed.is_empty(), "not stopped, or not by what should stop it:\n{}", passed.join("\n"));
    Ok(())
}

/// This crate in a workspace of its own, on the same neighbours, dependencies and build directory.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> io::Result<Self> {
        let (crate_directory, workspace) = (Path::new(env!("CARGO_MANIFEST_DIR")), workspace()?);
        let directory = tempfile::tempdir()?;
        let manifest = std::fs::read_to_string(workspace.join("Cargo.toml"))?;
        let crates = workspace.join("crates").display().to_string();
        let manifest = manifest
            .replace("\"crates/*\"", "\"standin-proxy\"")
            .replace("default-members = [\"crates/standin\"]\n", "")
            .replace("path = \"crates/", &format!("path = \"{crates}/"));
        std::fs::write(directory.path().join("Cargo.toml"), manifest)?;
        std::fs::copy(workspace.join("Cargo.lock"), directory.path().join("Cargo.lock"))?;
        let copy = directory.path().join("standin-proxy");
        std::fs::create_dir(&copy)?;
        std::fs::copy(crate_directory.join("Cargo.toml"), copy.join("Cargo.toml"))?;
        copy_all(&crate_directory.join("src"), &copy.join("src"))?;
        Ok(Self(directory))
    }

    fn sources(&self) -> PathBuf {
        self.0.path().join("standin-proxy/src")
    }

    /// What the compiler says, warnings left out.
    fn check(&self) -> io::Result<String> {
        let output = Command::new(env!("CARGO"))
            .args(["check", "--offline", "--quiet", "--package", "standin-proxy", "--color", "never"])
            .current_dir(self.0.path())
            .env("CARGO_TARGET_DIR", workspace()?.join("target"))
            // As in .cargo/config.toml, which lies out of the copy's sight; another value would build AWS-LC anew.
            .env("AWS_LC_SYS_NO_JITTER_ENTROPY", "1")
            .output()?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn workspace() -> io::Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_all(&path, &target)?;
        } else {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
