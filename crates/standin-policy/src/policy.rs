//! The compiled policy: rules by host, so that a verdict costs the same whatever their number.
//!
//! Default deny; deny over allow. A grant is an allow rule that also lends a credential.

mod account;
mod git;
mod postgres;
mod same;

pub use account::{Considered, Difference, Does};
pub use git::{GitFacts, GitId, GitLoan, GitVerdict};
pub use postgres::{PostgresFacts, PostgresId, PostgresLoan, PostgresVerdict};

use ipnet::IpNet;
use standin_model::{
    AddressBlocks, Authority, CredentialName, Denial, DenyReason, Evidence, GrantRule, Host, HostPattern, Methods,
    RequestRule, Scheme, Slot, Spellings, Wanted,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// The name of Google's metadata service, which leads to tokens. Only a rule for exactly it admits it.
const METADATA_NAME: &str = "metadata.google.internal";
/// Most rules named in the explanation of a refusal.
const MAX_SHOWN: usize = 4;

/// A compiled policy.
#[derive(Default)]
pub struct Policy {
    entries: Vec<Entry>,
    grants: Vec<Grant>,
    git: Vec<GitLoan>,
    postgres: Vec<PostgresLoan>,
    by_host: HashMap<Host, Vec<usize>>,
    by_parent: HashMap<String, Vec<usize>>,
    narrowings: Vec<Narrowing>,
    named: BTreeMap<String, Authority>,
    reach: BTreeSet<u16>,
    /// Whether any rule asks for more than a request's head has.
    conditional: bool,
}

/// Collects rules.
#[derive(Default)]
pub struct PolicyBuilder(Policy);

/// One grant of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantId(usize);

/// What a grant lends.
pub struct Grant {
    /// The credential.
    pub credential: CredentialName,
    /// The slots in which it is exchanged; empty means every auth slot.
    pub slots: Vec<Slot>,
    /// Whether it is also put where nothing stood.
    pub always: bool,
}

/// The answer about a connection.
#[derive(Debug)]
pub enum ConnectionVerdict {
    /// It may be made.
    Allow {
        /// Addresses that are not public and admitted all the same.
        addresses: AddressBlocks,
        /// The first rule that admits it.
        rule: Arc<str>,
    },
    /// It may not.
    Deny(Denial),
}

/// What is known of a request.
pub struct RequestFacts<'a> {
    /// The tunnel's host.
    pub host: &'a Host,
    /// The tunnel's port.
    pub port: u16,
    /// Whether it comes in TLS.
    pub scheme: Scheme,
    /// The method, as it was sent.
    pub method: &'a str,
    /// The path in normal form, without the query.
    pub path: &'a str,
    /// What else is known.
    pub evidence: &'a dyn Evidence,
}

/// The answer about a request.
#[derive(Debug)]
pub enum RequestVerdict {
    /// It may be sent.
    Allow {
        /// The first rule that admits it.
        rule: Arc<str>,
        /// Every grant that admits it.
        grants: Vec<GrantId>,
        /// Whether a rule that lends nothing admits it, too: then it may go without a credential.
        openly: bool,
        /// Whether credentials are granted at this host and port, or meant to be: foreign ones are refused there.
        granted_host: bool,
        /// Every grant at this host and port, whatever its methods and paths: in a slot that one of them names nothing but
        /// a stand-in stands there.
        at_host: Vec<GrantId>,
        /// The login whose tokens are exchanged by this request: its answer holds real ones.
        login: Option<Arc<str>>,
        /// Whether its body is what a model is told: stand-ins in it are words.
        conversation: bool,
    },
    /// It may not.
    Deny(Denial),
}

/// What is left of some hosts: there nothing passes that none of these rules means, whatever allows it.
struct Narrowing {
    /// What it is called: the presets that it is made of.
    label: String,
    hosts: Vec<HostPattern>,
    rules: Vec<RequestRule>,
}

struct Entry {
    rule: RequestRule,
    label: Arc<str>,
    effect: Effect,
}

