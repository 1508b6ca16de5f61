//! While the sandbox runs: the proxy, DNS, the terminal, signals.

use super::alarm::{Alarm, Owner};
use super::disks::Disks;
use super::files;
use super::publish::Published;
use super::reload::Reloading;
use super::terminal::Bridge;
use crate::exit::{self, Failure};
use standin_proxy::{Doors, Session, Workers};
use standin_sandbox::{DnsSocket, Process, Sandbox, Sockets};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::{TcpListener, UdpSocket, UnixDatagram};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Most threads that serve connections. The clients are one person's, and one thread serves some 20,000 requests a second.
const MAX_WORKERS: usize = 4;
/// Largest DNS query (RFC 6891 §6.2.5); ours fit in far less.
const MAX_QUERY: usize = 4096;

/// What is there before the sandbox is.
pub(super) struct Serving {
    workers: Workers,
    signals: Signals,
}

impl Serving {
    /// Starts the threads and takes the signals over: from here on they are the command's, so that its end is ours,
    /// and the caller's terminal is given back.
    pub(super) fn prepare() -> Result<Self, Failure> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = Workers::start(processors.min(MAX_WORKERS))
            .map_err(|error| Failure::because("cannot start the proxy", &error))?;
        let signals = {
            let _guard = workers.first().enter();
            Signals::listen().map_err(|error| Failure::because("cannot listen to signals", &error))?
        };
        Ok(Self { workers, signals })
    }
}

/// Serves the sandbox until its command has ended; gives the exit code.
pub(super) fn until_end(
    Serving { workers, signals }: Serving,
    session: &Arc<Session>,
    mut sandbox: Sandbox,
    Sockets { tcp, dns, local, door }: Sockets,
    (published, alarm, disks, reloading): (Published, Alarm, &Arc<Disks>, Reloading),
    open_bridge: impl FnOnce(OwnedFd) -> std::io::Result<Bridge>,
) -> Result<i32, Failure> {
    let cannot_serve = |error: std::io::Error| Failure::because("cannot serve the sandbox", &error);
    let runtime = workers.first().clone();
    let (doors, readiness, published) = {
        let _guard = runtime.enter();
        let readiness = dns.readiness().and_then(UdpSocket::from_std).map_err(cannot_serve)?;
        let local =
            local.into_iter().map(TcpListener::from_std).collect::<Result<Vec<_>, _>>().map_err(cannot_serve)?;
        let doors = Doors::from(TcpListener::from_std(tcp).map_err(cannot_serve)?).and_to_host(local);
        (doors, readiness, published.serve(door).map_err(cannot_serve)?)
    };
    let (no_more, told_all) = oneshot::channel::<()>();
    let recording = sandbox.reports.take().map(|reports| {
        let _guard = runtime.enter();
        let readiness = reports.readiness().and_then(UnixDatagram::from_std)?;
        Ok(runtime.spawn(files::record(reports, readiness, session.audit.clone(), told_all)))
    });
    let recording = recording.transpose().map_err(cannot_serve)?;
    let (end, ended) = oneshot::channel::<()>();
    let proxy = runtime.spawn(standin_proxy::serve(Arc::clone(session), doors, workers.handles(), async {
        ended.await.ok(); // a dropped sender is an end too
    }));
    let answering = runtime.spawn(answer_queries(Arc::clone(session), dns, readiness));
    let mut bridge = sandbox.terminal.take().map(open_bridge).transpose().map_err(cannot_serve)?;
    let resize = bridge.as_ref().map(Bridge::resizer).transpose().map_err(cannot_serve)?;
    let process = sandbox.process();
    let forwarding = runtime.spawn(signals.forward(process.clone(), resize));
    let owner = Owner::at(bridge.as_mut().and_then(Bridge::notifier));
    let disks = Arc::clone(disks);
    let watching = [
        runtime.spawn(alarm.watch(process.clone(), owner.clone())),
        runtime.spawn(async move { disks.watch(&process).await }),
        runtime.spawn(reloading.serve(Arc::clone(session), owner.clone())),
    ];
    let code = sandbox.wait().map_err(|error| Failure::because("lost the sandbox", &error))?;
    if let Some(bridge) = bridge {
        bridge.close();
    }
    forwarding.abort();
    watching.iter().for_each(tokio::task::JoinHandle::abort);
    owner.tell_the_rest();
    answering.abort();
    end.send(()).ok(); // if the proxy has ended already, its result says so
    let drained = runtime.block_on(async {
        if let Some(recording) = recording {
            no_more.send(()).ok(); // if it has ended already, there is no more
            recording.await.ok();
        }
        published.end(session).await;
        proxy.await
    });
    // What is still open ends here, and its records are written.
    workers.stop();
    // Only now: the broker, which holds the pipes, too, has had its time to end.
    let written = sandbox.written();
    drained.map_err(|error| Failure::because("the proxy failed", &error))?;
    Ok(match written {
        Ok(()) => code,
        Err(error) => {
            exit::say(&format!("not all that the command wrote is in its output: {error}"));
            if code == exit::SUCCESS { exit::FAILED } else { code }
        }
    })
}

async fn answer_queries(session: Arc<Session>, dns: DnsSocket, readiness: UdpSocket) {
    let mut buffer = [0; MAX_QUERY];
    loop {
        let received = readiness.async_io(Interest::READABLE, || dns.receive(&mut buffer)).await;
        let answered = received.and_then(|(length, asked)| match session.names.answer(&buffer[..length]) {
            Some(answer) => dns.answer(&answer, &asked),
            None => Ok(()),
        });
        if let Err(error) = answered {
            tracing::debug!(%error, "a DNS query was not answered");
        }
    }
}

/// What is asked of us is asked of the command; a changed window is changed inside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    quit: Signal,
    window: Signal,
}

impl Signals {
    /// Takes the signals over.
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            window: signal(SignalKind::window_change())?,
        })
    }

    /// Passes them on until the sandbox has ended.
    async fn forward(mut self, process: Process, resize: Option<impl Fn()>) {
        let resize = || resize.iter().for_each(|resize| resize());
        // The window may have changed while the sandbox was made.
        resize();
        loop {
            let kind = tokio::select! {
                _ = self.terminate.recv() => SignalKind::terminate(),
                _ = self.interrupt.recv() => SignalKind::interrupt(),
                _ = self.hang_up.recv() => SignalKind::hangup(),
                _ = self.quit.recv() => SignalKind::quit(),
                _ = self.window.recv() => {
                    resize();
                    continue;
                }
            };
            let Some(signal) = rustix::process::Signal::from_named_raw(kind.as_raw_value()) else { continue };
            if !process.signal(signal) {
                return; // it has ended
            }
        }
    }
}
