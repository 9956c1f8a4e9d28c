//! What webhooks are verified with, kept sealed in a file of this process's own, so that ingress starts and takes webhooks
//! while the database is away.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use process::private_file;
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{SecretError, SecretKey, WebhookDoor};
use values::ShopId;

use crate::observe::Observe;

/// Most shops kept; more than one process serves.
const DOORS_MAX: usize = 20_000;
/// A file of more bytes is not ours: so many shops with their secrets take less.
const FILE_BYTES_MAX: u64 = 32 << 20;
/// What the content is sealed as. Another form of it gets another number, and is then no file for who knows this one.
const SEALED_AS: &str = "webhook-doors.v1";

/// A snapshot cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("{} cannot be read or written; see to its folder", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be opened; with the secret key it was sealed under it can", path.display())]
    Sealed { path: PathBuf, source: SecretError },
    #[error("what is sealed in {} makes no sense; remove it, it is written anew", path.display())]
    Content { path: PathBuf, source: serde_json::Error },
}

/// The shops whose webhooks were taken when the database was there last.
#[derive(Debug)]
pub struct Snapshot {
    path: PathBuf,
    key: SecretKey,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_token: HashMap<[u8; 32], WebhookDoor>,
    /// Of what the file holds.
    digest: Option<[u8; 32]>,
}

/// A shop in the file.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    shop: i64,
    token_hash: [u8; 32],
    secret: Cow<'a, str>,
    secret_previous: Option<Cow<'a, str>>,
    is_read: bool,
}

impl Snapshot {
    /// What is in the file at `path`, sealed under `key`: nothing, if there is none or if it cannot be used, which is logged.
    pub fn load(path: PathBuf, key: SecretKey) -> Self {
        let kept = read(&path, &key).unwrap_or_else(|error| {
            Observe::snapshot_failed("read", &error);
            Kept::default()
        });
        Self { path, key, kept: Mutex::new(kept) }
    }

    /// Whether no shop is known.
    pub fn is_empty(&self) -> bool {
        self.kept().by_token.is_empty()
    }

    /// What is known of the shop whose webhook token has this SHA-256.
    pub(crate) fn find(&self, token_hash: &[u8; 32]) -> Option<WebhookDoor> {
        self.kept().by_token.get(token_hash).cloned()
    }

    /// These are the shops there are. The file is written if that is news.
    pub(crate) fn keep(&self, mut doors: Vec<WebhookDoor>) -> Result<(), SnapshotError> {
        doors.truncate(DOORS_MAX);
        let content = content(&doors);
        let digest = Some(Sha256::digest(content.expose_secret()).into());
        if self.kept().digest == digest {
            return Ok(());
        }
        let sealed = self.key.seal_file(SEALED_AS, &content);
        let written = private_file::write(&self.path, &sealed);
        written.map_err(|source| SnapshotError::File { path: self.path.clone(), source })?;
        *self.kept() = Kept { by_token: by_token(doors), digest };
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_token(doors: Vec<WebhookDoor>) -> HashMap<[u8; 32], WebhookDoor> {
    doors.into_iter().map(|door| (door.token_hash, door)).collect()
}

fn content(doors: &[WebhookDoor]) -> SecretSlice<u8> {
    let stored: Vec<Stored<'_>> = doors.iter().map(stored).collect();
    serde_json::to_vec(&stored).expect("texts and numbers can be written").into()
}

fn stored(door: &WebhookDoor) -> Stored<'_> {
    Stored {
        shop: door.shop.get(),
        token_hash: door.token_hash,
        secret: door.secret.expose_secret().into(),
        secret_previous: door.secret_previous.as_ref().map(|previous| previous.expose_secret().into()),
        is_read: door.is_read,
    }
}

fn read(path: &Path, key: &SecretKey) -> Result<Kept, SnapshotError> {
    let failed = |source| SnapshotError::File { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(failed(error)),
    };
    let mut sealed = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut sealed).map_err(failed)?;
    let opened = key.open_file(SEALED_AS, &sealed);
    let content = opened.map_err(|source| SnapshotError::Sealed { path: path.to_owned(), source })?;
    let stored: Vec<Stored<'_>> = serde_json::from_slice(content.expose_secret())
        .map_err(|source| SnapshotError::Content { path: path.to_owned(), source })?;
    let door = |stored: Stored<'_>| {
        Some(WebhookDoor {
            shop: ShopId::new(stored.shop)?,
            token_hash: stored.token_hash,
            secret: stored.secret.into_owned().into(),
            secret_previous: stored.secret_previous.map(|previous| previous.into_owned().into()),
            is_read: stored.is_read,
        })
    };
    let doors: Vec<WebhookDoor> = stored.into_iter().take(DOORS_MAX).filter_map(door).collect();
    let digest = Some(Sha256::digest(content.expose_secret()).into());
    Ok(Kept { by_token: by_token(doors), digest })
}

#[cfg(test)]
mod tests {
    use store::SECRET_KEY_BYTES;

    use super::*;

    fn door(shop: i64, is_read: bool) -> WebhookDoor {
        WebhookDoor {
            shop: ShopId::new(shop).unwrap(),
            token_hash: [u8::try_from(shop).unwrap(); 32],
            secret: format!("hunter{shop}").into(),
            secret_previous: (shop == 2).then(|| "before".into()),
            is_read,
        }
    }

    fn load(path: &Path, key: u8) -> Snapshot {
        Snapshot::load(path.to_owned(), SecretKey::from_bytes([key; SECRET_KEY_BYTES]))
    }

    #[test]
    fn what_was_kept_is_there_in_the_next_life() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shops.sealed");
        let first = load(&path, 7);
        assert!(first.is_empty());
        first.keep(vec![door(1, true), door(2, false)]).unwrap();
        let file = std::fs::read(&path).unwrap();
        assert!(!file.windows(6).any(|part| part == b"hunter"), "it is sealed");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }

        let next = load(&path, 7);
        let found = next.find(&[2; 32]).unwrap();
        assert_eq!((found.shop.get(), found.is_read), (2, false));
        assert_eq!(found.secret.expose_secret(), "hunter2");
        assert_eq!(found.secret_previous.unwrap().expose_secret(), "before");
        assert!(next.find(&[3; 32]).is_none());
        next.keep(vec![door(1, true), door(2, false)]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), file, "no news is not written");
        next.keep(vec![door(1, true)]).unwrap();
        assert!(load(&path, 7).find(&[2; 32]).is_none(), "a shop that went is gone");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_used_is_nothing_and_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shops.sealed");
        load(&path, 7).keep(vec![door(1, true)]).unwrap();
        let other = load(&path, 8);
        assert!(other.is_empty(), "it was sealed under another key");
        other.keep(vec![door(1, true)]).unwrap();
        assert!(!load(&path, 8).is_empty());
        let mut damaged = std::fs::read(&path).unwrap();
        damaged.truncate(60);
        std::fs::write(&path, damaged).unwrap();
        assert!(load(&path, 8).is_empty());
    }
}
