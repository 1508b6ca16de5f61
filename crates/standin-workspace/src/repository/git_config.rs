//! What a file of git's configuration makes git run.
//!
//! The file is parsed, never obeyed: to ask git itself would be to run what is looked for.

use super::Found;
use gix_config::parse::{EventRef, Events};
use gix_config::value::normalize;

/// One setting.
struct Setting {
    section: String,
    /// As it is written: it is a name of the user's.
    subsection: Option<String>,
    key: String,
    value: Value,
    line: usize,
}

/// A value as git reads it.
enum Value {
    /// A key alone, which means yes.
    Yes,
    /// Text.
    Text(String),
}

/// Looks through a file. What is included is returned, too: the caller may find it within the repository.
pub(super) fn look(text: &[u8]) -> (Vec<Found>, Vec<String>) {
    let settings = match settings(text) {
        Ok(settings) => settings,
        Err(found) => return (vec![found], Vec::new()),
    };
    let mut included = Vec::new();
    let mut all = Vec::new();
    for setting in &settings {
        if let Some(what) = runs(setting) {
            let name = setting.name();
            let mend = format!("git config --file FILE --unset-all {}", super::shell_word(&name));
            let what = format!("{name} = {}: {what}", setting.text());
            all.push(Found { line: Some(setting.line), what, mend });
        }
        if matches!(setting.section.as_str(), "include" | "includeif") && setting.key == "path" {
            included.push(setting.text().to_owned());
        }
    }
    (all, included)
}

impl Setting {
    fn name(&self) -> String {
        match &self.subsection {
            Some(subsection) => format!("{}.{subsection}.{}", self.section, self.key),
            None => format!("{}.{}", self.section, self.key),
        }
    }

    fn text(&self) -> &str {
        match &self.value {
            Value::Yes => "",
            Value::Text(text) => text,
        }
    }

    /// Whether git reads it as yes or no (git-config(1), "Values").
    fn is_boolean(&self) -> bool {
        let words = ["", "yes", "on", "true", "no", "off", "false", "0", "1"];
        words.contains(&self.text().to_ascii_lowercase().as_str())
    }
}

fn settings(text: &[u8]) -> Result<Vec<Setting>, Found> {
    let events = Events::from_bytes(text, None).map_err(|error| Found {
        line: None,
        what: format!("cannot be read as git's configuration, so what it makes git run is not known: {error}"),
        mend: "look at it, and mend or remove it".to_owned(),
    })?;
    let mut all: Vec<Setting> = Vec::new();
    let (mut section, mut subsection) = (String::new(), None);
    let mut line = 1;
    let mut raw = Vec::new();
    for event in events.iter() {
        match event {
            EventRef::SectionHeader { name, separator, subsection_name } => {
                section = name.to_string().to_ascii_lowercase();
                // `[section.name]` means a name in small letters; `[section "Name"]` means what it says.
                let small = separator.is_some_and(|separator| separator == ".");
                subsection = subsection_name
                    .map(|name| if small { name.to_string().to_ascii_lowercase() } else { name.to_string() });
            }
            EventRef::SectionValueName(name) => {
                let key = name.to_string().to_ascii_lowercase();
                all.push(Setting {
                    section: section.clone(),
                    subsection: subsection.clone(),
                    key,
                    value: Value::Yes,
                    line,
                });
                raw.clear();
            }
            EventRef::Value(part) | EventRef::ValueNotDone(part) | EventRef::ValueDone(part) => {
                raw.extend_from_slice(part);
                if let (Some(setting), false) = (all.last_mut(), matches!(event, EventRef::ValueNotDone(_))) {
                    setting.value = Value::Text(normalize(raw.as_slice()).to_string());
                }
            }
            _ => {}
        }
        let mut written = Vec::new();
        event.write_to(&mut written).expect("a vector takes everything");
        line += written.split(|byte| *byte == b'\n').count() - 1;
    }
    Ok(all)
}

