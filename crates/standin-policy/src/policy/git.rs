//! Git over SSH: which service of which repository, with whose key.

use super::{Effect, Entry, Policy, PolicyBuilder, RequestFacts, shown_name};
use standin_model::{
    CredentialName, Denial, DenyReason, GitGrant, GitPush, GitRule, GitService, Host, NoEvidence, Push, Repository,
    Scheme,
};
use std::sync::Arc;

/// Most repositories named in the explanation of a refusal.
const MAX_SHOWN: usize = 8;

/// Where git's commands are requests.
const HTTPS: u16 = 443;

/// Longest name of a user that is repeated, in bytes.
const MAX_USER: usize = 64;

/// One grant of git over SSH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GitId(usize);

/// What such a grant lends.
pub struct GitLoan {
    /// The credential whose key authenticates.
    pub credential: CredentialName,
    /// For what.
    pub git: GitRule,
}

/// What is known of a command over SSH.
pub struct GitFacts<'a> {
    /// The host that was dialled.
    pub host: &'a Host,
    /// The port that was dialled.
    pub port: u16,
    /// Who the client wants to be there.
    pub user: &'a str,
    /// What it asks.
    pub service: GitService,
    /// Of which repository.
    pub repository: &'a Repository,
}

/// The answer about such a command.
#[derive(Debug)]
pub enum GitVerdict {
    /// It may be sent.
    Allow {
        /// The rule that admits it.
        rule: Arc<str>,
        /// The grant that admits it.
        grant: GitId,
        /// How the repository is asked for.
        path: String,
        /// The refs that may be pushed to, if it is a push and not to any.
        push: Option<Push>,
    },
    /// It may not.
    Deny(Denial),
}

impl PolicyBuilder {
    /// Allows git over SSH to what a grant names, and lends it a key.
    pub fn git(&mut self, credential: CredentialName, grant: GitGrant) {
        let id = GitId(self.0.git.len());
        self.0.git.push(GitLoan { credential, git: grant.git });
        self.add(grant.rule, Effect::Git(id));
    }
}

impl Policy {
    /// Whether SSH is spoken with this host and port at all.
    pub fn ssh(&self, host: &Host, port: u16) -> Result<(), Denial> {
        match self.git_grants(host, port).next() {
            Some(_) => Ok(()),
            None => Err(refuse_host(host, port)),
        }
    }

    /// May this command be sent, and with which grant?
    pub fn git(&self, facts: &GitFacts<'_>) -> GitVerdict {
        let mut readable = false;
        for (entry, id) in self.git_grants(facts.host, facts.port) {
            let GitLoan { git, .. } = self.git_loan(id);
            let Some(path) = git.spell(facts.repository).filter(|_| git.user == facts.user) else { continue };
            if facts.service.writes() && git.push == GitPush::Nothing {
                readable = true;
                continue;
            }
            if let Some(denial) = self.narrowed_git(facts) {
                return GitVerdict::Deny(denial);
            }
            let push = match &git.push {
                GitPush::Some(push) if facts.service.writes() => Some(push.clone()),
                _ => None,
            };
            return GitVerdict::Allow { rule: Arc::clone(&entry.label), grant: id, path: path.to_owned(), push };
        }
        GitVerdict::Deny(self.refuse_git(facts, readable))
    }

    /// What a grant lends.
    pub fn git_loan(&self, id: GitId) -> &GitLoan {
        &self.git[id.0]
    }

