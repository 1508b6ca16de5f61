//! What a policy says: which requests are meant, and which credential goes where.

mod covers;

use crate::condition::{Condition, Evidence, Wanted};
use crate::host::Host;
use crate::pattern::{HostPattern, PathPattern};
use crate::slot::Slot;
use crate::spelling::Spellings;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// A set of requests, by where they go and what they ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRule {
    /// How the rule is called in records and explanations: `allow[2]`, `npm:install-only`.
    pub label: String,
    /// The hosts meant; an empty list means none.
    pub hosts: Vec<HostPattern>,
    /// The ports meant.
    pub ports: Ports,
    /// The methods meant.
    pub methods: Methods,
    /// The paths meant; an empty list means every path.
    pub paths: Vec<PathPattern>,
    /// What else has to hold, all of it.
    pub conditions: Vec<Condition>,
    /// Non-public addresses that these names may resolve to.
    pub addresses: AddressBlocks,
}

/// A rule that also lends a credential to the requests it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRule {
    /// The requests meant.
    pub rule: RequestRule,
    /// The slots in which the stand-in is exchanged; an empty list means every auth slot.
    pub slots: Vec<Slot>,
    /// Whether the credential is also put where nothing stood: into the one slot that there is then.
    pub always: bool,
}

/// The ports of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Every port.
    Any,
    /// Those named.
    Only(Vec<u16>),
}

/// The methods of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Methods {
    /// Every method but `TRACE` and `CONNECT`, which no rule can allow.
    Any,
    /// Those named, in upper case.
    Only(Vec<String>),
}

/// Address blocks that are refused after resolution unless a rule names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressBlocks(Vec<IpNet>);

impl RequestRule {
    /// Whether a connection to this host and port can carry a request the rule means.
    pub fn admits_connection(&self, host: &Host, port: u16) -> bool {
        self.ports.contains(port) && self.hosts.iter().any(|pattern| pattern.matches(host))
    }

    /// Whether the rule means this request. `path` is normalised and has no query.
    pub fn admits_request(&self, host: &Host, port: u16, method: &str, path: &str, evidence: &dyn Evidence) -> bool {
        self.admits_head(host, port, method, path)
            && (self.conditions.is_empty() || {
                let spellings = Spellings::of(path);
                self.conditions.iter().all(|condition| condition.surely_holds(&spellings, evidence))
            })
    }

    /// Whether the rule means this request, if its conditions hold.
    pub fn admits_head(&self, host: &Host, port: u16, method: &str, path: &str) -> bool {
        self.admits_connection(host, port)
            && self.methods.contain(method)
            && (self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path)))
    }

    /// Whether the rule means whatever is asked there, and so the connection itself.
    pub fn means_all(&self, host: &Host, port: u16) -> bool {
        self.methods == Methods::Any
            && self.paths.is_empty()
            && self.conditions.is_empty()
            && self.admits_connection(host, port)
    }

    /// Whether it names what may be asked, and not only where: methods, and paths that are mostly words. What has somebody's whole power
    /// is lent by no other rule.
    pub fn names_operations(&self) -> bool {
        let paths = !self.paths.is_empty() && self.paths.iter().all(PathPattern::is_mostly_words);
        matches!(self.methods, Methods::Only(_)) && paths
    }

    /// Whether the rule, which denies, means this request: in any spelling that some server takes for it, and if its
    /// conditions may hold.
    pub fn denies_request(
        &self,
        host: &Host,
        port: u16,
        method: &str,
        path: &Spellings<'_>,
        evidence: &dyn Evidence,
    ) -> bool {
        self.denies_head(host, port, method, path)
            && self.conditions.iter().all(|condition| condition.may_hold(path, evidence))
    }

    /// Whether the rule, which denies, means this request, if its conditions may hold.
    pub fn denies_head(&self, host: &Host, port: u16, method: &str, path: &Spellings<'_>) -> bool {
        self.methods.contain_in_any_case(method) && self.touches(host, port, path)
    }

    /// What has to be read of a body before it can be told whether the rule means the request.
    pub fn wants(&self, path: &Spellings<'_>) -> Wanted {
        self.conditions.iter().fold(Wanted::default(), |wanted, condition| wanted.and(condition.wants(path)))
    }

    /// Whether a request with any method is for what the rule means, in any spelling that some server takes for it.
    pub fn touches(&self, host: &Host, port: u16, path: &Spellings<'_>) -> bool {
        let means = |pattern: &PathPattern| pattern.means(path);
        self.admits_connection(host, port) && (self.paths.is_empty() || self.paths.iter().any(means))
    }
}

impl Ports {
    /// Those ports.
    pub fn new(ports: Vec<u16>) -> Self {
        Self::Only(ports)
    }

    /// Whether `port` is one of them.
    pub fn contains(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Only(list) => list.contains(&port),
        }
    }

    /// The ports that are named.
    pub fn named(&self) -> &[u16] {
        match self {
            Self::Any => &[],
            Self::Only(list) => list,
        }
    }
}

impl Default for Ports {
    /// 443: an allowed name is allowed over TLS, not on every service its host runs.
    fn default() -> Self {
        Self::new(vec![443])
    }
}

impl Methods {
    /// Those methods, in any case.
    pub fn only<S: AsRef<str>>(methods: impl IntoIterator<Item = S>) -> Self {
        Self::Only(methods.into_iter().map(|m| m.as_ref().to_ascii_uppercase()).collect())
    }

    /// Whether `method` (case-sensitive, RFC 9110 §9.1) is one of them.
    pub fn contain(&self, method: &str) -> bool {
        match self {
            Self::Any => !["TRACE", "TRACK", "CONNECT"].iter().any(|never| method.eq_ignore_ascii_case(never)),
            Self::Only(list) => list.iter().any(|m| m == method),
        }
    }

    /// Whether a server that knows no case takes `method` for one of them.
    pub fn contain_in_any_case(&self, method: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(list) => list.iter().any(|m| m.eq_ignore_ascii_case(method)),
        }
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any method"),
            Self::Only(list) => f.write_str(&list.join(", ")),
        }
    }
}

impl AddressBlocks {
    /// Those blocks.
    pub fn new(blocks: Vec<IpNet>) -> Self {
        Self(blocks)
    }

    /// Whether `address` lies in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|block| block.contains(&address))
    }

    /// The blocks, as they were written.
    pub fn as_slice(&self) -> &[IpNet] {
        &self.0
    }

    /// These and those.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().copied());
        self
    }
}
