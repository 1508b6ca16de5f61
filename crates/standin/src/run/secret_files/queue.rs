//! Work that makes more work, by as many threads as help.

use std::sync::{Condvar, Mutex, PoisonError};

/// How much is done before other threads help: in most workspaces that is quicker than starting them.
const ALONE: usize = 256;
/// How much a thread takes at once.
const AT_ONCE: usize = 16;
/// Most threads.
const MAX_THREADS: usize = 4;

/// Calls `look` for each item; what it adds to its list is looked at next. Gives all that it found, in any order.
pub(super) fn each<P: Send, R: Send>(start: Vec<P>, look: &(impl Fn(P, &mut Vec<P>, &mut Vec<R>) + Sync)) -> Vec<R> {
    let (mut pending, mut found) = (start, Vec::new());
    for _ in 0..ALONE {
        let Some(next) = pending.pop() else { return found };
        look(next, &mut pending, &mut found);
    }
    let queue = Queue { state: Mutex::new(State { pending, busy: 0, found }), more: Condvar::new() };
    std::thread::scope(|scope| {
        for _ in 1..threads() {
            scope.spawn(|| queue.work(look));
        }
        queue.work(look);
    });
    queue.state.into_inner().unwrap_or_else(PoisonError::into_inner).found
}

/// How many threads share work, the one that asks among them.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().min(MAX_THREADS))
}

/// What threads share.
struct Queue<P, R> {
    state: Mutex<State<P, R>>,
    more: Condvar,
}

struct State<P, R> {
    pending: Vec<P>,
    /// Threads that may add more.
    busy: usize,
    found: Vec<R>,
}

impl<P, R> Queue<P, R> {
    /// Takes items until there are none and nobody adds any.
    fn work(&self, look: &impl Fn(P, &mut Vec<P>, &mut Vec<R>)) {
        let lock = || self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = lock();
        loop {
            if state.pending.is_empty() {
                if state.busy == 0 {
                    self.more.notify_all();
                    return;
                }
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let from = state.pending.len().saturating_sub(AT_ONCE);
            let taken = state.pending.split_off(from);
            state.busy += 1;
            drop(state);
            let (mut more, mut found) = (Vec::new(), Vec::new());
            for next in taken {
                look(next, &mut more, &mut found);
            }
            state = lock();
            state.pending.append(&mut more);
            state.found.append(&mut found);
            state.busy -= 1;
            self.more.notify_all();
        }
    }
}