    fn git_grants<'a>(&'a self, host: &'a Host, port: u16) -> impl Iterator<Item = (&'a Entry, GitId)> {
        self.about(host).filter_map(move |entry| match entry.effect {
            Effect::Git(id) if entry.rule.admits_connection(host, port) => Some((entry, id)),
            _ => None,
        })
    }

    /// Presets speak of HTTPS. Over SSH they leave the commands that they leave there; not a push of which they ask the refs, which are not seen here.
    fn narrowed_git(&self, facts: &GitFacts<'_>) -> Option<Denial> {
        let GitFacts { host, service, repository, .. } = *facts;
        let path = format!("/{}/{}", repository.as_str().trim_matches('/'), service.as_str());
        let same = RequestFacts {
            host,
            port: HTTPS,
            scheme: Scheme::Https,
            method: "POST",
            path: &path,
            evidence: &NoEvidence,
        };
        let narrowing = self.narrowings_of(host).find(|one| !one.leaves(&same))?;
        let message =
            format!("{} of {} at {host} is not in `{}`", service.as_str(), repository.as_str(), narrowing.label);
        Some(Denial::new(DenyReason::SshRequest, message))
    }

    fn refuse_git(&self, facts: &GitFacts<'_>, readable: bool) -> Denial {
        let GitFacts { host, port, user, service, repository } = *facts;
        let path = repository.as_str();
        let user = shown_name(user, MAX_USER);
        let message = if readable {
            format!("{path} at {host} may be fetched, not pushed to; its owner can add `push = true` to the grant")
        } else {
            let meant = self.git_grants(host, port).map(|(_, id)| &self.git_loan(id).git);
            let mut shown: Vec<String> = meant
                .flat_map(|git| git.repositories.iter().map(|pattern| format!("{}@{host}:{pattern}", git.user)))
                .collect();
            let more = if shown.len() > MAX_SHOWN { " and others" } else { "" };
            shown.truncate(MAX_SHOWN);
            let service = service.as_str();
            format!("{service} of {user}@{host}:{path} is not granted; granted: {}{more}", shown.join(", "))
        };
        Denial::new(DenyReason::SshRequest, message)
    }
}

