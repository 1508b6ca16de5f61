//! The whole data plane against a model: made-up sessions of several clients and connections, with everybody hanging up
//! wherever it comes to his mind, and what must hold of every exchange all the same.
//!
//! [`plan`] makes up sessions, [`play`] lets them happen, with other policies in force meanwhile, and what is judged here are DESIGN's
//! invariants: an exchange has its one record and that tells what happened; one policy decides it, of those that were in force
//! when it was decided, and it ends early only if a later one says something else of its host; what is denied reaches no origin; the secret goes to the host that has the
//! grant, in the place of its stand-in, and nowhere else; nothing of it comes back; and all else arrives as it was sent.

mod plan;
mod play;

use crate::rig::{SECRET, STAND_IN, assert_scrubbed, holds_secret, within};
use plan::{End, Exchange, Plan, Rules, Shows};
use play::{Answer, AtOrigin, Played};
use proptest::prelude::*;
use standin_audit::RecordRow;
use std::panic::{AssertUnwindSafe, catch_unwind};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold(plan in plan::session()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(within(async {
            let (played, rows) = play::play(&plan).await;
            judge(&plan, &played, &rows);
        }));
    }
}

fn judge(plan: &Plan, played: &[Played], rows: &[RecordRow]) {
    let exchanges: Vec<_> = plan.exchanges().collect();
    assert_eq!(played.len(), exchanges.len());
    let changes = plan.policies.iter().filter(|(at, _)| *at < exchanges.len()).count();
    assert_eq!(rows.iter().filter(|row| row.kind == "reload").count(), changes);
    let rows: Vec<_> = rows.iter().filter(|row| row.kind != "reload" && row.ingress != "gate").collect();
    assert_eq!(rows.len(), exchanges.len(), "a record each: {rows:#?}");
    for (exchange, host) in exchanges {
        let target = exchange.target();
        let of_it: Vec<_> = rows.iter().filter(|row| row.target.as_deref() == Some(&target)).collect();
        let [row] = of_it[..] else { panic!("{target}: one record, not {of_it:#?}") };
        let played = played.iter().find(|played| played.number == exchange.number).expect("it was played");
        if row.reason.as_deref() == Some("policy.replaced") {
            ended_by_another(exchange, host, played);
            continue;
        }
        let [others @ .., last] = played.deciding.as_slice() else { panic!("some policy is in force") };
        // One of them explains all of it.
        let explains =
            |rules: &Rules| catch_unwind(AssertUnwindSafe(|| decided(exchange, (host, *rules), played, row)));
        if !others.iter().any(|rules| explains(rules).is_ok()) {
            decided(exchange, (host, *last), played, row);
        }
    }
}

/// Where an exchange went, and by which policy.
type At = (&'static str, Rules);

fn decided(exchange: &Exchange, at: At, played: &Played, row: &RecordRow) {
    match refusal(exchange, at) {
        Some(code) => refused(code, played, row),
        None if exchange.sends_text().contains(STAND_IN) => tripped(exchange, at, played, row),
        None => served(exchange, at, played, row),
    }
}

/// It was let pass by one policy, and another took its place that says something else.
fn ended_by_another(exchange: &Exchange, host: &'static str, played: &Played) {
    // What it holds out is looked at later, and may not have been.
    let passed = |rules: &&Rules| !exchange.closed && **rules != Rules::Nothing;
    let ended = |by: &Rules| played.since.iter().any(|other| by.differs_from(*other, host));
    let by: Vec<_> = played.deciding.iter().filter(passed).filter(|by| ended(by)).collect();
    assert!(!by.is_empty(), "{host}: {played:#?}");
    if let Some(seen) = &played.at_origin {
        let explains = |by: &Rules| {
            let came = || came_to_the_origin(exchange, (host, *by), seen);
            refusal(exchange, (host, *by)).is_none() && catch_unwind(AssertUnwindSafe(came)).is_ok()
        };
        assert!(by.into_iter().any(explains), "{played:#?}");
    }
    match &played.answer {
        Answer::Ours { reason } => assert_eq!(reason, "policy.replaced"),
        Answer::Whole { body } | Answer::Broken { body } => assert!(!holds_secret(body.as_bytes())),
        Answer::None => {}
    }
}

/// What the policy says of it, in the order in which it is asked.
fn refusal(exchange: &Exchange, (host, rules): At) -> Option<&'static str> {
    let granted = rules.grants(host);
    match exchange.shows {
        _ if exchange.closed || rules == Rules::Nothing => Some("http.request_not_allowed"),
        Shows::ForeignKey if granted => Some("credential.foreign"),
        Shows::StandIn if !granted => Some("credential.wrong_destination"),
        Shows::StandInElsewhere => Some(if granted { "credential.wrong_slot" } else { "credential.wrong_destination" }),
        _ => None,
    }
}

