//! Each side against the library's other one, and against those who cheat.

use crate::client::{self, ServerError};
use crate::scram::{Challenge, Claim, ScramError};
use crate::server::{self, ClientError};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use standin_secret::Secret;
use standin_wire::postgres::startup::{First, Startup};
use standin_wire::postgres::{authentication, message};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

fn startup() -> Startup {
    match First::parse(b"\0\x03\0\0user\0app\0\0") {
        Ok(First::Startup(startup)) => startup,
        other => panic!("{other:?}"),
    }
}

/// What the library's client claims, with what it says changed on the way.
fn claim(password: &str, change: impl Fn(String) -> String) -> (ScramSha256, Result<Claim, ScramError>) {
    let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let challenge = Challenge::new(client.message(), None, false).unwrap();
    client.update(challenge.words().as_bytes()).unwrap();
    let words = String::from_utf8(client.message().to_vec()).unwrap();
    let claim = challenge.answered(change(words).as_bytes());
    (client, claim)
}

#[test]
fn a_password_proves_a_claim_and_no_other_does() {
    for password in ["stand-in", "x", &"long".repeat(100)] {
        let (mut client, claim) = claim(password, |words| words);
        let claim = claim.unwrap();
        for other in ["", "stand-im", "stand-in ", "long"] {
            assert!(claim.proven_by(other.as_bytes()).is_none(), "{other}");
        }
        let ours = claim.proven_by(password.as_bytes()).unwrap();
        // And the client sees that we know it, too.
        client.finish(ours.as_bytes()).unwrap();
    }
}

#[test]
fn an_answer_that_was_changed_proves_nothing() {
    for (from, to, expected) in [
        ("r=", "r=x", Err(ScramError::Nonce)),
        ("c=biws", "c=eSws", Err(ScramError::Binding)),
        (",p=", ",p=AA", Err(ScramError::Malformed)),
        (",p=", ",x=1,p=", Ok(())),
        ("c=", "d=", Err(ScramError::Malformed)),
        (",p=", ",q=", Err(ScramError::Malformed)),
    ] {
        let (_, claim) = claim("stand-in", |words| words.replacen(from, to, 1));
        let judged = claim.map(|claim| assert!(claim.proven_by(b"stand-in").is_none(), "{from} {to}"));
        assert_eq!(judged, expected, "{from} {to}");
    }
}

#[test]
fn first_words_are_read_strictly() {
    let digest = &b"digest"[..];
    for (words, offered, bound, expected) in [
        ("n,,n=,r=abc", None, false, Ok(())),
        ("n,,n=app,r=abc,x=1", Some(digest), false, Ok(())),
        ("y,,n=,r=abc", None, false, Ok(())),
        ("p=tls-server-end-point,,n=,r=abc", Some(digest), true, Ok(())),
        // It was offered, and somebody took the offer out.
        ("y,,n=,r=abc", Some(digest), false, Err(ScramError::Binding)),
        ("n,,n=,r=abc", Some(digest), true, Err(ScramError::Binding)),
        ("p=tls-server-end-point,,n=,r=abc", Some(digest), false, Err(ScramError::Binding)),
        ("p=tls-server-end-point,,n=,r=abc", None, true, Err(ScramError::Binding)),
        ("p=tls-unique,,n=,r=abc", Some(digest), true, Err(ScramError::Malformed)),
        ("n,a=boss,n=,r=abc", None, false, Err(ScramError::Authorization)),
        ("n,,m=x,n=,r=abc", None, false, Err(ScramError::Malformed)),
        ("n,,n=,r=", None, false, Err(ScramError::Malformed)),
        ("n,,n=,r=a\u{1}", None, false, Err(ScramError::Malformed)),
        ("n,,n=", None, false, Err(ScramError::Malformed)),
        ("", None, false, Err(ScramError::Malformed)),
    ] {
        let challenge = Challenge::new(words.as_bytes(), offered, bound).map(drop);
        assert_eq!(challenge, expected, "{words}");
    }
}

/// What comes of a server that says this and then reads on, towards one who asks in TLS or not.
async fn at_a_server(said: &[u8], in_tls: bool) -> Result<(), ServerError> {
    let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
    theirs.write_all(said).await.unwrap();
    theirs.shutdown().await.unwrap();
    client::start(&mut ours, &startup(), &Secret::new(b"real".to_vec()), in_tls).await.map(drop)
}

