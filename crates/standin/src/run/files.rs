//! What the broker of the workspace's files refuses goes on record.

use standin_audit::{AuditSink, RefusedFile};
use standin_sandbox::Reports;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::oneshot;

/// Most refusals of a session that are put on record: a command that is refused over and over does not fill the disk.
const MOST: usize = 1000;

/// Records what is refused, until the command has ended. Whatever it was refused is reported before it is told so.
pub(super) async fn record(
    reports: Reports,
    readiness: UnixDatagram,
    audit: AuditSink,
    mut ended: oneshot::Receiver<()>,
) {
    let mut left = MOST;
    let mut over = false;
    loop {
        let received = if over {
            reports.receive()
        } else {
            tokio::select! {
                _ = &mut ended => {
                    over = true;
                    continue;
                }
                received = readiness.async_io(Interest::READABLE, || reports.receive()) => received,
            }
        };
        // Nothing more is there, and nothing will be.
        let Ok(Some(refused)) = received else { return };
        let file = RefusedFile { path: refused.path.to_string_lossy().into_owned(), reason: refused.reason };
        // A log that takes nothing more has ended the session already.
        if left > 0 && audit.refused_file(file).await.is_err() {
            return;
        }
        left = left.saturating_sub(1);
    }
}
