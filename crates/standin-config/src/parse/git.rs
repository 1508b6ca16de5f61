//! Grants of git over SSH.

use super::{File, Source, raw};
use crate::ConfigError;
use standin_model::{GitGrant, GitPush, GitRule, Methods, Ports, RepositoryPattern, RequestRule};
use toml::Spanned;

/// Where SSH is, unless a grant says otherwise.
const PORT: u16 = 22;

impl File<'_> {
    /// An SSH key is one and nothing else: it stands for nothing inside, and no request of HTTP carries it.
    pub(super) fn suits_git(&self, name: &str, raw: &raw::Credential) -> Result<(), ConfigError> {
        let is_agent =
            |source: &&Spanned<String>| matches!(Source::parse(source.get_ref(), None), Some(Source::SshAgent(_)));
        let agent = raw.source.as_ref().filter(is_agent);
        let for_git = raw.grant.iter().find(|grant| grant.get_ref().git.is_some());
        let other = raw.grant.iter().find(|grant| grant.get_ref().git.is_none());
        match (agent, for_git, other) {
            (Some(agent), None, None) => {
                let hint = Some("add [[credential.grant]] with `git = { repositories = [\"acme/app\"] }`".to_owned());
                Err(self.error(agent.span(), "an ssh-agent has keys for `git` grants only".into(), hint))
            }
            (Some(_), _, Some(other)) | (None, Some(_), Some(other)) => {
                let message = format!("the credential `{name}` is an SSH key, and this grant has no `git`");
                Err(self.error(other.span(), message, None))
            }
            (_, Some(for_git), None) => {
                let foreign = raw.service.is_some() || raw.like.is_some() || !raw.env.is_empty();
                if foreign || raw.on_leak.is_some() || raw.client_certificate.is_some() {
                    let message = format!(
                        "the credential `{name}` is an SSH key: it has no `service`, `env`, `like`, `on_leak` or `client_certificate`"
                    );
                    return Err(self.error(for_git.span(), message, None));
                }
                Ok(())
            }
            (None, None, _) => Ok(()),
        }
    }

    /// A grant with `git` in it.
    pub(super) fn git_grant(&self, label: String, mut grant: raw::Grant) -> Result<Option<GitGrant>, ConfigError> {
        let Some(git) = grant.git.take() else { return Ok(None) };
        let span = git.span();
        if grant.is_about_http() {
            let hint =
                Some("name what may be asked in it: `git = { repositories = [\"acme/*\"], push = true }`".to_owned());
            return Err(self.error(
                span,
                "a grant with `git` has nothing of HTTP: no `methods`, `paths`, `slots` and the like".into(),
                hint,
            ));
        }
        let raw::Git { user, repositories, push } = git.into_inner();
        if repositories.get_ref().is_empty() {
            return Err(self.error(repositories.span(), "an empty list of repositories allows nothing".into(), None));
        }
        let repositories = self.each(repositories.into_inner(), RepositoryPattern::parse)?;
        let push = push.map(|push| self.git_push(push)).transpose()?.unwrap_or(GitPush::Nothing);
        let user = match user {
            None => "git".to_owned(),
            Some(user) if is_user(user.get_ref()) => user.into_inner(),
            Some(user) => {
                let message = format!("`{}` is not the name of a user", user.get_ref());
                return Err(self.error(user.span(), message, None));
            }
        };
        let rule = self.rule_without_http(label, grant, PORT)?;
        Ok(Some(GitGrant { rule, git: GitRule { user, repositories, push } }))
    }

    fn git_push(&self, push: Spanned<raw::GitPush>) -> Result<GitPush, ConfigError> {
        let span = push.span();
        match push.into_inner() {
            raw::GitPush::Any(any) => Ok(if any { GitPush::Every } else { GitPush::Nothing }),
            raw::GitPush::Some(push) => {
                push.push().map(GitPush::Some).map_err(|error| self.error(span, error.to_string(), None))
            }
        }
    }

    /// Where another protocol than HTTP is meant: no method of that is.
    pub(super) fn rule_without_http(
        &self,
        label: String,
        grant: raw::Grant,
        port: u16,
    ) -> Result<RequestRule, ConfigError> {
        let raw::Grant { hosts, ports, addresses, .. } = grant;
        let rule = raw::Rule::anything_at(hosts, ports, addresses);
        let default_port = rule.ports.is_none();
        let mut rule = self.rule(label, rule)?;
        rule.methods = Methods::Only(Vec::new());
        if default_port {
            rule.ports = Ports::new(vec![port]);
        }
        Ok(rule)
    }
}

