//! From evidence to verdicts. Pure.

use crate::agent::{End, MARKER, Said};
use crate::catalogue;
use crate::forms;
use crate::scene::Scene;
use crate::stage::Report;
use crate::vector::{Condition, Evidence, SEEN, Trial, Vector};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What came of one arm.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Witnessed {
    /// What each attempt said of itself, without what it got.
    said: BTreeMap<u16, (End, String)>,
    /// For each attempt that worked: what shows it.
    evidence: BTreeMap<u16, String>,
}

/// What is known of a vector on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works without the sandbox, and not in it.
    Contained,
    /// It works in the sandbox.
    Open,
    /// It says nothing here: it does not work without a sandbox either, or is not tried.
    NotApplicable,
    /// It could not be tried.
    Untried,
}

/// A vector, its verdict, and why.
pub struct Judged {
    /// The vector.
    pub vector: &'static Vector,
    /// The verdict.
    pub verdict: Verdict,
    /// What shows it.
    pub why: String,
    /// The verdict on a copy of the workspace, if that makes a difference.
    pub copied: Option<Verdict>,
}

/// Longest piece of evidence that is told.
const LONGEST: usize = 100;

impl Witnessed {
    /// Looks for evidence of each attempt in what the rig saw and in what it finds on its host.
    pub(crate) fn gather(
        scene: &Scene,
        said: Vec<Said>,
        seen: &str,
        alive: bool,
        secret: &dyn Fn(u16) -> String,
    ) -> Self {
        let mut all = Self::default();
        for Said { number, end, text } in said {
            let evidence = match catalogue::numbered(number).and_then(Vector::evidence) {
                Some(evidence) => evidence,
                None if number == MARKER => SEEN,
                None => continue,
            };
            let mark = scene.mark(number);
            let found = match evidence {
                Evidence::Arrived(before) => around(seen, &format!("{before}{mark}")),
                Evidence::Got => tells(&text, &secret(number)).then(|| "told the secret".to_owned()),
                Evidence::Left(name) => left(&scene.host(name), &mark),
                Evidence::Alive(_) => alive.then(|| "a process still holds its lock".to_owned()),
                Evidence::Done => (end == End::Done).then(|| short(&text)),
            };
            if let Some(found) = found {
                all.evidence.insert(number, found);
            }
            // What was got stays here.
            let text =
                if evidence == Evidence::Got && end == End::Done { "something else".to_owned() } else { short(&text) };
            all.said.insert(number, (end, text));
        }
        all
    }

    fn worked(&self, number: u16) -> Option<&str> {
        self.evidence.get(&number).map(String::as_str)
    }

    /// Why it did not, and whether it was tried at all.
    fn end(&self, number: u16) -> (End, &str) {
        self.said.get(&number).map_or((End::Untried, "nothing was said of it"), |(end, text)| (*end, text.as_str()))
    }
}

/// Judges every vector of the catalogue.
pub fn judge(report: &Report) -> Vec<Judged> {
    let silent = [&report.bare, &report.boxed, &report.copied].iter().any(|arm| arm.worked(MARKER).is_none());
    catalogue::all()
        .map(|vector| {
            let (verdict, why) = match vector.trial {
                Trial::None(reason) => (Verdict::NotApplicable, reason.to_owned()),
                // Where even what is allowed does not arrive, silence shows nothing.
                _ if silent => (Verdict::Untried, "the rig does not see what is allowed".to_owned()),
                _ => weigh(report, &report.boxed, vector.number),
            };
            let copied = vector.differs_in_a_copy().then(|| weigh(report, &report.copied, vector.number).0);
            Judged { vector, verdict, why, copied }
        })
        .collect()
}

fn weigh(report: &Report, inside: &Witnessed, number: u16) -> (Verdict, String) {
    let (end, text) = inside.end(number);
    match (inside.worked(number), report.bare.worked(number)) {
        (Some(evidence), _) => (Verdict::Open, evidence.to_owned()),
        (None, _) if end == End::Untried => (Verdict::Untried, text.to_owned()),
        (None, Some(_)) => (Verdict::Contained, text.to_owned()),
        (None, None) => match report.bare.end(number) {
            (End::Untried, text) => (Verdict::Untried, format!("without the sandbox: {text}")),
            (_, text) => (Verdict::NotApplicable, format!("does not work without the sandbox either: {text}")),
        },
    }
}

impl Verdict {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contained => "contained",
            Self::Open => "open",
            Self::NotApplicable => "not applicable",
            Self::Untried => "not tried",
        }
    }
}

