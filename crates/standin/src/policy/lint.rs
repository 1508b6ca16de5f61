//! `standin policy lint`: what is odd about the configuration's rules.

use crate::exit::{self, Failure};
use crate::log::json_line;
use standin_config::Config;
use standin_policy::Policy;
use standin_policy::lint::{Own, lint};
use std::io::{self, BufWriter, Write};

/// Looks, and prints what was found.
pub(super) fn run(policy: &Policy, config: &Config, json: bool) -> Result<i32, Failure> {
    let grants = config.credentials.iter().flat_map(|credential| {
        let lend = move |grant| (credential.name.as_str(), grant);
        credential.grants.iter().map(|grant| &grant.rule).map(lend)
    });
    let own = Own {
        allow: config.allow.iter().collect(),
        deny: config.deny.iter().collect(),
        grants: grants.collect(),
        denied_groups: &config.denied_groups,
    };
    let findings = lint(&own, policy);
    let out = &mut BufWriter::new(io::stdout().lock());
    for finding in &findings {
        let written = if json { json_line(out, finding) } else { writeln!(out, "✗ {finding}") };
        written.map_err(Failure::output)?;
    }
    if findings.is_empty() && !json {
        writeln!(out, "nothing odd").map_err(Failure::output)?;
    }
    out.flush().map_err(Failure::output)?;
    Ok(if findings.is_empty() { exit::SUCCESS } else { exit::CHECK_FAILED })
}
