//! A connection to an origin in HTTP/2 whose settings are listened to as they come in: at once, also where they change while
//! nothing is asked for.

use standin_wire::http2::{Allowed, Listener};
use tokio::io::AsyncRead;
use tokio::sync::watch;
use tokio_util::io::InspectReader;

/// What the other side allows, as it says so.
type Told = watch::Receiver<Option<Allowed>>;

/// The connection, and what the other side allows, once it is known.
pub(crate) fn overheard<S: AsyncRead>(inner: S) -> (InspectReader<S, impl FnMut(&[u8])>, Told) {
    let (told, heard) = watch::channel(None);
    let mut listener = Listener::default();
    let hear = move |bytes: &[u8]| {
        let before = listener.allowed();
        listener.hear(bytes);
        let now = listener.allowed();
        if now != before {
            told.send_replace(now);
        }
    };
    (InspectReader::new(inner, hear), heard)
}
