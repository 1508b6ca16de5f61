//! A run on a copy of the workspace: where its changes go, and what is said of them at its end.

use super::inputs::Inputs;
use crate::exit::Failure;
use standin_model::SessionId;
use standin_sandbox::Layer;
use standin_workspace::store::Lock;
use standin_workspace::{Attention, Session, Store, changes};

/// The copy of a running session. Dropped without an end, nothing was run, or the run failed: then it is forgotten if it
/// holds nothing.
pub(super) struct Copy {
    session: Option<Session>,
    running: Option<Lock>,
}

impl Copy {
    /// Makes room for changes, if they are not to go into the workspace.
    pub(super) fn begin(inputs: &Inputs, id: &SessionId) -> Result<Option<Self>, Failure> {
        if !inputs.copy {
            return Ok(None);
        }
        let (session, running) = Store::within(&inputs.state)
            .begin(id.as_str(), &inputs.workspace)
            .map_err(|error| Failure::because("cannot keep changes apart from the workspace", &error))?;
        Ok(Some(Self { session: Some(session), running: Some(running) }))
    }

    /// For the sandbox.
    pub(super) fn layer(&self) -> Option<Layer> {
        self.session.as_ref().map(|session| Layer { upper: session.upper(), work: session.work() })
    }

    /// What changed, in one line.
    pub(super) fn end(mut self) -> Result<String, Failure> {
        drop(self.running.take());
        let Some(session) = self.session.take() else { return Ok(String::new()) };
        session.end().map_err(|error| Failure::because("cannot note the end of the copy", &error))?;
        let found = changes(&session).map_err(|error| Failure::because("cannot tell what was changed", &error))?;
        if found.is_empty() {
            session.discard().map_err(|error| Failure::because("cannot remove an empty copy", &error))?;
            return Ok("nothing was changed in the workspace's copy".to_owned());
        }
        let is_look = |attention: &Attention| !matches!(attention, Attention::Special);
        let looks = found.changes.iter().filter(|change| change.attention.as_ref().is_some_and(is_look)).count();
        let look = if looks == 0 { String::new() } else { format!(" ({looks} want a look: the host may run them)") };
        let count = found.changes.len() + found.unreadable.len();
        Ok(format!(
            "{count} changes in the workspace's copy{look}; `standin diff` shows, `standin apply` takes, `standin discard` forgets them"
        ))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        drop(self.running.take());
        let Some(session) = self.session.take() else { return };
        if changes(&session).is_ok_and(|found| found.is_empty())
            && let Err(error) = session.discard()
        {
            tracing::warn!(%error, "an empty copy of the workspace is left");
        }
    }
}
