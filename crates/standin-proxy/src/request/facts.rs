//! What policy asks of a request beyond its head, read before the verdict: values in the body, the commands of a push.
//!
//! Only what some rule about this very method and path asks for is read, and it is sent on unchanged. What cannot be read,
//! because it is too large, coded, or of another type, is no error here: policy knows what to make of not knowing.

use super::bind::BoundRequest;
use super::unread::Unread;
use super::upload::RequestBody;
use crate::connection::Tunnel;
use crate::fault::Refusal;
use crate::in_force::InForce;
use http::header::HeaderMap;
use http_body::Body;
use standin_model::limits::MAX_PUSH;
use standin_model::{Commands, Evidence, NoEvidence, Wanted};
use standin_policy::RequestFacts;
use standin_wire::facts::{self, Seen};
use standin_wire::git::{Push, PushReader};
use std::sync::Arc;

/// What policy is asked about.
pub(super) fn of<'a>(tunnel: &'a Tunnel, bound: &'a BoundRequest, evidence: &'a dyn Evidence) -> RequestFacts<'a> {
    let authority = &tunnel.destination.authority;
    RequestFacts {
        host: &authority.host,
        port: authority.port,
        scheme: tunnel.scheme,
        method: bound.head.method.as_str(),
        path: &bound.target.path,
        evidence,
    }
}

/// Reads what the policy in force asks for. It is read anew for the next one, if that takes its place meanwhile: what decides is the one that
/// asked, and the one in force.
pub(super) async fn read(tunnel: &Tunnel, bound: &mut BoundRequest) -> Result<(Arc<InForce>, Seen), Refusal> {
    loop {
        let by = tunnel.in_force()?;
        let wanted = by.policy.wants(&of(tunnel, bound, &NoEvidence));
        if !wanted.any() {
            return Ok((by, Seen::Unread));
        }
        // In a box: it is rare, and every request has room for what waits in it.
        let seen = Box::pin(read_wanted(tunnel, bound, wanted)).await?;
        if !by.is_over() {
            return Ok((by, seen));
        }
    }
}

async fn read_wanted(tunnel: &Tunnel, bound: &mut BoundRequest, wanted: Wanted) -> Result<Seen, Refusal> {
    let RequestBody::Streaming(body) = &mut bound.body else { return Ok(Seen::Unread) };
    if bound.upgrade.is_some() {
        return Ok(Seen::Unreadable("it becomes a WebSocket"));
    }
    if body.is_end_stream() {
        return Ok(Seen::Empty);
    }
    let headers = &bound.head.headers;
    if facts::is_coded(headers) {
        return Ok(Seen::CODED);
    }
    if wanted.push {
        read_commands(tunnel, body).await
    } else {
        read_values(tunnel, headers, body, wanted.most()).await
    }
}

/// The beginning of a push, up to its pack.
async fn read_commands(tunnel: &Tunnel, body: &mut Unread) -> Result<Seen, Refusal> {
    let (mut reader, mut push) = (PushReader::default(), Push::Unfinished);
    let told = |begun: &[u8]| {
        push = reader.read(begun);
        // Without commands nothing may follow.
        match &push {
            Push::Unfinished => false,
            Push::Asked(Commands(updates)) => !updates.is_empty(),
            Push::Unreadable => true,
        }
    };
    body.read_ahead(&tunnel.session, MAX_PUSH, told).await?;
    Ok(push.into())
}

async fn read_values(tunnel: &Tunnel, headers: &HeaderMap, body: &mut Unread, most: usize) -> Result<Seen, Refusal> {
    let content = match facts::content(headers) {
        Ok(content) => content,
        Err(why) => return Ok(Seen::Unreadable(why)),
    };
    let too_large = Seen::Unreadable("it is too large");
    if body.size_hint().lower() > most as u64 {
        return Ok(too_large);
    }
    body.read_ahead(&tunnel.session, most, |_| false).await?;
    let whole = Some(body.ahead()).filter(|data| body.is_read() && data.len() <= most);
    Ok(match whole {
        None => too_large,
        Some(data) if data.is_empty() => Seen::Empty,
        Some(data) => content.seen(data),
    })
}
