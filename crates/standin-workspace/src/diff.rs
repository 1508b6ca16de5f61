//! Changes for people: a unified difference as `git apply` reads it, and counts.
//!
//! What is no text, or too long, is named and not shown. A text in which something had to be escaped is shown for reading
//! only, with a bar before every line, so that no tool takes the escapes for the text.

use crate::changes::{Change, Kind, Node};
use crate::store::Session;
use crate::{printable, tree};
use imara_diff::{Algorithm, Diff, InternedInput};
use rustix::io::Errno;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Longest file whose lines are compared, in bytes. People do not read more, and programs do not need this form.
pub const MAX_TEXT: u64 = 4 * 1024 * 1024;
/// Unchanged lines around changed ones.
const CONTEXT: u32 = 3;
/// git's: a zero in so many bytes means that it is no text.
const LOOKED_AT: usize = 8000;

/// The two trees that contents are read from.
pub struct Contents {
    upper: OwnedFd,
    host: OwnedFd,
}

/// How many lines came and went; nothing for what is not compared by lines.
pub type Lines = Option<(u32, u32)>;

impl Contents {
    /// Opens a session's.
    pub fn open(session: &Session) -> io::Result<Self> {
        Ok(Self { upper: tree::root(&session.upper())?, host: tree::root(session.workspace())? })
    }

    /// Counts the lines of a change.
    pub fn lines(&self, change: &Change) -> io::Result<Lines> {
        let Some((before, after)) = self.texts(change)? else { return Ok(None) };
        let input = InternedInput::new(before.as_slice(), after.as_slice());
        let diff = Diff::compute(Algorithm::Histogram, &input);
        Ok(Some((diff.count_additions(), diff.count_removals())))
    }

    /// Writes one change. With `raw` nothing is escaped but names.
    pub fn write(&self, out: &mut impl Write, change: &Change, raw: bool) -> io::Result<()> {
        let name = printable::name(&change.path);
        let has =
            |wanted: &Kind| [&change.before, &change.after].into_iter().flatten().any(|node| node.kind == *wanted);
        if has(&Kind::Directory) || has(&Kind::Special) {
            return writeln!(out, "# {}", in_words(change));
        }
        if let (Some(before), Some(after)) = (&change.before, &change.after)
            && before.kind != after.kind
        {
            // Something of another kind: git wants to be told twice.
            self.write(out, &Change { after: None, ..change.clone() }, raw)?;
            return self.write(out, &Change { before: None, ..change.clone() }, raw);
        }
        let Some((before, after)) = self.texts(change)? else {
            return writeln!(out, "# {}; no text, or too long", in_words(change));
        };
        let mut text = Vec::new();
        let mut escaped = false;
        hunks(&mut text, &before, &after, |line| match printable::line(line) {
            (shown, true) if !raw => {
                escaped = true;
                shown.into_bytes()
            }
            _ => line.to_vec(),
        })?;
        if text.is_empty() && change.before.as_ref().map(git_mode) == change.after.as_ref().map(git_mode) {
            return writeln!(out, "# {}", in_words(change)); // of modes git knows one bit, of attributes nothing
        }
        let mut head = Vec::new();
        header(&mut head, change, !text.is_empty())?;
        if !escaped {
            out.write_all(&head)?;
            return out.write_all(&text);
        }
        writeln!(out, "# {name}: holds control characters, which are escaped here; for reading only")?;
        for line in [head, text].concat().split_inclusive(|byte| *byte == b'\n') {
            out.write_all(b"| ")?;
            out.write_all(line)?;
        }
        Ok(())
    }

    /// Both sides, where they can be compared line by line.
    fn texts(&self, change: &Change) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let before = text(self.host.as_fd(), &change.path, change.before.as_ref())?;
        let after = text(self.upper.as_fd(), &change.path, change.after.as_ref())?;
        Ok(before.zip(after))
    }
}

/// A change in one line of words.
pub fn in_words(change: &Change) -> String {
    let name = printable::name(&change.path);
    let what = |node: &Node| match &node.kind {
        Kind::File => format!("file, {} bytes", node.size),
        Kind::Directory => "directory".to_owned(),
        Kind::Link(target) => format!("link to {}", printable::line(target).0),
        Kind::Special => "pipe, socket or device".to_owned(),
    };
    match (&change.before, &change.after) {
        (None, Some(after)) => format!("{name}: new {}", what(after)),
        (Some(before), None) => format!("{name}: deleted {}", what(before)),
        (Some(before), Some(after)) if before.kind == after.kind && before.mode != after.mode => {
            format!("{name}: {}, mode {:o} to {:o}", what(after), before.mode, after.mode)
        }
        (Some(before), Some(after)) => format!("{name}: {} to {}", what(before), what(after)),
        (None, None) => name,
    }
}

