//! Idempotency keys: what a caller calls an operation, and the fingerprint of what it asked for under it.

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// Longest key, in characters.
const KEY_CHARS_MAX: usize = 200;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The key of a request, if it has one.
#[derive(Debug, Clone)]
pub(super) struct Key(pub(super) Option<String>);

impl Key {
    /// The key, where there must be one.
    pub(super) fn required(self) -> Result<String, Problem> {
        self.0.ok_or_else(|| {
            Problem::bad_request(
                "send the header `Idempotency-Key` with text of your own that names this operation; sending the same \
                 again under the same key does nothing twice",
            )
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or_default();
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if values.next().is_some() || !plain || !(1..=KEY_CHARS_MAX).contains(&text.len()) {
            return Err(Problem::bad_request(format!(
                "`Idempotency-Key` must be one text of 1 to {KEY_CHARS_MAX} printable ASCII characters without blanks"
            )));
        }
        Ok(Self(Some(text.to_owned())))
    }
}

/// Fingerprint of what is asked for: of its parts, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Takes in a part; its length too, so that what is cut otherwise is something else.
    pub(super) fn part(&mut self, part: &[u8]) {
        self.0.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(part);
    }

    /// Takes in more of the last part, however it is cut.
    pub(super) fn more(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The first 128 bits.
    pub(super) fn finish(self) -> [u8; 16] {
        let digest: [u8; 32] = self.0.finalize().into();
        let mut first = [0; 16];
        first.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart() {
        let of = |parts: &[&str]| {
            let mut fingerprint = Fingerprint::default();
            for part in parts {
                fingerprint.part(part.as_bytes());
            }
            fingerprint.finish()
        };
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
        assert_ne!(of(&["a", ""]), of(&["", "a"]));
    }
}
