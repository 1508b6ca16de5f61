//! What settings of editors and agents make them run.

use super::Found;
use jsonc_parser::ast::Value;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::path::Path;

/// Which program reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// VS Code and its kin: tasks, settings, workspaces.
    Editor,
    /// Agents, and what they share.
    Agent,
    /// Codex, in TOML.
    Codex,
    /// Development containers.
    Container,
}

/// Who reads the file of this path.
pub(super) fn reader(path: &[u8]) -> Option<Reader> {
    let text = String::from_utf8_lossy(path).to_ascii_lowercase();
    let names: Vec<&str> = text.split('/').collect();
    let (name, parent) = match names.as_slice() {
        [.., parent, name] => (*name, *parent),
        [name] => (*name, ""),
        [] => return None,
    };
    let json = Path::new(name).extension().is_some_and(|end| end == "json" || end == "jsonc");
    match (parent, name) {
        (".vscode", "mcp.json") => Some(Reader::Agent),
        (".vscode", _) if json => Some(Reader::Editor),
        (".devcontainer", "devcontainer.json") | (_, ".devcontainer.json") => Some(Reader::Container),
        (_, "devcontainer.json") if names.contains(&".devcontainer") => Some(Reader::Container),
        (".codex", "config.toml") => Some(Reader::Codex),
        (
            ".claude" | ".cursor" | ".gemini" | ".codex" | ".opencode" | ".windsurf" | ".kiro" | ".roo" | ".amazonq",
            _,
        ) if json => Some(Reader::Agent),
        ("settings", "mcp.json") if names.contains(&".kiro") => Some(Reader::Agent),
        (_, ".mcp.json" | "opencode.json" | "opencode.jsonc") => Some(Reader::Agent),
        _ if name.ends_with(".code-workspace") => Some(Reader::Editor),
        _ => None,
    }
}

/// Looks through a file.
pub(super) fn look(reader: Reader, text: &[u8]) -> Vec<Found> {
    let unreadable = |error: &dyn std::fmt::Display| {
        vec![Found {
            line: None,
            what: format!("cannot be read, so what it makes programs run is not known: {error}"),
            mend: "look at it, and mend or remove it".to_owned(),
        }]
    };
    let text = match std::str::from_utf8(text) {
        Ok(text) => text.trim_start_matches('\u{feff}'),
        Err(error) => return unreadable(&error),
    };
    if reader == Reader::Codex {
        return match toml::de::DeTable::parse(text) {
            Ok(table) => codex(text, table.get_ref()),
            Err(error) => unreadable(&error.message()),
        };
    }
    match parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default()) {
        Ok(parsed) => {
            let mut all = Vec::new();
            if let Some(value) = &parsed.value {
                walk(reader, &Lines::of(text), "", value, &mut all);
            }
            all
        }
        Err(error) => unreadable(&error),
    }
}

/// Every key of an object and of those in it. The parser bounds the depth.
fn walk(reader: Reader, lines: &Lines, path: &str, value: &Value<'_>, all: &mut Vec<Found>) {
    match value {
        Value::Object(object) => {
            for property in &object.properties {
                let name = property.name.as_str();
                let path = match path.len() {
                    0 => name.to_owned(),
                    1..MAX_PATH => format!("{path}.{name}"),
                    _ => path.to_owned(),
                };
                let what = match reader {
                    Reader::Editor => editor_runs(&path, name, &property.value),
                    Reader::Agent => agent_runs(name, &property.value),
                    Reader::Container => {
                        (name == "initializeCommand").then_some("it runs on the host when the container is made")
                    }
                    Reader::Codex => None,
                };
                if let Some(what) = what {
                    let line = Some(lines.at(property.range.start));
                    all.push(Found { line, what: format!("{path}: {what}"), mend: MEND.to_owned() });
                } else {
                    walk(reader, lines, &path, &property.value, all);
                }
            }
        }
        Value::Array(array) => array.elements.iter().for_each(|element| walk(reader, lines, path, element, all)),
        _ => {}
    }
}

/// From this length on the names of what is within are left out of what is said, in bytes.
const MAX_PATH: usize = 200;
const MEND: &str = "remove the line, or look at what it runs";

