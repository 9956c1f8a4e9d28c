//! What is remembered of an import, so that it is done once and can go on after it was cut off.

use process::clock;
use store::{Changes, InventoryTx, KeyState, OperationKey, OperationRecord, Store};

use super::super::problem::Problem;

/// An import under its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress<'a> {
    pub(super) store: &'a Store,
    pub(super) actor: &'a str,
    pub(super) key: &'a str,
    pub(super) digest: [u8; 16],
}

/// What is known of an import's key.
#[derive(Debug)]
pub(super) enum Claim {
    /// It is new, or was begun and cut off.
    ToDo,
    /// It was done, with this report.
    Done(String),
    /// The key was used for another file.
    KeyReused,
}

impl Progress<'_> {
    /// Notes that the key stands for this file.
    pub(super) async fn claim(&self) -> Result<Claim, Problem> {
        let (begun, done) = (self.name("begun"), self.name("done"));
        let mut tx = self.store.begin_inventory().await?;
        let states = tx.operation_keys(&[(begun.clone(), self.digest), (done, self.digest)]).await?;
        let [begun_state, done_state] = states.as_slice() else {
            return Err(Problem::internal("two keys have other than two states"));
        };
        match (begun_state, done_state) {
            (_, KeyState::Same(report)) => Ok(Claim::Done(report.clone())),
            (KeyState::Conflict, _) | (_, KeyState::Conflict) => Ok(Claim::KeyReused),
            (KeyState::Same(_), KeyState::New) => Ok(Claim::ToDo),
            (KeyState::New, KeyState::New) => {
                self.note(tx, begun, String::new()).await?;
                Ok(Claim::ToDo)
            }
        }
    }

    /// Notes the report of what was done.
    pub(super) async fn done(&self, report: &str) -> Result<(), Problem> {
        let done = self.name("done");
        let mut tx = self.store.begin_inventory().await?;
        let known = tx.operation_keys(&[(done.clone(), self.digest)]).await?;
        // The same import may have been sent twice at once.
        if known == [KeyState::New] {
            self.note(tx, done, report.to_owned()).await?;
        }
        Ok(())
    }

    async fn note(&self, mut tx: InventoryTx, key: OperationKey, outcome: String) -> Result<(), Problem> {
        let now = clock::now();
        let record = OperationRecord { key, digest: self.digest, outcome, at: now };
        tx.save(&Changes { operations: &[record], now, ..Changes::default() }).await?;
        Ok(tx.commit().await?)
    }

    fn name(&self, what: &str) -> OperationKey {
        OperationKey { actor: self.actor.to_owned(), key: format!("import:{}:{what}", self.key) }
    }
}