fn refused(code: &str, played: &Played, row: &RecordRow) {
    assert!(played.at_origin.is_none(), "{code}: the origin saw it");
    assert_eq!((row.reason.as_deref(), row.outcome.as_str()), (Some(code), "denied"));
    // A client that is in the middle of its upload may have gone, or not have read that far.
    match &played.answer {
        Answer::Ours { reason } => assert_eq!(reason, code),
        Answer::None => {}
        other => panic!("{code}: {other:?}"),
    }
}

/// A stand-in in its body: what came before it may have gone out.
fn tripped(exchange: &Exchange, at: At, played: &Played, row: &RecordRow) {
    let code = if at.1.grants(at.0) { "credential.wrong_slot" } else { "credential.wrong_destination" };
    if let Some(seen) = &played.at_origin {
        came_to_the_origin(exchange, at, seen);
        assert!(!seen.whole && !seen.body.contains(STAND_IN), "{:?}", seen.body);
    }
    match &played.answer {
        Answer::Ours { reason } => assert_eq!(reason, code),
        Answer::None => {}
        other => panic!("{code}: {other:?}"),
    }
    let told = (row.reason.as_deref(), row.outcome.as_str());
    // Who takes a request back may do so before it is read as far.
    let taken_back = matches!(exchange.end, End::UploadBreaks(_)) && told == (None, "downstream_closed");
    assert!(taken_back || told == (Some(code), "denied"), "{row:#?}");
}

fn served(exchange: &Exchange, at: At, played: &Played, row: &RecordRow) {
    assert_eq!(row.reason, None, "{row:#?}");
    let seen = played.at_origin.as_ref();
    if let Some(seen) = seen {
        came_to_the_origin(exchange, at, seen);
    }
    let sent = exchange.download_text();
    let got = match &played.answer {
        Answer::Whole { body } | Answer::Broken { body } => body.as_str(),
        Answer::Ours { .. } | Answer::None => "",
    };
    assert!(got.len() <= sent.len() && !holds_secret(got.as_bytes()));
    // As far as it came, and from there on as it would have gone on.
    assert_scrubbed(&format!("{got}{}", &sent.replace(SECRET, STAND_IN)[got.len()..]), &sent);
    let whole = matches!(played.answer, Answer::Whole { .. });
    match exchange.end {
        End::Whole => {
            assert!(whole, "{:?}", played.answer);
            assert_eq!(got.len(), sent.len());
            assert_eq!((row.outcome.as_str(), row.status), ("completed", Some(200)));
            assert_eq!(row.bytes_in, i64::try_from(sent.len()).unwrap());
            assert_eq!(row.bytes_out, i64::try_from(exchange.upload_text().len()).unwrap());
            assert!(seen.is_some_and(|seen| seen.whole));
        }
        End::OriginBreaks(_) => {
            assert!(!whole, "half an answer looks whole: {:?}", played.answer);
            // Before its head was out, it has not answered: who asked in a stream sees that reset, as the origin's was.
            let told = match &played.answer {
                Answer::Ours { reason } => reason == "upstream.failed",
                Answer::None => row.status.is_none(),
                Answer::Whole { .. } | Answer::Broken { .. } => false,
            };
            assert_eq!(row.outcome, if told { "upstream_failed" } else { "upstream_closed" });
        }
        End::ClientLeaves(_) => {
            // What was there already when it left may have been everything.
            assert!(matches!(row.outcome.as_str(), "downstream_closed" | "completed"), "{row:#?}");
        }
        End::UploadBreaks(_) => {
            assert!(!seen.is_some_and(|seen| seen.whole), "half a request looks whole");
            assert_eq!(row.outcome, "downstream_closed");
        }
    }
}

fn came_to_the_origin(exchange: &Exchange, (host, rules): At, seen: &AtOrigin) {
    let expected = match exchange.shows {
        Shows::Nothing => None,
        Shows::StandIn if rules.grants(host) => Some(format!("Bearer {SECRET}")),
        Shows::ForeignKey if !rules.grants(host) => Some("Bearer sk-Somebody-Elses-Key".to_owned()),
        _ => panic!("{:?} at {host} is refused", exchange.shows),
    };
    assert_eq!(seen.authorization, expected);
    let sent = exchange.upload_text();
    assert!(sent.starts_with(&seen.body), "{:?} is no beginning of {sent:?}", seen.body);
    assert!(!seen.whole || seen.body == sent);
}
