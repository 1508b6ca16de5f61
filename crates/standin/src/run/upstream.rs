//! The way out of the host: the proxy it sits behind, and whom it believes.

use super::inputs::Inputs;
use super::{sources, view};
use crate::exit::{self, Failure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use standin_config::Parent as Configured;
use standin_model::{Bypass, ParentProxy};
use standin_net::{Parent, Trust, Upstreams};
use std::path::{Path, PathBuf};

/// The variables that name a proxy for https, as curl and most others look for them.
const PROXY: &[&str] = &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// Those that name what goes past it.
const NO_PROXY: &[&str] = &["no_proxy", "NO_PROXY"];

/// Variables that say where the host's trust store is, for us as for its other clients.
const TRUST: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Puts it together from the configuration and the host's environment. The sandbox's own is not asked.
pub(super) fn upstreams(inputs: &Inputs) -> Result<Upstreams, Failure> {
    let mut roots = Vec::new();
    for path in &inputs.config.upstream.roots {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let read = read.map_err(|error| Failure::because(format!("the roots in {}", path.display()), &error))?;
        if read.is_empty() {
            return Err(Failure::new(format!("{} holds no certificate", path.display())));
        }
        roots.extend(read);
    }
    let upstreams = Upstreams::new(Trust::HostAnd(roots));
    Ok(match parent(inputs)? {
        Some(parent) => upstreams.with_parent(parent),
        None => upstreams,
    })
}

/// Who may write what says whom we believe is believed. To be asked before anything is fetched from anywhere.
pub(super) fn is_not_steered(inputs: &Inputs) -> Result<(), Failure> {
    let named = TRUST.iter().filter_map(|name| inputs.variable(name)).flat_map(std::env::split_paths);
    let named = named.filter(|path| !path.as_os_str().is_empty());
    let mut all: Vec<PathBuf> = named.chain(inputs.config.upstream.roots.iter().cloned()).collect();
    // A name alone lies in the directory that we are in.
    all.retain(|path| view::is_steered(&Path::new(".").join(path), inputs));
    let Some(path) = all.first() else { return Ok(()) };
    let path = path.display();
    Err(Failure::new(format!("{path} says which hosts are believed, and lies in what the sandbox may write"))
        .hint("keep it elsewhere: SSL_CERT_FILE, SSL_CERT_DIR and `roots` under [upstream] name such files"))
}

fn parent(inputs: &Inputs) -> Result<Option<Parent>, Failure> {
    let (proxy, password) = match &inputs.config.upstream.proxy {
        Configured::Direct => return Ok(None),
        Configured::Named(proxy, source) => {
            let password = source.as_ref().map(|source| sources::fetch(inputs, source)).transpose();
            let password =
                password.map_err(|error| Failure::because("the proxy's password is not available", &error))?;
            let text = password.map(|password| String::from_utf8(password.expose().to_vec())).transpose();
            let text = text.map_err(|_| Failure::new("the proxy's password is not text"))?;
            (proxy.clone(), text)
        }
        Configured::Environment => match from_environment(inputs)? {
            Some(found) => found,
            None => return Ok(None),
        },
    };
    Ok(Some(Parent::new(proxy, password, bypass(inputs))))
}

fn from_environment(inputs: &Inputs) -> Result<Option<(ParentProxy, Option<String>)>, Failure> {
    let found = PROXY.iter().find_map(|name| Some((name, inputs.variable(name).filter(|value| !value.is_empty())?)));
    let Some((name, value)) = found else { return Ok(None) };
    let (proxy, password) = ParentProxy::parse(value).map_err(|error| {
        Failure::because(format!("the proxy that {name} names"), &error)
            .hint("unset it, or set `proxy` under [upstream] in the configuration (`none` for no proxy)")
    })?;
    exit::say(&format!("going out through the proxy {}, as {name} says", proxy.authority));
    Ok(Some((proxy, password)))
}

fn bypass(inputs: &Inputs) -> Bypass {
    let from_environment = || {
        let list = NO_PROXY.iter().find_map(|name| inputs.variable(name)).unwrap_or_default();
        Bypass::new(list.split(','))
    };
    inputs.config.upstream.no_proxy.clone().unwrap_or_else(from_environment)
}
