//! Services whose requests are signed: which endpoint a host is, and what is refused there whoever signs it.

use serde::Deserialize;
use standin_model::{Denial, DenyReason, Host, Methods, PathPattern, Spellings};
use std::collections::BTreeMap;

/// What is known of a service whose requests are signed.
#[derive(Debug)]
pub struct Signing {
    /// The variable of a key's name.
    pub id: String,
    /// The variable of a key's secret.
    pub secret: String,
    /// The variable of the token that goes with temporary keys.
    pub token: String,
    suffixes: Vec<(String, String)>,
    objects: Vec<String>,
    xml: Vec<String>,
    names: BTreeMap<String, String>,
    refuse: Vec<Refused>,
}

/// What a host is an endpoint of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The service, as signatures call it.
    pub service: String,
    /// The region; nothing if the host leaves it open.
    pub region: Option<String>,
    /// Whether it keeps objects: paths are keys, and bodies stream.
    pub objects: bool,
    /// Whether its errors are XML whatever was asked.
    pub xml: bool,
}

/// What a request asks an endpoint to do, as far as it can be told. A server may read any of these.
#[derive(Debug, Default)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The path in normal form.
    pub path: &'a str,
    /// Names of actions: in a field, a parameter, a form, the path.
    pub actions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSigning {
    id: String,
    secret: String,
    token: String,
    objects: Vec<String>,
    xml: Vec<String>,
    suffixes: BTreeMap<String, String>,
    names: BTreeMap<String, String>,
    #[serde(default)]
    refuse: Vec<RawRefused>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRefused {
    service: String,
    #[serde(default)]
    actions: Vec<String>,
    /// All but these, also where none can be told.
    #[serde(default)]
    but: Vec<String>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
}

#[derive(Debug)]
struct Refused {
    service: String,
    actions: Vec<String>,
    but: Vec<String>,
    methods: Methods,
    paths: Vec<PathPattern>,
}

impl RawSigning {
    pub(super) fn compile(self) -> Signing {
        let suffixes = self.suffixes.into_iter().map(|(suffix, region)| (suffix.replace("[.]", "."), region));
        Signing {
            id: self.id,
            secret: self.secret,
            token: self.token,
            suffixes: suffixes.collect(),
            objects: self.objects,
            xml: self.xml,
            names: self.names,
            refuse: self.refuse.into_iter().map(RawRefused::compile).collect(),
        }
    }
}

impl RawRefused {
    fn compile(self) -> Refused {
        Refused {
            service: self.service,
            actions: self.actions,
            but: self.but,
            methods: if self.methods.is_empty() { Methods::Any } else { Methods::only(self.methods) },
            paths: self.paths.iter().map(|path| PathPattern::compiled_in(path)).collect(),
        }
    }
}

impl Signing {
    /// The endpoint that a host is; nothing if it is none that is known.
    ///
    /// `[bucket.|account.]SERVICE[-fips][.dualstack][.REGION].SUFFIX`, and S3's older `s3-REGION`.
    pub fn endpoint(&self, host: &Host) -> Option<Endpoint> {
        let name = host.as_name()?.as_str();
        let (head, usual) = self
            .suffixes
            .iter()
            .find_map(|(suffix, region)| Some((name.strip_suffix(suffix.as_str())?.strip_suffix('.')?, region)))?;
        let mut labels: Vec<&str> = head.split('.').collect();
        let mut named = labels.pop_if(|label| is_region(label)).map(str::to_owned);
        labels.pop_if(|label| *label == "dualstack");
        let mut service = labels.pop()?;
        if let Some(old) = service.strip_prefix("s3-").filter(|label| is_region(label)) {
            named = Some(old.to_owned());
            service = "s3";
        }
        let service = service.strip_suffix("-fips").unwrap_or(service);
        let service = self.service(service, &labels)?;
        let is_in = |list: &[String]| list.contains(&service);
        let objects = is_in(&self.objects);
        // S3's hosts without a region, and its accelerated ones, lead to the bucket's, which its name does not tell.
        let region = named.or_else(|| (!objects).then(|| usual.clone()));
        Some(Endpoint { objects, xml: is_in(&self.xml), service, region })
    }

    /// What signatures call a service, by the label of it and those before.
    fn service(&self, label: &str, before: &[&str]) -> Option<String> {
        let named = |name: &str| self.names.get(name).cloned();
        let name = named(label).unwrap_or_else(|| label.to_owned());
        let is_account = |label: &str| label.len() == 12 && label.bytes().all(|b| b.is_ascii_digit());
        match before {
            [] | ["fips"] => Some(name),
            // Behind such a name is anybody's own program (S3 Object Lambda).
            _ if before.iter().any(|label| label.ends_with("--ol-s3")) => None,
            // A bucket's name may have dots.
            _ if self.objects.contains(&name) => Some(name),
            [account] if is_account(account) => Some(name),
            _ => named(&format!("{}.{label}", before.join("."))),
        }
    }

    /// Why a request is not signed anew, if it asks for what no agent is given.
    pub fn refuses(&self, endpoint: &Endpoint, asked: &Asked<'_>) -> Option<Denial> {
        let found =
            self.refuse.iter().filter(|refused| refused.service == endpoint.service).find(|r| r.means(asked))?;
        let what = if found.paths.is_empty() {
            asked.actions.first().cloned().unwrap_or_else(|| "this request".to_owned())
        } else {
            format!("{} {}", asked.method, asked.path)
        };
        let but = if found.but.is_empty() { String::new() } else { format!("; allowed: {}", found.but.join(", ")) };
        let message = format!(
            "{what} of {} makes credentials or gives secrets out, and those would be real ones inside{but}",
            endpoint.service
        );
        Some(Denial::new(DenyReason::RequestNotAllowed, message))
    }
}

impl Refused {
    fn means(&self, asked: &Asked<'_>) -> bool {
        if !self.but.is_empty() {
            return asked.actions.is_empty() || asked.actions.iter().any(|action| !self.but.contains(action));
        }
        // An action that cannot be told (in a body that is compressed, say) may be one of these.
        if !self.actions.is_empty() && asked.actions.is_empty() {
            return true;
        }
        let is_named = |action: &String| self.actions.iter().any(|pattern| is_like(pattern, action));
        let spellings = Spellings::of(asked.path);
        let is_path = |pattern: &PathPattern| pattern.means(&spellings);
        asked.actions.iter().any(is_named)
            || (self.methods.contain_in_any_case(asked.method) && self.paths.iter().any(is_path))
    }
}

/// Whether an action is meant by a pattern: in any case, and `*` is anything.
fn is_like(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = action.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// `us-east-1`, `us-gov-west-1`, `ap-southeast-5`.
fn is_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let is_letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    parts.len() >= 3
        && (2..=4).contains(&first.len())
        && parts[..parts.len() - 1].iter().all(is_letters)
        && (1..=2).contains(&last.len())
        && last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::Catalogue;
    use super::*;

    fn aws() -> &'static Signing {
        Catalogue::builtin().service("aws").unwrap().signing.as_ref().unwrap()
    }

    #[test]
    fn a_host_is_one_endpoint() {
        for (host, expected) in [
            ("s3.amazonaws.com", "s3 any"),
            ("my.dotted.bucket.s3.amazonaws.com", "s3 any"),
            ("b.s3.eu-west-1.amazonaws.com", "s3 eu-west-1"),
            ("b.s3-eu-west-1.amazonaws.com", "s3 eu-west-1"),
            ("b.s3.dualstack.eu-west-1.amazonaws.com", "s3 eu-west-1"),
            ("s3-fips.dualstack.us-gov-west-1.amazonaws.com", "s3 us-gov-west-1"),
            ("b.s3-accelerate.amazonaws.com", "s3 any"),
            ("b.s3-accelerate.dualstack.amazonaws.com", "s3 any"),
            ("ap-123456789012.s3-accesspoint.us-west-2.amazonaws.com", "s3 us-west-2"),
            ("123456789012.s3-control.us-west-2.amazonaws.com", "s3 us-west-2"),
            ("s3.cn-north-1.amazonaws.com.cn", "s3 cn-north-1"),
            ("dynamodb.eu-central-1.amazonaws.com", "dynamodb eu-central-1"),
            ("123456789012.ddb.eu-central-1.amazonaws.com", "dynamodb eu-central-1"),
            ("streams.dynamodb.eu-central-1.amazonaws.com", "dynamodb eu-central-1"),
            ("dynamodb.us-east-1.api.aws", "dynamodb us-east-1"),
            ("sts.amazonaws.com", "sts us-east-1"),
            ("sts-fips.us-west-2.amazonaws.com", "sts us-west-2"),
            ("email.us-west-2.amazonaws.com", "ses us-west-2"),
            ("bedrock-runtime-fips.us-west-2.amazonaws.com", "bedrock us-west-2"),
            ("fips.eks.us-west-2.amazonaws.com", "eks us-west-2"),
            // Anybody's own program, or nothing that is known.
            ("abc123.execute-api.us-east-1.amazonaws.com", "none"),
            ("search-x.us-east-1.es.amazonaws.com", "none"),
            ("ec2-192-0-2-1.compute-1.amazonaws.com", "none"),
            ("x.elb.us-east-1.amazonaws.com", "none"),
            ("b.s3-website-us-east-1.amazonaws.com", "none"),
            ("a.iot.us-east-1.amazonaws.com", "none"),
            ("x--ol-s3.s3.us-east-1.amazonaws.com", "none"),
            ("evil.dynamodb.us-east-1.amazonaws.com", "none"),
            ("s3.amazonaws.com.attacker.example", "none"),
            ("s3.notamazonaws.com", "none"),
            ("amazonaws.com", "none"),
        ] {
            let got = aws().endpoint(&Host::parse(host).unwrap()).map_or_else(
                || "none".to_owned(),
                |found| format!("{} {}", found.service, found.region.as_deref().unwrap_or("any")),
            );
            assert_eq!(got, expected, "{host}");
        }
    }

    #[test]
    fn what_makes_credentials_is_refused() {
        for (host, method, path, actions, refused) in [
            ("sts.amazonaws.com", "POST", "/", &["GetCallerIdentity"][..], false),
            ("sts.amazonaws.com", "POST", "/", &["AssumeRole"], true),
            ("sts.amazonaws.com", "POST", "/", &["GetCallerIdentity", "GetSessionToken"], true),
            ("sts.amazonaws.com", "POST", "/", &[], true),
            ("sts.amazonaws.com", "POST", "/", &["SomethingNew"], true),
            ("iam.amazonaws.com", "POST", "/", &["ListUsers"], false),
            ("iam.amazonaws.com", "POST", "/", &["createaccesskey"], true),
            ("iam.amazonaws.com", "POST", "/", &[], true),
            ("ecr.us-east-1.amazonaws.com", "POST", "/", &["GetAuthorizationToken"], true),
            ("api.ecr.us-east-1.amazonaws.com", "POST", "/", &["GetAuthorizationToken"], true),
            ("api.ecr.us-east-1.amazonaws.com", "POST", "/", &["DescribeImages"], false),
            ("codeartifact.us-east-1.amazonaws.com", "POST", "/v1/authorization-token", &[], true),
            ("codeartifact.us-east-1.amazonaws.com", "POST", "/v1/authorization-token/", &[], true),
            ("codeartifact.us-east-1.amazonaws.com", "POST", "/v1/repositories", &[], false),
            ("cognito-idp.us-east-1.amazonaws.com", "POST", "/", &["AdminInitiateAuth"], true),
            ("b.s3.us-east-1.amazonaws.com", "PUT", "/AssumeRole", &[], false),
            ("s3.us-east-1.amazonaws.com", "GET", "/x--ol-s3/key", &[], true),
            (
                "123456789012.s3-control.us-east-1.amazonaws.com",
                "GET",
                "/v20180820/accessgrantsinstance/dataaccess",
                &[],
                true,
            ),
        ] {
            let endpoint = aws().endpoint(&Host::parse(host).unwrap()).unwrap();
            let actions = actions.iter().map(|action| (*action).to_owned()).collect();
            let denial = aws().refuses(&endpoint, &Asked { method, path, actions });
            assert_eq!(denial.is_some(), refused, "{host} {path} {denial:?}");
        }
    }

    #[test]
    fn patterns_of_actions() {
        for (pattern, action, expected) in [
            ("*Auth*", "InitiateAuth", true),
            ("*Auth*", "ListUsers", false),
            ("GetA", "GetA", true),
            ("GetA", "GetAb", false),
            ("*", "X", true),
            ("Get*Token", "GetSessionToken", true),
            ("Get*Token", "GetTokens", false),
        ] {
            assert_eq!(is_like(pattern, action), expected, "{pattern} {action}");
        }
    }
}
