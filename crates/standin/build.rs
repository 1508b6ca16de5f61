//! Links so that the program starts sooner: its 24,000 relocations take 10 KB instead of 570, and reading them was a
//! tenth of the start, twice, for the sandbox's first process is the same program.
//!
//! The C library must know the form (DT_RELR, glibc 2.36, August 2022); an older one gets the usual one.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&said).into_owned();
    let version = text.trim().strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    let knows_it = version.is_some_and(|(major, minor)| major == "2" && minor.parse::<u32>().is_ok_and(|m| m >= 36));
    if knows_it {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
