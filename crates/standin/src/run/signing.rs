//! Keys that requests are signed with: from the environment, or of a profile in the home (AWS).

use super::inputs::Inputs;
use super::sources;
use crate::exit::Failure;
use standin_config::Source;
use standin_policy::catalogue::signing::Signing;
use standin_sandbox::InlineFile;
use standin_secret::{Secret, SourceError};
use std::path::{Path, PathBuf};

/// The profile that programs take if nobody names one.
const DEFAULT: &str = "default";
/// What they look for besides, and is no secret.
const SETTINGS: &[&str] = &["region", "output", "endpoint_url"];

/// A key on the host.
pub(super) struct Found {
    pub(super) id: Secret,
    pub(super) secret: Secret,
    pub(super) token: Option<Secret>,
    /// The profile it is of; nothing if it is the environment's.
    pub(super) profile: Option<String>,
}

/// The key that is lent: of the profile that was asked for, else the environment's, else of the profile that the environment
/// names.
pub(super) fn find(inputs: &Inputs, signing: &Signing) -> Result<Option<Found>, Failure> {
    if let Some(profile) = &inputs.aws_profile {
        return of_profile(inputs, profile).map(Some).map_err(|error| {
            Failure::because(format!("the keys of the profile `{profile}` are not available"), &error)
                .hint("it must have aws_access_key_id and aws_secret_access_key of its own in ~/.aws/credentials")
        });
    }
    let value = |variable: &String| {
        let value = inputs.value(variable).filter(|value| !value.trim_ascii().is_empty());
        value.filter(|_| !inputs.pass.contains(variable)).map(|value| Secret::new(value.trim_ascii().to_vec()))
    };
    if let (Some(id), Some(secret)) = (value(&signing.id), value(&signing.secret)) {
        return Ok(Some(Found { id, secret, token: value(&signing.token), profile: None }));
    }
    // One without keys of its own (SSO, a role) is nothing that could be lent.
    Ok(inputs.variable("AWS_PROFILE").and_then(|profile| of_profile(inputs, profile).ok()))
}

/// What the command sees of a profile: its keys as stand-ins, and its region.
pub(super) fn files(inputs: &Inputs, profile: &str, id: &str, secret: &str, token: Option<&str>) -> Vec<InlineFile> {
    let directory = inputs.home.join(".aws");
    if inputs.writable.iter().chain(&inputs.read_only).any(|shown| directory.starts_with(shown)) {
        return Vec::new(); // it is shown, with stand-ins in it
    }
    let token = token.map(|token| format!("aws_session_token = {token}\n")).unwrap_or_default();
    let keys = format!("[{profile}]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n{token}");
    let section = if profile == DEFAULT { DEFAULT.to_owned() } else { format!("profile {profile}") };
    let config = place(inputs, "AWS_CONFIG_FILE", "config");
    let line = |name: &&str| {
        let source = Source::File(config.clone(), Some(format!("{section}.{name}")));
        let value = sources::fetch(inputs, &source).ok()?;
        Some(format!("{name} = {}\n", std::str::from_utf8(value.expose()).ok()?))
    };
    let lines: String = SETTINGS.iter().filter_map(line).collect();
    let inside =
        |name: &str, contents: String| InlineFile { path: directory.join(name), contents: contents.into_bytes() };
    vec![inside("credentials", keys), inside("config", format!("[{section}]\n{lines}"))]
}

fn of_profile(inputs: &Inputs, profile: &str) -> Result<Found, SourceError> {
    let path = place(inputs, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let value = |name: &str| sources::fetch(inputs, &Source::File(path.clone(), Some(format!("{profile}.{name}"))));
    let token = match value("aws_session_token") {
        Ok(token) => Some(token),
        Err(SourceError::NoValue { .. } | SourceError::Empty(_)) => None,
        Err(error) => return Err(error),
    };
    let (id, secret) = (value("aws_access_key_id")?, value("aws_secret_access_key")?);
    Ok(Found { id, secret, token, profile: Some(profile.to_owned()) })
}

fn place(inputs: &Inputs, variable: &str, name: &str) -> PathBuf {
    let named = inputs.variable(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    named.unwrap_or_else(|| Path::new(&inputs.home).join(".aws").join(name))
}
