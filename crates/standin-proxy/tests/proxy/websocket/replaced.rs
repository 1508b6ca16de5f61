//! A policy takes another's place while a WebSocket is open.

use super::handshake::{LEGS, Opening, open_with};
use super::peer::{CLOSE, LAST, TEXT, closing};
use crate::rig::{API, World, within};
use standin_policy::Policy;

#[tokio::test]
async fn it_ends_with_the_next_frame_of_either_side() {
    for (legs, by_client) in LEGS.into_iter().flat_map(|legs| [(legs, true), (legs, false)]) {
        within(async {
            let world = World::new().await;
            let (mut client, mut origin, _) = open_with(&world, legs, API, Opening::default()).await;
            client.say("hello").await;
            origin.expect(LAST | TEXT, "hello").await;
            world.replace(Policy::default()).await.unwrap();
            if by_client {
                client.say("more").await;
            } else {
                origin.say("more").await;
            }
            let why = client.expect_close(1008).await;
            assert!(why.starts_with("Standin: policy.replaced: "), "{why}");
            // What the agent may is none of the origin's business.
            origin.expect(LAST | CLOSE, closing(1001, "")).await;
            drop((client, origin));
            let rows = world.end().await;
            let ended = |row: &standin_audit::RecordRow| row.reason.as_deref() == Some("policy.replaced");
            assert!(rows.iter().any(|row| row.protocol == "websocket" && ended(row)), "{rows:?}");
        })
        .await;
    }
}
