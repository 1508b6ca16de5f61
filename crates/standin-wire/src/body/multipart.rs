//! Fields of `multipart/form-data` (RFC 7578): in one reading only, or not at all.
//!
//! Servers read it as leniently as they read everything: line feeds alone, text before the first delimiter and behind the
//! last one, folded fields, names told twice. What none of the usual clients writes is therefore refused.

use super::{BodyError, Place, Value, is_read, is_variable};
use percent_encoding::percent_decode_str;
use std::ops::Range;

/// Longest head of a part, in bytes: three fields, one of them with a file's name.
const MAX_HEAD: usize = 4096;
/// Most parts. PHP reads a thousand fields.
const MAX_PARTS: usize = 1000;
/// Longest boundary (RFC 2046 §5.1.1).
const MAX_BOUNDARY: usize = 70;

/// What stands between the parts of one body, with its two hyphens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiter(Vec<u8>);

impl Delimiter {
    /// Of a body with these parameters behind its type. Some servers take the first `boundary` that stands anywhere, so
    /// there is none but the known ones.
    pub(super) fn of(parameters: &str) -> Result<Self, BodyError> {
        let mut found = None;
        for (name, value) in parameters_of(parameters)? {
            match name.as_str() {
                "boundary" if found.is_none() => found = Some(value),
                "charset" if is_read(&value.to_ascii_lowercase()) => {}
                "charset" => return Err(BodyError::Charset),
                _ => return Err(BodyError::Multipart),
            }
        }
        let boundary = found.ok_or(BodyError::Multipart)?;
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
        if !boundary.bytes().all(usual) || !(1..=MAX_BOUNDARY).contains(&boundary.len()) {
            return Err(BodyError::Multipart);
        }
        Ok(Self(format!("--{boundary}").into_bytes()))
    }

    /// Whether a text would be taken for the end of its part, where a line begins. Elsewhere it ends none, and whoever chose the
    /// boundary would learn from a refusal what the text holds.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        text.split(|byte| matches!(byte, b'\r' | b'\n')).any(|line| line.starts_with(&self.0))
    }
}

/// What stands in the field of this name; nothing if there is none.
pub(super) fn field(body: &[u8], delimiter: &Delimiter, name: &str) -> Result<Option<Place>, BodyError> {
    let (mut found, mut meant) = (None, 0);
    for part in parts(body, delimiter)? {
        let part = Part::read(body, part)?;
        if part.name == "_charset_" {
            return Err(BodyError::Charset); // it says in which charset the others are
        }
        if spellings(&part.name).iter().any(|spelling| is_variable(spelling, name)) {
            meant += 1;
            found = (part.name == name).then_some(part);
        }
    }
    match found {
        None if meant == 0 => Ok(None),
        Some(part) if meant == 1 => part.place(body).map(Some),
        _ => Err(BodyError::Doubled),
    }
}

/// What the one file of this name is called; nothing if there are several, or it is called so in several ways.
pub(super) fn file(body: &[u8], delimiter: &Delimiter, name: &str) -> Option<String> {
    let mut found = None;
    for part in parts(body, delimiter).ok()? {
        let part = Part::read(body, part).ok()?;
        if spellings(&part.name).iter().any(|spelling| is_variable(spelling, name)) {
            let Some(File::Called(file)) = part.file.filter(|_| part.name == name) else { return None };
            if found.replace(file).is_some() {
                return None;
            }
        }
    }
    found
}

/// Where the parts lie, their heads included. Every delimiter stands at the beginning of a line, and nothing is before the
/// first and behind the last.
fn parts(body: &[u8], Delimiter(delimiter): &Delimiter) -> Result<Vec<Range<usize>>, BodyError> {
    let mut parts = Vec::new();
    let mut rest = body.strip_prefix(delimiter.as_slice()).ok_or(BodyError::Multipart)?;
    loop {
        if matches!(rest, b"--" | b"--\r\n") {
            return Ok(parts);
        }
        rest = rest.strip_prefix(b"\r\n").ok_or(BodyError::Multipart)?;
        let at = memchr::memmem::find(rest, delimiter).ok_or(BodyError::Multipart)?;
        let part = rest[..at].strip_suffix(b"\r\n").ok_or(BodyError::Multipart)?;
        let start = body.len() - rest.len();
        parts.push(start..start + part.len());
        if parts.len() > MAX_PARTS {
            return Err(BodyError::Multipart);
        }
        rest = &rest[at + delimiter.len()..];
    }
}

/// What a file is called.
enum File {
    /// So.
    Called(String),
    /// In several ways, or in an extended one (RFC 8187).
    Otherwise,
}

/// One part, as far as it matters.
struct Part {
    name: String,
    content: Range<usize>,
    /// If it is a file, what that is called.
    file: Option<File>,
    /// Whether it is of a type that is no text.
    other: bool,
    /// How long it says it is.
    length: Option<String>,
}

