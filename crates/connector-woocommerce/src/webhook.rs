//! What a webhook says. Only its body is signed, so only its body is believed: the topic header is not looked at.

use connector::{ListingFact, OrderFact, Unusable};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json;
use crate::order::WireOrder;
use crate::product;
use crate::signature::Verifier;

/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "x-wc-webhook-signature";

/// Largest ping there is, in bytes: a name, `=` and a number.
const PING_BYTES_MAX: usize = 32;

/// A request to a webhook address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// WooCommerce tries whether somebody listens. It is not signed, has no effect, and wants exactly 200: otherwise
    /// it comes again after every delivery.
    Ping {
        /// The shop's number of the webhook.
        webhook: i64,
    },
    /// Signed by the shop.
    Authentic(Content),
    /// Not signed, or not by the shop.
    Forged,
}

/// What a signed body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A whole order, as it was when the shop sent it, which may be long after what happened.
    Order(OrderFact),
    /// A whole product or variation.
    Listing(ListingFact),
    /// Something happened to something with this number; read it again. It need not be what the topic says: a
    /// `product.deleted` is sent for coupons and pages too, and in older shops for orders.
    Hint {
        /// What the number may belong to.
        of: HintOf,
        /// The number.
        id: i64,
    },
    /// The shop could not read what it wanted to send.
    Error(SignedError),
    /// Signed, but of no use; with a number, read that again.
    Unusable {
        /// What it seems to be.
        of: HintOf,
        /// What is wrong with it.
        what: Unusable,
    },
}

/// What a number may belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HintOf {
    /// Anything.
    Anything,
    /// An order.
    Order,
    /// A product or variation.
    Product,
}

/// An error that the shop signed and sent as if it were content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedError {
    /// The shop's word for it.
    pub code: String,
    /// The status it goes with.
    pub status: Option<u16>,
}

impl SignedError {
    /// What it was about is gone; the body does not say what it was, so open orders need an audit.
    pub fn is_gone(&self) -> bool {
        self.status == Some(404)
    }

    /// The user who owns the webhook may no longer read orders: every event is lost until that is mended.
    pub fn owner_lost_rights(&self) -> bool {
        matches!(self.status, Some(401 | 403))
    }
}

/// Says what a request is. `signature` is the value of [`SIGNATURE_HEADER`], `body` the raw bytes.
pub fn classify(verifier: &Verifier, signature: Option<&[u8]>, body: &[u8]) -> Incoming {
    match signature {
        None => ping(body).map_or(Incoming::Forged, |webhook| Incoming::Ping { webhook }),
        Some(signature) if verifier.accepts(signature, body) => Incoming::Authentic(content(body)),
        Some(_) => Incoming::Forged,
    }
}

fn ping(body: &[u8]) -> Option<i64> {
    if body.len() > PING_BYTES_MAX {
        return None;
    }
    let number = std::str::from_utf8(body).ok()?.strip_prefix("webhook_id=")?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse().ok()
}

/// The names at the top of a body, enough to see what it is, and to read an order without going through all of it again.
#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    line_items: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    date_modified_gmt: Option<&'a RawValue>,
    #[serde(borrow)]
    date_created_gmt: Option<&'a RawValue>,
    #[serde(borrow)]
    manage_stock: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    order: Option<&'a RawValue>,
    #[serde(borrow)]
    product: Option<&'a RawValue>,
}

/// What the legacy form wraps; only its number is of use, as its other names differ.
#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorData<'a> {
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

/// What a signed body holds.
pub fn content(body: &[u8]) -> Content {
    let unusable = |id: Option<i64>, reason: &str| Content::Unusable {
        of: HintOf::Anything,
        what: Unusable { id, reason: reason.to_owned() },
    };
    let Ok(text) = std::str::from_utf8(body) else {
        return unusable(None, "the body is not UTF-8");
    };
    let Ok(outline) = serde_json::from_str::<Outline<'_>>(text) else {
        return unusable(None, "the body is not a JSON object that can be read");
    };
    if outline.line_items.is_some() && outline.status.is_some() {
        let unusable = |what| Content::Unusable { of: HintOf::Order, what };
        let Outline { id, status, date_modified_gmt, date_created_gmt, line_items, .. } = outline;
        let wire = WireOrder { id, status, date_modified_gmt, date_created_gmt, line_items };
        return wire.order().map_or_else(unusable, Content::Order);
    }
    if outline.manage_stock.is_some() {
        let unusable = |what| Content::Unusable { of: HintOf::Product, what };
        return product::listing(text, None).map_or_else(unusable, Content::Listing);
    }
    let wrapped = [(HintOf::Order, outline.order), (HintOf::Product, outline.product)];
    for (of, inner) in wrapped {
        if let Some(id) = inner.and_then(inner_id) {
            return Content::Hint { of, id };
        }
    }
    let id = json::id::<i64>(outline.id, "id").ok().flatten().filter(|id| *id > 0);
    if outline.code.is_some() && outline.message.is_some() && id.is_none() {
        let data = outline.data.and_then(|data| serde_json::from_str::<ErrorData<'_>>(data.get()).ok());
        return Content::Error(SignedError {
            code: json::words(outline.code),
            status: data.and_then(|data| json::parsed(data.status)),
        });
    }
    match id {
        Some(id) if is_only_an_id(text) => Content::Hint { of: HintOf::Anything, id },
        id => unusable(id, "neither an order nor a product"),
    }
}

