//! Is a webhook really from the shop? Checked over the raw body, in constant time, with the secret of today and, while
//! it is being changed, the one before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Longest signature header looked at, in bytes; a genuine one has 44.
const SIGNATURE_BYTES_MAX: usize = 128;

/// A secret that would let anybody sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nothing in it.
    #[error("a webhook secret may not be empty: anybody could sign")]
    Empty,
}

/// Checks webhooks of one shop.
pub struct Verifier {
    /// At most four: today's secret and the one before, each as written and as WooCommerce decodes it.
    keys: Vec<Hmac<Sha256>>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Verifier {
    /// `previous` is still accepted while a new secret is being brought into the shop.
    pub fn new(current: &SecretString, previous: Option<&SecretString>) -> Result<Self, SecretError> {
        let mut texts: Vec<String> = Vec::new();
        for secret in [Some(current), previous].into_iter().flatten() {
            let secret = secret.expose_secret();
            if secret.is_empty() {
                return Err(SecretError::Empty);
            }
            for text in [secret.to_owned(), decode_entities(secret)] {
                if !text.is_empty() && !texts.contains(&text) {
                    texts.push(text);
                }
            }
        }
        let key = |text: &String| {
            Hmac::<Sha256>::new_from_slice(text.as_bytes()).expect("HMAC takes a key of any length")
        };
        Ok(Self { keys: texts.iter().map(key).collect() })
    }

    /// Whether `signature` (the header's value, base64) is that of `body` under one of the secrets.
    pub fn accepts(&self, signature: &[u8], body: &[u8]) -> bool {
        if signature.len() > SIGNATURE_BYTES_MAX {
            return false;
        }
        let Ok(tag) = STANDARD.decode(signature.trim_ascii()) else {
            return false;
        };
        // All keys are always tried, so that the time taken tells nothing about which one fitted.
        self.keys.iter().fold(false, |accepted, key| {
            let mut mac = key.clone();
            mac.update(body);
            accepted | mac.verify_slice(&tag).is_ok()
        })
    }
}

/// What WooCommerce makes of a secret before it signs: the entities of `&`, `<`, `>`, `"` and `'` are decoded, once.
fn decode_entities(secret: &str) -> String {
    let mut decoded = String::with_capacity(secret.len());
    let mut rest = secret;
    while let Some((before, from)) = rest.split_once('&') {
        decoded.push_str(before);
        let entity = from.split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        if let Some((character, after)) = entity {
            decoded.push(character);
            rest = after;
        } else {
            decoded.push('&');
            rest = from;
        }
    }
    decoded.push_str(rest);
    decoded
}

/// The character of an entity's name, without `&` and `;`. Numbers may be padded with zeros.
fn character(name: &str) -> Option<char> {
    let unpadded = |digits: &str| digits.trim_start_matches('0').to_ascii_lowercase();
    let hexadecimal = name.strip_prefix("#x").or_else(|| name.strip_prefix("#X"));
    if let Some(digits) = hexadecimal {
        return match unpadded(digits).as_str() {
            "26" => Some('&'),
            "22" => Some('"'),
            "27" => Some('\''),
            _ => None,
        };
    }
    if let Some(digits) = name.strip_prefix('#') {
        return match unpadded(digits).as_str() {
            "38" => Some('&'),
            "60" => Some('<'),
            "62" => Some('>'),
            "34" => Some('"'),
            "39" => Some('\''),
            _ => None,
        };
    }
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HMAC-SHA256 of `{"id":7}` under `whsec_demo`, computed independently.
    const DEMO: &[u8] = b"nzF3qdSrejGfAbcEUKk/aZZa8iiumxgWxwxXHLF3j8w=";

    fn verifier(current: &str, previous: Option<&str>) -> Verifier {
        let previous = previous.map(SecretString::from);
        Verifier::new(&SecretString::from(current), previous.as_ref()).unwrap()
    }

    fn sign(key: &str, body: &[u8]) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(body);
        STANDARD.encode(mac.finalize().into_bytes()).into_bytes()
    }

    #[test]
    fn a_known_signature() {
        assert!(verifier("whsec_demo", None).accepts(DEMO, br#"{"id":7}"#));
    }

    #[test]
    fn forgeries_are_refused() {
        let verifier = verifier("whsec_demo", None);
        let body = br#"{"id":7}"#;
        let hexadecimal = b"9f3177a9d4ab7a319f01b70450a93f69965af228ae9b1816c70c571cb1778fcc";
        for signature in [
            &b""[..],
            b"=",
            &DEMO[..43],
            &DEMO[1..],
            &DEMO[..40],
            &DEMO[..4],
            hexadecimal,
            b"\xff\xfe",
            &[b'A'; 4_096],
        ] {
            assert!(!verifier.accepts(signature, body), "{signature:?}");
        }
        assert!(!verifier.accepts(&sign("other", body), body));
        assert!(!verifier.accepts(DEMO, br#"{"id":8}"#));
        assert!(!verifier.accepts(DEMO, b""));
    }

    #[test]
    fn both_secrets_hold_while_one_is_being_changed() {
        let body = b"x";
        let changing = verifier("new", Some("old"));
        assert!(changing.accepts(&sign("new", body), body) && changing.accepts(&sign("old", body), body));
        assert!(!verifier("new", None).accepts(&sign("old", body), body));
    }

    #[test]
    fn entities_are_decoded_as_the_shop_decodes_them() {
        for (secret, key) in [
            ("&amp;x", "&x"),
            ("a&lt;b", "a<b"),
            ("&#039;&#39;&#x27;&#X027;", "''''"),
            ("&quot;&#34;&#x22;", "\"\"\""),
            ("&#0038;&#60;&#62;&gt;", "&<>>"),
            ("&amp;amp;", "&amp;"),
            ("a&b;c", "a&b;c"),
            ("&&lt;", "&<"),
            ("&nbsp;&#x3c;", "&nbsp;&#x3c;"),
            ("ż & ł", "ż & ł"),
        ] {
            assert_eq!(decode_entities(secret), key, "{secret}");
            let body = b"body";
            let verifier = verifier(secret, None);
            assert!(verifier.accepts(&sign(key, body), body), "{secret} signs with {key}");
            assert!(verifier.accepts(&sign(secret, body), body), "older shops sign with it as written");
        }
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert_eq!(Verifier::new(&SecretString::from(""), None).unwrap_err(), SecretError::Empty);
        let printed = format!("{:?}", verifier("hush-hush", None));
        assert!(!printed.contains("hush"), "{printed}");
    }
}
