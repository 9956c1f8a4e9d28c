//! A file on its way in, to disk: nobody knows how long it is, and it is read twice.

use std::fs::File;
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use super::super::keys::Fingerprint;
use super::super::problem::{Kind, Problem};
use super::ImportQuery;

/// Largest file, in bytes: also what one line with an open quote may take of memory.
const FILE_BYTES_MAX: usize = 16 << 20;
/// How long the sender may pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A file that came in whole.
#[derive(Debug)]
pub(super) struct Spilled {
    /// It is gone when it is closed.
    pub(super) file: File,
    /// Fingerprint of its content and of what is to be done with it.
    pub(super) digest: [u8; 16],
}

/// Takes the file in.
pub(super) async fn spill(body: Body, query: &ImportQuery) -> Result<Spilled, Problem> {
    let mut fingerprint = Fingerprint::default();
    let warehouse = query.warehouse.as_deref().unwrap_or_default();
    let reason = query.reason.as_deref().unwrap_or_default();
    for part in [query.mode.word(), warehouse, reason] {
        fingerprint.part(part.as_bytes());
    }
    let file = super::read(tempfile::tempfile).await?.map_err(Problem::internal)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut pieces = body.into_data_stream();
    let mut bytes = 0_usize;
    while let Some(piece) = tokio::time::timeout(PAUSE_MAX, pieces.next()).await.map_err(|_| cut_off())? {
        let piece = piece.map_err(|_| cut_off())?;
        bytes = bytes.saturating_add(piece.len());
        if bytes > FILE_BYTES_MAX {
            return Err(Problem::new(
                Kind::TooLarge,
                format!("nothing was imported: a file has at most {} MiB; split it", FILE_BYTES_MAX >> 20),
            ));
        }
        fingerprint.more(&piece);
        file.write_all(&piece).await.map_err(Problem::internal)?;
    }
    file.flush().await.map_err(Problem::internal)?;
    Ok(Spilled { file: file.into_std().await, digest: fingerprint.finish() })
}

fn cut_off() -> Problem {
    Problem::bad_request("the file did not come in whole; nothing was imported, repeating is safe")
}
