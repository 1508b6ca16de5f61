//! Made-up sessions.

use crate::rig::{API, OPEN, SECRET, STAND_IN, V};
use proptest::prelude::*;

/// Of a secret, as much as is none.
const SHORT: usize = 3 + 8;
/// More than fits into a frame.
const LONG: usize = 20_000;

/// What a session is to be.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Which version the origin speaks.
    pub(super) origin: V,
    /// The clients' connections, all at the same time.
    pub(super) lanes: Vec<Lane>,
    /// The policies that take the first one's place meanwhile, each by who begins to ask first: an exchange, by its number.
    pub(super) policies: Vec<(usize, Rules)>,
}

/// What a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// As at first.
    Usual,
    /// The credential is granted nowhere; what was its host is as open as the other.
    Ungranted,
    /// No request is allowed.
    Nothing,
}

impl Rules {
    /// Whether the credential is granted at this host.
    pub(super) fn grants(self, host: &str) -> bool {
        host == API && self != Self::Ungranted
    }

    /// Whether it says something else of this host.
    pub(super) fn differs_from(self, other: Self, host: &str) -> bool {
        let open = |rules| rules != Self::Nothing;
        if host == API { self != other } else { open(self) != open(other) }
    }
}

/// A connection. In HTTP/1.1 its exchanges follow each other, in HTTP/2 they all begin at once.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) version: V,
    pub(super) host: &'static str,
    pub(super) exchanges: Vec<Exchange>,
}

/// A request, its answer, and how it ends.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) number: usize,
    pub(super) shows: Shows,
    /// Whether its path is one that a rule denies.
    pub(super) closed: bool,
    pub(super) upload: Vec<String>,
    pub(super) download: Vec<String>,
    pub(super) end: End,
}

/// What the client holds out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shows {
    Nothing,
    StandIn,
    ForeignKey,
    /// In a field that is none for credentials.
    StandInElsewhere,
}

/// Who hangs up, after how many pieces.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Whole,
    OriginBreaks(usize),
    ClientLeaves(usize),
    UploadBreaks(usize),
}

impl Plan {
    /// All exchanges, and where they go.
    pub(super) fn exchanges(&self) -> impl Iterator<Item = (&Exchange, &'static str)> {
        self.lanes.iter().flat_map(|lane| lane.exchanges.iter().map(|exchange| (exchange, lane.host)))
    }
}

impl std::fmt::Debug for Exchange {
    /// In one line, for a failure is to be read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let brief = |pieces: &[String]| pieces.concat().replace(&"x".repeat(LONG), "…").replace(SECRET, "SECRET");
        let (up, down) = (brief(&self.upload), brief(&self.download));
        let cuts = |pieces: &[String]| pieces.iter().map(String::len).collect::<Vec<_>>();
        write!(f, "{} {:?} {:?} up {up:?} {:?}", self.target(), self.shows, self.end, cuts(&self.upload))?;
        write!(f, " down {down:?} {:?}", cuts(&self.download))
    }
}

impl Exchange {
    pub(super) fn target(&self) -> String {
        // Names are told apart by the query, since the rule means one path.
        if self.closed { format!("/closed?{}", self.number) } else { format!("/{}", self.number) }
    }

    /// What the client sends if nobody stops it.
    pub(super) fn upload_text(&self) -> String {
        self.upload.concat()
    }

    /// What the client sends if it is not refused.
    pub(super) fn sends_text(&self) -> String {
        let End::UploadBreaks(at) = self.end else { return self.upload_text() };
        self.upload.iter().take(at).map(String::as_str).collect()
    }

    /// What the origin sends if nobody stops it.
    pub(super) fn download_text(&self) -> String {
        self.download.concat()
    }
}

pub(super) fn session() -> impl Strategy<Value = Plan> {
    let version = || prop_oneof![Just(V::H1), Just(V::H2)];
    let lane = (version(), prop_oneof![3 => Just(API), 1 => Just(OPEN)], prop::collection::vec(exchange(), 1..5));
    let rules = prop_oneof![Just(Rules::Usual), Just(Rules::Ungranted), Just(Rules::Nothing)];
    let policies = prop::collection::vec((0..12usize, rules), 0..4);
    (version(), prop::collection::vec(lane, 1..4), policies).prop_map(|(origin, lanes, policies)| {
        let mut number = 0;
        let mut numbered = |mut exchange: Exchange| {
            exchange.number = number;
            number += 1;
            exchange
        };
        let lanes = lanes.into_iter().map(|(version, host, exchanges)| {
            let exchanges = exchanges.into_iter().map(&mut numbered).collect();
            Lane { version, host, exchanges }
        });
        Plan { origin, lanes: lanes.collect(), policies }
    })
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let shows = prop_oneof![
        3 => Just(Shows::Nothing),
        4 => Just(Shows::StandIn),
        1 => Just(Shows::ForeignKey),
        1 => Just(Shows::StandInElsewhere),
    ];
    let upload = pieces("[a-z]{0,40}", STAND_IN);
    let download = pieces("[a-z]{0,40}", SECRET);
    let end = prop_oneof![
        4 => Just(End::Whole),
        1 => (0..4usize).prop_map(End::OriginBreaks),
        1 => (0..4usize).prop_map(End::ClientLeaves),
        1 => (0..4usize).prop_map(End::UploadBreaks),
    ];
    (shows, prop::bool::weighted(0.1), upload, download, end)
        .prop_map(|(shows, closed, upload, download, end)| Exchange { number: 0, shows, closed, upload, download, end })
}

/// Text, words of it, and beginnings and ends of them, cut into pieces anywhere.
fn pieces(filler: &'static str, word: &'static str) -> impl Strategy<Value = Vec<String>> {
    let part = prop_oneof![
        2 => filler.prop_map(String::from),
        2 => Just(word.to_owned()),
        1 => (0..SHORT).prop_map(move |cut| word[..cut].to_owned()),
        1 => Just("x".repeat(LONG)),
    ];
    (prop::collection::vec(part, 0..4), prop::collection::vec(any::<prop::sample::Index>(), 0..4)).prop_map(
        |(parts, cuts)| {
            let text = parts.concat();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            cuts.windows(2).map(|pair| text[pair[0]..pair[1]].to_owned()).filter(|piece| !piece.is_empty()).collect()
        },
    )
}