#[derive(PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
    Lend(GrantId),
    /// Git over SSH is allowed, to what this grant names, and nothing else.
    Git(GitId),
    /// PostgreSQL is allowed, to what this grant names, and nothing else.
    Postgres(PostgresId),
    /// Allowed, and no credential passes: one is meant to be lent here.
    Reserve,
    /// Neither allowed nor denied, but what is asked there is answered with real tokens of this login.
    Tokens(Arc<str>),
    /// Neither allowed nor denied, but what is sent there is what a model is told.
    Conversation,
}

impl Entry {
    /// Whether it lets any connection pass.
    fn admits(&self) -> bool {
        self.admits_http() || matches!(self.effect, Effect::Git(_) | Effect::Postgres(_))
    }

    /// Whether it lets any request of HTTP pass.
    fn admits_http(&self) -> bool {
        matches!(self.effect, Effect::Allow | Effect::Lend(_) | Effect::Reserve)
    }

    /// Whether it may stop something.
    fn stops(&self) -> bool {
        matches!(self.effect, Effect::Deny | Effect::Tokens(_))
    }

    /// Whether it is for the place where tokens are exchanged, and not for the one request that may be made there.
    fn evades(&self, facts: &RequestFacts<'_>, spellings: &Spellings<'_>) -> bool {
        let RequestFacts { host, port, method, path, evidence, .. } = *facts;
        matches!(self.effect, Effect::Tokens(_))
            && self.rule.touches(host, port, spellings)
            && !self.rule.admits_request(host, port, method, path, evidence)
    }

    fn holds_grant(&self, host: &Host, port: u16) -> bool {
        matches!(self.effect, Effect::Lend(_) | Effect::Reserve) && self.rule.admits_connection(host, port)
    }
}

impl PolicyBuilder {
    /// Allows the requests of a rule.
    pub fn allow(&mut self, rule: RequestRule) {
        self.add(rule, Effect::Allow);
    }

    /// Denies the requests of a rule, whatever else allows them.
    pub fn deny(&mut self, rule: RequestRule) {
        self.add(rule, Effect::Deny);
    }

    /// Allows the requests of a rule, and lets no credential pass at its hosts: they are meant for one that is lent, and
    /// none is. An attacker's key must not work there either.
    pub fn reserve(&mut self, rule: RequestRule) {
        self.add(rule, Effect::Reserve);
    }

    /// Says that the requests of a rule are answered with real tokens of a login. It allows none of them; what means the
    /// same place in another spelling, or with another method, is denied.
    pub fn tokens(&mut self, login: &str, rule: RequestRule) {
        self.add(rule, Effect::Tokens(Arc::from(login)));
    }

    /// Says that the bodies of a rule's requests are what a model is told: text, in which stand-ins are words. It allows none of
    /// them.
    pub fn conversation(&mut self, rule: RequestRule) {
        self.add(rule, Effect::Conversation);
    }

    /// Allows the requests of a rule and lends them a credential.
    pub fn grant(&mut self, credential: CredentialName, grant: GrantRule) {
        let id = GrantId(self.0.grants.len());
        self.name(credential.as_str(), &grant.rule);
        self.0.grants.push(Grant { credential, slots: grant.slots, always: grant.always });
        self.add(grant.rule, Effect::Lend(id));
    }

    /// Leaves of these hosts, and of those that the rules name, what one of the rules means, and allows none of it.
    pub fn narrow(&mut self, label: String, mut hosts: Vec<HostPattern>, rules: Vec<RequestRule>) {
        hosts.extend(rules.iter().flat_map(|rule| rule.hosts.iter().cloned()));
        self.0.conditional |= rules.iter().any(|rule| !rule.conditions.is_empty());
        self.0.narrowings.push(Narrowing { label, hosts, rules });
    }

    /// Allows connections to a port of the host's own loopback, whatever they carry.
    pub fn reach(&mut self, port: u16) {
        self.0.reach.insert(port);
    }

