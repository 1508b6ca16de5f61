//! That presets hold together. What each leaves stands in `catalogue/operations/`.

use super::super::Catalogue;
use super::*;
use standin_model::PathPattern;

#[test]
fn every_path_is_a_pattern() {
    for service in Catalogue::builtin().services() {
        for preset in &service.presets {
            let values = preset.parameters.iter().map(|name| format!("{name}=x")).collect::<Vec<_>>().join(", ");
            let usage = PresetUse::parse(&format!("{}:{}{{{values}}}", service.id, preset.id)).unwrap();
            for rule in preset.rules(&usage).unwrap() {
                for path in &rule.paths {
                    assert!(PathPattern::parse(path.as_str()).is_ok(), "{usage}: {}", path.as_str());
                    assert!(!path.as_str().contains(['{', '}']), "{usage}: {}", path.as_str());
                }
            }
        }
    }
}

/// A login's token is as good as a key, at hosts of its own perhaps.
#[test]
fn every_preset_holds_where_a_login_is_good() {
    let mut looked_at = 0;
    for service in Catalogue::builtin().services() {
        let tokens = service.login.iter().flat_map(|login| &login.form.tokens);
        // What a grant narrows to some paths itself is that login's own work: exchanging its tokens, asking who it is.
        let wide = tokens.flat_map(|token| &token.grants).filter(|grant| grant.rule.paths.is_empty());
        for host in wide.flat_map(|grant| &grant.rule.hosts) {
            for preset in &service.presets {
                let named = preset.rules.iter().flat_map(|rule| &rule.hosts).map(|host| host.replace("[.]", "."));
                let known = service.grants.iter().flat_map(|grant| &grant.rule.hosts).map(ToString::to_string);
                let mut hosts = named.chain(known);
                assert!(hosts.any(|known| known == host.to_string()), "{}:{} {host}", service.id, preset.id);
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 1, "{looked_at}");
}

/// Where a service's other presets hold, a new one does, too: else it leaves there all that is allowed.
#[test]
fn all_presets_of_a_service_hold_at_the_same_hosts() {
    for service in Catalogue::builtin().services() {
        let hosts = |preset: &Preset| {
            let filled = preset.filled(&Compiler { id: &service.id }, |_| Some("value")).unwrap();
            let lent = service.grants.iter().flat_map(|grant| &grant.rule.hosts);
            let named = filled.iter().flat_map(|rule| &rule.hosts).chain(lent).map(ToString::to_string);
            named.collect::<std::collections::BTreeSet<_>>()
        };
        let git = |preset: &Preset| hosts(preset).into_iter().filter(|host| host.contains("ssh.")).collect::<Vec<_>>();
        for preset in &service.presets {
            assert_eq!(git(preset), git(&service.presets[0]), "{}:{}", service.id, preset.id);
        }
    }
}

#[test]
fn its_parameters_are_given_and_no_others() {
    let service = Catalogue::builtin().service("github").unwrap();
    let preset = service.presets.iter().find(|preset| preset.id == "single-repo").unwrap();
    let rules = |usage: &str| preset.rules(&PresetUse::parse(usage).unwrap()).map(|rules| rules.len() > 1);
    assert_eq!(rules("github:single-repo{owner=a, repo=b}"), Ok(true));
    assert_eq!(rules("github:single-repo{owner=a}"), Err(PresetUseError::Missing("repo".into())));
    let pattern = Err(PresetUseError::Pattern("repo".into()));
    assert_eq!(rules("github:single-repo{owner=a, repo=b*}"), pattern);
    let unknown = Err(PresetUseError::Unknown("branch".into()));
    assert_eq!(rules("github:single-repo{owner=a, repo=b, branch=c}"), unknown);
}