fn is_user(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte);
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use crate::{Config, ConfigError, Source, parse};
    use standin_model::GitPush;
    use std::path::Path;

    fn read(credential: &str, grant: &str) -> Result<Config, ConfigError> {
        let text = format!(
            "[[credential]]\nname = \"key\"\n{credential}\n[[credential.grant]]\nhosts = [\"git.example\"]\n{grant}\n"
        );
        parse(&text, Path::new("/etc/config.toml"))
    }

    #[test]
    fn a_key_for_repositories() {
        let config =
            read("source = \"ssh-agent:\"", "git = { repositories = [\"acme/*\", \"/srv/a.git\"], push = true }");
        let [credential] = config.unwrap().credentials.try_into().unwrap();
        assert_eq!((credential.source, credential.grants.len()), (Some(Source::SshAgent(None)), 0));
        let [grant] = credential.git.try_into().unwrap();
        assert_eq!((grant.rule.label.as_str(), grant.rule.ports.named()), ("key.grant[1]", &[22][..]));
        assert!(grant.git.push == GitPush::Every && grant.git.user == "git" && !grant.rule.methods.contain("GET"));
        let repositories: Vec<_> = grant.git.repositories.iter().map(ToString::to_string).collect();
        assert_eq!(repositories, ["acme/*", "/srv/a"]);

        let config = read(
            "source = \"file:~/.ssh/id\"",
            "ports = [443]\ngit = { user = \"me\", repositories = [\"acme/app\"] }\naddresses = [\"10.0.0.0/8\"]",
        );
        let [credential] = config.unwrap().credentials.try_into().unwrap();
        assert_eq!(credential.source, Some(Source::File("~/.ssh/id".into(), None)));
        let [grant] = credential.git.try_into().unwrap();
        assert_eq!((grant.rule.ports.named(), grant.git.user.as_str()), (&[443][..], "me"));
        assert_eq!(grant.git.push, GitPush::Nothing);

        let config =
            read("source = \"ssh-agent:\"", "git = { repositories = [\"acme/app\"], push = [\"refs/heads/agent/*\"] }");
        let [credential] = config.unwrap().credentials.try_into().unwrap();
        let [grant] = credential.git.try_into().unwrap();
        let GitPush::Some(push) = grant.git.push else { panic!("{:?}", grant.git.push) };
        assert_eq!(push.to_string(), "pushes to `refs/heads/agent/*` only");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let agent = "source = \"ssh-agent:\"";
        for (credential, grant, expected) in [
            (agent, "git = { repositores = [\"a\"] }", "did you mean `repositories`?"),
            (agent, "git = { repositories = [] }", "an empty list of repositories allows nothing"),
            (agent, "git = { push = true }", "missing field `repositories`"),
            (agent, "git = { repositories = [\"~/a\"] }", "`~/a` is not understood"),
            (agent, "git = { repositories = [\"a\"], user = \"-x\" }", "`-x` is not the name of a user"),
            (
                agent,
                "git = { repositories = [\"a\"] }\nslots = [\"header:a\"]",
                "a grant with `git` has nothing of HTTP",
            ),
            (agent, "git = { repositories = [\"a\"] }\nquery = { a = 1 }", "a grant with `git` has nothing of HTTP"),
            (agent, "git = { repositories = [\"a\"] }\npush = [\"refs/a\"]", "a grant with `git` has nothing of HTTP"),
            (agent, "git = { repositories = [\"a\"], push = [\"main\"] }", "write `refs/heads/main`"),
            (agent, "git = { repositories = [\"a\"], push = \"main\" }", "write `true`, a list of refs"),
            (agent, "", "the credential `key` is an SSH key, and this grant has no `git`"),
            ("source = \"ssh-agent:x\"", "", "`ssh-agent` is not a source"),
            (
                "source = \"env:A\"\nenv = [\"A\"]",
                "git = { repositories = [\"a\"] }",
                "the credential `key` is an SSH key: it has no",
            ),
        ] {
            let error = read(credential, grant).map(drop).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}\n{expected}");
        }
    }
}