    /// Lets a name stand for the first host of a rule, if it has none yet and the rule names one without a wildcard.
    pub fn name(&mut self, name: &str, rule: &RequestRule) {
        let host = rule.hosts.iter().find_map(HostPattern::as_exact);
        if let (Some(host), Some(port)) = (host, rule.ports.named().first()) {
            self.0.named.entry(name.to_owned()).or_insert_with(|| Authority::new(host.clone(), *port));
        }
    }

    /// Compiles.
    pub fn build(self) -> Policy {
        self.0
    }

    fn add(&mut self, rule: RequestRule, effect: Effect) {
        let number = self.0.entries.len();
        for pattern in &rule.hosts {
            let list = match (pattern.as_exact(), pattern.wildcard_parent()) {
                (Some(host), _) => self.0.by_host.entry(host.clone()).or_default(),
                (None, Some(parent)) => self.0.by_parent.entry(parent.as_str().to_owned()).or_default(),
                (None, None) => unreachable!("a pattern is exact or has a parent"),
            };
            if list.last() != Some(&number) {
                list.push(number);
            }
        }
        self.0.conditional |= !rule.conditions.is_empty();
        self.0.entries.push(Entry { label: Arc::from(rule.label.as_str()), rule, effect });
    }
}

impl Policy {
    /// May this host and port be reached?
    pub fn connection(&self, host: &Host, port: u16) -> ConnectionVerdict {
        let closed = |entry: &&Entry| entry.effect == Effect::Deny && entry.rule.means_all(host, port);
        if let Some(entry) = self.about(host).find(closed) {
            let message = format!("{host} is denied by the rule `{}`", entry.label);
            return ConnectionVerdict::Deny(Denial::new(DenyReason::HostNotAllowed, message));
        }
        let mut admitting = self
            .about(host)
            .filter(|entry| entry.admits() && entry.rule.admits_connection(host, port))
            .filter(|entry| !is_metadata(host) || entry.rule.hosts.iter().any(|p| p.as_exact() == Some(host)));
        let Some(first) = admitting.next() else {
            return ConnectionVerdict::Deny(self.refuse_connection(host, port));
        };
        let mut addresses = admitting.fold(first.rule.addresses.clone(), |all, e| all.union(&e.rule.addresses));
        if let Host::Ip(literal) = host {
            // Only a rule that lists this very literal can have matched, and listing it is naming it.
            addresses = addresses.union(&AddressBlocks::new(vec![IpNet::from(*literal)]));
        }
        ConnectionVerdict::Allow { addresses, rule: Arc::clone(&first.label) }
    }

