//! Which package a request publishes, read as registries read it, and stricter: what says two names, or more than its client
//! does, says none. What is in the package is not looked at.

use super::{Kind, Value, find};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use standin_model::{Published, Slot};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// What npm sends (libnpmpublish): a whole document of the package, with one version in it. Another member is none that was understood.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Npm {
    #[serde(rename = "_id")]
    id: String,
    name: String,
    #[serde(rename = "dist-tags", default)]
    tags: Members<String>,
    versions: Members<NpmVersion>,
    #[serde(rename = "_attachments")]
    attachments: Members<IgnoredAny>,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "readme")]
    _readme: Option<IgnoredAny>,
    #[serde(rename = "maintainers")]
    _maintainers: Option<IgnoredAny>,
    #[serde(rename = "access")]
    _access: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct NpmVersion {
    name: String,
    version: String,
}

/// The members of an object, each there once.
struct Members<T>(BTreeMap<String, T>);

/// What a request to npm's registry publishes: under the name that stands in its path, at each place of the document and in the
/// names of what is attached.
pub fn npm(path: &str, body: &[u8]) -> Option<Published> {
    let name = percent_decode_str(path.strip_prefix('/')?).decode_utf8().ok()?.into_owned();
    if !is_package(&name) || !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let document: Npm = serde_json::from_slice(body).ok()?;
    let versions = document.versions.0;
    let same = |(key, version): (&String, &NpmVersion)| version.name == name && version.version == *key;
    let attached = |file: &String| {
        let of = file.strip_prefix(&name).and_then(|rest| rest.strip_prefix('-'));
        let version = of.and_then(|rest| rest.strip_suffix(".tgz").or_else(|| rest.strip_suffix(".sigstore")));
        version.is_some_and(|version| versions.contains_key(version))
    };
    let plain = document.id == name
        && document.name == name
        && versions.len() == 1
        && versions.iter().all(same)
        && document.tags.0.values().all(|version| versions.contains_key(version))
        && versions.keys().all(|version| document.attachments.0.contains_key(&format!("{name}-{version}.tgz")))
        && document.attachments.0.keys().all(attached);
    plain.then(|| Published {
        name,
        versions: versions.into_keys().collect(),
        tags: document.tags.0.into_keys().collect(),
    })
}

/// What a form sent to the Python Package Index publishes. Its name is told in the one form that the index keeps (PEP 503).
pub fn pypi(kind: &Kind, body: &[u8]) -> Option<Published> {
    if !matches!(kind, Kind::Multipart(_)) {
        return None;
    }
    let field = |name: &str| match find(kind, body, &Slot::Form(name.to_owned())).ok()??.value {
        Value::Text(text) => Some(text),
        Value::Nothing | Value::Other => None,
    };
    let plain = |text: &String| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+!".contains(&byte));
    let (name, version) = (field("name").filter(plain)?, field("version").filter(plain)?);
    (field(":action")? == "file_upload").then(|| Published {
        name: normalised(&name),
        versions: vec![version],
        tags: Vec::new(),
    })
}

/// The name of a package of npm, in a scope or not: nothing that a path, or a careless reader, would make another one of.
fn is_package(name: &str) -> bool {
    let word = |text: &str| {
        let usual = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        !text.is_empty() && !text.starts_with(['.', '_', '-']) && text.bytes().all(usual)
    };
    match name.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| word(scope) && word(name)),
        None => word(name),
    }
}

