//! Both directions of a command that runs, up to its end.

use super::refs::Refs;
use super::upstream::Running;
use crate::connection::Tunnel;
use crate::exchange::{Exchange, RequestSide};
use crate::fault::Refusal;
use crate::respond;
use crate::usage::Spending;
use bytes::Bytes;
use standin_model::Denial;
use standin_ssh::Said;
use standin_ssh::client::{FromServer, ToServer};
use standin_ssh::server::{Asked, FromClient, ToClient};
use standin_wire::terminal::Filter;

/// How a command ended.
enum Ended {
    /// With this status.
    Exited(u32),
    /// The client went away.
    ByClient,
    /// The host broke off.
    ByServer,
    /// More was sent than may be, or something else.
    Denied(Denial),
}

/// Passes on what both sides say, until one of them has ended.
pub(super) async fn both_ways(tunnel: &Tunnel, asked: Asked, running: Running, refs: Refs, exchange: &mut Exchange) {
    let side = exchange.request_side();
    let spending = exchange.spending(&tunnel.destination.authority.host);
    let (from_client, to_client) = asked.into_conversation();
    let Running { from, to, .. } = running;
    let ended = tokio::select! {
        ended = upwards(from_client, refs, &to, &side, spending) => ended,
        ended = downwards(from, &to_client, &side) => ended,
    };
    let status = match ended {
        Ended::Exited(status) => {
            exchange.closed(format!("the command ended with status {status}"));
            status
        }
        Ended::ByClient => return exchange.hung_up("the client went away".to_owned()),
        Ended::ByServer => {
            exchange.broken_off("the host closed the channel without a status".to_owned());
            255
        }
        Ended::Denied(denial) => {
            let refusal = Refusal::Denied(denial);
            exchange.refused(&refusal);
            let words = respond::in_words(&refusal) + "\n";
            to_client.errors(Bytes::from(words)).await.ok(); // who has gone meanwhile does not hear it
            1
        }
    };
    to_client.finish(status).await.ok(); // likewise
}

/// Ends only if something is wrong: the command may have more to say when the client has not.
async fn upwards(mut from: FromClient, mut refs: Refs, to: &ToServer, side: &RequestSide, spending: Spending) -> Ended {
    loop {
        let passed = match from.next().await {
            Said::Data(data) => {
                let passes = side.may_go_on_with([]).and_then(|()| refs.pass(data));
                let passes = passes.and_then(|data| spending.spend(data.len()).map(|()| data));
                match passes {
                    Err(denial) => return Ended::Denied(denial),
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => {
                        side.sent(data.len());
                        to.data(data).await
                    }
                }
            }
            Said::End => match refs.end() {
                Err(denial) => return Ended::Denied(denial),
                Ok(()) => to.end().await,
            },
            _ => return Ended::ByClient,
        };
        if passed.is_err() {
            std::future::pending::<()>().await; // the other direction knows how it ended
        }
    }
}

async fn downwards(mut from: FromServer, to: &ToClient, side: &RequestSide) -> Ended {
    // What a host says to people is shown on a terminal sooner or later.
    let mut filter = Filter::new(Vec::new());
    let mut status = None;
    loop {
        let (length, passed) = match from.next().await {
            Said::Data(data) => (data.len(), to.data(data).await),
            Said::Errors(data) => {
                let mut words = Vec::new();
                filter.push(&data, &mut words);
                (data.len(), to.errors(Bytes::from(words)).await)
            }
            Said::End => continue,
            Said::Exit(code) => {
                status = Some(code);
                continue;
            }
            Said::Gone => {
                let mut words = Vec::new();
                filter.finish(&mut words);
                to.errors(Bytes::from(words)).await.ok(); // who has gone does not hear it
                return status.map_or(Ended::ByServer, Ended::Exited);
            }
        };
        if passed.is_err() {
            return Ended::ByClient;
        }
        side.received(length);
        if let Err(denial) = side.may_go_on_with([]) {
            return Ended::Denied(denial);
        }
    }
}
