//! Another policy in the place of a world's.

use super::{API, OPEN, Setup, World, policy};
use standin_model::{AddressBlocks, HostPattern, Methods, PathPattern, Ports, RequestRule, SessionCaps};
use standin_policy::{Policy, PolicyBuilder};
use standin_proxy::{ReplaceError, Replacement};

impl World {
    /// A rule about the origin's port, and no other.
    pub fn rule(&self, label: &str, hosts: &[&str], paths: &[&str]) -> RequestRule {
        RequestRule {
            label: label.to_owned(),
            hosts: hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect(),
            ports: Ports::new(vec![self.origin.port()]),
            methods: Methods::Any,
            paths: paths.iter().map(|path| PathPattern::parse(path).unwrap()).collect(),
            conditions: Vec::new(),
            addresses: AddressBlocks::new(Setup::default().addresses),
        }
    }

    /// The policy of the usual world, and this besides.
    pub async fn replace_by_usual_and(&self, besides: impl FnOnce(&mut PolicyBuilder)) -> Result<(), ReplaceError> {
        let mut builder = policy(self.origin.port(), &Setup::default());
        besides(&mut builder);
        self.replace(builder.build()).await
    }

    /// The policy of the usual world with its credential granted nowhere, and the host where it was open to everything else.
    pub async fn replace_by_ungranted(&self) -> Result<(), ReplaceError> {
        let mut builder = PolicyBuilder::default();
        builder.allow(self.rule("api", &[API], &[]));
        builder.allow(self.rule("open", &[OPEN], &[]));
        builder.deny(self.rule("closed", &[API, OPEN], &["/closed"]));
        self.replace(builder.build()).await
    }

    /// This policy, and no caps.
    pub async fn replace(&self, policy: Policy) -> Result<(), ReplaceError> {
        let (caps, file, change) = (SessionCaps::default(), "/config.toml".to_owned(), "old -> new".to_owned());
        self.session.replace(Replacement { policy, caps, file, change }).await
    }
}
