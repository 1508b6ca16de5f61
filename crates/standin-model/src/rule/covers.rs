//! Whether a rule means all that another means: told only where it is plain, never where it is not so.

use super::{Methods, Ports, RequestRule};
use crate::pattern::{HostPattern, PathPattern};

/// What begins something else than itself in a pattern of paths.
const GLOB: &[char] = &['*', '?', '[', '{', '\\'];

impl RequestRule {
    /// Whether every request that `other` means is plainly meant by this rule, too.
    pub fn covers(&self, other: &Self) -> bool {
        let host = |wanted: &HostPattern| self.hosts.iter().any(|mine| mine.covers(wanted));
        let path = |wanted: &PathPattern| self.paths.iter().any(|mine| covers_path(mine, wanted));
        let paths = self.paths.is_empty() || (!other.paths.is_empty() && other.paths.iter().all(path));
        other.hosts.iter().all(host)
            && self.ports.cover(&other.ports)
            && self.methods.cover(&other.methods)
            && paths
            && self.conditions.iter().all(|condition| other.conditions.contains(condition))
    }
}

impl Ports {
    fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Only(_), Self::Any) => false,
            (mine, Self::Only(list)) => list.iter().all(|port| mine.contains(*port)),
        }
    }
}

impl Methods {
    fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Only(_), Self::Any) => false,
            (mine, Self::Only(list)) => list.iter().all(|method| mine.contain(method)),
        }
    }
}

fn covers_path(mine: &PathPattern, other: &PathPattern) -> bool {
    let (mine_text, text) = (mine.as_str(), other.as_str());
    let literal = text.split(GLOB).next().unwrap_or_default();
    let below = |directory: &str| !directory.contains(GLOB) && literal.starts_with(&format!("{directory}/"));
    mine_text == text || mine_text.strip_suffix("/**").is_some_and(below) || (literal == text && mine.matches(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::NoEvidence;
    use crate::host::Host;
    use crate::rule::AddressBlocks;
    use proptest::prelude::*;

    fn rules() -> impl Strategy<Value = RequestRule> {
        let host =
            prop::sample::select(vec!["a.b.example", "*.b.example", "**.b.example", "**.example.com", "b.example"]);
        let path =
            prop::sample::select(vec!["/**", "/v1/**", "/v1/x", "/v1/*", "/v1/*/y", "/v1/{x,y}", "/v1/x/**", "/V1/x"]);
        let methods = prop::sample::select(vec![Methods::Any, Methods::only(["GET"]), Methods::only(["GET", "POST"])]);
        let ports = prop::sample::select(vec![Ports::Any, Ports::new(vec![443]), Ports::new(vec![443, 80])]);
        let (hosts, paths) = (prop::collection::vec(host, 1..3), prop::collection::vec(path, 0..3));
        (hosts, ports, methods, paths).prop_map(|(hosts, ports, methods, paths)| RequestRule {
            label: String::new(),
            hosts: hosts.into_iter().map(|host| HostPattern::parse(host).unwrap()).collect(),
            ports,
            methods,
            paths: paths.into_iter().map(|path| PathPattern::parse(path).unwrap()).collect(),
            conditions: Vec::new(),
            addresses: AddressBlocks::default(),
        })
    }

    proptest! {
        /// What is said to cover another means all that the other means.
        #[test]
        fn what_covers_means_more(one in rules(), other in rules()) {
            for host in ["a.b.example", "x.a.b.example", "b.example", "a.example.com"] {
                let host = Host::parse(host).unwrap();
                for path in ["/", "/v1/", "/v1/x", "/v1/x/y", "/v1/z/y", "/V1/x", "/v2"] {
                    for (method, port) in [("GET", 443), ("POST", 443), ("GET", 80)] {
                        let admits = |rule: &RequestRule| rule.admits_request(&host, port, method, path, &NoEvidence);
                        prop_assert!(!one.covers(&other) || !admits(&other) || admits(&one), "{one:?} {other:?} {host} {path}");
                    }
                }
            }
            prop_assert!(one.covers(&one));
        }
    }

    #[test]
    fn what_is_plain_is_told() {
        let path = |mine: &str, other: &str| {
            covers_path(&PathPattern::parse(mine).unwrap(), &PathPattern::parse(other).unwrap())
        };
        for (mine, other, covers) in [
            ("/**", "/v1/x", true),
            ("/v1/**", "/v1/*/y", true),
            ("/v1/**", "/v1*", false),
            ("/v1/*", "/v1/x", true),
            ("/v1/*", "/v1/*", true),
            ("/v1/x", "/v1/*", false),
            ("/v1/**", "/v1", false),
        ] {
            assert_eq!(path(mine, other), covers, "{mine} {other}");
        }
    }
}
