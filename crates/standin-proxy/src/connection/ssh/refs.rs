//! The beginning of a push: what it asks for is judged before the host hears of it.

use bytes::{Bytes, BytesMut};
use standin_model::limits::MAX_PUSH;
use standin_model::{Commands, Denial, DenyReason, Push, RefUpdate};
use standin_wire::git::{self, PushReader};

/// What a client says to a host that is to be told of some refs only.
pub(super) struct Refs {
    /// What may be asked for, until it has been asked.
    wanted: Option<Push>,
    reader: PushReader,
    held: BytesMut,
    /// Whether nothing was asked for, and so nothing may follow.
    over: bool,
}

impl Refs {
    /// Without refs that are wanted everything passes.
    pub(super) fn new(wanted: Option<Push>) -> Self {
        Self { wanted, reader: PushReader::default(), held: BytesMut::new(), over: false }
    }

    /// What passes now that this has come.
    pub(super) fn pass(&mut self, data: Bytes) -> Result<Bytes, Denial> {
        let Some(wanted) = &self.wanted else { return Ok(data) };
        if self.over {
            return Err(denial("something follows where nothing is pushed", wanted));
        }
        self.held.extend_from_slice(&data);
        match self.reader.read(&self.held) {
            git::Push::Unfinished if self.held.len() <= MAX_PUSH => return Ok(Bytes::new()),
            git::Push::Unfinished => return Err(denial("it names too many refs", wanted)),
            git::Push::Unreadable => return Err(denial("its refs are not plainly named, or it is signed", wanted)),
            git::Push::Asked(Commands(updates)) if updates.is_empty() => {
                self.over = true;
                return Ok(self.held.split().freeze());
            }
            git::Push::Asked(commands) => {
                if let Some(RefUpdate { name, deletes }) = wanted.refuses(&commands) {
                    let what = if *deletes { "deleted" } else { "pushed to" };
                    return Err(denial(&format!("{name} may not be {what}"), wanted));
                }
            }
        }
        self.wanted = None;
        Ok(self.held.split().freeze())
    }

    /// That nothing more comes.
    pub(super) fn end(&self) -> Result<(), Denial> {
        match &self.wanted {
            Some(wanted) if !self.held.is_empty() => Err(denial("it ends before it has named all refs", wanted)),
            _ => Ok(()),
        }
    }
}

fn denial(why: &str, wanted: &Push) -> Denial {
    Denial::new(DenyReason::SshRequest, format!("this push is refused: {why}; the grant {wanted}"))
}
