//! What the broker of the workspace's files refuses goes on record.

use standin_audit::{AuditSink, RefusedFile};
use standin_sandbox::Reports;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// Most refusals of a session that are put on record: a command that is refused over and over does not fill the disk.
const MOST: usize = 1000;

/// Records what is refused, until the sandbox has ended.
pub(super) async fn record(reports: Reports, readiness: UnixDatagram, audit: AuditSink) {
    let mut left = MOST;
    loop {
        match readiness.async_io(Interest::READABLE, || reports.receive()).await {
            Ok(Some(refused)) => {
                let file = RefusedFile { path: refused.path.to_string_lossy().into_owned(), reason: refused.reason };
                // A log that takes nothing more has ended the session already.
                if left > 0 && audit.refused_file(file).await.is_err() {
                    return;
                }
                left = left.saturating_sub(1);
            }
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "reports of the broker of files are lost");
                return;
            }
        }
    }
}
