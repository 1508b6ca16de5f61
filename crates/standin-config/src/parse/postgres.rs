//! Grants of a PostgreSQL database's password.

use super::{File, raw};
use crate::ConfigError;
use standin_model::{PostgresGrant, PostgresRule};
use toml::Spanned;

/// Where PostgreSQL is, unless a grant says otherwise.
const PORT: u16 = 5432;
/// Longest name in PostgreSQL, in bytes.
const MAX_NAME: usize = 63;

impl File<'_> {
    /// A database's password is one and nothing else: no request of HTTP carries it.
    pub(super) fn suits_postgres(&self, name: &str, raw: &raw::Credential) -> Result<(), ConfigError> {
        let Some(database) = raw.grant.iter().find(|grant| grant.get_ref().postgres.is_some()) else { return Ok(()) };
        if let Some(other) = raw.grant.iter().find(|grant| grant.get_ref().postgres.is_none()) {
            let message = format!("the credential `{name}` is a database's password, and this grant has no `postgres`");
            return Err(self.error(other.span(), message, None));
        }
        if raw.service.is_some() || raw.client_certificate.is_some() {
            let message = format!(
                "the credential `{name}` is a database's password: it has no `service` or `client_certificate`"
            );
            return Err(self.error(database.span(), message, None));
        }
        Ok(())
    }

    /// A grant with `postgres` in it.
    pub(super) fn postgres_grant(
        &self,
        label: String,
        mut grant: raw::Grant,
    ) -> Result<Option<PostgresGrant>, ConfigError> {
        let Some(postgres) = grant.postgres.take() else { return Ok(None) };
        let span = postgres.span();
        if grant.is_about_http() {
            let hint = Some("name who may be where in it: `postgres = { users = [\"app\"] }`".to_owned());
            return Err(self.error(
                span,
                "a grant with `postgres` has nothing of HTTP: no `methods`, `paths`, `slots` and the like".into(),
                hint,
            ));
        }
        let raw::Postgres { users, databases, plaintext } = postgres.into_inner();
        let postgres = PostgresRule {
            users: self.names(users, "users")?,
            databases: self.names(databases, "databases")?,
            plaintext,
        };
        Ok(Some(PostgresGrant { rule: self.rule_without_http(label, grant, PORT)?, postgres }))
    }

    fn names(&self, list: Option<Spanned<Vec<Spanned<String>>>>, what: &str) -> Result<Vec<String>, ConfigError> {
        let Some(list) = list else { return Ok(Vec::new()) };
        if list.get_ref().is_empty() {
            return Err(self.error(list.span(), format!("an empty list of {what} allows nothing"), None));
        }
        self.each(list.into_inner(), |name| {
            let valid = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(char::is_control);
            if valid { Ok(name.to_owned()) } else { Err("a name has 1 to 63 bytes") }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{Config, ConfigError, parse};
    use std::path::Path;

    fn read(credential: &str, grant: &str) -> Result<Config, ConfigError> {
        let text = format!(
            "[[credential]]\nname = \"db\"\nsource = \"env:A\"\n{credential}\n[[credential.grant]]\nhosts = [\"db.example\"]\n{grant}\n"
        );
        parse(&text, Path::new("/etc/config.toml"))
    }

    #[test]
    fn a_password_for_databases() {
        let config =
            read("env = [\"DATABASE_URL\"]", "postgres = { databases = [\"shop\"], users = [\"app\", \"me\"] }");
        let [credential] = config.unwrap().credentials.try_into().unwrap();
        assert!(credential.grants.is_empty() && credential.env == ["DATABASE_URL"]);
        let [grant] = credential.postgres.try_into().unwrap();
        assert_eq!((grant.rule.label.as_str(), grant.rule.ports.named()), ("db.grant[1]", &[5432][..]));
        assert!(!grant.postgres.plaintext && !grant.rule.methods.contain("GET"));
        assert!(grant.postgres.means("me", "shop") && !grant.postgres.means("me", "app"));
        let config = read("", "ports = [6432]\naddresses = [\"10.0.0.0/8\"]\npostgres = { plaintext = true }");
        let [grant] = config.unwrap().credentials.remove(0).postgres.try_into().unwrap();
        assert!(grant.postgres.plaintext && grant.postgres.means("anybody", "anywhere"));
        assert_eq!(grant.rule.ports.named(), [6432]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (credential, grant, expected) in [
            ("", "postgres = { database = [] }", "did you mean `databases`?"),
            ("", "postgres = { databases = [] }", "an empty list of databases allows nothing"),
            ("", "postgres = { users = [\"\"] }", "a name has 1 to 63 bytes"),
            ("", "postgres = {}\npaths = [\"/a\"]", "a grant with `postgres` has nothing of HTTP"),
            ("service = \"github\"", "postgres = {}", "it has no `service` or `client_certificate`"),
            ("", "postgres = {}\n[[credential.grant]]\nhosts = [\"b.example\"]", "and this grant has no `postgres`"),
        ] {
            let error = read(credential, grant).map(drop).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}\n{expected}");
        }
    }
}
