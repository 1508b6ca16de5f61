//! Vectors that are not an act of the command's: how the sandbox is started, on which host, and what comes out of it.

use crate::agent::{End, Said};
use crate::catalogue::kernel::COURIER;
use crate::scene::{Arm, Scene};
use crate::stage::Stage;
use crate::sys;
use crate::terminal::Pair;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

/// The argument that makes this program a host that lacks something; a program and its arguments follow.
pub(crate) const LESSER: &str = "__attack-lesser";
/// The argument that makes it print to a terminal.
pub(crate) const SCREEN: &str = "__attack-screen";
/// The argument that makes it do nothing.
pub(crate) const NOTHING: &str = "__attack-nothing";

impl Stage {
    /// Tries them.
    pub(crate) fn outside(&self, scene: &Scene) -> io::Result<Vec<Said>> {
        Ok(vec![self.on_a_lesser_host(scene)?, self.with_quotes(scene)?, self.at_a_terminal(scene)?])
    }

    /// A host that allows no user namespaces: the command must not run then, rather than run without.
    fn on_a_lesser_host(&self, scene: &Scene) -> io::Result<Said> {
        let program = std::env::current_exe()?;
        let before = [LESSER, program.to_str().ok_or(io::ErrorKind::InvalidInput)?];
        let mut command = self.command(scene, &before, &[COURIER, &scene.mark(5)])?;
        Ok(said(5, &command.stdout(Stdio::null()).output()?))
    }

    /// A command whose argument is a command to a shell. Without the sandbox a careless wrapper runs it.
    fn with_quotes(&self, scene: &Scene) -> io::Result<Said> {
        let argument =
            format!("x\"; printf %s {} > \"{}\"; \"", scene.mark(111), scene.host("outside/quoted").display());
        let mut command = match scene.arm {
            Arm::Boxed | Arm::Copied => self.command(scene, &[], &[NOTHING, &argument])?,
            Arm::Bare => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", &format!("\"{}\" {NOTHING} \"{argument}\"", std::env::current_exe()?.display())]);
                self.surround(&mut command, scene);
                command
            }
        };
        Ok(said(111, &command.stdout(Stdio::null()).output()?))
    }

    /// A command at a terminal that prints what terminals obey. What comes out is what the terminal would get.
    fn at_a_terminal(&self, scene: &Scene) -> io::Result<Said> {
        let mut pair = Pair::open()?;
        let mut command = self.command(scene, &[], &[SCREEN, &scene.mark(114)])?;
        let child = command.stdin(pair.theirs()?).stdout(pair.theirs()?).spawn()?;
        drop(command);
        let mut screen = Vec::new();
        // A terminal ends with an error.
        pair.ours.read_to_end(&mut screen).ok();
        self.internet.recorder.saw("the caller's terminal", &screen);
        Ok(said(114, &child.wait_with_output()?))
    }
}

fn said(number: u16, output: &Output) -> Said {
    let end = if output.status.success() { End::Done } else { End::Refused };
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Said { number, end, text: format!("{}: {words}", output.status) }
}

/// Becomes a program on a host on which nobody makes user namespaces.
pub(crate) fn be_lesser(program: String, arguments: impl Iterator<Item = String>) -> i32 {
    let lessen = || {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        sys::unshare(libc::CLONE_NEWUSER)?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
        std::fs::write("/proc/sys/user/max_user_namespaces", "0")
    };
    match lessen() {
        // It returns only if that failed.
        Ok(()) => drop(Command::new(program).args(arguments).exec()),
        Err(error) => drop(writeln!(io::stderr(), "cannot be a lesser host: {error}")),
    }
    1
}

/// Prints what sets the clipboard, and what makes a terminal type its title.
pub(crate) fn be_screen(mark: &str) -> i32 {
    let text = format!("\x1b]52;c;{mark}\x07\x1b]2;{mark}\x07\x1b[21t\n");
    io::stdout().write_all(text.as_bytes()).map_or(1, |()| 0)
}
