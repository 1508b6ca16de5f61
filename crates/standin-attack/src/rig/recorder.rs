//! What the rig saw, and when it has seen everything.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// All bytes that reached the rig, with where each piece came in.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    seen: Vec<u8>,
    open: usize,
    endings: usize,
}

/// Something that is being served; the end of the last one can be waited for.
pub(crate) struct Serving(Recorder);

/// What ends the wait: it is sent to every server after everything else, and arrives after everything else.
pub(crate) const ENDING: &[u8] = b"the rig is done\n";

impl Recorder {
    /// Something came.
    pub(crate) fn saw(&self, place: &str, bytes: &[u8]) {
        let mut state = self.state();
        if bytes.starts_with(ENDING) {
            state.endings += 1;
        } else {
            state.seen.extend_from_slice(format!("\n[{place}] ").as_bytes());
            state.seen.extend_from_slice(bytes);
        }
        self.0.1.notify_all();
    }

    /// Something is served from here on.
    pub(crate) fn begin(&self) -> Serving {
        self.state().open += 1;
        Serving(self.clone())
    }

    /// Waits until this many servers had their ending and nothing is served any more; gives what was seen, and forgets
    /// it.
    pub(crate) fn all(&self, servers: usize) -> Vec<u8> {
        let state = self.state();
        let waiting = |state: &mut State| state.endings < servers || state.open > 0;
        let mut state = self.0.1.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner);
        state.endings = 0;
        std::mem::take(&mut state.seen)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.state().open -= 1;
        self.0.0.1.notify_all();
    }
}