impl Part {
    fn read(body: &[u8], range: Range<usize>) -> Result<Self, BodyError> {
        let part = &body[range.clone()];
        let head =
            memchr::memmem::find(part, b"\r\n\r\n").filter(|end| *end <= MAX_HEAD).ok_or(BodyError::Multipart)?;
        let content = range.start + head + 4..range.end;
        let head = std::str::from_utf8(&part[..head]).map_err(|_| BodyError::Charset)?;
        let (mut disposition, mut content_type, mut length) = (None, None, None);
        for line in head.split("\r\n") {
            let (name, value) = line.split_once(':').ok_or(BodyError::Multipart)?;
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                || value.contains(['\r', '\n', '\0'])
            {
                return Err(BodyError::Multipart); // folded, or ended by a line feed alone
            }
            let value = value.trim();
            let once = |field: &mut Option<String>| match field.replace(value.to_owned()) {
                None => Ok(()),
                Some(_) => Err(BodyError::Doubled),
            };
            match name.to_ascii_lowercase().as_str() {
                "content-disposition" => once(&mut disposition)?,
                "content-type" => once(&mut content_type)?,
                "content-length" => once(&mut length)?,
                "content-transfer-encoding" if !["7bit", "8bit", "binary"].contains(&value) => {
                    return Err(BodyError::Multipart);
                }
                _ => {}
            }
        }
        let (name, file) = named(&disposition.ok_or(BodyError::Multipart)?)?;
        let plain = content_type.is_none_or(|kind| is_plain(&kind));
        Ok(Self { name, content, file, other: !plain, length })
    }

    fn place(self, body: &[u8]) -> Result<Place, BodyError> {
        let text = &body[self.content.clone()];
        if self.length.as_ref().is_some_and(|length| *length != text.len().to_string()) {
            return Err(BodyError::Multipart);
        }
        let value = match std::str::from_utf8(text) {
            _ if self.other || self.file.is_some() => Value::Other,
            Ok("") => Value::Nothing,
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Other,
        };
        Ok(Place { range: self.content, value, keeps_length: self.length.is_some() })
    }
}

/// A part's name, and what its file is called, if it is one.
fn named(disposition: &str) -> Result<(String, Option<File>), BodyError> {
    let (kind, parameters) = disposition.split_once(';').ok_or(BodyError::Multipart)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(BodyError::Multipart);
    }
    let (mut name, mut file) = (None, None);
    for (parameter, value) in parameters_of(parameters)? {
        match parameter.as_str() {
            "name" if name.is_none() => name = Some(value),
            "name" => return Err(BodyError::Doubled),
            "filename" if file.is_none() => file = Some(File::Called(value)),
            _ if parameter.starts_with("filename") => file = Some(File::Otherwise),
            // Not to be used (RFC 7578 §4.2), and understood by some.
            _ if parameter.starts_with("name") => return Err(BodyError::Multipart),
            _ => {}
        }
    }
    Ok((name.ok_or(BodyError::Multipart)?, file))
}

/// Text in UTF-8, as all of it is, or in what is a part of that.
fn is_plain(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    let mut parts = kind.split(';').map(str::trim);
    let charsets = ["charset=utf-8", "charset=\"utf-8\"", "charset=us-ascii"];
    parts.next() == Some("text/plain") && parts.all(|parameter| charsets.contains(&parameter))
}

/// Parameters, as they are written: names in lower case, values without their quotes and with their escapes.
fn parameters_of(text: &str) -> Result<Vec<(String, String)>, BodyError> {
    let mut parameters = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=').ok_or(BodyError::Multipart)?;
        let (value, after) = if let Some(quoted) = value.strip_prefix('"') {
            // A quote within is `%22` to browsers and `\"` to others; a backslash before the last one is read either way.
            let end = quoted.find('"').ok_or(BodyError::Multipart)?;
            if quoted[..end].ends_with('\\') {
                return Err(BodyError::Multipart);
            }
            (&quoted[..end], quoted[end + 1..].trim_start())
        } else {
            // A quote in it is the beginning of a quoted text to PHP, and so is one of the other kind; a comma ends it.
            let end = value.find(';').unwrap_or(value.len());
            let bare = value[..end].trim_end();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&*+-.^_`{|}~".contains(&byte);
            let is_extended = name.ends_with('*'); // RFC 8187, of a file
            if bare.is_empty() || !bare.bytes().all(|byte| is_plain(byte) || (is_extended && byte == b'\'')) {
                return Err(BodyError::Multipart);
            }
            (bare, &value[end..])
        };
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-*_".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(BodyError::Multipart);
        }
        parameters.push((name.to_ascii_lowercase(), value.to_owned()));
        rest = match after.strip_prefix(';') {
            Some(more) if !more.trim().is_empty() => more.trim(),
            None if after.is_empty() => "",
            _ => return Err(BodyError::Multipart),
        };
    }
    Ok(parameters)
}

/// A name as those read it who take `%` for an escape, a backslash, or neither.
fn spellings(name: &str) -> [String; 3] {
    let decoded = percent_decode_str(name).decode_utf8_lossy().into_owned();
    [name.to_owned(), decoded, name.replace('\\', "")]
}
