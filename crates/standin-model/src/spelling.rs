//! Other ways to write a path that some server takes for the same.
//!
//! A rule that allows is read to the letter: what it does not mean, it does not allow. A rule that denies must mean what
//! the origin will understand, and origins differ: Python's gateways decode `%2F`, Java's cut `;parameters`, Grape (GitLab)
//! drops a last slash and reads `.json`, Express and IIS know no case.

use percent_encoding::percent_decode_str;

/// Endings that name the form of the answer and not another resource.
const FORMATS: &[&str] = &[".json", ".xml", ".csv", ".html"];

/// A path in normal form, and what careless readers make of it.
pub struct Spellings<'a> {
    written: &'a str,
    /// In lower case, decoded to the end; `%2F` within its segment, and as a separator. Each without its format and with it, for it may be
    /// another resource.
    careless: Vec<String>,
}

impl<'a> Spellings<'a> {
    /// Of this path, in normal form.
    pub fn of(path: &'a str) -> Self {
        let read = |escapes_separate: bool| {
            let segments: Vec<String> = path.split('/').map(|segment| decoded(segment, escapes_separate)).collect();
            simplified(&segments.join("/"))
        };
        let (kept, separated) = (read(false), read(true));
        let mut careless = Vec::new();
        for reading in [formless(&kept), formless(&separated), kept, separated] {
            if !careless.contains(&reading) {
                careless.push(reading);
            }
        }
        Self { written: path, careless }
    }

    /// As it was written.
    pub fn written(&self) -> &'a str {
        self.written
    }

    /// As careless readers read it: for patterns that know no case.
    pub fn careless(&self) -> impl Iterator<Item = &str> {
        self.careless.iter().map(String::as_str)
    }
}

/// Decodes until nothing changes: each round shortens the text.
fn decoded(segment: &str, escapes_separate: bool) -> String {
    let mut text = segment.to_ascii_lowercase();
    while text.contains('%') {
        let kept = if escapes_separate { text.clone() } else { text.replace("%2f", "\0") };
        let next = percent_decode_str(&kept).decode_utf8_lossy().to_ascii_lowercase().replace('\0', "%2f");
        if next == text {
            break;
        }
        text = next;
    }
    // A slash at the end is none to many, whatever the others are.
    while !escapes_separate && text.ends_with("%2f") {
        text.truncate(text.len() - "%2f".len());
    }
    text
}

/// Without parameters, empty and dot segments and last slash.
fn simplified(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

fn formless(path: &str) -> String {
    FORMATS.iter().find_map(|format| path.strip_suffix(format)).unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn careless_readings() {
        for (path, kept, separated) in [
            ("/gists", "/gists", "/gists"),
            ("/Gists/", "/gists", "/gists"),
            ("/gists;a=b", "/gists", "/gists"),
            ("/gists%3Ba", "/gists", "/gists"),
            ("/gists.json", "/gists", "/gists"),
            ("/a%2Fb.CSV/", "/a%2fb", "/a/b"),
            ("/gists.html", "/gists", "/gists"),
            ("/%2567ists", "/gists", "/gists"),
            ("/a%2Fb/hooks/", "/a%2fb/hooks", "/a/b/hooks"),
            ("/a%2Fb/hooks%2F%252f", "/a%2fb/hooks", "/a/b/hooks"),
            ("/a;x/b", "/a/b", "/a/b"),
            ("/100%", "/100%", "/100%"),
            ("/", "/", "/"),
        ] {
            let spellings = Spellings::of(path);
            for reading in [kept, separated] {
                assert!(spellings.careless().any(|it| it == reading), "{path}: not {reading}");
            }
            assert_eq!(spellings.written(), path);
        }
    }

    /// A rule about a page is not passed by in another case.
    #[test]
    fn a_format_may_be_a_part_of_the_name() {
        let spellings = Spellings::of("/Admin.HTML/");
        assert_eq!(spellings.careless().collect::<Vec<_>>(), ["/admin", "/admin.html"]);
    }
}
