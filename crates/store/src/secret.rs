//! Secrets at rest: sealed under one key of the installation, bound to the shop and field they belong to.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, Generate, Key, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString};
use sha2::{Digest, Sha256};

/// Length of a secret key, in bytes.
pub const SECRET_KEY_BYTES: usize = 32;

const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
/// First byte of everything sealed, so that the method can be changed one day.
const SEAL_VERSION: u8 = 1;
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;
/// Stands for the shop of what belongs to none; theirs are positive.
pub(crate) const NO_SHOP: i64 = 0;

/// A secret key, or what it sealed, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file could not be read or made.
    #[error("the secret key file {} cannot be read or made", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a secret key.
    #[error(
        "{} is not a secret key: {SECRET_KEY_BYTES} bytes are wanted, it has {bytes}; put the right file in place",
        path.display()
    )]
    NotAKey {
        /// Which file.
        path: PathBuf,
        /// How long it is; what is longer was not read to the end.
        bytes: usize,
    },
    /// Others may read the file.
    #[error("the secret key file {} is open to other users; run `chmod 600` on it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// It was sealed under another key.
    #[error("it was sealed under another key; put the key file it was stored with back in place")]
    OtherKey,
    /// What is stored is not what was sealed, or belongs elsewhere.
    #[error("what is stored was damaged or moved; enter the secret again")]
    Damaged,
}

/// The key under which an installation's secrets are stored.
pub struct SecretKey {
    key: SecretBox<[u8; SECRET_KEY_BYTES]>,
    id: [u8; KEY_ID_BYTES],
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl SecretKey {
    /// A key from elsewhere.
    pub fn from_bytes(bytes: [u8; SECRET_KEY_BYTES]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"onhand secret key");
        hasher.update(bytes);
        let digest = hasher.finalize();
        let mut id = [0; KEY_ID_BYTES];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self { key: SecretBox::new(Box::new(bytes)), id }
    }

    /// The key in the file at `path`; made at first, readable by nobody else.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        let file = |source| SecretError::File { path: path.to_owned(), source };
        match std::fs::File::open(path) {
            Ok(opened) => Self::read(path, opened),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key: [u8; SECRET_KEY_BYTES] = Key::<XChaCha20Poly1305>::generate().into();
                create(path, &key).map_err(file)?;
                Ok(Self::from_bytes(key))
            }
            Err(error) => Err(file(error)),
        }
    }

    /// The key in the file at `path`, which has to be there.
    pub fn load(path: &Path) -> Result<Self, SecretError> {
        let opened = std::fs::File::open(path);
        Self::read(path, opened.map_err(|source| SecretError::File { path: path.to_owned(), source })?)
    }

    fn read(path: &Path, mut opened: std::fs::File) -> Result<Self, SecretError> {
        let file = |source| SecretError::File { path: path.to_owned(), source };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if opened.metadata().map_err(file)?.permissions().mode() & 0o077 != 0 {
                return Err(SecretError::Exposed { path: path.to_owned() });
            }
        }
        // One byte more than wanted is enough to know that it is too long.
        let mut bytes = [0; SECRET_KEY_BYTES + 1];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match opened.read(rest).map_err(file)? {
                0 => break,
                more => filled += more,
            }
        }
        match bytes.first_chunk() {
            Some(key) if filled == SECRET_KEY_BYTES => Ok(Self::from_bytes(*key)),
            _ => Err(SecretError::NotAKey { path: path.to_owned(), bytes: filled }),
        }
    }

    /// Seals `secret` as the `field` of a shop.
    pub(crate) fn seal(&self, shop: i64, field: &str, secret: &SecretString) -> Vec<u8> {
        self.seal_bytes(&place(shop, field), secret.expose_secret().as_bytes())
    }

    /// Opens what was sealed as the `field` of a shop.
    pub(crate) fn open(&self, shop: i64, field: &str, stored: &[u8]) -> Result<SecretString, SecretError> {
        let opened = self.open_bytes(&place(shop, field), stored)?;
        String::from_utf8(opened).map(SecretString::from).map_err(|_| SecretError::Damaged)
    }

    /// Seals the content of a file that is kept beside the database, as the one of this name.
    pub fn seal_file(&self, name: &str, content: &SecretSlice<u8>) -> Vec<u8> {
        self.seal_bytes(&place(NO_SHOP, name), content.expose_secret())
    }

    /// Opens what was sealed as the file of this name.
    pub fn open_file(&self, name: &str, stored: &[u8]) -> Result<SecretSlice<u8>, SecretError> {
        self.open_bytes(&place(NO_SHOP, name), stored).map(SecretSlice::from)
    }

    fn seal_bytes(&self, place: &[u8], secret: &[u8]) -> Vec<u8> {
        let nonce = XNonce::generate();
        let payload = Payload { msg: secret, aad: place };
        let sealed = self.cipher().encrypt(&nonce, payload).expect("sealing fails only beyond 256 GiB");
        let mut stored = vec![SEAL_VERSION];
        stored.extend_from_slice(&self.id);
        stored.extend_from_slice(&nonce);
        stored.extend_from_slice(&sealed);
        stored
    }

    fn open_bytes(&self, place: &[u8], stored: &[u8]) -> Result<Vec<u8>, SecretError> {
        let (head, sealed) = stored.split_at_checked(HEAD_BYTES).ok_or(SecretError::Damaged)?;
        let (version, head) = head.split_first().ok_or(SecretError::Damaged)?;
        let (id, nonce) = head.split_at_checked(KEY_ID_BYTES).ok_or(SecretError::Damaged)?;
        if *version != SEAL_VERSION {
            return Err(SecretError::Damaged);
        }
        if id != self.id {
            return Err(SecretError::OtherKey);
        }
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| SecretError::Damaged)?;
        let payload = Payload { msg: sealed, aad: place };
        self.cipher().decrypt(&XNonce::from(nonce), payload).map_err(|_| SecretError::Damaged)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::<XChaCha20Poly1305>::from(*self.key.expose_secret()))
    }
}

