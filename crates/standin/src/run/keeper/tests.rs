//! What happens when others change the host's file: before a turn, during it, or for good.

use super::*;
use standin_policy::catalogue::Catalogue;
use standin_vault::key::StandInKey;
use std::path::Path;

const HOUR: u64 = 3_600_000;

/// Claude Code's file with the tokens of this number, which expire then.
fn file(number: u32, expires: u64) -> String {
    format!(
        r#"{{"claudeAiOauth":{{"accessToken":"sk-ant-oat01-real-{number}","refreshToken":"sk-ant-ort01-real-{number}","expiresAt":{expires},"scopes":["a"]}}}}"#
    )
}

fn answer(number: u32) -> String {
    format!(
        r#"{{"access_token":"sk-ant-oat01-real-{number}","refresh_token":"sk-ant-ort01-real-{number}","expires_in":3600}}"#
    )
}

fn in_an_hour() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap() + HOUR
}

/// A session that began with the tokens number 0.
fn keeper(directory: &Path) -> Keeper {
    let spec = Catalogue::builtin().service("anthropic").unwrap().login.as_ref().unwrap();
    let store = |name: &str| Store { file: directory.join(name), lock: directory.join("lock"), clients_lock: None };
    std::fs::write(directory.join("client.json"), file(0, in_an_hour())).unwrap();
    let held = form::tokens(&spec.form, file(0, in_an_hour()).as_bytes()).unwrap();
    let (clients, own) = (store("client.json"), store("own.json"));
    let found = Found { spec, clients, own, made_inside: false, held, files: vec![] };
    let minter = Minter::new(Arc::new(StandInKey::ephemeral().unwrap()), "/w".into());
    Keeper::new(minter, vec![found])
}

impl Keeper {
    fn stand_in(&self, kind: TokenKind, token: &str) -> String {
        let spec = locked(&self.logins[0]).spec;
        self.minter.stand_in(spec, kind, &Secret::new(token.into())).as_str().to_owned()
    }

    /// The agent asks for new tokens with the stand-in for this number.
    fn refresh(&self, number: u32) -> Result<Begun, KeeperError> {
        let stand_in = self.stand_in(TokenKind::Refresh, &format!("sk-ant-ort01-real-{number}"));
        self.turn("anthropic", Asked::Refresh(stand_in))
    }

    /// Whether this is what the agent is told of the tokens of this number.
    fn is_told(&self, told: &[u8], number: u32) -> bool {
        let told = std::str::from_utf8(told).unwrap();
        assert!(!told.contains("real"), "{told}");
        told.contains(&self.stand_in(TokenKind::Access, &format!("sk-ant-oat01-real-{number}")))
    }
}

fn names(lent: &[Credential]) -> Vec<&str> {
    lent.iter().map(|credential| credential.name.as_str()).collect()
}

#[test]
fn tokens_are_exchanged_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let keeper = keeper(directory.path());
    let begun = keeper.refresh(0).unwrap();
    let Next::Ask(turn) = begun.next else { panic!("nobody else has exchanged them") };
    assert!(begun.lent.is_empty());
    let kept = turn.keep(answer(1).as_bytes()).unwrap();
    assert!(keeper.is_told(&kept.told, 1));
    assert_eq!(names(&kept.lent), ["anthropic:login", "anthropic:refresh"]);
    let file = std::fs::read_to_string(directory.path().join("client.json")).unwrap();
    assert!(file.contains("oat01-real-1") && file.contains("ort01-real-1"), "{file}");
    assert!(!directory.path().join("own.json").exists());
}

#[test]
fn what_the_host_has_exchanged_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let keeper = keeper(directory.path());
    std::fs::write(directory.path().join("client.json"), file(1, in_an_hour())).unwrap();
    let begun = keeper.refresh(0).unwrap();
    let Next::Tell { told, .. } = begun.next else { panic!("the host's are newer") };
    assert!(keeper.is_told(&told, 1));
    assert_eq!(names(&begun.lent), ["anthropic:login", "anthropic:refresh"]);
}

/// The host's are newer, and have expired as well: those are the ones to show.
#[test]
fn what_has_expired_on_the_host_is_exchanged() {
    let directory = tempfile::tempdir().unwrap();
    let keeper = keeper(directory.path());
    std::fs::write(directory.path().join("client.json"), file(1, 1000)).unwrap();
    let begun = keeper.refresh(0).unwrap();
    assert_eq!(names(&begun.lent), ["anthropic:login", "anthropic:refresh"]);
    let Next::Ask(turn) = begun.next else { panic!("they have expired") };
    assert!(keeper.is_told(&turn.keep(answer(2).as_bytes()).unwrap().told, 2));
}

/// Somebody logs in on the host while the endpoint is asked. That login is not written over.
#[test]
fn a_login_on_the_host_goes_before() {
    let directory = tempfile::tempdir().unwrap();
    let keeper = keeper(directory.path());
    let Next::Ask(turn) = keeper.refresh(0).unwrap().next else { panic!("nobody else has exchanged them") };
    let theirs = file(7, in_an_hour());
    std::fs::write(directory.path().join("client.json"), &theirs).unwrap();
    let kept = turn.keep(answer(1).as_bytes()).unwrap();
    assert!(keeper.is_told(&kept.told, 7));
    assert_eq!(std::fs::read_to_string(directory.path().join("client.json")).unwrap(), theirs);
}

#[test]
fn a_login_that_is_gone_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let keeper = keeper(directory.path());
    std::fs::remove_file(directory.path().join("client.json")).unwrap();
    let Err(error) = keeper.refresh(0) else { panic!("there is nothing to exchange") };
    assert!(error.0.contains("has to log in again"), "{error}");
    std::fs::write(directory.path().join("client.json"), "{}").unwrap();
    assert!(keeper.refresh(0).is_err());
    std::fs::write(directory.path().join("client.json"), "not JSON").unwrap();
    assert!(keeper.refresh(0).is_err());
}

/// A turn is over when what came of it is lent, and not before.
#[test]
fn nobody_has_a_turn_until_it_is_lent() {
    let directory = tempfile::tempdir().unwrap();
    let keeper = keeper(directory.path());
    let Next::Ask(turn) = keeper.refresh(0).unwrap().next else { panic!("nobody else has exchanged them") };
    let kept = turn.keep(answer(1).as_bytes()).unwrap();
    std::thread::scope(|scope| {
        let next = scope.spawn(|| keeper.refresh(0).map(|begun| begun.next));
        let lock = std::fs::File::open(directory.path().join("lock")).unwrap();
        let held = rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive);
        assert_eq!(held, Err(rustix::io::Errno::WOULDBLOCK));
        drop(kept);
        let Ok(Next::Tell { told, .. }) = next.join().unwrap() else { panic!("it is behind") };
        assert!(keeper.is_told(&told, 1));
    });
}