fn refuse_host(host: &Host, port: u16) -> Denial {
    let ports = if port == 22 { String::new() } else { format!(", ports = [{port}]") };
    let message = format!(
        "no SSH key is granted for {host}; its owner can add a [[credential]] with source = \"ssh-agent:\" and a \
         [[credential.grant]] with hosts = [\"{host}\"]{ports}, git = {{ repositories = [\"OWNER/NAME\"] }} (docs/ssh.md)"
    );
    Denial::new(DenyReason::SshNotGranted, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::policy::{ConnectionVerdict, RequestVerdict};
    use standin_model::{AddressBlocks, HostPattern, Methods, Ports, PresetUse, RepositoryPattern, RequestRule};

    fn policy() -> Policy {
        let mut builder = PolicyBuilder::default();
        for (label, repositories, push) in
            [("one", ["acme/*", "acme/*"], GitPush::Nothing), ("two", ["acme/app", "me/**"], GitPush::Every)]
        {
            let rule = RequestRule {
                label: label.to_owned(),
                hosts: vec![HostPattern::parse("git.example").unwrap()],
                ports: Ports::new(vec![22]),
                methods: Methods::Only(Vec::new()),
                paths: Vec::new(),
                conditions: Vec::new(),
                addresses: AddressBlocks::default(),
            };
            let repositories = repositories.map(|text| RepositoryPattern::parse(text).unwrap()).to_vec();
            builder.git(
                CredentialName::new(label),
                GitGrant { rule, git: GitRule { user: "git".to_owned(), repositories, push } },
            );
        }
        builder.build()
    }

    fn ask(user: &str, service: GitService, path: &str) -> Result<String, String> {
        let host = Host::parse("git.example").unwrap();
        let repository = Repository::parse(path).unwrap();
        let policy = policy();
        match policy.git(&GitFacts { host: &host, port: 22, user, service, repository: &repository }) {
            GitVerdict::Allow { rule, grant, path, push: None } => {
                assert_eq!(policy.git_loan(grant).credential.as_str(), &*rule);
                Ok(format!("{rule} {path}"))
            }
            GitVerdict::Allow { push: Some(push), .. } => panic!("every ref, and not: {push}"),
            GitVerdict::Deny(denial) => Err(denial.to_string()),
        }
    }

    #[test]
    fn a_repository_is_granted_or_not() {
        use GitService::{ReceivePack, UploadPack};
        assert_eq!(ask("git", UploadPack, "/acme/other.git"), Ok("one acme/other.git".to_owned()));
        assert_eq!(ask("git", ReceivePack, "acme/app.git"), Ok("two acme/app.git".to_owned()));
        assert_eq!(
            ask("git", ReceivePack, "acme/other"),
            Err("ssh.request_not_allowed: acme/other at git.example may be fetched, not pushed to; its owner can add \
                 `push = true` to the grant"
                .to_owned())
        );
        let not_granted = "is not granted; granted: git@git.example:acme/*, git@git.example:acme/*, \
                           git@git.example:acme/app, git@git.example:me/**";
        for (user, path, shown) in
            [("git", "evil/app", "git"), ("root", "acme/app", "root"), ("a\x1b[0m", "acme/app", "?")]
        {
            let expected =
                format!("ssh.request_not_allowed: git-upload-pack of {shown}@git.example:{path} {not_granted}");
            assert_eq!(ask(user, UploadPack, path), Err(expected));
        }
    }

    /// What a preset leaves of git over SSH, which a grant of the owner's allows as a whole.
    fn left(usage: &str, host: &str, service: GitService, path: &str) -> bool {
        let usage = PresetUse::parse(usage).unwrap();
        let its = Catalogue::builtin().service(&usage.service).unwrap();
        let preset = its.presets.iter().find(|preset| preset.id == usage.preset).unwrap();
        let mut builder = PolicyBuilder::default();
        let rule = RequestRule {
            label: "all".to_owned(),
            hosts: vec![HostPattern::parse(host).unwrap()],
            ports: Ports::new(vec![22]),
            methods: Methods::Only(Vec::new()),
            paths: Vec::new(),
            conditions: Vec::new(),
            addresses: AddressBlocks::default(),
        };
        let repositories = ["**", "/**"].map(|text| RepositoryPattern::parse(text).unwrap()).to_vec();
        let git = GitRule { user: "git".to_owned(), repositories, push: GitPush::Every };
        builder.git(CredentialName::new("key"), GitGrant { rule, git });
        let hosts = its.grants.iter().flat_map(|grant| grant.rule.hosts.iter().cloned()).collect();
        builder.narrow(usage.to_string(), hosts, preset.rules(&usage).unwrap());
        let (host, repository) = (Host::parse(host).unwrap(), Repository::parse(path).unwrap());
        let facts = GitFacts { host: &host, port: 22, user: "git", service, repository: &repository };
        matches!(builder.build().git(&facts), GitVerdict::Allow { .. })
    }

    /// A preset holds whatever lends the rest: a key for SSH, too.
    #[test]
    fn presets_leave_over_ssh_what_they_leave_over_https() {
        use GitService::{ReceivePack, UploadPack};
        let (one, read) = ("github:single-repo{owner=acme, repo=app}", "github:single-repo-read{owner=acme, repo=app}");
        for (usage, host, service, path, expected) in [
            (one, "github.com", UploadPack, "acme/app.git", true),
            (one, "github.com", ReceivePack, "/acme/app", true),
            (one, "github.com", UploadPack, "acme/other.git", false),
            (one, "github.com", ReceivePack, "mallory/app.git", false),
            (one, "ssh.github.com", ReceivePack, "mallory/app.git", false),
            (one, "ssh.github.com", ReceivePack, "acme/app.git", true),
            (read, "github.com", UploadPack, "acme/app.git", true),
            (read, "github.com", ReceivePack, "acme/app.git", false),
            (read, "ssh.github.com", ReceivePack, "acme/app.git", false),
            ("github:read-only", "github.com", UploadPack, "acme/other", true),
            ("github:read-only", "github.com", ReceivePack, "acme/app", false),
            ("github:read-only", "ssh.github.com", ReceivePack, "acme/app", false),
            ("gitlab:read-only", "gitlab.com", UploadPack, "g/s/p.git", true),
            ("gitlab:read-only", "gitlab.com", ReceivePack, "g/p.git", false),
            ("gitlab:read-only", "altssh.gitlab.com", ReceivePack, "g/p.git", false),
            // Another service's.
            ("gitlab:read-only", "github.com", ReceivePack, "acme/app", true),
        ] {
            assert_eq!(left(usage, host, service, path), expected, "{usage} {host} {service:?} {path}");
        }
    }

    #[test]
    fn one_protocol_is_not_the_other() {
        let policy = policy();
        let host = Host::parse("git.example").unwrap();
        assert!(policy.ssh(&host, 22).is_ok());
        assert!(matches!(policy.connection(&host, 22), ConnectionVerdict::Allow { .. }));
        let facts = RequestFacts {
            host: &host,
            port: 22,
            scheme: Scheme::Https,
            method: "GET",
            path: "/",
            evidence: &NoEvidence,
        };
        let RequestVerdict::Deny(denial) = policy.request(&facts) else { panic!("a request of HTTP passed") };
        assert_eq!(denial.message, "GET / is not allowed at git.example; allowed: git over SSH, and no request");
        for (host, port) in [("git.example", 443), ("other.example", 22)] {
            let denial = policy.ssh(&Host::parse(host).unwrap(), port).unwrap_err();
            assert_eq!(denial.reason, DenyReason::SshNotGranted);
        }
    }
}
