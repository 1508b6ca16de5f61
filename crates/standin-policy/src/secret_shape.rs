//! Which variables of an environment look like credentials.
//!
//! Zero configuration lets no variable in that the sandbox does not need; this decides which of those left out
//! deserve a line on stderr. It errs towards saying too much.

/// Words in a name that make its value a credential.
const WORDS: &[&str] = &[
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CREDENTIALS",
    "AUTH",
    "PRIVATE",
    "DSN",
    "COOKIE",
    "PAT",
    "APIKEY",
    "PWD",
];
/// Names with such a word that hold none.
const INNOCENT: &[&str] = &["PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "GPG_AGENT_INFO", "COLORFGBG"];
/// How values begin that are credentials whatever their name.
const PREFIXES: &[&str] = &[
    "sk-",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "npm_",
    "pypi-",
    "AKIA",
    "ASIA",
    "AIza",
    "xox",
    "hf_",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "-----BEGIN",
    "eyJ",
    "SG.",
    "dop_v1_",
    "whsec_",
];

/// Whether a variable looks like a credential.
pub fn looks_like_secret(name: &str, value: &str) -> bool {
    if value.is_empty() || INNOCENT.contains(&name) {
        return false;
    }
    let upper = name.to_ascii_uppercase();
    upper.split('_').any(|word| WORDS.contains(&word))
        || PREFIXES.iter().any(|prefix| value.starts_with(prefix))
        || has_url_password(value)
}

/// `scheme://user:password@host`.
fn has_url_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(userinfo, _)| userinfo.split_once(':').is_some_and(|(_, p)| !p.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_tell() {
        for (name, value, expected) in [
            ("MY_API_KEY", "x", true),
            ("DB_PASSWORD", "x", true),
            ("internal_token", "x", true),
            ("DATABASE_URL", "postgres://u:p@db/x", true),
            ("WHATEVER", "ghp_0123", true),
            ("PWD", "/home/u", false),
            ("SSH_AUTH_SOCK", "/tmp/x", false),
            ("EDITOR", "vi", false),
            ("HOMEPAGE", "https://example.com/a:b@c", false),
            ("KEYBOARD", "us", false),
            ("EMPTY_TOKEN", "", false),
        ] {
            assert_eq!(looks_like_secret(name, value), expected, "{name}");
        }
    }
}