impl Judged {
    /// Why it is open, if we know that it is.
    pub fn known(&self) -> Option<&'static str> {
        // The attempts' session has none of the other conditions.
        self.vector.standing.open_when(|condition| condition == Condition::InPlace)
    }

    /// Whether it is as we say it is: what is open is known to be.
    pub fn as_known(&self) -> bool {
        let known = self.known().is_some();
        match self.verdict {
            Verdict::Open => known,
            Verdict::Contained => !known,
            Verdict::NotApplicable => true,
            Verdict::Untried => false,
        }
    }
}

/// The place of the mark, with a little around it.
fn around(seen: &str, mark: &str) -> Option<String> {
    let at = seen.find(mark)?;
    let line = seen[..at].rfind("\n[").map_or(0, |start| start + 1);
    let end = seen[at..].find(['\r', '\n']).map_or(seen.len(), |length| at + length);
    Some(short(seen.get(line..end)?))
}

/// Whether a text tells a secret, in whatever form.
fn tells(text: &str, secret: &str) -> bool {
    forms::of(secret).iter().any(|form| text.contains(form))
}

/// Whether a file of the host's (or a link, by what it says) holds the mark.
fn left(path: &Path, mark: &str) -> Option<String> {
    let link = std::fs::read_link(path).ok().map(|target| target.display().to_string());
    let text = std::fs::read_to_string(path).ok();
    let holds = [link, text].into_iter().flatten().any(|text| text.contains(mark));
    holds.then(|| format!("left in {}", path.file_name().map_or_else(String::new, |name| name.display().to_string())))
}

/// One line of it, for people.
fn short(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: u16 = 1;

    /// What one arm came to: whether the marker arrived, whether the attempt worked, and what it said.
    fn arm(marker: bool, worked: bool, end: End) -> Witnessed {
        let mut arm = Witnessed::default();
        arm.said.insert(NUMBER, (end, "it said so".to_owned()));
        arm.evidence.extend(marker.then(|| (MARKER, String::new())));
        arm.evidence.extend(worked.then(|| (NUMBER, "seen".to_owned())));
        arm
    }

    #[test]
    fn what_is_contained_worked_without_the_sandbox() {
        use End::{Done, Refused, Untried};
        for (bare, boxed, expected) in [
            ((true, true, Done), (true, false, Refused), Verdict::Contained),
            // What it says of itself counts for nothing.
            ((true, true, Refused), (true, false, Done), Verdict::Contained),
            ((true, true, Done), (true, true, Refused), Verdict::Open),
            ((true, false, Refused), (true, true, Done), Verdict::Open),
            ((true, false, Refused), (true, false, Refused), Verdict::NotApplicable),
            ((true, true, Done), (true, false, Untried), Verdict::Untried),
            ((true, false, Untried), (true, false, Refused), Verdict::Untried),
            // Nothing arrives at all: that would look like a wall.
            ((true, true, Done), (false, false, Refused), Verdict::Untried),
            ((false, false, Refused), (true, false, Refused), Verdict::Untried),
        ] {
            let witnessed = |(marker, worked, end)| arm(marker, worked, end);
            let copied = arm(true, false, Refused);
            let judged = judge(&Report { bare: witnessed(bare), boxed: witnessed(boxed), copied });
            assert_eq!(judged[0].verdict, expected, "{bare:?} {boxed:?}");
        }
        let [bare, boxed, copied] = [(); 3].map(|()| arm(true, true, Done));
        let silent = judge(&Report { bare, boxed, copied });
        assert_eq!(silent[1].verdict, Verdict::Untried, "an attempt that says nothing was not made");
    }

    #[test]
    fn evidence_is_the_mark_or_the_secret_and_nothing_else() {
        let scene = Scene {
            arm: crate::scene::Arm::Boxed,
            seed: "x".into(),
            place: "/nonexistent".into(),
            victim: 0,
            leaked: 0,
            numbers: vec![],
        };
        let said = |number: u16, text: &str| Said { number, end: End::Done, text: text.to_owned() };
        let secret = |number: u16| format!("secret{number}");
        let all = |said: Vec<Said>, seen: &str| {
            let found = Witnessed::gather(&scene, said, seen, false, &secret);
            found.evidence.keys().copied().collect::<Vec<_>>()
        };
        assert_eq!(all(vec![said(1, "HTTP/1.1 200 OK")], "\n[80] markb002x"), [0; 0]);
        assert_eq!(all(vec![said(1, "")], "\n[80] GET /markb001x"), [1]);
        // The mark alone, where it must stand behind something.
        assert_eq!(all(vec![said(27, "")], "\n[80] GET /redirect/markb027x"), [0; 0]);
        assert_eq!(all(vec![said(27, "")], "\n[80] GET /latest/markb027x"), [27]);
        assert_eq!(all(vec![said(69, "another secret")], ""), [0; 0]);
        assert_eq!(all(vec![said(69, "c2VjcmV0Njk=")], ""), [69]);
    }
}