#[tokio::test]
async fn a_server_that_cheats_is_not_believed() {
    let scram = authentication(10, b"SCRAM-SHA-256\0\0");
    let yes = authentication(0, &[]);
    let after = |more: &[u8]| [&scram[..], more].concat();
    assert!(at_a_server(&yes, false).await.is_ok(), "one that asks for nothing gets nothing");
    assert!(matches!(at_a_server(&after(&yes), true).await, Err(ServerError::NoProof)));
    assert!(matches!(at_a_server(&after(&authentication(12, b"v=AAAA")), true).await, Err(ServerError::Io(_))));
    assert!(matches!(at_a_server(&after(&authentication(11, b"r=x,s=AAAA,i=1")), true).await, Err(ServerError::Io(_))));
    for (number, data) in [(3, &b""[..]), (5, b"salt")] {
        let asked = at_a_server(&authentication(number, data), false).await;
        assert!(matches!(asked, Err(ServerError::Unprotected(_))), "{number}");
        let asked = at_a_server(&[authentication(number, data), yes.clone()].concat(), true).await;
        assert!(asked.is_ok(), "{number}");
    }
    for number in [2, 7, 9] {
        assert!(matches!(at_a_server(&authentication(number, b""), true).await, Err(ServerError::Method)), "{number}");
    }
    assert!(matches!(at_a_server(&authentication(10, b"SCRAM-SHA-1\0\0"), true).await, Err(ServerError::Method)));
}

/// The library makes room for as much as a message says to have, before a byte of it has come: four GiB at once.
#[tokio::test]
async fn no_room_is_made_for_what_a_server_only_says_to_send() {
    for length in [65 * 1024_u32, 0x7f00_0000, u32::MAX] {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(&[&b"E"[..], &length.to_be_bytes()].concat()).await.unwrap();
        // It says no more and does not hang up: who waits for the rest waits for ever.
        let (startup, password) = (startup(), Secret::new(b"real".to_vec()));
        let started = client::start(&mut ours, &startup, &password, true);
        let started = tokio::time::timeout(Duration::from_secs(5), started).await.expect("it was refused at once");
        assert!(matches!(started, Err(ServerError::Io(_))), "{length}");
    }
}

/// Whoever was shown the password may say it in his refusal, and that goes on record.
#[tokio::test]
async fn a_server_that_repeats_the_password_is_not_quoted() {
    let cleartext = authentication(3, b"");
    for words in ["real", "the password \"real\" is weak", "real\u{fffd}"] {
        let refusal = message(b'E', format!("SFATAL\0Creal\0M{words}\0\0").as_bytes());
        let error = at_a_server(&[cleartext.clone(), refusal].concat(), true).await.unwrap_err();
        assert!(matches!(error, ServerError::Refused { .. }) && !error.to_string().contains("real"), "{error}");
    }
    let other = message(b'E', b"SFATAL\0C28P01\0Mno\0\0");
    let error = at_a_server(&[cleartext, other].concat(), true).await.unwrap_err();
    assert_eq!(error.to_string(), "the server says: no (28P01)");
}

#[tokio::test]
async fn a_refusal_is_understood_and_shows_no_password() {
    let refusal = message(b'E', b"SFATAL\0C28P01\0Mpassword authentication failed\0\0");
    let error = at_a_server(&refusal, true).await.unwrap_err();
    assert_eq!(error.to_string(), "the server says: password authentication failed (28P01)");
}

/// What the server of ours makes of a client that says this.
async fn a_client(said: &[u8]) -> (Result<First, ClientError>, Vec<u8>) {
    let (mut ours, mut theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(64 * 1024);
    theirs.write_all(said).await.unwrap();
    let first = server::first_words(&mut ours).await;
    drop(ours);
    let mut heard = Vec::new();
    theirs.read_to_end(&mut heard).await.unwrap();
    (first, heard)
}

#[tokio::test]
async fn a_client_may_ask_for_gssapi_once() {
    let gssapi = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x30];
    let tls = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];
    let (first, heard) = a_client(&[gssapi, tls].concat()).await;
    assert!(matches!(first, Ok(First::Tls)) && heard == b"N");
    let (first, _) = a_client(&[gssapi, gssapi].concat()).await;
    assert!(matches!(first, Err(ClientError::Answer)));
    let (first, _) = a_client(b"\0\0\0\x04").await;
    assert!(matches!(first, Err(ClientError::Startup(_))));
}

#[tokio::test]
async fn a_client_answers_what_it_was_asked() {
    for (said, mechanism) in [
        (message(b'Q', b"SELECT 1\0"), false),
        (message(b'p', b"secret\0"), true),
        (message(b'p', b"PLAIN\0\0\0\0\x01x"), true),
        (message(b'p', b"SCRAM-SHA-256-PLUS\0\0\0\0\x01x"), true),
        (message(b'p', b"SCRAM-SHA-256\0\0\0\0\x09n,,"), false),
        (b"p\x7f\0\0\0".to_vec(), false),
    ] {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(&said).await.unwrap();
        let error = server::claim(&mut ours, None).await.err().expect("it is no claim");
        let expected =
            if mechanism { "it chose a mechanism that was not offered" } else { "it did not answer what it was asked" };
        assert_eq!(error.to_string(), expected, "{said:?}");
    }
}
