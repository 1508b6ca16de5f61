//! Where real credentials live, and the stand-ins that are shown instead of them.
//!
//! * [`source`]: where they live: variables, files, programs;
//! * [`supply`]: how they come from there, on first use and before they expire;
//! * [`shapes`]: what is remembered of them for stand-ins of the same shape;
//! * [`keychain`]: the desktop's keychain;
//! * [`rotation`]: a new value in the place of an old one, by the service's own way;
//! * [`safe`]: an encrypted file of Standin's own;
//! * [`key`]: the host's key from which stand-ins are derived;
//! * [`mint`]: a value with the shape of a credential and none of its content;
//! * [`login`]: tokens that a client keeps in a file and exchanges;
//! * [`read_bounded`]: reads what holds secrets;
//! * [`SessionVault`]: the table of one session.
//!
//! It knows no HTTP and no policy.

mod bounded;
pub mod key;
pub mod keychain;
pub mod login;
pub mod mint;
pub mod rotation;
pub mod safe;
pub mod shapes;
pub mod source;
pub mod supply;

pub use bounded::read_bounded;

use standin_model::CredentialName;
use standin_secret::{Secret, StandIn};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use supply::{Supplied, Supply};

/// Most values of one credential that are remembered when they have been replaced. Tokens that old have expired.
const MAX_FORMER: usize = 8;

/// Bytes of a password that nobody thought of, and that is in no list.
const MIN_UNGUESSABLE: usize = 16;

/// One credential of a session.
#[derive(Clone)]
pub struct Credential {
    /// What it is called.
    pub name: CredentialName,
    /// What the agent holds.
    pub stand_in: StandIn,
    /// What goes out instead; empty as long as it was not fetched.
    pub secret: Arc<Secret>,
    /// Where it is fetched from on use; nothing if it is there for good.
    pub supplied: Option<Supplied>,
}

impl Credential {
    /// One that is there for good.
    pub fn held(name: CredentialName, stand_in: StandIn, secret: Arc<Secret>) -> Self {
        Self { name, stand_in, secret, supplied: None }
    }
}

/// Which stand-in stands for which secret in one session, as of one moment.
pub struct SessionVault {
    credentials: Vec<Credential>,
    /// What a credential was before: its stand-in means the credential as it is now, and its secret is still one.
    former: Vec<Credential>,
    signing: Vec<SigningKey>,
    /// Passwords that no request of HTTP carries.
    elsewhere: BTreeSet<CredentialName>,
    /// In order: comparing with a few of them takes less than hashing what a client sent.
    by_stand_in: BTreeMap<String, CredentialIndex>,
}

/// Credentials that go together: requests are signed with them.
#[derive(Clone)]
pub struct SigningKey {
    /// The secret, by whose name the key is granted.
    pub secret: CredentialName,
    /// What the key is called in a signature.
    pub id: CredentialName,
    /// The token that goes with a temporary key.
    pub token: Option<CredentialName>,
}

/// A credential of a [`SessionVault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialIndex(usize);

impl SessionVault {
    /// The vault of a session that holds these credentials.
    pub fn new(credentials: Vec<Credential>) -> Self {
        Self::of(credentials, Vec::new(), Vec::new(), BTreeSet::new())
    }

    /// The same, with what goes together in it.
    #[must_use]
    pub fn signing_with(mut self, keys: Vec<SigningKey>) -> Self {
        self.signing = keys;
        self
    }

    /// The same; these are passwords that no request of HTTP carries.
    #[must_use]
    pub fn elsewhere(mut self, names: BTreeSet<CredentialName>) -> Self {
        self.elsewhere = names;
        self
    }

    /// The key whose name in signatures is this stand-in.
    pub fn signing_key(&self, id: &str) -> Option<&SigningKey> {
        let name = self.name(self.by_stand_in(id)?);
        self.signing.iter().find(|key| key.id == *name)
    }

    /// The same with these credentials, new ones or in the place of those that are called so.
    #[must_use]
    pub fn with(&self, new: Vec<Credential>) -> Self {
        let (mut credentials, mut former) = (self.credentials.clone(), self.former.clone());
        for credential in new {
            let is_it = |old: &Credential| old.stand_in == credential.stand_in;
            former.retain(|old| !(is_it(old) && old.secret.expose() == credential.secret.expose()));
            match credentials.iter_mut().find(|known| known.name == credential.name) {
                Some(known) if is_it(known) && has_nothing_to_keep(known, &credential) => *known = credential,
                Some(known) => former.push(std::mem::replace(known, credential)),
                None => credentials.push(credential),
            }
        }
        for credential in &credentials {
            let of_it = former.iter().filter(|old| old.name == credential.name).count();
            let mut too_many = of_it.saturating_sub(MAX_FORMER);
            former.retain(|old| {
                let goes = old.name == credential.name && too_many > 0;
                too_many -= usize::from(goes);
                !goes
            });
        }
        Self::of(credentials, former, self.signing.clone(), self.elsewhere.clone())
    }

    fn of(
        credentials: Vec<Credential>,
        former: Vec<Credential>,
        signing: Vec<SigningKey>,
        elsewhere: BTreeSet<CredentialName>,
    ) -> Self {
        let index = |name: &CredentialName| credentials.iter().position(|credential| credential.name == *name);
        let known = |credential: &Credential| {
            index(&credential.name).map(|at| (credential.stand_in.as_str().to_owned(), CredentialIndex(at)))
        };
        let by_stand_in = former.iter().chain(&credentials).filter_map(known).collect();
        Self { credentials, former, signing, elsewhere, by_stand_in }
    }

