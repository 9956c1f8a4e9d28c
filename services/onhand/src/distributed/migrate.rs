//! `onhand migrate`: prepares database and broker for the services, before they start for the first time, with a new version
//! and with another number of shards.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bus::{Bus, Flow};
use clap::Args;
use process::config::{self, Source};
use process::private_file;
use process::{Settings, Tasks};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use store::{EpochBegun, Scope, SecretKey, ShopState, Store, migrate_postgres};

use super::GROUP;
use super::open::{self, ServeError, shards};
use super::settings::Backing;
use crate::connection;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::standalone::{PUSH_IN_FLIGHT, READ_AGAIN, ServiceSettings};

/// Shown by the broker, and in telemetry.
const NAME: &str = "migrate";
/// Name of the token that is made if there is none.
const ADMIN_TOKEN_NAME: &str = "admin";

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Where to write the administrator's token, which is made if there is none yet; without it the token is printed, once.
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// The database is a backup that was restored, or a new one at a broker that was used before: throw away what waits at the
    /// broker, and compare every stock with proof before anything is pushed. No service may run.
    #[arg(long)]
    restored: bool,
}

/// What was done.
#[derive(Debug)]
struct Done {
    key_made: bool,
    shards_before: Option<u32>,
    moved: u64,
    restored: Option<Restored>,
    admin_token: Option<SecretString>,
}

/// A new epoch.
#[derive(Debug)]
struct Restored {
    thrown_away: u64,
    begun: EpochBegun,
}

impl Migrate {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let groups =
            [&[Settings::GROUP, connection::GROUP, crate::up::GROUP, GROUP], ServiceSettings::GROUPS]
                .concat();
        let (process, backing) = config::read(&Source::environment(), &groups, |reader| {
            (Settings::from_source(reader), Backing::from_source(reader, NAME))
        })?;
        let telemetry = process::telemetry::start(NAME, process.log_format, process.log_level, None)
            .map_err(ServeError::from)?;
        let tasks = Tasks::new();
        let done = self.migrate(&backing, &tasks).await;
        tasks.drain(process.drain_deadline).await;
        telemetry.flush().await;
        self.tell(screen, &backing, &done?)
    }

    async fn migrate(&self, backing: &Backing, tasks: &Tasks) -> Result<Done, ServeError> {
        migrate_postgres(&backing.database).await?;
        let (key, key_made) = secret_key(backing).await?;
        let store = Store::open_postgres(&backing.database, key).await?;
        let bus = open::broker(backing.broker.clone(), backing.topology, None, tasks).await?;
        // It is no error of the bus that the broker is away, but here it is.
        bus.reachable()?;
        let shards_before = store.shard_count().await?;
        let restored = if self.restored { Some(begin_epoch(&store, &bus).await?) } else { None };
        let moved = reshard(&store, &bus, backing, shards_before).await?;
        let admin_token = self.admin_token(&store).await?;
        store.close().await;
        Ok(Done { key_made, shards_before, moved, restored, admin_token })
    }

    /// Makes the first token of an administrator, and another one if the file that is to hold one does not; `None` if there is one.
    async fn admin_token(&self, store: &Store) -> Result<Option<SecretString>, ServeError> {
        let now = process::clock::now();
        let is_there = if let Some(path) = &self.admin_token_file {
            match std::fs::read_to_string(path) {
                Ok(text) => store.use_token(text.trim(), now).await?.is_some(),
                Err(source) if source.kind() == ErrorKind::NotFound => false,
                Err(source) => return Err(ServeError::AdminToken { path: path.clone(), source }),
            }
        } else {
            let tokens = store.tokens().await?;
            tokens.iter().any(|token| token.scope == Scope::Admin && token.revoked_at.is_none())
        };
        if is_there {
            return Ok(None);
        }
        let (made, token) = store.create_token(ADMIN_TOKEN_NAME, Scope::Admin, now).await?;
        let Some(path) = &self.admin_token_file else { return Ok(Some(token)) };
        if let Err(source) = private_file::write_secret(path, &token) {
            // Nobody has it, so it must not count as the one there is.
            store.revoke_token(made.id, true, now).await?;
            return Err(ServeError::AdminToken { path: path.clone(), source });
        }
        Ok(Some(token))
    }

    fn tell(&self, screen: Screen, backing: &Backing, done: &Done) -> Result<(), Failure> {
        let count = shards(backing.topology);
        let file = self.admin_token_file.as_deref().map(|path| path.display().to_string());
        let shown = done.admin_token.as_ref().filter(|_| file.is_none());
        let answer = json!({
            "shards": count,
            "shards_before": done.shards_before,
            "messages_moved": done.moved,
            "restored": done.restored.as_ref().map(|restored| json!({
                "shops": restored.begun.shop_count,
                "stocks": restored.begun.stock_count,
                "messages_thrown_away": restored.thrown_away,
            })),
            "secret_key_made": done.key_made,
            "admin_token_made": done.admin_token.is_some(),
            "admin_token": shown.map(SecretString::expose_secret),
        });
        screen.show(&answer, |screen| {
            screen.line(format!("database and broker are ready for {count} shards"))?;
            if done.key_made {
                let path = backing.secret_key.display();
                screen.line(format!(
                    "a secret key was made: {path}; keep a copy, without it the keys of shops are lost"
                ))?;
            }
            if let Some(before) = done.shards_before.filter(|before| *before != count) {
                screen
                    .line(format!("there were {before} shards before; {} messages were moved", done.moved))?;
            }
            if let Some(Restored { thrown_away, begun }) = &done.restored {
                screen.line(format!(
                    "a new epoch has begun: {} stocks of {} shops are compared with proof before anything is pushed; {thrown_away} \
                     messages of the life before were thrown away",
                    begun.stock_count, begun.shop_count
                ))?;
            }
            match (&done.admin_token, file) {
                (Some(_), Some(file)) => screen.line(format!("the administrator's token is in {file}")),
                (Some(token), None) => screen
                    .line(format!("the administrator's token, shown this once: {}", token.expose_secret())),
                (None, _) => Ok(()),
            }
        })
    }
}

