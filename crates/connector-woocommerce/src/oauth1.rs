//! Signing a request by OAuth 1.0a (RFC 5849) with a key and no token, as WooCommerce wants it on plain http, where
//! the secret itself may not be sent. The parameters go into the query; a JSON body is not signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What makes each signature another one.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    /// Seconds since 1970; the shop accepts 15 minutes either way.
    pub(crate) timestamp: u64,
    /// Never used before with this key.
    pub(crate) nonce: String,
}

/// Encodes all but letters, digits, `-`, `.`, `_` and `~` (RFC 3986).
pub(crate) fn encode(text: &str) -> String {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |nibble: u8| HEX[usize::from(nibble)];
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

/// The parameters that sign a request, to be added to its query.
pub(crate) fn sign(
    method: &str,
    url: &str,
    query: &[(&str, String)],
    key: &str,
    secret: &str,
    stamp: &Stamp,
) -> Vec<(&'static str, String)> {
    let mut added = vec![
        ("oauth_consumer_key", key.to_owned()),
        ("oauth_nonce", stamp.nonce.clone()),
        ("oauth_signature_method", "HMAC-SHA256".to_owned()),
        ("oauth_timestamp", stamp.timestamp.to_string()),
    ];
    let all: Vec<(&str, &str)> =
        query.iter().map(|(name, value)| (*name, value.as_str())).chain(borrowed(&added)).collect();
    let base = base_string(method, url, &all);
    // The second half of the key is the token's secret: there is no token.
    let signing_key = format!("{}&", encode(secret));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(signing_key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(base.as_bytes());
    added.push(("oauth_signature", STANDARD.encode(mac.finalize().into_bytes())));
    added
}

fn borrowed<'a>(pairs: &'a [(&'static str, String)]) -> impl Iterator<Item = (&'a str, &'a str)> {
    pairs.iter().map(|(name, value)| (*name, value.as_str()))
}

/// RFC 5849 §3.4.1: method, address without query, and the parameters sorted after they are encoded.
fn base_string(method: &str, url: &str, parameters: &[(&str, &str)]) -> String {
    let mut pairs: Vec<(String, String)> =
        parameters.iter().map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}&{}&{}", method.to_ascii_uppercase(), encode(url), encode(&pairs.join("&")))
}

#[cfg(test)]
mod tests {
    use sha1::Sha1;

    use super::*;

    #[test]
    fn encoding_is_that_of_rfc_3986() {
        assert_eq!(encode("Ladies + Gentlemen"), "Ladies%20%2B%20Gentlemen");
        assert_eq!(encode("An encoded string!"), "An%20encoded%20string%21");
        assert_eq!(encode("Dogs, Cats & Mice"), "Dogs%2C%20Cats%20%26%20Mice");
        assert_eq!(encode("-._~żA9"), "-._~%C5%BCA9");
    }

    #[test]
    fn the_base_string_of_rfc_5849() {
        let parameters = [
            ("b5", "=%3D"),
            ("a3", "a"),
            ("c@", ""),
            ("a2", "r b"),
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
            ("c2", ""),
            ("a3", "2 q"),
        ];
        assert_eq!(
            base_string("post", "http://example.com/request", &parameters),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D\
             %26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a\
             %26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    #[test]
    fn the_signature_of_rfc_5849() {
        // §1.2, the request for the photograph. The one before it in the text is a misprint.
        let parameters = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
            ("file", "vacation.jpg"),
            ("size", "original"),
        ];
        let base = base_string("GET", "http://photos.example.net/photos", &parameters);
        let mut mac = Hmac::<Sha1>::new_from_slice(b"kd94hf93k423kf44&pfkkdhi9sl3r4s00").unwrap();
        mac.update(base.as_bytes());
        assert_eq!(STANDARD.encode(mac.finalize().into_bytes()), "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
    }

    #[test]
    fn a_signature_as_the_shop_computes_it() {
        let stamp = Stamp { timestamp: 1_700_000_000, nonce: "0123456789abcdef0123456789abcdef".to_owned() };
        let query = [("filter[sku]", "A 1".to_owned())];
        let url = "http://shop.test/wc-api/v3/products";
        let added = sign("GET", url, &query, "ck_demo", "cs_demo", &stamp);
        let signature = added.iter().find(|(name, _)| *name == "oauth_signature").unwrap();
        assert_eq!(signature.1, "ggdW/zkIJ1LeBlCAFS7Y4IxerN4NRRWg2849zyQ7DM4=");
    }
}