fn place(shop: i64, field: &str) -> Vec<u8> {
    let mut place = shop.to_be_bytes().to_vec();
    place.extend_from_slice(field.as_bytes());
    place
}

/// Through a temporary name, so that a crash never leaves half a key where a key is looked for.
fn create(path: &Path, key: &[u8]) -> std::io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&unfinished)?;
    file.write_all(key)?;
    file.sync_all()?;
    // A hard link fails if another process made the key meanwhile; a rename would replace it.
    std::fs::hard_link(&unfinished, path)?;
    std::fs::remove_file(&unfinished)?;
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => std::fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// 256 random bits as text that fits into an address.
pub(crate) fn random_token() -> SecretString {
    use base64::Engine;
    let bytes: [u8; SECRET_KEY_BYTES] = Key::<XChaCha20Poly1305>::generate().into();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes).into()
}

/// What is stored of a token: it is random enough to need no salt.
pub(crate) fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_where_it_belongs() {
        let key = SecretKey::from_bytes([7; SECRET_KEY_BYTES]);
        let stored = key.seal(1, "consumer_key", &"ck_1".into());
        assert_eq!(key.open(1, "consumer_key", &stored).unwrap().expose_secret(), "ck_1");
        assert!(matches!(key.open(2, "consumer_key", &stored), Err(SecretError::Damaged)));
        assert!(matches!(key.open(1, "consumer_secret", &stored), Err(SecretError::Damaged)));
        let other = SecretKey::from_bytes([8; SECRET_KEY_BYTES]);
        assert!(matches!(other.open(1, "consumer_key", &stored), Err(SecretError::OtherKey)));
        let file = key.seal_file("snapshot", &b"content".to_vec().into());
        assert_eq!(key.open_file("snapshot", &file).unwrap().expose_secret(), b"content");
        assert!(matches!(key.open_file("another", &file), Err(SecretError::Damaged)));
        for cut in 0..stored.len() {
            assert!(key.open(1, "consumer_key", stored.get(..cut).unwrap()).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.key");
        let first = SecretKey::load_or_create(&path).unwrap();
        let again = SecretKey::load_or_create(&path).unwrap();
        assert_eq!(first.key.expose_secret(), again.key.expose_secret());
        assert_eq!(format!("{first:?}"), "SecretKey");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            mode(0o644);
            assert!(matches!(SecretKey::load_or_create(&path), Err(SecretError::Exposed { .. })));
            mode(0o600);
        }
        std::fs::write(&path, [1; SECRET_KEY_BYTES + 5]).unwrap();
        assert!(matches!(SecretKey::load_or_create(&path), Err(SecretError::NotAKey { .. })));
    }
}
