//! What presets leave of services, whatever lends or allows it.

use crate::exit::Failure;
use standin_model::PresetUse;
use standin_policy::PolicyBuilder;
use standin_policy::catalogue::{Catalogue, Service, danger};
use std::collections::BTreeMap;

/// Narrows each service to what one of its presets has: two of them are two repositories. Gives the services.
pub(super) fn narrow(policy: &mut PolicyBuilder, presets: &[PresetUse]) -> Result<Vec<&'static Service>, Failure> {
    let mut narrowed = Vec::new();
    let mut by_service: BTreeMap<&str, Vec<&PresetUse>> = BTreeMap::new();
    for usage in presets {
        by_service.entry(&usage.service).or_default().push(usage);
    }
    for (id, uses) in by_service {
        let service = Catalogue::builtin().service(id).filter(|service| !service.presets.is_empty());
        let service = service.ok_or_else(|| unknown(uses[0], "standin policy presets lists them".to_owned()))?;
        let mut rules = Vec::new();
        for usage in &uses {
            let preset = service.presets.iter().find(|preset| preset.id == usage.preset);
            let preset = preset.ok_or_else(|| unknown(usage, format!("{} has {}", service.name, ids(service))))?;
            rules.extend(
                preset.rules(usage).map_err(|error| Failure::because(format!("the preset `{usage}`"), &error))?,
            );
        }
        let label: Vec<_> = uses.iter().map(ToString::to_string).collect();
        policy.narrow(label.join(" and "), danger::places(service), rules);
        narrowed.push(service);
    }
    Ok(narrowed)
}

fn unknown(usage: &PresetUse, hint: String) -> Failure {
    Failure::new(format!("there is no preset `{}:{}`", usage.service, usage.preset)).hint(hint)
}

fn ids(service: &Service) -> String {
    service.presets.iter().map(|preset| format!("{}:{}", service.id, preset.id)).collect::<Vec<_>>().join(", ")
}
