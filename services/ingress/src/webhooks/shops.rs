//! Which shop a webhook address belongs to, and what its webhooks are signed with, kept in memory for a moment: a shop
//! that is removed or whose secret is changed is noticed within that moment, and a database that is away stops no webhook
//! of a shop that was heard of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use connector_woocommerce::Verifier;
use sha2::{Digest, Sha256};
use store::{CursorKind, Store};
use values::ShopId;

/// Most shops kept; more than one process serves.
const SHOPS_MAX: usize = 20_000;
/// Longest token looked up, in bytes; ours are shorter.
const TOKEN_BYTES_MAX: usize = 200;

/// A shop that may call.
#[derive(Debug)]
pub(super) struct KnownShop {
    pub(super) id: ShopId,
    pub(super) verifier: Verifier,
    /// Its orders were read for the first time. Before that a webhook could come ahead of the order it changes, which
    /// would then be taken for one from before the connection; what it says is read anyway.
    pub(super) is_connected: bool,
    blind_noted: Arc<Mutex<Option<Instant>>>,
}

impl KnownShop {
    /// Whether it is time to write down again that its webhooks are blind.
    pub(super) fn blind_is_news(&self, every: Duration) -> bool {
        let mut noted = self.blind_noted.lock().unwrap_or_else(PoisonError::into_inner);
        let news = noted.is_none_or(|at| at.elapsed() >= every);
        if news {
            *noted = Some(Instant::now());
        }
        news
    }
}

#[derive(Debug)]
struct Entry {
    shop: Arc<KnownShop>,
    looked_at: Instant,
}

/// Shops by the hash of their token: a comparison that takes longer for a better guess tells nothing about it.
#[derive(Debug)]
pub(super) struct KnownShops {
    store: Arc<Store>,
    believed_for: Duration,
    by_token: Mutex<HashMap<[u8; 32], Entry>>,
}

impl KnownShops {
    pub(super) fn new(store: Arc<Store>, believed_for: Duration) -> Self {
        Self { store, believed_for, by_token: Mutex::default() }
    }

    /// The shop whose webhook address holds the token.
    pub(super) async fn find(&self, token: &str) -> Result<Option<Arc<KnownShop>>, store::Error> {
        if token.len() > TOKEN_BYTES_MAX {
            return Ok(None);
        }
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let Some((shop, is_stale)) = self.known(&hash) else { return self.look(hash, token, None).await };
        if !is_stale {
            return Ok(Some(shop));
        }
        // What is known serves on while the database is away.
        self.look(hash, token, Some(&shop)).await.or(Ok(Some(shop)))
    }

    /// The shop, and whether this request is the one to look again; others go on with what is known meanwhile.
    fn known(&self, hash: &[u8; 32]) -> Option<(Arc<KnownShop>, bool)> {
        let mut by_token = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = by_token.get_mut(hash)?;
        let is_stale = entry.looked_at.elapsed() >= self.believed_for;
        if is_stale {
            entry.looked_at = Instant::now();
        }
        Some((Arc::clone(&entry.shop), is_stale))
    }

    async fn look(
        &self,
        hash: [u8; 32],
        token: &str,
        known: Option<&Arc<KnownShop>>,
    ) -> Result<Option<Arc<KnownShop>>, store::Error> {
        let found = self.load(token, known).await?;
        let mut by_token = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        match &found {
            Some(shop) => {
                if by_token.len() >= SHOPS_MAX {
                    by_token.clear();
                }
                let entry = Entry { shop: Arc::clone(shop), looked_at: Instant::now() };
                by_token.insert(hash, entry);
            }
            None => drop(by_token.remove(&hash)),
        }
        Ok(found)
    }

    async fn load(
        &self,
        token: &str,
        known: Option<&Arc<KnownShop>>,
    ) -> Result<Option<Arc<KnownShop>>, store::Error> {
        let Some(id) = self.store.shop_of_webhook(token).await? else { return Ok(None) };
        let Some(secrets) = self.store.shop_secrets(id).await? else { return Ok(None) };
        let previous = secrets.webhook_secret_previous.as_ref();
        // The registry takes no empty secret; a shop that has one all the same has no webhooks.
        let Ok(verifier) = Verifier::new(&secrets.webhook_secret, previous) else { return Ok(None) };
        let blind_noted = known.map(|shop| Arc::clone(&shop.blind_noted)).unwrap_or_default();
        let is_connected = known.is_some_and(|shop| shop.is_connected)
            || self.store.cursor(id, CursorKind::Orders).await?.is_some();
        Ok(Some(Arc::new(KnownShop { id, verifier, is_connected, blind_noted })))
    }
}
