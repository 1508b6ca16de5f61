//! The threads that serve connections: each with a runtime of its own, and a connection stays where it was put.
//!
//! An exchange wakes its tasks a dozen times, and a wake-up across threads costs more than all of Standin's own work
//! on it. So both legs of a connection live on one thread, and the pool of upstream connections is a thread's own.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

/// Shorter than every deadline that is set for each request. A timer that is due before all others wakes the runtime
/// through the kernel, even from its own thread; beside this one none is.
const PULSE: Duration = Duration::from_secs(5);

/// Threads that run tasks until they are stopped.
pub struct Workers(Vec<Worker>);

struct Worker {
    handle: Handle,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Workers {
    /// Starts so many threads, at least one.
    pub fn start(count: usize) -> io::Result<Self> {
        (0..count.max(1)).map(|_| Worker::start()).collect::<io::Result<_>>().map(Self)
    }

    /// The first: where what there is only one of runs.
    pub fn first(&self) -> &Handle {
        &self.0[0].handle
    }

    /// All of them.
    pub fn handles(&self) -> Vec<Handle> {
        self.0.iter().map(|worker| worker.handle.clone()).collect()
    }

    /// Ends all tasks and waits until the last of them is dropped.
    pub fn stop(self) {
        let threads: Vec<_> = self
            .0
            .into_iter()
            .map(|worker| {
                worker.end.send(()).ok(); // a thread that has ended needs no word
                worker.thread
            })
            .collect();
        for thread in threads {
            thread.join().ok(); // a panic there showed itself
        }
    }
}

impl Worker {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            runtime.block_on(until(ended));
            // Look-ups that hang in the system's resolver are not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, end, thread })
    }
}

/// Waits for the end; a dropped sender is an end too.
async fn until(mut ended: oneshot::Receiver<()>) {
    let mut pulse = interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut ended => return,
            _ = pulse.tick() => {}
        }
    }
}
