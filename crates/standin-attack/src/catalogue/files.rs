//! Files: stealing, persisting, escaping. What counts is a secret that is told, or a file of the host's that is
//! changed.

use crate::dial::any_of;
use crate::scene::{Arm, Scene};
use crate::sys;
use crate::vector::Evidence::{Done, Got, Left};
use crate::vector::Group::Files;
use crate::vector::{Attacked, Stop, Tried, Vector, held, untried};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Vectors 69 to 94.
pub(super) const VECTORS: &[Vector] = &[
    held(69, Files, "keys and credentials in the home", Got, |scene, _| {
        any_of([".ssh/id_ed25519", ".aws/credentials"].map(|name| read(&scene.host("home").join(name))))
    }),
    held(70, Files, "the same by other spellings", Got, |scene, _| {
        let home = scene.host("home");
        let home = home.display();
        any_of(
            [
                format!("{home}/.netrc/"),
                format!("{home}/./.netrc"),
                format!("//{home}//.netrc"),
                format!("{home}/../home/.netrc"),
                format!("/proc/self/root{home}/.netrc"),
                "/proc/self/cwd/../home/.netrc".to_owned(),
                format!("/proc/1/root{home}/.netrc"),
            ]
            .map(|path| read(Path::new(&path))),
        )
    }),
    held(71, Files, "a secret file of the workspace, moved or copied first", Got, |scene, _| {
        let (secret, moved) = (scene.host("workspace/.env"), scene.host("workspace/moved"));
        fs::rename(&secret, &moved).attacked("moving")?;
        let text = read(&moved);
        fs::rename(&moved, &secret)?;
        text
    }),
    untried(
        72,
        Files,
        "a secret file that a build of the host's makes later",
        "whether it is read in that moment is chance; held by the tests `secret_files`",
    )
    .open("a secret file that comes while the session runs is visible until it is covered, a moment later"),
    held(
        73,
        Files,
        "an agent's settings that were not there",
        Left("workspace/.claude/settings.json"),
        |scene, mark| write(scene, ".claude/settings.json", &format!("{{\"hooks\":{{\"x\":\"{mark}\"}}}}")),
    ),
    held(
        74,
        Files,
        "move a protected file's directory away, and make another",
        Left("workspace/moving/.git/hooks/pre-commit"),
        |scene, mark| {
            let workspace = scene.host("workspace/moving");
            // Refused or not, what counts is what is there afterwards.
            let moved = fs::rename(workspace.join(".git"), workspace.join("aside"));
            write(scene, "moving/.git/hooks/pre-commit", mark).map(|_| format!("moved: {moved:?}"))
        },
    ),
    held(
        75,
        Files,
        "a link in the place of a protected directory",
        Left("workspace/.gemini/settings.json"),
        |scene, mark| {
            let workspace = scene.host("workspace");
            fs::create_dir_all(workspace.join("planted"))?;
            fs::write(workspace.join("planted/settings.json"), mark)?;
            symlink("planted", workspace.join(".gemini")).attacked("linking")?;
            Ok("linked".to_owned())
        },
    ),
    held(76, Files, "a link in the workspace to what lies outside", Got, |scene, _| {
        let link = scene.host("workspace/out");
        symlink(scene.host("outside/secret"), &link)?;
        let text = read(&link);
        fs::remove_file(&link)?;
        text
    }),
    held(77, Files, "a second name, in the workspace, of a file outside", Left("outside/linked"), |scene, mark| {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().append(true).open(scene.host("workspace/linked")).attacked("opening")?;
        writeln!(file, "{mark}").attacked("writing")?;
        Ok("written".to_owned())
    }),
    held(78, Files, "a file `.git` that points elsewhere", Left("workspace/pointer/.git"), |scene, mark| {
        write(scene, "pointer/.git", &format!("gitdir: ../{mark}\n"))
    }),
    held(79, Files, "git's hooks", Left("workspace/.git/hooks/post-checkout"), |scene, mark| {
        write(scene, ".git/hooks/post-checkout", &format!("#!/bin/sh\n{mark}\n"))
    }),
    held(80, Files, "settings of git that run commands", Left("workspace/.git/config"), |scene, mark| {
        let path = scene.host("workspace/.git/config");
        let text = fs::read_to_string(&path)? + &format!("[core]\n\tfsmonitor = {mark}\n");
        fs::write(&path, &text).attacked("writing").or_else(|_| {
            let beside = scene.host("workspace/.git/config.lock");
            fs::write(&beside, &text).attacked("writing beside it")?;
            fs::rename(&beside, &path).attacked("moving over it")
        })?;
        Ok("written".to_owned())
    }),
    held(81, Files, "a bare repository in the workspace", Left("workspace/bare/config"), |scene, mark| {
        for name in ["objects", "refs"] {
            fs::create_dir_all(scene.host("workspace/bare").join(name)).attacked("making it")?;
        }
        write(scene, "bare/HEAD", "ref: refs/heads/main\n")?;
        write(scene, "bare/config", &format!("[core]\n\tworktree = .\n\tfsmonitor = {mark}\n"))
    }),
    held(82, Files, "links within git's objects", Left("workspace/.git/objects/zz"), |scene, mark| {
        symlink(format!("/{mark}"), scene.host("workspace/.git/objects/zz")).attacked("linking")?;
        Ok("linked".to_owned())
    }),
    held(83, Files, "submodules' settings", Left("workspace/.gitmodules"), |scene, mark| {
        write(scene, ".gitmodules", &format!("[submodule \"x\"]\n\tpath = x\n\tupdate = !{mark}\n"))
    }),
    held(84, Files, "shells' start files, programs on the PATH", Left("home/.bashrc"), |scene, mark| {
        any_of([in_home(scene, ".bashrc", mark), in_home(scene, ".local/bin/git", mark)])
    }),
    held(85, Files, "what starts with a login", Left("home/.config/autostart/x.desktop"), |scene, mark| {
        any_of([
            in_home(scene, ".config/autostart/x.desktop", mark),
            in_home(scene, ".config/systemd/user/x.service", mark),
        ])
    }),
    held(86, Files, "settings of other agents and of editors", Left("workspace/.vscode/tasks.json"), |scene, mark| {
        let names = [
            ".vscode/tasks.json",
            ".cursor/mcp.json",
            ".codex/config.toml",
            ".idea/workspace.xml",
            ".devcontainer/devcontainer.json",
        ];
        any_of(names.map(|name| write(scene, name, mark)))
    }),
    held(87, Files, "the same in another case", Left("workspace/.CURSOR/mcp.json"), |scene, mark| {
        write(scene, ".CURSOR/mcp.json", mark)
    }),
    held(88, Files, "what a person runs later", Left("workspace/package.json"), |scene, mark| {
        write(scene, "package.json", &format!("{{\"scripts\":{{\"test\":\"{mark}\"}}}}"))
    })
    .open_in_place("that is the work itself"),
    held(
        89,
        Files,
        "caches outside of the workspace",
        Left("home/.cargo/registry/src/crate/build.rs"),
        |scene, mark| in_home(scene, ".cargo/registry/src/crate/build.rs", mark),
    ),
    held(90, Files, "a path that changes while it is checked", Left("workspace/.git/hooks/pre-push"), race),
    held(91, Files, "a child of a program that checks itself", Left("workspace/.envrc"), |scene, mark| {
        let script = format!("printf '%s' {mark} > .envrc");
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", &script])
            .current_dir(scene.host("workspace"))
            .stderr(std::process::Stdio::null())
            .status()?;
        if status.success() { Ok("written".to_owned()) } else { Err(Stop::Refused(status.to_string())) }
    }),
    untried(
        92,
        Files,
        "sessions that meet in one workspace",
        "nothing of ours is in the workspace that could meet; held by the tests `files`",
    ),
    untried(93, Files, "files of ours that are left on the host", "no act of the command's; held by the tests `files`"),
    held(94, Files, "more processes than the host stands", Done, |_, _| processes())
        .open("the usual bound is 8,192 processes, and only a control group bounds memory; see docs/limits.md"),
];