fn normalised(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<T> {
            type Value = Members<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if members.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a name that stands there twice"));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As npm 11.19 sends it, with these changes.
    fn npm_body(changes: &[(&str, &str)]) -> String {
        let body = r#"{"_id":"@acme/widget","name":"@acme/widget","description":"x","dist-tags":{"beta":"1.2.0"},"versions":{"1.2.0":{"name":"@acme/widget","version":"1.2.0","readme":"","_id":"@acme/widget@1.2.0","dist":{"shasum":"00"}}},"access":"restricted","_attachments":{"@acme/widget-1.2.0.tgz":{"content_type":"application/octet-stream","data":"H4sI","length":3}}}"#;
        changes.iter().fold(body.to_owned(), |body, (from, to)| {
            assert!(body.contains(from), "{from}");
            body.replacen(from, to, 1)
        })
    }

    #[test]
    fn what_npm_publishes() {
        let path = "/@acme%2fwidget";
        let told = |path: &str, changes: &[(&str, &str)]| npm(path, npm_body(changes).as_bytes());
        let wanted = Published {
            name: "@acme/widget".to_owned(),
            versions: vec!["1.2.0".to_owned()],
            tags: vec!["beta".to_owned()],
        };
        assert_eq!(told(path, &[]), Some(wanted.clone()));
        assert_eq!(told("/@acme/widget", &[]), Some(wanted.clone()));
        assert_eq!(told(path, &[("\"name\":", "\"na\\u006de\":")]), Some(wanted));
        for (path, changes) in [
            ("/@acme%2fother", &[] as &[_]),
            ("/@acme%252fwidget", &[]),
            ("/@acme%2fwidget/-rev/1", &[]),
            ("/", &[]),
            (path, &[("\"_id\":\"@acme/widget\"", "\"_id\":\"other\"")]),
            (path, &[("\"name\":\"@acme/widget\"", "\"name\":\"other\"")]),
            (path, &[("\"name\":\"@acme/widget\"", "\"name\":\"@acme/widget\",\"name\":\"other\"")]),
            (path, &[("\"name\":\"@acme/widget\"", "\"name\":\"@acme/widget\",\"Name\":\"other\"")]),
            (path, &[("{\"name\":\"@acme/widget\"", "{\"name\":\"other\"")]),
            (path, &[("{\"name\":\"@acme/widget\"", "{\"name\":\"other\",\"name\":\"@acme/widget\"")]),
            (path, &[("\"version\":\"1.2.0\"", "\"version\":\"9.0.0\"")]),
            (path, &[("{\"beta\":\"1.2.0\"}", "{\"latest\":\"1.1.0\"}")]),
            (path, &[("{\"beta\":\"1.2.0\"}", "{\"beta\":\"1.2.0\",\"beta\":\"1.2.0\"}")]),
            (path, &[("\"access\"", "\"_rev\"")]),
            (path, &[("\"access\"", "\"owner\"")]),
            (path, &[("\"@acme/widget-1.2.0.tgz\"", "\"other-1.2.0.tgz\"")]),
            (path, &[("\"@acme/widget-1.2.0.tgz\"", "\"@acme/widget-1.3.0.tgz\"")]),
            (path, &[("\"@acme/widget-1.2.0.tgz\"", "\"@acme/widget-1.2.0.sigstore\"")]),
            (path, &[("\"versions\":{", "\"versions\":{\"1.1.0\":{\"name\":\"@acme/widget\",\"version\":\"1.1.0\"},")]),
            (path, &[("\"length\":3}}}", "\"length\":3}}")]),
            (path, &[("{\"_id\"", "[{\"_id\"")]),
        ] {
            assert_eq!(told(path, changes), None, "{path} {changes:?}");
        }
        // As `npm deprecate` and `npm unpublish` have it: nothing is attached.
        assert_eq!(npm(path, br#"{"_id":"@acme/widget","name":"@acme/widget","versions":{}}"#), None);
        for name in ["Left-Pad", "../x", "a/b", "@a", "@a/", "@/a", "@a/b/c", ".a", "_a", "", "a b", "\u{fc}"] {
            assert!(!is_package(name), "{name}");
        }
        assert!(is_package("left-pad") && is_package("@a.b/c_d"));
    }

    /// As uv 0.13 and twine send it.
    #[test]
    fn what_is_published_at_pypi() {
        let told = |fields: &[(&str, &str)]| {
            let part = |(name, value): &(&str, &str)| {
                format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let file = "--b\r\nContent-Disposition: form-data; name=\"content\"; filename=\"w.tar.gz\"\r\n\r\n\x1f\r\n--b--\r\n";
            let body = fields.iter().map(part).collect::<String>() + file;
            pypi(&Kind::of(b"multipart/form-data; boundary=b").unwrap().unwrap(), body.as_bytes())
        };
        let (action, name, version) = ((":action", "file_upload"), ("name", "Acme_.widget"), ("version", "1.2.0"));
        let wanted = Published { name: "acme-widget".to_owned(), versions: vec!["1.2.0".to_owned()], tags: Vec::new() };
        assert_eq!(told(&[action, ("protocol_version", "1"), name, version]), Some(wanted));
        for fields in [
            &[name, version] as &[_],
            &[(":action", "submit"), name, version],
            &[action, name],
            &[action, version],
            &[action, name, ("name", "other"), version],
            &[action, name, ("Name", "other"), version],
            &[action, name, version, ("version", "2")],
            &[action, action, name, version],
            &[action, ("name", ""), version],
            &[action, ("name", "a b"), version],
        ] {
            assert_eq!(told(fields), None, "{fields:?}");
        }
        assert_eq!(pypi(&Kind::Form, b":action=file_upload&name=a&version=1"), None);
    }
}