/// What a difference compares; nothing if it is no text.
fn text(root: BorrowedFd<'_>, path: &Path, node: Option<&Node>) -> io::Result<Option<Vec<u8>>> {
    let Some(node) = node else { return Ok(Some(Vec::new())) };
    match &node.kind {
        Kind::Link(target) => Ok(Some(target.clone())),
        Kind::File if node.size <= MAX_TEXT => {
            let file = match tree::file(root, path) {
                Err(Errno::ACCESS | Errno::NOENT) => return Ok(None),
                other => other?,
            };
            let mut bytes = Vec::new();
            // It may have grown since.
            io::Read::read_to_end(&mut io::Read::take(std::fs::File::from(file), MAX_TEXT), &mut bytes)?;
            let zero = bytes.iter().take(LOOKED_AT).any(|byte| *byte == 0);
            Ok((!zero).then_some(bytes))
        }
        _ => Ok(None),
    }
}

fn git_mode(node: &Node) -> &'static str {
    match node.kind {
        Kind::Link(_) => "120000",
        _ if node.mode & 0o100 != 0 => "100755",
        _ => "100644",
    }
}

/// git's header.
fn header(out: &mut impl Write, change: &Change, has_hunks: bool) -> io::Result<()> {
    let (a, b) = (printable::quoted("a/", &change.path), printable::quoted("b/", &change.path));
    writeln!(out, "diff --git {a} {b}")?;
    match (&change.before, &change.after) {
        (None, Some(after)) => writeln!(out, "new file mode {}", git_mode(after))?,
        (Some(before), None) => writeln!(out, "deleted file mode {}", git_mode(before))?,
        (Some(before), Some(after)) if git_mode(before) != git_mode(after) => {
            writeln!(out, "old mode {}\nnew mode {}", git_mode(before), git_mode(after))?;
        }
        _ => {}
    }
    if has_hunks {
        // After a name with a space a tab ends it, as git writes it.
        let end = |name: &str| if name.contains(' ') && !name.starts_with('"') { "\t" } else { "" };
        let none = "/dev/null".to_owned();
        let from = if change.before.is_some() { &a } else { &none };
        let to = if change.after.is_some() { &b } else { &none };
        writeln!(out, "--- {from}{}\n+++ {to}{}", end(from), end(to))?;
    }
    Ok(())
}

/// The hunks of a unified difference; each line goes through `show`, without its end.
fn hunks(out: &mut impl Write, before: &[u8], after: &[u8], mut show: impl FnMut(&[u8]) -> Vec<u8>) -> io::Result<()> {
    let input = InternedInput::new(before, after);
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let mut put = |out: &mut dyn Write, sign: u8, token: imara_diff::Token| -> io::Result<()> {
        let line = input.interner[token];
        let (line, end) = line.strip_suffix(b"\n").map_or((line, false), |line| (line, true));
        // The end of a line may be CR LF, which is no control of a terminal's there.
        let (line, cr) = line.strip_suffix(b"\r").filter(|_| end).map_or((line, false), |line| (line, true));
        out.write_all(&[sign])?;
        out.write_all(&show(line))?;
        out.write_all(if cr { b"\r\n" } else { b"\n" })?;
        if end { Ok(()) } else { out.write_all(b"\\ No newline at end of file\n") }
    };
    let mut group: Vec<(Range<u32>, Range<u32>)> = Vec::new();
    let mut groups = Vec::new();
    for hunk in diff.hunks() {
        if group.last().is_some_and(|(before, _)| hunk.before.start - before.end > 2 * CONTEXT) {
            groups.push(std::mem::take(&mut group));
        }
        group.push((hunk.before, hunk.after));
    }
    groups.extend((!group.is_empty()).then_some(group));
    let (old, new) = (&input.before, &input.after);
    for group in groups {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let above = first.0.start.min(CONTEXT);
        let below = (length(old) - last.0.end).min(CONTEXT);
        let a = first.0.start - above..last.0.end + below;
        let b = first.1.start - above..last.1.end + below;
        writeln!(out, "@@ -{} +{} @@", position(&a), position(&b))?;
        let mut at = a.start;
        for (before, after) in &group {
            for token in &old[index(at)..index(before.start)] {
                put(out, b' ', *token)?;
            }
            for token in &old[index(before.start)..index(before.end)] {
                put(out, b'-', *token)?;
            }
            for token in &new[index(after.start)..index(after.end)] {
                put(out, b'+', *token)?;
            }
            at = before.end;
        }
        for token in &old[index(at)..index(a.end)] {
            put(out, b' ', *token)?;
        }
    }
    Ok(())
}

/// Where a hunk is: lines count from one, and an empty range names the line before it.
fn position(range: &Range<u32>) -> String {
    let length = range.end - range.start;
    let start = if length == 0 { range.start } else { range.start + 1 };
    format!("{start},{length}")
}

fn index(line: u32) -> usize {
    line as usize
}

fn length(tokens: &[imara_diff::Token]) -> u32 {
    u32::try_from(tokens.len()).expect("a text has at most MAX_TEXT lines")
}
