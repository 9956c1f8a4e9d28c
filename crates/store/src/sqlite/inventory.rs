//! One batch of inventory: what it loaded, so that only what changed is written.

mod compare;
mod doubt;
mod load;
mod save;
mod wishes;

pub(super) use save::OUTBOX;

use super::{Sqlite, WriteTx};
use crate::error::Error;
use crate::loaded::Loaded;

/// A batch on SQLite.
#[derive(Debug)]
pub(crate) struct SqliteInventoryTx {
    pub(super) tx: WriteTx,
    pub(super) loaded: Loaded,
}

impl Sqlite {
    pub(crate) async fn begin_inventory(&self) -> Result<SqliteInventoryTx, Error> {
        Ok(SqliteInventoryTx { tx: self.write().await?, loaded: Loaded::default() })
    }
}

impl SqliteInventoryTx {
    pub(crate) async fn commit(self) -> Result<(), Error> {
        super::commit(self.tx).await
    }
}