    /// May this port of the host's own loopback be reached, by what came for it and for nothing else?
    pub fn reach(&self, port: u16) -> ConnectionVerdict {
        if !self.reach.contains(&port) {
            let message = format!("port {port} of the host is not among those that this session may reach");
            return ConnectionVerdict::Deny(Denial::new(DenyReason::HostNotAllowed, message));
        }
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)].map(IpNet::from);
        ConnectionVerdict::Allow { addresses: AddressBlocks::new(loopback.to_vec()), rule: Arc::from("reach") }
    }

    /// May this request be sent, and with which grants?
    pub fn request(&self, facts: &RequestFacts<'_>) -> RequestVerdict {
        let RequestFacts { host, port, method, path, evidence, .. } = *facts;
        if !Methods::Any.contain(method) {
            let message = format!("{method} is never sent");
            return RequestVerdict::Deny(Denial::new(DenyReason::MethodRefused, message));
        }
        let (mut rule, mut grants, mut login) = (None, Vec::new(), None);
        let (mut conversation, mut openly) = (false, false);
        let mut spellings = None;
        let about: Vec<&Entry> = self.about(host).collect();
        for entry in about.iter().filter(|entry| entry.stops()) {
            let spellings = spellings.get_or_insert_with(|| Spellings::of(path));
            let denies =
                entry.effect == Effect::Deny && entry.rule.denies_request(host, port, method, spellings, evidence);
            if denies || entry.evades(facts, spellings) {
                return RequestVerdict::Deny(self.refuse_request(facts, Some(&entry.label)));
            }
        }
        if let Some(narrowing) = self.narrowings_of(host).find(|one| !one.leaves(facts)) {
            return RequestVerdict::Deny(narrowing.refuse(facts));
        }
        for entry in about.iter().filter(|entry| entry.rule.admits_request(host, port, method, path, evidence)) {
            match &entry.effect {
                Effect::Deny => continue,                         // asked above
                Effect::Git(_) | Effect::Postgres(_) => continue, // other protocols
                Effect::Tokens(whose) => {
                    login = Some(Arc::clone(whose));
                    continue;
                }
                Effect::Conversation => {
                    conversation = true;
                    continue;
                }
                Effect::Allow | Effect::Reserve => openly = true,
                Effect::Lend(grant) => grants.push(*grant),
            }
            rule.get_or_insert_with(|| Arc::clone(&entry.label));
        }
        let granted_host = about.iter().any(|entry| entry.holds_grant(host, port));
        let at_host = about.iter().filter_map(|entry| match entry.effect {
            Effect::Lend(id) if entry.holds_grant(host, port) => Some(id),
            _ => None,
        });
        match rule {
            Some(rule) => {
                let at_host = at_host.collect();
                RequestVerdict::Allow { rule, grants, openly, granted_host, at_host, login, conversation }
            }
            None => RequestVerdict::Deny(self.refuse_request(facts, None)),
        }
    }

    /// What has to be read of a request's body before [`Policy::request`] can tell. What is refused whatever it says is not read.
    pub fn wants(&self, facts: &RequestFacts<'_>) -> Wanted {
        if !self.conditional {
            return Wanted::default();
        }
        let RequestFacts { host, port, method, path, .. } = *facts;
        let entries = self.about(host).map(|entry| (&entry.rule, entry.effect == Effect::Deny));
        let left = self.narrowings_of(host).flat_map(|one| &one.rules).map(|rule| (rule, false));
        let asking: Vec<_> = entries.chain(left).filter(|(rule, _)| !rule.conditions.is_empty()).collect();
        if asking.is_empty() {
            return Wanted::default();
        }
        let spellings = Spellings::of(path);
        let means = |(rule, denies): &(&RequestRule, bool)| match denies {
            true => rule.denies_head(host, port, method, &spellings),
            false => rule.admits_head(host, port, method, path),
        };
        let meant = asking.into_iter().filter(means);
        meant.fold(Wanted::default(), |wanted, (rule, _)| wanted.and(rule.wants(&spellings)))
    }

    /// Whether some request to this host and port is answered with a login's real tokens.
    pub fn exchanges_tokens_at(&self, host: &Host, port: u16) -> bool {
        let exchanges = |entry: &Entry| matches!(entry.effect, Effect::Tokens(_));
        self.about(host).any(|entry| exchanges(entry) && entry.rule.admits_connection(host, port))
    }

    /// Whether a credential is lent at this host and port, or meant to be: then foreign ones are refused.
    pub fn lends_at(&self, host: &Host, port: u16) -> bool {
        self.about(host).any(|entry| entry.holds_grant(host, port))
    }

    /// The host that a name stands for: that of a credential, or of its service.
    pub fn destination_of(&self, name: &str) -> Option<&Authority> {
        self.named.get(name)
    }

    /// Every name that stands for a host.
    pub fn destinations(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// What a grant lends.
    pub fn grant(&self, id: GrantId) -> &Grant {
        &self.grants[id.0]
    }

    /// The rules that may mean this host: those for it, and those for names above it.
    fn about<'a>(&'a self, host: &Host) -> impl Iterator<Item = &'a Entry> {
        let exact = self.by_host.get(host).into_iter().flatten();
        let parents = host.as_name().into_iter().flat_map(|name| {
            let text = name.as_str();
            text.match_indices('.').map(move |(dot, _)| &text[dot + 1..])
        });
        let wildcards = parents.filter_map(|parent| self.by_parent.get(parent)).flatten();
        exact.chain(wildcards).map(|number| &self.entries[*number])
    }

    fn narrowings_of(&self, host: &Host) -> impl Iterator<Item = &Narrowing> {
        self.narrowings.iter().filter(|one| one.hosts.iter().any(|pattern| pattern.matches(host)))
    }

    fn refuse_connection(&self, host: &Host, port: u16) -> Denial {
        if matches!(host, Host::Ip(_)) {
            let message = format!("{host} is an address, and only names are allowed; use the host's name");
            return Denial::new(DenyReason::IpLiteral, message);
        }
        if is_metadata(host) {
            return Denial::new(DenyReason::MetadataService, format!("{host} is a metadata service"));
        }
        let mut ports: Vec<u16> = self
            .about(host)
            .filter(|e| e.admits() && e.rule.hosts.iter().any(|p| p.matches(host)))
            .flat_map(|e| e.rule.ports.named())
            .copied()
            .collect();
        ports.sort_unstable();
        ports.dedup();
        let message = if ports.is_empty() {
            format!("{host} is not among the hosts this session may reach; its owner can add it with `--allow {host}`")
        } else {
            let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
            format!("{host} may be reached on port {} only, not on {port}", ports.join(", "))
        };
        Denial::new(DenyReason::HostNotAllowed, message)
    }

    fn refuse_request(&self, facts: &RequestFacts<'_>, denied_by: Option<&str>) -> Denial {
        let RequestFacts { host, port, method, path, .. } = *facts;
        if let Some(rule) = denied_by {
            let message = format!("{method} {path} at {host} is denied by the rule `{rule}`");
            return Denial::new(DenyReason::RequestNotAllowed, message);
        }
        let mut shown: Vec<String> = self
            .about(host)
            .filter(|e| e.admits_http() && e.rule.admits_connection(host, port))
            .take(MAX_SHOWN)
            .map(|e| describe(&e.rule))
            .collect();
        shown.dedup();
        let allowed = if shown.is_empty() { self.without_http(host, port) } else { shown.join("; ") };
        let message = format!("{method} {path} is not allowed at {host}; allowed: {allowed}");
        Denial::new(DenyReason::RequestNotAllowed, message)
    }
}

