//! What the host is like, and what of it every sandbox sees.

use std::path::{Path, PathBuf};

/// What the host is like, as far as the plan depends on it.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// The caller's effective user.
    pub uid: u32,
    /// The caller's effective group.
    pub gid: u32,
    /// The caller's name.
    pub user: String,
    /// Top-level links of a merged /usr: (`/bin`, `usr/bin`).
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Which of the system's directories exist.
    pub system: Vec<PathBuf>,
    /// Which of the system's small files exist and can be read.
    pub copies: Vec<PathBuf>,
    /// Which of [`HIDDEN`] exist.
    pub hidden: Vec<PathBuf>,
}

/// Top-level directories of the system, shown read-only.
pub const SYSTEM: &[&str] = &["/usr", "/opt", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/gnu"];

/// Entries of /etc that programs need and that hold no secret. The rest is not there.
pub const ETC: &[&str] = &[
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "chromium.d",
    "debian_version",
    "default/locale",
    "fonts",
    "gai.conf",
    "host.conf",
    "inputrc",
    "java-11-openjdk",
    "java-17-openjdk",
    "java-21-openjdk",
    "java-25-openjdk",
    "java",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "login.defs",
    "lsb-release",
    "magic",
    "mime.types",
    "nanorc",
    "os-release",
    "pki",
    "profile",
    "protocols",
    "python3",
    "python3.11",
    "python3.12",
    "python3.13",
    "services",
    "shells",
    "ssl",
    "terminfo",
    "timezone",
    "vim",
    "xattr.conf",
];

/// Directories of keys within what is shown. Root reads them, and so do members of some groups (`ssl-cert`), which an
/// ordinary user cannot leave, so they are shown empty.
pub const HIDDEN: &[&str] = &["/etc/ssl/private", "/etc/pki/tls/private", "/etc/pki/rsyslog", "/etc/pki/entitlement"];

impl HostFacts {
    /// Looks at this host.
    pub fn read() -> Self {
        let mut links = Vec::new();
        let (mut system, mut copies) = (Vec::new(), Vec::new());
        for path in SYSTEM.iter().map(Path::new) {
            match std::fs::read_link(path) {
                Ok(target) => links.push((path.to_owned(), target)),
                Err(_) if path.exists() => system.push(path.to_owned()),
                Err(_) => {}
            }
        }
        for name in ETC {
            let path = Path::new("/etc").join(name);
            match std::fs::read_link(&path) {
                // Links into the system are kept as links; what they lead to is shown there.
                Ok(target) => links.push((path, target)),
                Err(_) if path.is_dir() => system.push(path),
                Err(_) if std::fs::File::open(&path).is_ok() => copies.push(path),
                Err(_) => {}
            }
        }
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let hidden = HIDDEN.iter().map(PathBuf::from).filter(|path| path.is_dir()).collect();
        Self { uid, gid, user: user_name(uid), links, system, copies, hidden }
    }
}

/// The name in the host's /etc/passwd, or one that programs accept.
fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let id = uid.to_string();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| "agent".to_owned())
}
