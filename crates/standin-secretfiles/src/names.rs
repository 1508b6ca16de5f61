//! Secret files by their names.

use crate::Format;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Ends of names of files that show how a secret file looks and hold none.
const EXAMPLES: &[&str] =
    &[".example", ".sample", ".template", ".dist", ".tmpl", ".tpl", ".defaults", ".schema", ".md"];

/// Names with their formats; with a slash the directory counts, too.
const NAMES: &[(&str, Format)] = &[
    (".env", Format::Dotenv),
    (".envrc", Format::Dotenv),
    (".dev.vars", Format::Dotenv),
    (".secrets", Format::Dotenv),
    (".netrc", Format::Netrc),
    ("_netrc", Format::Netrc),
    (".authinfo", Format::Netrc),
    (".npmrc", Format::Npmrc),
    (".yarnrc", Format::Npmrc),
    (".yarnrc.yml", Format::Yaml),
    (".pypirc", Format::Ini),
    ("pip.conf", Format::Ini),
    (".pip/pip.conf", Format::Ini),
    (".boto", Format::Ini),
    (".s3cfg", Format::Ini),
    (".my.cnf", Format::Ini),
    (".pgpass", Format::Pgpass),
    (".git-credentials", Format::Urls),
    ("git/credentials", Format::Urls),
    (".git/config", Format::Ini),
    (".gitconfig", Format::Ini),
    (".aws/credentials", Format::Ini),
    (".aws/config", Format::Ini),
    (".cargo/credentials", Format::Toml),
    (".cargo/credentials.toml", Format::Toml),
    (".streamlit/secrets.toml", Format::Toml),
    (".docker/config.json", Format::Json),
    (".dockercfg", Format::Json),
    (".dockerconfigjson", Format::Json),
    ("application_default_credentials.json", Format::Json),
    ("credentials.json", Format::Json),
    ("credentials.tfrc.json", Format::Json),
    ("local.settings.json", Format::Json),
    ("secrets.json", Format::Json),
    ("auth.json", Format::Json),
    (".credentials.json", Format::Json),
    ("oauth_creds.json", Format::Json),
    ("secrets.toml", Format::Toml),
    ("secrets.yml", Format::Yaml),
    ("secrets.yaml", Format::Yaml),
    ("kubeconfig", Format::Yaml),
    ("kubeconfig.yml", Format::Yaml),
    ("kubeconfig.yaml", Format::Yaml),
    (".kube/config", Format::Yaml),
    ("gh/hosts.yml", Format::Yaml),
    ("glab-cli/config.yml", Format::Yaml),
    (".gem/credentials", Format::Yaml),
    (".vault-token", Format::Whole),
    ("gradle.properties", Format::Ini),
    (".m2/settings.xml", Format::Opaque),
    (".htpasswd", Format::Opaque),
];

/// Directories that are not looked through for secret files, since tools fill them, with more files than all else.
const PASSED_OVER: &[&str] = &[
    "node_modules",
    "bower_components",
    "site-packages",
    "vendor",
    "target",
    ".venv",
    "venv",
    "__pycache__",
    ".tox",
    ".nox",
    ".gradle",
    ".terraform",
    ".yarn",
    ".pnpm-store",
    ".cache",
];

/// Whether a directory of this name is not looked through.
pub fn is_passed_over(name: &[u8]) -> bool {
    PASSED_OVER.iter().any(|passed| name == passed.as_bytes())
}

/// How a file of this path is read, if it is one of those that hold secrets. A path without links, as long as it is known.
pub fn format_of(path: &Path) -> Option<Format> {
    let text = path.as_os_str().as_bytes().to_ascii_lowercase();
    let text = String::from_utf8_lossy(&text);
    let mut parts = text.rsplit('/');
    let name = parts.next()?;
    let parent = parts.next().unwrap_or_default();
    if EXAMPLES.iter().any(|end| name.ends_with(end)) || name.contains(".example.") {
        return None;
    }
    let listed = NAMES.iter().find(|(listed, _)| match listed.split_once('/') {
        Some((directory, file)) => directory == parent && file == name,
        None => *listed == name,
    });
    listed.map(|(_, format)| *format).or_else(|| by_pattern(name))
}