impl Narrowing {
    /// Whether a request is among what is left.
    fn leaves(&self, facts: &RequestFacts<'_>) -> bool {
        let RequestFacts { host, port, method, path, evidence, .. } = *facts;
        self.rules.iter().any(|rule| rule.admits_request(host, port, method, path, evidence))
    }

    fn refuse(&self, facts: &RequestFacts<'_>) -> Denial {
        let RequestFacts { host, port, method, path, .. } = *facts;
        let here = self.rules.iter().filter(|rule| rule.admits_connection(host, port));
        let left: Vec<String> = here.take(MAX_SHOWN).map(describe).collect();
        let left = if left.is_empty() { "nothing".to_owned() } else { left.join("; ") };
        let message = format!("{method} {path} at {host} is not in `{}`, which leaves {left}", self.label);
        Denial::new(DenyReason::RequestNotAllowed, message)
    }
}

/// A name that is any text, and is shown to people.
fn shown_name(text: &str, longest: usize) -> &str {
    if text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_graphic()) { text } else { "?" }
}

fn is_metadata(host: &Host) -> bool {
    host.as_name().is_some_and(|name| name.as_str() == METADATA_NAME)
}

fn describe(rule: &RequestRule) -> String {
    let mut text = rule.methods.to_string();
    if !rule.paths.is_empty() {
        let paths: Vec<_> = rule.paths.iter().take(MAX_SHOWN).map(standin_model::PathPattern::as_str).collect();
        text = format!("{text} on {}", paths.join(", "));
    }
    if !rule.conditions.is_empty() {
        let conditions: Vec<_> = rule.conditions.iter().map(ToString::to_string).collect();
        text = format!("{text} with {}", conditions.join(" and "));
    }
    text
}

#[cfg(test)]
mod tests;