    /// The credential that `text` stands in for, if the whole of it is a stand-in.
    pub fn by_stand_in(&self, text: &str) -> Option<CredentialIndex> {
        self.by_stand_in.get(text).copied()
    }

    /// The same, and the stand-in itself.
    pub fn as_stand_in(&self, text: &str) -> Option<(CredentialIndex, &str)> {
        self.by_stand_in.get_key_value(text).map(|(stand_in, index)| (*index, stand_in.as_str()))
    }

    /// The credential.
    pub fn get(&self, index: CredentialIndex) -> &Credential {
        &self.credentials[index.0]
    }

    /// Those that come from this supply.
    pub fn supplied_by<'a>(&'a self, supply: &'a Arc<Supply>) -> impl Iterator<Item = &'a Credential> {
        self.credentials.iter().filter(move |credential| credential.comes_from(supply))
    }

    /// The credential that is called so.
    pub fn by_name(&self, name: &CredentialName) -> Option<CredentialIndex> {
        self.credentials.iter().position(|credential| credential.name == *name).map(CredentialIndex)
    }

    /// What it is called.
    pub fn name(&self, index: CredentialIndex) -> &CredentialName {
        &self.credentials[index.0].name
    }

    /// What the agent holds.
    pub fn stand_in(&self, index: CredentialIndex) -> &StandIn {
        &self.credentials[index.0].stand_in
    }

    /// What goes out instead; empty as long as it was not fetched.
    pub fn secret(&self, index: CredentialIndex) -> &Secret {
        &self.credentials[index.0].secret
    }

    /// Every secret and what is shown instead: first of the credentials as they are, then as they were.
    pub fn pairs(&self) -> impl Iterator<Item = (&Secret, &StandIn)> {
        self.credentials.iter().chain(&self.former).map(|credential| (&*credential.secret, &credential.stand_in))
    }
}

impl SessionVault {
    /// The pairs of which the first is to be looked for in what comes back. A password that people can think of is among lists of passwords,
    /// and in such a list the one that is replaced is the one: so it is not looked for where no server was shown it.
    pub fn sought(&self) -> impl Iterator<Item = (&Secret, &StandIn)> {
        let is_sought = |credential: &&Credential| {
            !(self.elsewhere.contains(&credential.name) && credential.secret.len() < MIN_UNGUESSABLE)
        };
        let all = self.credentials.iter().chain(&self.former).filter(is_sought);
        all.map(|credential| (&*credential.secret, &credential.stand_in))
    }
}

/// Whether nothing is lost with the old value: there was none, or it is the new one.
fn has_nothing_to_keep(old: &Credential, new: &Credential) -> bool {
    old.secret.is_empty() || old.secret.expose() == new.secret.expose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(name: &str, value: &str) -> Credential {
        let secret = Arc::new(Secret::new(value.as_bytes().to_vec()));
        Credential::held(CredentialName::new(name), StandIn::new(format!("fake-{value}")), secret)
    }

    /// What every stand-in means, in the order of [`SessionVault::pairs`].
    fn meanings(vault: &SessionVault) -> String {
        let meaning = |(_, stand_in): (&Secret, &StandIn)| {
            let index = vault.by_stand_in(stand_in.as_str()).unwrap();
            let secret = std::str::from_utf8(vault.secret(index).expose()).unwrap();
            format!("{}={secret}", stand_in.as_str())
        };
        vault.pairs().map(meaning).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_stand_in_means_its_credential_as_it_is_now() {
        let vault = SessionVault::new(vec![credential("a", "a1"), credential("b", "b1")]);
        assert_eq!(meanings(&vault), "fake-a1=a1 fake-b1=b1");
        let vault = vault.with(vec![credential("a", "a2"), credential("c", "c1")]);
        assert_eq!(meanings(&vault), "fake-a2=a2 fake-b1=b1 fake-c1=c1 fake-a1=a2");
        let vault = vault.with(vec![credential("a", "a1")]);
        assert_eq!(meanings(&vault), "fake-a1=a1 fake-b1=b1 fake-c1=c1 fake-a2=a1");
    }

    #[test]
    fn a_password_that_can_be_guessed_is_not_looked_for_where_it_never_goes() {
        let (short, long) = ("hunter2", "0123456789abcdef");
        let all = || vec![credential("a", short), credential("b", short), credential("c", long)];
        let elsewhere = BTreeSet::from(["b", "c"].map(CredentialName::new));
        let vault = SessionVault::new(all()).elsewhere(elsewhere);
        let sought =
            |vault: &SessionVault| vault.sought().map(|(secret, _)| secret.expose().to_vec()).collect::<Vec<_>>();
        assert_eq!(sought(&vault), [short.as_bytes(), long.as_bytes()]);
        // Its stand-in is one all the same, and a new value is judged like the old one.
        assert_eq!(vault.pairs().count(), 3);
        let vault = vault.with(vec![credential("c", "tea"), credential("a", "milk")]);
        assert_eq!(sought(&vault), ["milk".as_bytes(), long.as_bytes(), short.as_bytes()]);
    }

    #[test]
    fn what_was_is_forgotten_in_time() {
        let mut vault =
            SessionVault::new(vec![credential("a", "0"), credential("b", "x")]).with(vec![credential("b", "y")]);
        for number in 1..=MAX_FORMER + 3 {
            vault = vault.with(vec![credential("a", &number.to_string())]);
        }
        assert_eq!(vault.pairs().count(), 2 + 1 + MAX_FORMER);
        assert!(vault.by_stand_in("fake-2").is_none() && vault.by_stand_in("fake-3").is_some());
        assert!(vault.by_stand_in("fake-x").is_some());
    }
}
