//! Keys with which a service is administered: they are not lent to all that a service has.

use super::{Catalogue, Service};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use standin_model::{Host, HostPattern};
use zeroize::Zeroizing;

/// Padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Catalogue {
    /// The service that this value administers, if it is lent to these hosts.
    pub fn administered(&self, value: &[u8], hosts: &[HostPattern]) -> Option<&Service> {
        self.0.iter().filter(|service| !service.shared || service.is_at(hosts)).find(|service| !service.lends(value))
    }
}

impl Service {
    /// Whether this value may be lent to all of it. A value may be a whole field: what stands in it beside a scheme, a user's name or a key's,
    /// also in base64 (RFC 7617), counts by itself.
    pub fn lends(&self, value: &[u8]) -> bool {
        let never = |word: &[u8]| self.never.iter().any(|prefix| word.starts_with(prefix.as_bytes()));
        let encoded = |word| BASE64.decode(word).map(Zeroizing::new).is_ok_and(|value| words(&value).any(never));
        !words(value).any(|word| never(word) || encoded(word))
    }

    /// Whether its credential is good at one of these: where it is granted, or at another name of the domain in which that is.
    pub fn is_at(&self, hosts: &[HostPattern]) -> bool {
        let mut own = self.grants.iter().flat_map(|grant| &grant.rule.hosts).filter_map(HostPattern::as_exact);
        own.any(|host| hosts.iter().any(|pattern| pattern.matches(host) || is_beside(pattern, host)))
    }
}

fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| b.is_ascii_whitespace() || b":=,;\"'".contains(b))
}

/// Whether a pattern means names of the domain in which a host is: `files.example.com` where that is `api.example.com`.
fn is_beside(pattern: &HostPattern, host: &Host) -> bool {
    let Host::Name(host) = host else { return false };
    let domain = host.as_str().split_once('.').map(|(_, domain)| domain).filter(|domain| domain.contains('.'));
    let Some(domain) = domain else { return false };
    let name = match pattern.as_exact() {
        Some(Host::Name(name)) => Some(name),
        Some(_) => None,
        None => pattern.wildcard_parent(),
    };
    let within = |name: &str| name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    name.is_some_and(|name| within(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn administers(value: &str, hosts: &[&str]) -> Option<&'static str> {
        let hosts: Vec<_> = hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect();
        Catalogue::builtin().administered(value.as_bytes(), &hosts).map(|service| service.id.as_str())
    }

    #[test]
    fn a_key_is_found_in_a_field() {
        for field in ["Bearer KEY", "Basic a:KEY", "x:KEY", "token=KEY", "Token token=\"KEY\", x=y"] {
            let field = field.replace("KEY", "sk-ant-admin01-abc");
            assert_eq!(administers(&field, &["api.anthropic.com"]), Some("anthropic"), "{field}");
        }
        for (user, padded) in
            [("sk-ant-admin01-abc:", true), ("me:sk-ant-admin01-abc", true), ("me:sk-ant-admin01-abcd", false)]
        {
            let text = BASE64.encode(user);
            let field = format!("Basic {}", if padded { &text } else { text.trim_end_matches('=') });
            assert_eq!(administers(&field, &["api.anthropic.com"]), Some("anthropic"), "{field}");
        }
        assert_eq!(administers("Bearer sk-ant-api03-abc", &["api.anthropic.com"]), None);
    }

    /// Other vendors' keys begin so, too.
    #[test]
    fn a_key_of_a_shared_form_administers_where_the_vendor_is() {
        let key = "sk_live_abc";
        for host in
            ["api.stripe.com", "connect.stripe.com", "files.stripe.com", "*.stripe.com", "**.stripe.com", "stripe.com"]
        {
            assert_eq!(administers(key, &[host]), Some("stripe"), "{host}");
        }
        for host in ["api.clerk.com", "api.notstripe.com", "stripe.com.example.org", "10.0.0.1"] {
            assert_eq!(administers(key, &[host]), None, "{host}");
        }
    }
}
