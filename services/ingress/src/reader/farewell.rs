//! A shop that is about to be removed is rid of our webhooks: nobody would take what they deliver. As with a test of the
//! connection, somebody waits for it.

use std::time::{Duration, Instant};

use connector::KeepWebhooks;
use values::Timestamp;

use super::guard::is_ours;
use super::job::Job;
use super::{CursorOf, ReadError, Reader};
use crate::Connect;

/// Who removes a shop does so within this time; if not, it stays and needs its webhooks again.
const LEAVING_MAX: Duration = Duration::from_mins(1);

impl<C: Connect> Reader<C> {
    /// Deletes the webhooks that are ours, also those that were made by hand for this shop. Some text: why nothing is done.
    pub(super) async fn step_unhook(
        &mut self,
        job: &mut Job<CursorOf<C>>,
    ) -> Result<Option<String>, ReadError> {
        if !self.is_leaving(job.asked_at) {
            return Ok(Some("the shop was to be removed a while ago and is in service".to_owned()));
        }
        let added = self.shop.borrow().created_at;
        self.guard.rests_until = Some((Instant::now() + LEAVING_MAX, added));
        let path = self.webhook_path().await?;
        let kept = self.shared.store.kept_webhooks(self.id).await?;
        for webhook in self.webhooks().await? {
            if is_ours(&webhook, &kept, &path, C::Connection::webhook_name) {
                self.delete_webhook(webhook.id).await?;
                job.report.note_unhooked();
            }
        }
        job.report.note_none_left();
        Ok(None)
    }

    /// Asked for so long ago, or before the shop came back, it is of a removal that is over.
    fn is_leaving(&self, asked_at: Option<Timestamp>) -> bool {
        let added = self.shop.borrow().created_at;
        asked_at.is_some_and(|asked_at| asked_at >= added && self.now().since(asked_at) <= LEAVING_MAX)
    }
}