/// Keys whose value is a program or command: section, whether a subsection stands between (`*`: either), key.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("core", "", "fsmonitor"),
    ("core", "", "sshcommand"),
    ("core", "", "pager"),
    ("core", "", "editor"),
    ("core", "", "askpass"),
    ("core", "", "gitproxy"),
    ("core", "", "alternaterefscommand"),
    ("sequence", "", "editor"),
    ("diff", "", "external"),
    ("diff", "*", "command"),
    ("diff", "*", "textconv"),
    ("difftool", "*", "cmd"),
    ("difftool", "*", "path"),
    ("mergetool", "*", "cmd"),
    ("mergetool", "*", "path"),
    ("merge", "*", "driver"),
    ("filter", "*", "clean"),
    ("filter", "*", "smudge"),
    ("filter", "*", "process"),
    ("hook", "*", "command"),
    ("gpg", "?", "program"),
    ("gpg", "?", "defaultkeycommand"),
    ("interactive", "", "difffilter"),
    ("browser", "*", "cmd"),
    ("browser", "*", "path"),
    ("man", "*", "cmd"),
    ("man", "*", "path"),
    ("guitool", "*", "cmd"),
    ("instaweb", "", "httpd"),
    ("instaweb", "", "browser"),
    ("imap", "", "tunnel"),
    ("sendemail", "?", "sendmailcmd"),
    ("sendemail", "?", "tocmd"),
    ("sendemail", "?", "cccmd"),
    ("sendemail", "?", "headercmd"),
    ("sendemail", "?", "smtpserver"),
    ("trailer", "*", "command"),
    ("trailer", "*", "cmd"),
    ("tar", "*", "command"),
    ("gc", "", "recentobjectshook"),
    ("uploadpack", "", "packobjectshook"),
    ("remote", "*", "uploadpack"),
    ("remote", "*", "receivepack"),
    ("remote", "*", "vcs"),
    ("lfs", "?", "path"),
    ("lfs", "?", "clean"),
    ("lfs", "?", "smudge"),
];

/// What Git LFS writes itself.
const LFS: &[&str] = &[
    "git-lfs clean -- %f",
    "git-lfs smudge -- %f",
    "git-lfs smudge --skip -- %f",
    "git-lfs filter-process",
    "git-lfs filter-process --skip",
];
/// Helpers that come with git and its platforms.
const HELPERS: &[&str] =
    &["", "store", "cache", "osxkeychain", "manager", "manager-core", "libsecret", "wincred", "netrc"];

/// What it makes git do, if that is to run something.
fn runs(setting: &Setting) -> Option<&'static str> {
    let value = setting.text();
    let sub = setting.subsection.as_deref();
    let fits = |wanted: &str| match wanted {
        "" => sub.is_none(),
        "*" => sub.is_some(),
        _ => true,
    };
    let key = (setting.section.as_str(), setting.key.as_str());
    match key {
        // The monitor that is built in.
        ("core", "fsmonitor") if setting.is_boolean() => return None,
        ("pager", _) if !setting.is_boolean() => return Some("git runs it to show what that command prints"),
        ("core", "hookspath") if !value.is_empty() => return Some("git runs the programs in there"),
        ("core", "worktree") if leads_out(value) => return Some("git writes its files there"),
        ("alias", _) if value.trim_start().starts_with('!') => return Some("git runs it under that name"),
        ("credential", "helper")
            if !HELPERS.contains(&value.split(' ').next().unwrap_or_default()) || value.starts_with('!') =>
        {
            return Some("git runs it, and tells it passwords");
        }
        ("include" | "includeif", "path") => return Some("git obeys that file as well"),
        ("init", "templatedir") => return Some("git copies hooks from there into new repositories"),
        ("submodule", "update") if value.trim_start().starts_with('!') => return Some("git runs it in the submodule"),
        ("protocol", "allow") if value == "always" && sub.is_none_or(|name| name == "ext") => {
            return Some("an address may name a program that git runs");
        }
        ("remote" | "submodule", "url" | "pushurl") if value.starts_with("ext::") || value.starts_with('-') => {
            return Some("the address names a program that git runs");
        }
        ("url", "insteadof" | "pushinsteadof") if sub.is_some_and(|name| name.starts_with("ext::")) => {
            return Some("addresses are changed into ones that name a program");
        }
        ("lfs", "path" | "clean" | "smudge") if sub.is_none() => return None,
        _ => {}
    }
    let known = COMMANDS.iter().any(|(section, wanted, name)| key == (section, name) && fits(wanted));
    // What is not known yet is mostly named like this.
    let named = ["command", "cmd", "program"].iter().any(|end| setting.key.ends_with(end));
    let command = (known || named || value.starts_with('!')) && !value.is_empty() && !LFS.contains(&value);
    (command && !(setting.section == "sendemail" && setting.key == "smtpserver" && !value.starts_with('/')))
        .then_some("git runs it")
}

