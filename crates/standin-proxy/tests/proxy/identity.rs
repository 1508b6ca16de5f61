//! Client certificates: shown for the requests that a grant lends them to, and for no others.

use crate::rig::{API, Asker, BOTH, OPEN, Setup, V, World, collect, get, within};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use standin_net::Identity;

/// A root, a certificate that it signed, and its key.
fn certificate() -> (CertificateDer<'static>, CertificateDer<'static>, PrivateKeyDer<'static>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let root = params.self_signed(&root_key).unwrap().der().clone();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(params, root_key);
    let leaf = CertificateParams::new(vec!["me.test".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    (root, leaf.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

/// One request, over a connection of its own; gives what was shown to the origin.
async fn shown(
    world: &World,
    asker: &mut Asker,
    path: &str,
    root: &CertificateDer<'static>,
) -> Option<CertificateDer<'static>> {
    let answered = asker.ask(get(path));
    let (mut origin, shown) = world.origin.accept_identified(root).await;
    origin.head().await;
    origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(collect(answered.await.unwrap().unwrap().into_body()).await.unwrap().0, "ok");
    origin.shut().await;
    origin.until_gone().await;
    shown
}

#[tokio::test]
async fn a_certificate_is_shown_where_it_is_granted() {
    within(async {
        let (root, leaf, key) = certificate();
        let identity = Identity::new(vec![leaf.clone()], key).unwrap();
        let world = World::with(Setup { identity: Some(identity), ..Setup::default() }).await;
        for (host, path, expected) in [
            (API, "/x", true),
            (OPEN, "/x", false),
            (BOTH, "/granted", true),
            (BOTH, "/other", false),
            (BOTH, "/granted", true),
        ] {
            let mut asker = world.asker(host, V::H1).await;
            let shown = shown(&world, &mut asker, path, &root).await;
            assert_eq!(shown.as_ref(), expected.then_some(&leaf), "{host}{path}");
        }
        let rows = world.end().await;
        let used: Vec<_> = rows.iter().map(|row| row.credentials.len()).collect();
        assert_eq!(used, [1, 0, 1, 0, 1]);
    })
    .await;
}

/// A connection that is open for one is not used for the other.
#[tokio::test]
async fn an_identified_connection_is_not_shared() {
    within(async {
        let (root, leaf, key) = certificate();
        let identity = Identity::new(vec![leaf.clone()], key).unwrap();
        let world = World::with(Setup { identity: Some(identity), ..Setup::default() }).await;
        let mut asker = world.asker(BOTH, V::H1).await;
        let mut open = Vec::new();
        for (path, expected) in [("/granted", Some(&leaf)), ("/other", None)] {
            let answered = asker.ask(get(path));
            let (mut origin, shown) = world.origin.accept_identified(&root).await;
            assert_eq!(shown.as_ref(), expected);
            origin.head().await;
            origin.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            collect(answered.await.unwrap().unwrap().into_body()).await.unwrap();
            open.push(origin);
        }
        drop(asker);
        world.finish(&["h1 GET /granted 200 completed in 2", "h1 GET /other 200 completed in 2"]).await;
    })
    .await;
}

#[test]
fn a_key_that_is_another_ones_is_refused() {
    let ((_, leaf, _), (.., key)) = (certificate(), certificate());
    assert!(Identity::new(vec![leaf], key).is_err());
}
