//! Which shop a webhook address belongs to, and what its webhooks are signed with, kept in memory for a moment: a shop
//! that is removed or whose secret is changed is noticed within that moment, and a database that is away stops no webhook
//! of a shop that was heard of, in this life of the process or in an earlier one.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use connector_woocommerce::Verifier;
use sha2::{Digest, Sha256};
use store::{CursorKind, Store, WebhookDoor};
use tokio::time::timeout;
use values::ShopId;

use crate::snapshot::Snapshot;

/// Most shops kept; more than one process serves.
const SHOPS_MAX: usize = 20_000;
/// Longest token looked up, in bytes; ours are shorter.
const TOKEN_BYTES_MAX: usize = 200;
/// How long a webhook waits for the database to say whose it is.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(2);

/// Nobody can say now whose address it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLookedUp {
    #[error("the database is away")]
    Away,
    #[error("the database does not answer")]
    Late,
    #[error("the database was asked in vain")]
    Failed(#[source] store::Error),
}

/// A shop that may call.
#[derive(Debug)]
pub(super) struct KnownShop {
    pub(super) id: ShopId,
    pub(super) verifier: Verifier,
    /// Its orders were read for the first time. Before that a webhook could come ahead of the order it changes, which
    /// would then be taken for one from before the connection; what it says is read anyway.
    pub(super) is_connected: bool,
    pub(super) noted: Arc<Noted>,
}

/// What was written down of a shop lately, so that it is not written down for every webhook.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// By what it is; as many as there are topics, and two.
    at: Mutex<BTreeMap<&'static str, Instant>>,
}

impl Noted {
    /// Whether it is time to write it down again.
    pub(super) fn is_news(&self, what: &'static str, every: Duration) -> bool {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = at.get(what).is_none_or(|at| at.elapsed() >= every);
        if is_news {
            at.insert(what, Instant::now());
        }
        is_news
    }
}

impl KnownShop {
    /// The shop of an address that was known in an earlier life.
    fn behind(door: &WebhookDoor) -> Option<Self> {
        let verifier = Verifier::new(&door.secret, door.secret_previous.as_ref()).ok()?;
        Some(Self { id: door.shop, verifier, is_connected: door.is_read, noted: Arc::default() })
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
    /// Whether the database was away when somebody last looked: then nobody waits for it.
    away: Arc<AtomicBool>,
    snapshot: Option<Arc<Snapshot>>,
    by_token: Mutex<HashMap<[u8; 32], Entry>>,
}

impl KnownShops {
    pub(super) fn new(
        store: Arc<Store>,
        believed_for: Duration,
        away: Arc<AtomicBool>,
        snapshot: Option<Arc<Snapshot>>,
    ) -> Self {
        Self { store, believed_for, away, snapshot, by_token: Mutex::default() }
    }

    /// The shop whose webhook address holds the token.
    pub(super) async fn find(&self, token: &str) -> Result<Option<Arc<KnownShop>>, NotLookedUp> {
        if token.len() > TOKEN_BYTES_MAX {
            return Ok(None);
        }
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        // Asking is rare and takes much room, which each webhook would have to have.
        match self.known(&hash) {
            Some((shop, false)) => Ok(Some(shop)),
            // What is known serves on while the database is away.
            Some((shop, true)) => Box::pin(self.ask(hash, token, Some(&shop))).await.or(Ok(Some(shop))),
            None => match Box::pin(self.ask(hash, token, None)).await {
                Ok(found) => Ok(found),
                Err(error) => self.remember(hash).map(Some).ok_or(error),
            },
        }
    }

    /// What the snapshot says. Without one nobody can say that an address is not a shop's.
    fn remember(&self, hash: [u8; 32]) -> Option<Arc<KnownShop>> {
        let door = self.snapshot.as_ref()?.find(&hash)?;
        let shop = Arc::new(KnownShop::behind(&door)?);
        self.believe(hash, &shop);
        Some(shop)
    }

    /// Asks the database, but waits no longer than a shop should.
    async fn ask(
        &self,
        hash: [u8; 32],
        token: &str,
        known: Option<&Arc<KnownShop>>,
    ) -> Result<Option<Arc<KnownShop>>, NotLookedUp> {
        if self.away.load(Ordering::Relaxed) {
            return Err(NotLookedUp::Away);
        }
        match timeout(LOOK_WAIT_MAX, self.look(hash, token, known)).await {
            Ok(looked) => looked.map_err(NotLookedUp::Failed),
            Err(_elapsed) => Err(NotLookedUp::Late),
        }
    }

    fn believe(&self, hash: [u8; 32], shop: &Arc<KnownShop>) {
        let mut by_token = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        if by_token.len() >= SHOPS_MAX {
            by_token.clear();
        }
        by_token.insert(hash, Entry { shop: Arc::clone(shop), looked_at: Instant::now() });
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
        match &found {
            Some(shop) => self.believe(hash, shop),
            None => drop(self.by_token.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash)),
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
        let noted = known.map(|shop| Arc::clone(&shop.noted)).unwrap_or_default();
        let is_connected = known.is_some_and(|shop| shop.is_connected)
            || self.store.cursor(id, CursorKind::Orders).await?.is_some();
        Ok(Some(Arc::new(KnownShop { id, verifier, is_connected, noted })))
    }
}

#[cfg(test)]
mod tests {
    use store::{SECRET_KEY_BYTES, SecretKey};

    use super::*;

    #[tokio::test]
    async fn a_shop_of_an_earlier_life_is_known_while_the_database_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let key = || SecretKey::from_bytes([7; SECRET_KEY_BYTES]);
        let snapshot = Snapshot::load(folder.path().join("shops.sealed"), key());
        let (shop, token_hash) = (ShopId::new(3).unwrap(), Sha256::digest(b"token").into());
        let door =
            WebhookDoor { shop, token_hash, secret: "secret".into(), secret_previous: None, is_read: true };
        snapshot.keep(vec![door]).unwrap();
        let (store, snapshot) = (Arc::new(Store::away()), Some(Arc::new(snapshot)));
        for is_noticed in [false, true] {
            let away = Arc::new(AtomicBool::new(is_noticed));
            let shops = KnownShops::new(Arc::clone(&store), Duration::ZERO, away, snapshot.clone());
            for _ in 0..2 {
                let found = shops.find("token").await.unwrap().unwrap();
                assert_eq!((found.id, found.is_connected), (shop, true));
            }
            let unknown = shops.find("another").await.unwrap_err();
            assert_eq!(matches!(unknown, NotLookedUp::Away), is_noticed, "{unknown}");
        }
    }
}