/// Whether a name can be one of them at all, by its first and last letters: for whoever looks at many.
pub fn may_hold_secrets(name: &[u8]) -> bool {
    let lower = |byte: Option<&u8>| byte.map_or(0, u8::to_ascii_lowercase);
    let (first, last) = (lower(name.first()), lower(name.last()));
    let ends = |list: &[&str]| {
        list.iter()
            .any(|end| name.len() >= end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes()))
    };
    match first {
        b'.' | b'_' | b'#' => true,
        b'i' if name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"id_")) => true,
        _ => match last {
            b'n' => ends(&[".json"]),
            b'l' => ends(&[".toml", ".yml", ".yaml", "settings.xml"]),
            b'm' | b'y' | b'8' | b'k' | b'2' | b'x' | b'v' => {
                ends(&[".pem", ".key", ".p8", ".ppk", ".p12", ".pfx", ".env"])
            }
            b'g' => ends(&["config"]),
            b'f' => ends(&[".conf"]),
            b's' => ends(&["credentials", ".properties"]),
            _ => false,
        },
    }
}

fn by_pattern(name: &str) -> Option<Format> {
    let ends = |list: &[&str]| list.iter().any(|end| name.ends_with(end));
    if name.starts_with(".env.") || ends(&[".env"]) || is_beside_dotenv(name) {
        return Some(Format::Dotenv);
    }
    if ends(&[".pem", ".key", ".p8", ".ppk"]) || (name.starts_with("id_") && !name.contains('.')) {
        return Some(Format::Pem);
    }
    if ends(&[".p12", ".pfx"]) {
        return Some(Format::Opaque);
    }
    if ends(&[".kubeconfig"]) {
        return Some(Format::Yaml);
    }
    let account =
        name.contains("service-account") || name.contains("service_account") || name.contains("serviceaccount");
    if ends(&[".json"]) && (account || name.starts_with("client_secret")) {
        return Some(Format::Json);
    }
    None
}

/// What editors keep beside a dotenv file: `.env~`, `.env-backup`, `#.env#`.
fn is_beside_dotenv(name: &str) -> bool {
    name == ".env~" || name == "#.env#" || name.starts_with(".env-") || name.starts_with(".env_")
}

/// How a file is read from which a person selects a value: by its name, or by its ending.
pub fn format_for_selector(path: &Path) -> Format {
    let ending = path.extension().map(|ending| ending.as_encoded_bytes().to_ascii_lowercase());
    match format_of(path) {
        Some(format) if !matches!(format, Format::Pem | Format::Opaque) => format,
        _ => match ending.as_deref() {
            Some(b"json" | b"jsonc") => Format::Json,
            Some(b"toml") => Format::Toml,
            Some(b"yml" | b"yaml") => Format::Yaml,
            Some(b"ini" | b"cfg" | b"conf" | b"cnf" | b"properties") => Format::Ini,
            _ => Format::Dotenv,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_the_list_is_passed_over() {
        let patterns =
            [".env.a", "a.env", "a.pem", "a.key", "a.p8", "a.ppk", "id_rsa", "a.p12", "a.pfx", "a.kubeconfig"];
        let accounts = ["my-service-account.json", "client_secret_1.json"];
        for name in NAMES.iter().map(|(name, _)| *name).chain(patterns).chain(accounts) {
            let path = Path::new("/w").join(name);
            assert!(format_of(&path).is_some(), "{name}");
            assert!(may_hold_secrets(path.file_name().unwrap().as_encoded_bytes()), "{name}");
            assert!(may_hold_secrets(name.rsplit('/').next().unwrap().to_ascii_uppercase().as_bytes()), "{name}");
        }
    }
}
