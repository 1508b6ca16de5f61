//! The part of a data file that says how a client keeps a login.

use super::{CatalogueError, Compiler, RawRule};
use serde::Deserialize;
use standin_model::{
    GrantRule, JsonPointer, Login, LoginForm, LoginToken, Methods, RequestRule, StateFile, TokenEndpoint, TokenKind,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogin {
    client: String,
    directory: String,
    variable: String,
    file: String,
    lock: Option<String>,
    #[serde(default)]
    shown: Vec<String>,
    expires: Option<String>,
    refreshed: Option<String>,
    scopes: Option<String>,
    account: Option<RawAccount>,
    #[serde(default)]
    claims: Vec<String>,
    empty: String,
    token: Vec<RawToken>,
    endpoint: RawEndpoint,
    #[serde(default)]
    state: Vec<RawState>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccount {
    at: String,
    claim: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawToken {
    kind: RawKind,
    at: String,
    #[serde(default)]
    slots: Vec<String>,
    #[serde(default)]
    grant: Vec<RawRule>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    Access,
    Refresh,
    Identity,
    Key,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEndpoint {
    hosts: Vec<String>,
    paths: Vec<String>,
    passes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawState {
    file: String,
    shown: Vec<String>,
}

impl RawLogin {
    /// The login of a service whose ordinary keys are good where `keys` say.
    pub(super) fn compile(self, compiler: &Compiler<'_>, keys: &[GrantRule]) -> Result<Login, CatalogueError> {
        let rule = compiler.endpoint(self.endpoint.hosts, self.endpoint.paths)?;
        let tokens =
            self.token.into_iter().map(|token| compiler.token(token, keys, &rule)).collect::<Result<_, _>>()?;
        let state = self.state.into_iter().map(|state| {
            Ok::<_, CatalogueError>(StateFile { file: state.file, shown: compiler.pointers(&state.shown)? })
        });
        let one = |text: Option<String>| text.map(|text| compiler.pointer(&text)).transpose();
        let account = self.account.map(|raw| Ok((compiler.pointer(&raw.at)?, compiler.pointer(&raw.claim)?)));
        let form = LoginForm {
            tokens,
            shown: compiler.pointers(&self.shown)?,
            expires: one(self.expires)?,
            refreshed: one(self.refreshed)?,
            scopes: one(self.scopes)?,
            account: account.transpose()?,
            claims: self.claims,
            empty: self.empty,
        };
        Ok(Login {
            id: compiler.id.to_owned(),
            client: self.client,
            directory: self.directory,
            variable: self.variable,
            file: self.file,
            lock: self.lock,
            form,
            endpoint: TokenEndpoint { rule, passes: self.endpoint.passes },
            state: state.collect::<Result<_, _>>()?,
        })
    }
}

impl Compiler<'_> {
    fn token(&self, raw: RawToken, keys: &[GrantRule], endpoint: &RequestRule) -> Result<LoginToken, CatalogueError> {
        let slots = raw.slots.iter().map(|slot| self.slot(slot)).collect::<Result<Vec<_>, _>>()?;
        let kind = match raw.kind {
            RawKind::Access => TokenKind::Access,
            RawKind::Refresh => TokenKind::Refresh,
            RawKind::Identity => TokenKind::Identity,
            RawKind::Key => TokenKind::Key,
        };
        let grants = match kind {
            TokenKind::Key => keys.to_vec(),
            // RFC 6749 §6, and the same in JSON.
            TokenKind::Refresh => {
                let slots = vec![self.slot("json:/refresh_token")?, self.slot("form:refresh_token")?];
                vec![GrantRule { rule: endpoint.clone(), slots, always: false }]
            }
            TokenKind::Access | TokenKind::Identity => {
                let rules = raw.grant.into_iter().map(|rule| self.rule(rule, "login"));
                let lend = |rule| GrantRule { rule, slots: slots.clone(), always: false };
                rules.map(|rule| rule.map(lend)).collect::<Result<_, _>>()?
            }
        };
        Ok(LoginToken { kind, at: self.pointer(&raw.at)?, grants })
    }

    fn endpoint(&self, hosts: Vec<String>, paths: Vec<String>) -> Result<RequestRule, CatalogueError> {
        let raw = RawRule { hosts, paths, ..RawRule::default() };
        let rule = self.rule(raw, "tokens")?;
        Ok(RequestRule { methods: Methods::only(["POST"]), ..rule })
    }

    fn pointers(&self, texts: &[String]) -> Result<Vec<JsonPointer>, CatalogueError> {
        texts.iter().map(|text| self.pointer(text)).collect()
    }
}
