//! The command's environment: empty, then what is listed here.

use super::credentials::Lent;
use super::inputs::Inputs;
use standin_model::SessionId;
use standin_secretfiles::shape::looks_like_secret;
use std::ffi::OsString;

/// Variables that are passed on, because programs look or speak differently without them.
const KEPT: &[&str] = &[
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "COLORTERM",
    "COLUMNS",
    "EDITOR",
    "FORCE_COLOR",
    "LANG",
    "LANGUAGE",
    "LINES",
    "NO_COLOR",
    "PAGER",
    "PATH",
    "SHELL",
    "TERM",
    "TERM_PROGRAM",
    "TZ",
    "VISUAL",
];

/// The whole environment of the command.
pub(super) fn environment(
    inputs: &Inputs,
    lent: &Lent,
    trust: Vec<(String, String)>,
    session: &SessionId,
) -> Vec<(OsString, OsString)> {
    let mut all: Vec<(OsString, OsString)> = Vec::new();
    let mut set = |name: &str, value: OsString| {
        all.retain(|(known, _)| known != name);
        all.push((name.into(), value));
    };
    for (name, value) in &inputs.environment {
        let Some(name) = name.to_str() else { continue };
        let kept = KEPT.contains(&name) || name.starts_with("LC_");
        let passed = inputs.pass.iter().any(|pass| pass == name);
        if passed || (kept && !looks_like_secret(name, &value.to_string_lossy())) {
            set(name, value.clone());
        }
    }
    let user = inputs.variable("USER").filter(|user| *user != "root").unwrap_or("agent");
    set("USER", user.into());
    set("LOGNAME", user.into());
    set("HOME", inputs.home.clone().into());
    set("TMPDIR", "/tmp".into());
    set("STANDIN_SESSION", session.as_str().into());
    // Claude Code and others ask whether something keeps them in.
    set("IS_SANDBOX", "1".into());
    for (name, value) in trust {
        set(&name, value.into());
    }
    if let Some(profile) = &lent.aws_profile {
        set("AWS_PROFILE", profile.into());
    }
    for (name, stand_in) in &lent.variables {
        set(name, stand_in.as_str().into());
    }
    all
}
