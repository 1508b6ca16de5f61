//! The workspace's files: what the host executes later is protected by name, and all else works as ever.

mod attacks;
mod ordinary;
mod tools;

use crate::direct::Caller;
use std::path::Path;

/// Runs Python without a sandbox, as the attack or the program that it is.
fn python_outside(caller: &Caller, script: &str) -> String {
    let output = caller.program("/usr/bin/python3").args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a shell script in the sandbox; it must succeed. What it printed.
fn shell(caller: &Caller, script: &str) -> String {
    let output = caller.standin(&["/bin/sh", "-ec", script]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}

/// A repository with a commit, as the host has it.
fn repository(caller: &Caller, directory: &Path) {
    let script = "git init -q -b main . && git config user.name u && git config user.email u@example.com &&
        printf 'one\\n' > file && git add file && git commit -q -m one";
    let output = caller.program("/bin/sh").current_dir(directory).args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Every file below a directory with its contents, links as what they say.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let name = path.strip_prefix(directory).unwrap().display().to_string();
        if path.is_symlink() {
            found.push((name, std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()));
        } else if path.is_dir() {
            found.push((name, Vec::new()));
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            // A FIFO would be waited for.
            let text = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            found.push((name, text));
        }
    }
    found.sort();
    found
}