fn inner_id(raw: &RawValue) -> Option<i64> {
    let wrapped = serde_json::from_str::<Wrapped<'_>>(raw.get()).ok()?;
    json::id::<i64>(wrapped.id, "id").ok().flatten().filter(|id| *id > 0)
}

/// `{"id":97}` and nothing else.
fn is_only_an_id(text: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct OnlyId<'a> {
        #[serde(borrow, rename = "id")]
        _id: &'a RawValue,
    }
    serde_json::from_str::<OnlyId<'_>>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    type Check = Box<dyn Fn(&Content) -> bool>;

    fn verifier() -> Verifier {
        Verifier::new(&SecretString::from("s"), None).unwrap()
    }

    #[test]
    fn a_ping_is_unsigned_and_nothing_else_is() {
        let ping = |body: &[u8]| classify(&verifier(), None, body);
        assert_eq!(ping(b"webhook_id=17"), Incoming::Ping { webhook: 17 });
        for body in [
            &b"webhook_id="[..],
            b"webhook_id=1&x=2",
            b"webhook_id=-1",
            b"webhook_id=99999999999999999999",
            b"webhook_id=00000000000000000000000000000000001",
            b"{\"id\":97}",
            b"",
            b"\xff",
        ] {
            assert_eq!(ping(body), Incoming::Forged, "{body:?}");
        }
        assert_eq!(classify(&verifier(), Some(b"AAAA"), b"webhook_id=17"), Incoming::Forged);
    }

    #[test]
    fn the_body_decides() {
        let unusable = |id: Option<i64>| move |content: &Content| matches!(content, Content::Unusable { what, .. } if what.id == id);
        let hint = |of, id| move |content: &Content| *content == Content::Hint { of, id };
        let error = |gone: bool, rights: bool| {
            move |content: &Content| {
                matches!(content, Content::Error(error)
                    if error.is_gone() == gone && error.owner_lost_rights() == rights)
            }
        };
        let cases: Vec<(&str, Check)> = vec![
            (r#"{"id":97}"#, Box::new(hint(HintOf::Anything, 97))),
            (r#"{"id":0}"#, Box::new(unusable(None))),
            (r#"{"order":{"id":5,"order_number":"5","line_items":[]}}"#, Box::new(hint(HintOf::Order, 5))),
            (r#"{"product":{"id":6}}"#, Box::new(hint(HintOf::Product, 6))),
            (
                r#"{"code":"x_invalid_id","message":"Invalid ID.","data":{"status":404}}"#,
                Box::new(error(true, false)),
            ),
            (
                r#"{"code":"x_cannot_view","message":"Sorry","data":{"status":403}}"#,
                Box::new(error(false, true)),
            ),
            (r#"{"code":"x","message":"y"}"#, Box::new(error(false, false))),
            (r#"{"code":"x","message":"y","data":[]}"#, Box::new(error(false, false))),
            (r#"{"id":9,"code":"SUMMER","discount_type":"percent"}"#, Box::new(unusable(Some(9)))),
            (r#"{"id":9,"email":"a@b","role":"customer"}"#, Box::new(unusable(Some(9)))),
            (r#"{"id":8,"status":"completed","line_items":[{"id":1}]}"#, Box::new(unusable(Some(8)))),
            ("[]", Box::new(unusable(None))),
            ("null", Box::new(unusable(None))),
            ("", Box::new(unusable(None))),
            ("{\"id\":97", Box::new(unusable(None))),
            (r#"{"id":97,"id":98}"#, Box::new(unusable(None))),
        ];
        for (body, check) in cases {
            let content = content(body.as_bytes());
            assert!(check(&content), "{body} became {content:?}");
        }
        assert!(unusable(None)(&content(b"\xff\xfe{\0}\0")));
    }

    #[test]
    fn depth_and_size_break_nothing() {
        for open in
            ["[", "{\"id\":", "{\"line_items\":[{\"meta_data\":", "{\"status\":\"x\",\"line_items\":["]
        {
            let body = open.repeat(100_000);
            assert!(matches!(content(body.as_bytes()), Content::Unusable { .. }), "{open}");
        }
        let deep = format!(
            r#"{{"id":1,"status":"x","date_modified_gmt":"2026-11-22T03:48:13","line_items":[{{"id":1,"quantity":1,"meta_data":[{{"key":"k","value":{}{}}}]}}]}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(
            matches!(content(deep.as_bytes()), Content::Order(_)),
            "a plugin's deep value is passed over"
        );
    }
}