fn read(path: &Path) -> Tried {
    fs::read_to_string(path).attacked("reading")
}

/// Writes a file of the workspace, and its directories.
fn write(scene: &Scene, name: &str, text: &str) -> Tried {
    write_at(&scene.host("workspace").join(name), text)
}

/// Writes a file of the home. Inside that may be one of the sandbox's own; what counts is the host's.
fn in_home(scene: &Scene, name: &str, mark: &str) -> Tried {
    write_at(&scene.host("home").join(name), mark)
}

fn write_at(path: &Path, text: &str) -> Tried {
    path.parent().map_or(Ok(()), fs::create_dir_all).attacked("making its directory")?;
    fs::write(path, text).attacked("writing")?;
    Ok(format!("{} is written", path.display()))
}

/// One thread exchanges a directory and a link to the protected one, the other writes through it.
fn race(scene: &Scene, mark: &str) -> Tried {
    let at = scene.host("workspace/raced");
    fs::create_dir_all(at.join("open"))?;
    let (door, aside) = (at.join("open"), at.join("aside"));
    let over = AtomicBool::new(false);
    let (mut written, mut last) = (0, io::Error::from(io::ErrorKind::NotFound));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // Each step may meet a refusal; the next round begins anew.
                drop(fs::rename(&door, &aside));
                drop(symlink("../.git/hooks", &door));
                std::thread::yield_now();
                drop(fs::remove_file(&door));
                drop(fs::rename(&aside, &door));
            }
        });
        // Without the sandbox one hit is enough, and on a busy machine the threads may be slow to meet.
        for _ in 0..if scene.arm == Arm::Bare { 200_000 } else { 500 } {
            match fs::write(door.join("pre-push"), mark) {
                Ok(()) => written += 1,
                Err(error) => last = error,
            }
            if scene.arm == Arm::Bare && scene.host("workspace/.git/hooks/pre-push").exists() {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    Ok(format!("{written} writes, and {last}"))
}

/// A thousand processes at once, which is more than any limit of a sandbox's and less than a host minds.
fn processes() -> Tried {
    const MANY: usize = 1000;
    let (mut wait, hold) = io::pipe()?;
    let mut children = Vec::new();
    let mut refused = None;
    while children.len() < MANY && refused.is_none() {
        match sys::fork() {
            Ok(Some(child)) => children.push(child),
            Ok(None) => {
                drop(hold);
                // Until the parent lets go.
                wait.read_to_end(&mut Vec::new()).ok();
                sys::exit(0)
            }
            Err(error) => refused = Some(error),
        }
    }
    drop(hold);
    for child in &children {
        rustix::process::waitpid(rustix::process::Pid::from_raw(*child), rustix::process::WaitOptions::empty())?;
    }
    match refused {
        Some(error) => Err(Stop::Refused(format!("after {}: {error}", children.len()))),
        None => Ok(format!("{MANY} processes at once")),
    }
}