/// The key, made if the database is new. One that is missing beside shops was lost: another could not open their secrets.
async fn secret_key(backing: &Backing) -> Result<(SecretKey, bool), ServeError> {
    let path: &Path = &backing.secret_key;
    if path.exists() {
        return Ok((SecretKey::load(path).map_err(ServeError::Key)?, false));
    }
    let nobodys = SecretKey::from_bytes([0; store::SECRET_KEY_BYTES]);
    let store = Store::open_postgres(&backing.database, nobodys).await?;
    let shops = store.shops(None).await?;
    store.close().await;
    if shops.iter().any(|shop| shop.state != ShopState::Removed) {
        return Err(ServeError::KeyLost { path: path.to_owned() });
    }
    Ok((SecretKey::load_or_create(path).map_err(ServeError::Key)?, true))
}

/// Nothing that waits at the broker is of the life that this database goes on with. Before the epoch: should this be cut off, it is
/// done again.
async fn begin_epoch(store: &Store, bus: &Bus) -> Result<Restored, ServeError> {
    let thrown_away = bus.purge().await?;
    let begun = store.begin_epoch(process::clock::now(), READ_AGAIN, PUSH_IN_FLIGHT).await?;
    Ok(Restored { thrown_away, begun })
}

/// Moves what lies in queues of another number of shards, and notes the number. The broker refuses while a service consumes
/// them.
async fn reshard(
    store: &Store,
    bus: &Bus,
    backing: &Backing,
    before: Option<u32>,
) -> Result<u64, ServeError> {
    let count = shards(backing.topology);
    // With the same number, too: a change may have been cut off half-way and taken back.
    let moved = match before {
        Some(_) => bus.reshard().await?,
        None if messages_wait(bus).await? => return Err(ServeError::AnotherLife),
        None => 0,
    };
    if before != Some(count) {
        store.set_shard_count(count).await?;
    }
    Ok(moved)
}

/// Whether anything lies in any queue of ours.
async fn messages_wait(bus: &Bus) -> Result<bool, ServeError> {
    for queue in Flow::ALL.into_iter().flat_map(|flow| bus.topology().queues(flow)) {
        let depth = bus.depth(queue).await?;
        if depth.messages + depth.dead > 0 {
            return Ok(true);
        }
    }
    Ok(!bus.stranded().await?.is_empty())
}