/// Submodules lie within the repository's own `.git`, so theirs begin with `../`; more than that cannot be told by words.
fn leads_out(path: &str) -> bool {
    path.starts_with('/') || path.starts_with('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_found_with_its_line() {
        for (text, expected) in [
            (
                "[core]\n\trepositoryformatversion = 0\n\tbare = false\n[remote \"origin\"]\n\turl = https://x/y\n",
                vec![],
            ),
            ("[core]\n\tfsmonitor = true\n", vec![]),
            ("[core]\n\tfsmonitor\n", vec![]),
            ("[core]\n\n; c\n\tfsmonitor = ./x\n", vec![4]),
            ("[CORE]\n  FsMonitor = \"./x\"\n", vec![2]),
            ("[core] fsmonitor = ./x\n", vec![1]),
            ("[core]\n\tsshCommand = sh -c \\\n  x\n\thooksPath = .husky\n", vec![2, 4]),
            ("[pager]\n\tlog = false\n\tdiff = sh -c x\n", vec![3]),
            ("[diff \"x\"]\n\ttextconv = x\n\tbinary = true\n", vec![2]),
            ("[diff]\n\texternal = x\n[diff.y]\n\tcommand = x\n", vec![2, 4]),
            ("[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f && x\n", vec![3]),
            ("[merge \"x\"]\n\tdriver = x\n\tname = y\n", vec![2]),
            ("[alias]\n\tco = checkout\n\tst = !x\n\tsu = \"  !x\"\n", vec![3, 4]),
            ("[alias \"st\"]\n\tcommand = !x\n", vec![2]),
            (
                "[credential]\n\thelper =\n\thelper = store\n\thelper = store --file x\n\thelper = !x\n\thelper = x\n",
                vec![5, 6],
            ),
            ("[credential \"https://x\"]\n\thelper = /tmp/x\n", vec![2]),
            ("[include]\n\tpath = ../x\n[includeIf \"gitdir:/\"]\n\tpath = y\n", vec![2, 4]),
            ("[gpg]\n\tprogram = x\n[gpg \"ssh\"]\n\tprogram = x\n\tdefaultKeyCommand = x\n", vec![2, 4, 5]),
            ("[submodule \"x\"]\n\tupdate = !x\n\tupdate = rebase\n\turl = ext::sh\n\turl = ../x\n", vec![2, 4]),
            ("[core]\n\tworktree = ../../../sub\n\tworktree = /etc\n", vec![3]),
            ("[url \"ext::sh -c x\"]\n\tinsteadOf = https://\n[protocol \"ext\"]\n\tallow = always\n", vec![2, 4]),
            ("[remote \"o\"]\n\tuploadpack = x\n\tfetch = +refs/heads/*:refs/remotes/o/*\n", vec![2]),
            ("[hook \"x\"]\n\tcommand = x\n\tevent = pre-commit\n", vec![2]),
            ("[new-section]\n\tsomeCommand = x\n", vec![2]),
            ("\u{feff}[core]\n\teditor = x\n", vec![2]),
        ] {
            let lines: Vec<_> = look(text.as_bytes()).0.iter().filter_map(|found| found.line).collect();
            assert_eq!(lines, expected, "{text}");
        }
        let (found, _) = look(b"[core\n");
        assert!(found[0].what.contains("cannot be read"));
    }
}
