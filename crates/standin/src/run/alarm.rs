//! A stand-in was sent where it does not belong: its owner is told at once, and the command may end.

use super::terminal::Notifier;
use crate::exit;
use rustix::process::Signal;
use standin_config::Config;
use standin_model::{CredentialName, Leak, OnLeak};
use standin_proxy::AlarmParts;
use standin_sandbox::Process;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Hears of leaks.
pub(super) struct Alarm(UnboundedReceiver<Leak>);

/// What the configuration says about leaks, and where they are heard of.
pub(super) fn listen(config: &Config) -> (AlarmParts, Alarm) {
    let (told, leaks) = unbounded_channel();
    let reactions = config.credentials.iter();
    let reactions = reactions.filter_map(|it| Some((CredentialName::new(it.name.clone()), it.on_leak?)));
    (AlarmParts { each: reactions.collect(), others: config.on_leak, told }, Alarm(leaks))
}

/// How the owner is told: by a line; while the command has the whole terminal by a notification, and a line at its end.
#[derive(Clone)]
pub(super) struct Owner {
    terminal: Option<Arc<Notifier>>,
    later: Arc<Mutex<Vec<String>>>,
}

impl Owner {
    pub(super) fn at(terminal: Option<Notifier>) -> Self {
        Self { terminal: terminal.map(Arc::new), later: Arc::default() }
    }

    pub(super) fn tell(&self, line: String) {
        match &self.terminal {
            Some(terminal) => {
                terminal.notify(&line);
                self.later.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
            None => exit::say(&line),
        }
    }

    /// Once the terminal is the caller's again.
    pub(super) fn tell_the_rest(&self) {
        let lines = std::mem::take(&mut *self.later.lock().unwrap_or_else(PoisonError::into_inner));
        for line in lines {
            exit::say(&line);
        }
    }
}

impl Alarm {
    /// Tells of leaks, and ends the sandbox if that is what is to be done, until nobody sends any more.
    pub(super) async fn watch(mut self, sandbox: Process, owner: Owner) {
        while let Some(leak) = self.0.recv().await {
            owner.tell(sentence(&leak));
            if leak.reaction == OnLeak::Stop {
                sandbox.signal(Signal::KILL);
            }
        }
    }
}

fn sentence(Leak { credential, host, reaction }: &Leak) -> String {
    let done = match reaction {
        OnLeak::Refuse => "it was refused",
        OnLeak::Revoke => "it was refused, and is worth nothing in this session any more",
        OnLeak::Stop => "it was refused, and the session ends",
    };
    format!(
        "the stand-in for `{credential}` was sent to {host}, where it does not belong: {done}; see `standin log --denied`"
    )
}
