//! Connection strings of databases, with a password in them.

use percent_encoding::percent_decode_str;
use standin_secret::Secret;
use url::Url;
use zeroize::Zeroizing;

/// What connection strings of PostgreSQL begin with.
const SCHEMES: &[&str] = &["postgres", "postgresql"];

/// A connection string, and the password in it.
pub(super) struct DatabaseUrl {
    url: Url,
    pub(super) password: Secret,
}

/// Why a connection string lends nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseUrlError {
    #[error("its connection string is not understood")]
    Malformed,
    #[error("its connection string has no password in it")]
    NoPassword,
    #[error(
        "its connection string has a secret in its parameter `{0}`, which would be seen inside; only `USER:PASSWORD@` is taken out"
    )]
    Parameter(String),
    #[error("a connection string comes from `env:` or `file:` only; from this source, name the password alone")]
    Fetched,
}

impl DatabaseUrl {
    /// Reads one; nothing if it is none, and so the password itself.
    pub(super) fn parse(value: &[u8]) -> Result<Option<Self>, DatabaseUrlError> {
        let Ok(text) = std::str::from_utf8(value) else { return Ok(None) };
        if !text.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme)) {
            return Ok(None);
        }
        let mut url = Url::parse(text).map_err(|_| DatabaseUrlError::Malformed)?;
        // To libpq it is a part of the last parameter.
        if url.fragment().is_some() {
            return Err(DatabaseUrlError::Malformed);
        }
        if let Some((name, _)) = url.query_pairs().find(|(name, value)| is_secret(name, value)) {
            return Err(DatabaseUrlError::Parameter(name.into_owned()));
        }
        let password = url.password().filter(|password| !password.is_empty()).ok_or(DatabaseUrlError::NoPassword)?;
        let password = Secret::copy_of(&Zeroizing::new(percent_decode_str(password).collect::<Vec<u8>>()));
        url.set_password(None).map_err(|()| DatabaseUrlError::Malformed)?;
        Ok(Some(Self { url, password }))
    }

    /// The string with this password.
    pub(super) fn with(&self, password: &str) -> String {
        let mut url = self.url.clone();
        url.set_password(Some(password)).expect("it had one");
        url.into()
    }
}

/// Whether the value of a parameter is a secret, or goes before the password in front of the host: libpq has `password`, `sslpassword`,
/// `scram_client_key`, `scram_server_key` and `oauth_client_secret`, and drivers add their own.
fn is_secret(parameter: &str, value: &str) -> bool {
    let name = parameter.to_ascii_lowercase();
    let says_so = ["pass", "pwd", "secret", "scram_", "token", "apikey", "_key", "credential"];
    // Whoever is meant by the name: not where a password lies. A key of TLS is a path, or itself (lib/pq's `sslinline`).
    (says_so.iter().any(|part| name.contains(part)) && name != "passfile") || value.contains("-----BEGIN")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_taken_out() {
        for (text, password, shown) in [
            ("postgres://app:s3cret@db.example/shop", "s3cret", "postgres://app:new%40@db.example/shop"),
            (
                "postgresql://app:p%40s%2Fs@db.example:6432/shop?sslmode=require&application_name=a%20b",
                "p@s/s",
                "postgresql://app:new%40@db.example:6432/shop?sslmode=require&application_name=a%20b",
            ),
        ] {
            let url = DatabaseUrl::parse(text.as_bytes()).unwrap().unwrap();
            assert_eq!((url.password.expose(), url.with("new@").as_str()), (password.as_bytes(), shown));
        }
        for text in ["s3cret", "mysql://app:s3cret@db.example/shop", "postgres", "postgres:x"] {
            assert!(DatabaseUrl::parse(text.as_bytes()).unwrap().is_none(), "{text}");
        }
        for text in ["postgres://app@db.example/shop", "postgres://app:@db.example/shop", "postgres:///shop"] {
            assert!(matches!(DatabaseUrl::parse(text.as_bytes()), Err(DatabaseUrlError::NoPassword)), "{text}");
        }
        for text in ["postgres://a:b@[/", "postgres://a:b@db.example/shop#x?password=s3cret"] {
            assert!(matches!(DatabaseUrl::parse(text.as_bytes()), Err(DatabaseUrlError::Malformed)), "{text}");
        }
        // What would be shown as it is. libpq undoes escapes in names, and takes the last of two.
        for parameter in [
            "password",
            "sslmode=require&password",
            "pass%77ord",
            "sslpassword",
            "sslPassword",
            "scram_client_key",
            "oauth_client_secret",
            "pwd",
            "passwd",
            "passphrase",
            "sslkeypassphrase",
            "apikey",
            "service_key",
            "sslinline=true&sslkey=-----BEGIN%20PRIVATE%20KEY-----",
        ] {
            for user in ["app:first@", "app@", ""] {
                let text = format!("postgres://{user}db.example/shop?{parameter}=s3cret");
                let error = DatabaseUrl::parse(text.as_bytes()).err();
                assert!(matches!(error, Some(DatabaseUrlError::Parameter(_))), "{text}");
            }
        }
        for harmless in ["passfile=/x", "sslkey=/x", "application_name=password", "keepalives=1"] {
            let text = format!("postgres://app:s3cret@db.example/shop?{harmless}");
            assert!(DatabaseUrl::parse(text.as_bytes()).unwrap().unwrap().with("x").ends_with(harmless), "{text}");
        }
    }
}