/// Settings of editors that name programs, or let tasks run by themselves.
fn editor_runs(path: &str, name: &str, value: &Value<'_>) -> Option<&'static str> {
    let text = value.as_string_lit().map(|text| text.value.as_ref());
    let key = name.to_ascii_lowercase();
    if key == "runon" {
        return (text == Some("folderOpen")).then_some("the task runs when the directory is opened");
    }
    if path.starts_with("folders")
        || path.starts_with("tasks.")
        || path == "tasks"
        || path.starts_with("configurations")
        || path.starts_with("launch")
    {
        return None; // what a person starts
    }
    if key == "task.allowautomatictasks" {
        return (text == Some("on")).then_some("tasks run without being asked about");
    }
    if key.contains("autoapprove") {
        return (!matches!(value, Value::BooleanLit(no) if !no.value))
            .then_some("agents in the editor run tools without asking");
    }
    let names_program = key.ends_with("path")
        || key.ends_with("executable")
        || key.ends_with("interpreter")
        || key.ends_with(".path.git")
        || key.ends_with("tsdk")
        || key.ends_with("goroot")
        || key.ends_with("java.home")
        || key.contains("command")
        || key.contains("alternatetools")
        || key.contains("mcp")
        || (key.starts_with("terminal.integrated.")
            && ["profile", "shell", "env."].iter().any(|part| key.contains(part)));
    let is_something =
        text != Some("") && !matches!(value, Value::NullKeyword(_) | Value::BooleanLit(_) | Value::NumberLit(_));
    // A default profile is named, not described.
    (names_program && is_something && !key.contains("defaultprofile")).then_some("the editor runs what it names")
}

/// Settings of agents that name programs.
fn agent_runs(name: &str, value: &Value<'_>) -> Option<&'static str> {
    let empty = match value {
        Value::Object(object) => object.properties.is_empty(),
        Value::Array(array) => array.elements.is_empty(),
        Value::StringLit(text) => text.value.is_empty(),
        Value::BooleanLit(yes) => !yes.value,
        Value::NullKeyword(_) => true,
        Value::NumberLit(_) => false,
    };
    if empty {
        return None;
    }
    match name {
        "hooks" => Some("the agent runs these by itself"),
        "mcpServers" | "mcp" | "servers" | "mcp_servers" => Some("the agent starts these servers"),
        "apiKeyHelper"
        | "awsAuthRefresh"
        | "awsCredentialExport"
        | "gcpAuthRefresh"
        | "otelHeadersHelper"
        | "statusLine"
        | "fileSuggestion"
        | "discoveryCommand"
        | "callCommand"
        | "toolDiscoveryCommand"
        | "toolCallCommand"
        | "notify"
        | "formatter"
        | "lsp" => Some("the agent runs it by itself"),
        "enableAllProjectMcpServers" | "enabledMcpjsonServers" => Some("servers start without being asked about"),
        "plugin" | "plugins" | "enabledPlugins" | "extraKnownMarketplaces" => Some("the agent loads these"),
        "allow" | "autoApprove" | "alwaysAllow" | "autoAccept" | "trust" => Some("the agent does not ask about these"),
        _ => None,
    }
}

/// Codex reads its project's settings in TOML.
fn codex(text: &str, table: &toml::de::DeTable<'_>) -> Vec<Found> {
    let what = |name: &str| match name {
        "mcp_servers" => Some("the agent starts these servers"),
        "notify" | "hooks" => Some("the agent runs it by itself"),
        "sandbox_mode" | "approval_policy" | "projects" => Some("it changes what the agent asks about"),
        _ => None,
    };
    let lines = Lines::of(text);
    let mut all: Vec<Found> = table
        .iter()
        .filter_map(|(key, _)| {
            let line = Some(lines.at(key.span().start));
            what(key.get_ref()).map(|what| Found {
                line,
                what: format!("{}: {what}", key.get_ref()),
                mend: MEND.to_owned(),
            })
        })
        .collect();
    all.sort_by_key(|found| found.line);
    all
}

/// Where lines end: an agent may have made many of them, and many findings.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    fn at(&self, place: usize) -> usize {
        1 + self.0.partition_point(|end| *end < place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_and_agents_run_is_found() {
        for (path, text, expected) in [
            (
                ".vscode/tasks.json",
                "// c\n{\"tasks\":[{\"command\":\"x\",\n\"runOptions\":{\"runOn\":\"folderOpen\"},}]}",
                vec![3],
            ),
            (".vscode/tasks.json", "{\"tasks\":[{\"command\":\"x\"}]}", vec![]),
            (".vscode/settings.json", "{\"editor.tabSize\": 2,\n\"python.defaultInterpreterPath\": \"./x\"}", vec![2]),
            (
                ".vscode/settings.json",
                "{\n\"terminal.integrated.env.linux\": {\"A\":\"b\"},\n\"files.exclude\":{\"x\":true}}",
                vec![2],
            ),
            (
                ".vscode/settings.json",
                "{\n\"rust-analyzer.check.overrideCommand\": [\"x\"],\n\"git.path\":null}",
                vec![2],
            ),
            (".vscode/settings.json", "{\"task.allowAutomaticTasks\": \"on\"}", vec![1]),
            ("x.code-workspace", "{\"settings\":\n{\"clangd.path\": \"x\"},\"folders\":[{\"path\":\".\"}]}", vec![2]),
            (
                ".claude/settings.json",
                "{\"model\":\"x\",\n\"hooks\":{\"Stop\":[{}]},\n\"permissions\":{\"deny\":[\"x\"],\n\"allow\":[\"Bash\"]}}",
                vec![2, 4],
            ),
            (".claude/settings.json", "{\"hooks\":{}}", vec![]),
            (".mcp.json", "{\"mcpServers\":{\"x\":{\"command\":\"y\"}}}", vec![1]),
            (".vscode/mcp.json", "{\"servers\":{\"x\":{\"command\":\"y\"}}}", vec![1]),
            ("a/.gemini/settings.json", "{\"tools\":{\"discoveryCommand\":\"x\"}}", vec![1]),
            (".codex/config.toml", "model = 'x'\n[mcp_servers.x]\ncommand = 'y'\n", vec![2]),
            (
                ".devcontainer/devcontainer.json",
                "{\"image\":\"x\",\n\"initializeCommand\":\"y\",\"postCreateCommand\":\"z\"}",
                vec![2],
            ),
        ] {
            let reader = reader(path.as_bytes()).expect(path);
            let lines: Vec<_> = look(reader, text.as_bytes()).iter().filter_map(|found| found.line).collect();
            assert_eq!(lines, expected, "{path} {text}");
        }
        for path in ["settings.json", "src/mcp.json", ".vscode/x.txt", "package.json"] {
            assert_eq!(reader(path.as_bytes()), None, "{path}");
        }
        assert!(look(Reader::Agent, b"{").first().is_some_and(|found| found.what.contains("cannot be read")));
        assert!(
            look(Reader::Agent, "[".repeat(100_000).as_bytes())
                .first()
                .is_some_and(|found| found.what.contains("cannot be read"))
        );
    }
}
