//! `standin secret rotate`: a new value in the place of one that may be known, by the service's own way or by its owner's hand.

use super::{surroundings, unlocked};
use crate::cli::SecretRotateArguments;
use crate::exit::{self, Failure};
use crate::run;
use standin_config::{Config, Credential as Configured, Source};
use standin_model::Host;
use standin_policy::catalogue::rotation::{Api, Rotation};
use standin_policy::catalogue::{Catalogue, Service};
use standin_vault::keychain::Attributes;
use standin_vault::rotation::{GitLab, today};
use standin_vault::safe::Safe;
use std::io::Write;

/// What is to be replaced.
struct Wanted {
    service: &'static Service,
    /// Where the value lies, as far as that is known.
    source: Option<Source>,
    /// The safe and the secret's name in it, if it lies there.
    kept: Option<(Safe, String)>,
    /// The one host that it is for.
    host: Option<Host>,
}

/// Does it, or says how it is done, and gives the exit code.
pub(super) fn rotate(arguments: &SecretRotateArguments) -> Result<i32, Failure> {
    let name = &arguments.name;
    let config = run::configuration(arguments.config.as_deref())?;
    let safe = Safe::new(&run::state_directory()?);
    let mut wanted = find(name, &config, safe)?;
    wanted.host = arguments.host.clone().or(wanted.host);
    let Some(rotation) = &wanted.service.rotation else {
        return Err(Failure::new(format!("there is nothing to rotate at {}", wanted.service.name)));
    };
    match (rotation.by, &wanted.kept, &wanted.host) {
        (Some(Api::GitLab), Some((safe, secret)), Some(host)) => by_gitlab(safe, secret, host, rotation),
        _ => by_hand(name, &wanted, rotation),
    }
}

fn by_gitlab(safe: &Safe, secret: &str, host: &Host, rotation: &Rotation) -> Result<i32, Failure> {
    let by_hand = || format!("by hand: {}, then `standin secret set {secret}`", rotation.page);
    let not = |error: &(dyn std::error::Error + 'static)| {
        Failure::because(format!("{secret} is not rotated"), error).hint(by_hand())
    };
    let old = safe.get(secret).map_err(|error| not(&error))?;
    // The successor is given once: that it can be kept is tried first.
    safe.set(secret, &old).map_err(|error| not(&error))?;
    let new = GitLab::new(&host.to_string(), surroundings()).rotate(&old, today()).map_err(|error| not(&error))?;
    safe.set(secret, &new).map_err(|error| {
        Failure::because(
            format!("{secret} has a successor at {host} that could not be kept, and is worth nothing"),
            &error,
        )
        .hint(by_hand())
    })?;
    exit::say(&format!(
        "{secret} is rotated at {host}; the old value is worth nothing, and running sessions have the new one with their next request"
    ));
    Ok(exit::SUCCESS)
}

/// Says how.
fn by_hand(name: &str, wanted: &Wanted, rotation: &Rotation) -> Result<i32, Failure> {
    let Rotation { page, ask, note, by } = rotation;
    let service = wanted.service;
    let place = place(name, wanted);
    let mut lines = vec![
        format!("{name} is for you to rotate at {}:", service.name),
        format!("  1. open {page}"),
        format!("  2. ask for {ask}"),
        format!("  3. {place}"),
        "  4. revoke the old one there".to_owned(),
    ];
    lines.extend(note.as_ref().map(|note| format!("Note: {note}.")));
    if by.is_some() && wanted.kept.is_some() {
        lines.push(format!(
            "Or Standin does it, at the server that the token is of: standin secret rotate {name} --host HOST"
        ));
    }
    let text = lines.join("\n") + "\n";
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::output)?;
    Ok(exit::CHECK_FAILED)
}

/// Where the new value goes, and who has it then.
fn place(name: &str, wanted: &Wanted) -> String {
    const LATER: &str = "sessions that run keep the old one";
    match (&wanted.source, &wanted.kept) {
        (_, Some((_, secret))) => {
            format!("standin secret set {secret}   (running sessions have it with their next request)")
        }
        (Some(Source::Env(variable)), _) => format!("set {variable} to it; {LATER}"),
        (Some(Source::File(path, None)), _) => format!("write it into {}; {LATER}", path.display()),
        (Some(Source::File(path, Some(of))), _) => format!("write it into {}, as `{of}`; {LATER}", path.display()),
        (Some(Source::Keychain(pairs)), _) => {
            format!("secret-tool store --label={name} {}; {LATER}", Attributes::new(pairs.clone()))
        }
        (Some(_), _) => format!("put it where its source has it; {LATER}"),
        (None, _) => {
            let variable =
                wanted.service.env.iter().chain(&wanted.service.perhaps).next().map_or("its variable", String::as_str);
            format!("set {variable} to it, or keep it with `standin secret set {}`; {LATER}", wanted.service.id)
        }
    }
}

/// A credential of the configuration, by its name or by where its value lies; a secret of the safe; a service, by its name or its variable.
fn find(name: &str, config: &Config, safe: Safe) -> Result<Wanted, Failure> {
    let catalogue = Catalogue::builtin();
    let is_it =
        |configured: &&Configured| configured.name == name || configured.source == Some(Source::Safe(name.to_owned()));
    let configured = config.credentials.iter().find(is_it);
    let source = configured.and_then(|configured| configured.source.clone());
    let kept = match &source {
        Some(Source::Safe(secret)) => Some((unlocked(safe, &surroundings())?, secret.clone())),
        Some(_) => None,
        None if safe.path().exists() => {
            let safe = unlocked(safe, &surroundings())?;
            let names = safe.names().map_err(|error| Failure::because("the secrets cannot be read", &error))?;
            names.iter().any(|known| known == name).then(|| (safe, name.to_owned()))
        }
        None => None,
    };
    let host = configured.and_then(host_of);
    let by_config = configured.and_then(|configured| catalogue.service(configured.service.as_deref()?));
    let by_value = || {
        let (safe, secret) = kept.as_ref()?;
        catalogue.by_value(safe.get(secret).ok()?.expose())
    };
    let by_host = || catalogue.by_host(host.as_ref()?);
    let by_name = || catalogue.service(name).or_else(|| catalogue.by_env(name)).filter(|_| configured.is_none());
    let service = by_config.or_else(by_value).or_else(by_host).or_else(by_name).ok_or_else(|| {
        let known: Vec<_> =
            catalogue.services().iter().filter(|it| it.rotation.is_some()).map(|it| it.id.as_str()).collect();
        Failure::new(format!("it cannot be told whose credential `{name}` is"))
            .hint(format!("name its service in the configuration, or one here: {}", known.join(", ")))
    })?;
    // A service of the configuration has its own hosts.
    let its_own = || Host::parse(&by_config?.grants.first()?.rule.hosts.first()?.to_string()).ok();
    let host = host.or_else(its_own);
    Ok(Wanted { service, source, kept, host })
}

/// The one host that a credential is granted at. Nobody else is shown it.
fn host_of(configured: &Configured) -> Option<Host> {
    let mut hosts = configured.grants.iter().flat_map(|grant| &grant.rule.hosts).map(ToString::to_string);
    let host = hosts.next()?;
    hosts.all(|other| other == host).then(|| Host::parse(&host).ok())?
}
