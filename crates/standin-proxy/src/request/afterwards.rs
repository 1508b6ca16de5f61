//! What an HTTP/1.1 connection turns into when its HTTP is over: a tunnel (`CONNECT`) or a WebSocket.
//!
//! It runs where the connection ran, not in a task of its own: so it keeps the connection's place among those that
//! are open at once, and ends with the session.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// What follows, if anything. HTTP ends once, so there is at most one.
#[derive(Clone, Default)]
pub(crate) struct Afterwards(Arc<Mutex<Option<What>>>);

type What = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Afterwards {
    /// This follows.
    pub(crate) fn set(&self, what: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(what));
    }

    /// Runs what follows, to its end.
    pub(crate) async fn run(&self) {
        let what = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(what) = what {
            what.await;
        }
    }
}
