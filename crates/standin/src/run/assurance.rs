//! What a session's record starts with: what keeps it in, and what does not.

use super::backend;
use super::inputs::Inputs;
use crate::exit::Failure;
use standin_attack::catalogue;
use standin_attack::vector::Condition;
use standin_audit::{Assurance, OpenWay};
use standin_model::Backend;
use standin_sandbox::host;

/// Tells it of a session that is about to start. All layers are there, or nothing is run.
pub(super) fn of(inputs: &Inputs, behind_proxy: bool) -> Result<Assurance, Failure> {
    let holds = |condition| match condition {
        Condition::InPlace => !inputs.copy,
        Condition::Wildcard => allows_wildcard(inputs),
        Condition::ParentProxy => behind_proxy,
        Condition::Nested => inputs.nested,
    };
    let open = catalogue::all().filter_map(|vector| {
        let why = vector.standing.open_when(holds)?.to_owned();
        Some(OpenWay { number: vector.number, name: vector.name.to_owned(), why })
    });
    // One that is missing is a refusal later on, and the session's end says so.
    let landlock = host::landlock().unwrap_or_else(|_| "missing".to_owned());
    let is_gvisor = inputs.config.backend == Backend::Gvisor;
    let scopes = if inputs.nested || is_gvisor { " (signals and abstract sockets only)" } else { "" };
    let files = if inputs.copy { "copy of the workspace" } else { "broker of the workspace's files" };
    let layers =
        ["namespaces", "captured network", &format!("landlock {landlock}{scopes}"), "system calls filtered", files];
    let mut layers: Vec<_> = layers.map(str::to_owned).into();
    if let Some(tool) = backend::tool(inputs)? {
        layers.push(match inputs.config.backend {
            Backend::Gvisor => format!("the command under gVisor's kernel ({})", tool.version),
            _ => format!("namespaces made by bubblewrap {}", tool.version),
        });
    }
    Ok(Assurance { kernel: host::kernel(), layers, open: open.collect() })
}

fn allows_wildcard(inputs: &Inputs) -> bool {
    let granted = inputs.config.credentials.iter().flat_map(|credential| &credential.grants).map(|grant| &grant.rule);
    let mut rules = inputs.config.allow.iter().chain(granted);
    rules.any(|rule| rule.hosts.iter().any(|host| host.as_exact().is_none()))
}
