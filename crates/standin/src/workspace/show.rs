//! How changes are shown: as a difference, a line each, or JSON.

use serde::Serialize;
use standin_workspace::diff::{Contents, in_words};
use standin_workspace::{Attention, Change, Changes, Conflict, Kind, Node, Session, printable};
use std::io::{self, Write};

/// For people: what wants a look first.
pub(super) fn text(out: &mut impl Write, session: &Session, found: &Changes, stat: bool, raw: bool) -> io::Result<()> {
    let contents = Contents::open(session)?;
    let (looks, plain): (Vec<_>, Vec<_>) = found.changes.iter().partition(|change| change.attention.is_some());
    if !looks.is_empty() {
        writeln!(
            out,
            "# The host may run these, or they lead out of the workspace. `standin apply` leaves them unless they are named."
        )?;
    }
    for change in &looks {
        let why = change.attention.map_or("", Attention::as_str);
        writeln!(out, "# ! {}: {why}", printable::name(&change.path))?;
        one(out, &contents, change, stat, raw)?;
    }
    if !looks.is_empty() && !plain.is_empty() {
        writeln!(out, "# The rest.")?;
    }
    for change in &plain {
        one(out, &contents, change, stat, raw)?;
    }
    for path in &found.unreadable {
        writeln!(
            out,
            "# {}: the session made this directory unreadable; what is in it is not known",
            printable::name(path)
        )?;
    }
    Ok(())
}

fn one(out: &mut impl Write, contents: &Contents, change: &Change, stat: bool, raw: bool) -> io::Result<()> {
    if change.conflict == Some(Conflict::ChangedOnHost) {
        let name = printable::name(&change.path);
        writeln!(
            out,
            "# {name}: was changed on the host since the session began; `standin apply` leaves it unless --force is given"
        )?;
    }
    if !stat {
        return contents.write(out, change, raw);
    }
    match contents.lines(change)? {
        Some((more, less)) if is_text(change) => {
            writeln!(out, "{} {} +{more} -{less}", letter(change), printable::name(&change.path))
        }
        _ => writeln!(out, "{} {}", letter(change), in_words(change)),
    }
}

fn is_text(change: &Change) -> bool {
    [&change.before, &change.after].into_iter().flatten().all(|node| node.kind == Kind::File)
}

/// As git's `--name-status`.
fn letter(change: &Change) -> char {
    match (&change.before, &change.after) {
        (None, _) => 'A',
        (_, None) => 'D',
        (Some(before), Some(after)) if before.kind != after.kind => 'T',
        _ => 'M',
    }
}

#[derive(Serialize)]
struct Row<'a> {
    /// As text; what is none is replaced in it.
    path: String,
    /// Only where the path is no text: its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<&'a [u8]>,
    change: &'static str,
    before: Option<Side>,
    after: Option<Side>,
    attention: Option<&'static str>,
    conflict: bool,
}

#[derive(Serialize)]
struct Side {
    kind: &'static str,
    mode: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// For programs: an object a line.
pub(super) fn json(out: &mut impl Write, found: &Changes) -> io::Result<()> {
    for change in &found.changes {
        let row = Row {
            path: change.path.to_string_lossy().into_owned(),
            path_bytes: change.path.to_str().is_none().then_some(change.path.as_os_str().as_encoded_bytes()),
            change: match letter(change) {
                'A' => "added",
                'D' => "deleted",
                'T' => "replaced",
                _ => "modified",
            },
            before: change.before.as_ref().map(side),
            after: change.after.as_ref().map(side),
            attention: change.attention.map(Attention::as_str),
            conflict: change.conflict.is_some(),
        };
        writeln!(out, "{}", printable::json(&serde_json::to_string(&row)?))?;
    }
    for path in &found.unreadable {
        let row = serde_json::json!({ "path": path.to_string_lossy(), "change": "unreadable" });
        writeln!(out, "{}", printable::json(&row.to_string()))?;
    }
    Ok(())
}

fn side(node: &Node) -> Side {
    let (kind, target) = match &node.kind {
        Kind::File => ("file", None),
        Kind::Directory => ("directory", None),
        Kind::Link(target) => ("link", Some(String::from_utf8_lossy(target).into_owned())),
        Kind::Special => ("special", None),
    };
    Side { kind, mode: format!("{:o}", node.mode), size: node.size, target }
}
