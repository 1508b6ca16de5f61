//! Which package a request publishes, read as registries read it, and stricter: what says two names, or more than its client
//! does, says none. What is in the package is not looked at.

use super::{Kind, Value, find, multipart};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
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
    versions: Members<Members<Box<RawValue>>>,
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
    let same = |(key, of): (&String, &Members<Box<RawValue>>)| {
        of.says("name", &name) && of.says("version", key) && of.may_say("_id", &format!("{name}@{key}"))
    };
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

impl Members<Box<RawValue>> {
    /// Whether the member of this name is this text, and no reader that is careless about case finds another.
    fn says(&self, name: &str, text: &str) -> bool {
        self.0.contains_key(name) && self.may_say(name, text)
    }

    /// The same, or there is none.
    fn may_say(&self, name: &str, text: &str) -> bool {
        let folded = |text: &str| text.to_uppercase().to_lowercase(); // `ſ` is an `s` to Go's reader
        self.0.iter().filter(|(other, _)| folded(other) == folded(name)).all(|(other, value)| {
            other == name && serde_json::from_str::<String>(value.get()).is_ok_and(|said| said == text)
        })
    }
}

/// What a form sent to the Python Package Index publishes. Its name is told in the one form that the index keeps (PEP 503), its version has to
/// be in its own (PEP 440), and the file is called as both say: some servers look at nothing else.
pub fn pypi(kind: &Kind, body: &[u8]) -> Option<Published> {
    let Kind::Multipart(delimiter) = kind else { return None };
    let field = |name: &str| match find(kind, body, &Slot::Form(name.to_owned())).ok()??.value {
        Value::Text(text) => Some(text),
        Value::Nothing | Value::Other => None,
    };
    let plain = |text: &String| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+!".contains(&byte));
    let (name, version) = (field("name").filter(plain)?, field("version").filter(|version| is_normal(version))?);
    let name = normalised(&name);
    let file = multipart::file(body, delimiter, "content")?;
    let fits = file_of(&file).is_some_and(|(of, its)| normalised(of) == name && its == version);
    (fits && field(":action")? == "file_upload").then(|| Published { name, versions: vec![version], tags: Vec::new() })
}

/// The name and the version in a file's name: a source distribution's, or a wheel's (PyPA, Package Formats).
fn file_of(file: &str) -> Option<(&str, &str)> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !file.bytes().all(plain) {
        return None;
    }
    if let Some(wheel) = file.strip_suffix(".whl") {
        let parts: Vec<_> = wheel.split('-').collect();
        return (5..=6).contains(&parts.len()).then(|| (parts[0], parts[1]));
    }
    file.strip_suffix(".tar.gz").or_else(|| file.strip_suffix(".zip"))?.rsplit_once('-')
}

/// What follows a number that is written as it is counted.
fn number(text: &str) -> Option<&str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0 && (digits == 1 || !text.starts_with('0'))).then_some(&text[digits..])
}

/// Whether a version is written in its one form, without an epoch and without a local part, which nobody can publish: `1.2rc1.post2.dev3`.
fn is_normal(version: &str) -> bool {
    let Some(mut rest) = number(version) else { return false };
    while let Some(after) = rest.strip_prefix('.').and_then(number) {
        rest = after;
    }
    for words in [&["a", "b", "rc"] as &[_], &[".post"], &[".dev"]] {
        let after = words.iter().find_map(|word| rest.strip_prefix(word)).map(number);
        match after {
            Some(Some(after)) => rest = after,
            Some(None) => return false,
            None => {}
        }
    }
    rest.is_empty()
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
            // Go's reader takes a name in any case, and the last of them.
            (path, &[("\"readme\":\"\"", "\"Name\":\"other\"")]),
            (path, &[("\"readme\":\"\"", "\"ver\u{17f}ion\":\"9.0.0\"")]),
            (path, &[("@acme/widget@1.2.0", "other@9.9.9")]),
            (path, &[("\"_id\":\"@acme/widget@1.2.0\"", "\"_ID\":\"other@9.9.9\"")]),
            (
                path,
                &[(
                    "{\"name\":\"@acme/widget\",\"version\":\"1.2.0\",\"readme\":\"\",\"_id\":\"@acme/widget@1.2.0\",\"dist\":{\"shasum\":\"00\"}}",
                    "[\"@acme/widget\",\"1.2.0\"]",
                )],
            ),
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
        let with = |fields: &[(&str, &str)], files: &[&str]| {
            let part = |(name, value): &(&str, &str)| {
                format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let file = |called: &&str| {
                format!("--b\r\nContent-Disposition: form-data; name=\"content\"; {called}\r\n\r\n\x1f\r\n")
            };
            let parts: Vec<_> = fields.iter().map(part).chain(files.iter().map(file)).collect();
            let body = parts.concat() + "--b--\r\n";
            pypi(&Kind::of(b"multipart/form-data; boundary=b").unwrap().unwrap(), body.as_bytes())
        };
        let source = "filename=\"acme_widget-1.2.0.tar.gz\"";
        let told = |fields: &[(&str, &str)]| with(fields, &[source]);
        let (action, name, version) = ((":action", "file_upload"), ("name", "Acme_.widget"), ("version", "1.2.0"));
        let wanted = Published { name: "acme-widget".to_owned(), versions: vec!["1.2.0".to_owned()], tags: Vec::new() };
        assert_eq!(told(&[action, ("protocol_version", "1"), name, version]), Some(wanted.clone()));
        let wheel = "filename=\"acme_widget-1.2.0-py3-none-any.whl\"";
        assert_eq!(with(&[action, name, version], &[wheel]), Some(wanted));
        for files in [
            &[] as &[_],
            &[source, source],
            &[source, "filename=\"requests-9.tar.gz\""],
            &["filename=\"requests-99.0.0-py3-none-any.whl\""],
            &["filename=\"acme_widget-9.0.0.tar.gz\""],
            &["filename=\"acme_widget-1.2.0.tar.gz\"; filename=\"requests-9.tar.gz\""],
            &["filename=\"acme_widget-1.2.0.tar.gz\"; filename*=utf-8''requests-9.tar.gz"],
            &["filename=\"../acme_widget-1.2.0.tar.gz\""],
            &["filename=\"acme_widget-1.2.0.exe\""],
            &["filename=\"\""],
            &["x=y"],
        ] {
            assert_eq!(with(&[action, name, version], files), None, "{files:?}");
        }
        for version in [
            "v1.2.0",
            "V1.2.0",
            "01.2.0",
            "0!1.2.0",
            "1.2.0+x",
            "1.2.0-1",
            "1.2.0RC1",
            "1.2.0.rc1",
            "1.2.",
            "",
            "1.2.0a",
        ] {
            assert!(!is_normal(version), "{version}");
        }
        for version in ["0", "1.2.0", "2026.11", "1.0rc1", "1.0.post2", "1.0.dev0", "1.0b2.post3.dev4"] {
            assert!(is_normal(version), "{version}");
        }
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
