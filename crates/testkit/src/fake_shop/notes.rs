//! Notes of orders by REST. They change nothing else, and no webhook tells of them.

use std::collections::BTreeMap;

use serde_json::Value;
use values::{OrderId, Timestamp};

use super::body::boolean;
use super::json::{Json, object};
use super::reply::Reply;
use super::routes::Route;
use super::server::Call;
use super::{dates, lock};

/// In a real shop notes are comments, which are numbered with those of the blog.
const FIRST_NOTE: i64 = 501;

#[derive(Debug, Clone)]
struct Note {
    id: i64,
    written_at: Timestamp,
    text: String,
    to_customer: bool,
}

/// The notes of every order, oldest first.
#[derive(Debug, Default)]
pub(super) struct Notes {
    by_order: BTreeMap<OrderId, Vec<Note>>,
    count: i64,
}

impl Notes {
    pub(super) fn to_customer(&self, order: OrderId) -> Vec<String> {
        let notes = self.by_order.get(&order).into_iter().flatten();
        notes.filter(|note| note.to_customer).map(|note| note.text.clone()).collect()
    }

    fn add(&mut self, order: OrderId, text: String, to_customer: bool, now: Timestamp) -> Note {
        let note = Note { id: FIRST_NOTE + self.count, written_at: now, text, to_customer };
        self.count += 1;
        self.by_order.entry(order).or_default().push(note.clone());
        note
    }
}

pub(super) fn handle(call: &Call) -> Result<Reply, Reply> {
    match call.route {
        Route::Notes(order) => list(call, order),
        Route::NoteCreate(order) => create(call, order),
        _ => Err(Reply::no_route()),
    }
}

/// Other than at refunds, the order of a note is an order that is there, in the trash or not.
fn order_of(call: &Call, id: i64) -> Result<OrderId, Reply> {
    let order = OrderId::new(id).filter(|id| call.inner.model().order(*id).is_some());
    order.ok_or_else(|| Reply::error("woocommerce_rest_order_invalid_id", "Invalid order ID.", 404))
}

/// The newest first, all of them on one page.
fn list(call: &Call, order: i64) -> Result<Reply, Reply> {
    let kind = call.query.one_of("type", &["any", "customer", "internal"])?.unwrap_or("any");
    let order = order_of(call, order)?;
    let notes = lock(&call.inner.notes);
    let wanted = |note: &&Note| match kind {
        "customer" => note.to_customer,
        "internal" => !note.to_customer,
        _ => true,
    };
    let notes = notes.by_order.get(&order).into_iter().flatten().filter(wanted).rev();
    Ok(Reply::ok(notes.map(|note| body(call, order, note)).collect::<Vec<Json>>().into()))
}

fn create(call: &Call, order: i64) -> Result<Reply, Reply> {
    let order = order_of(call, order)?;
    let Some(text) = call.body.get("note").and_then(Value::as_str) else {
        return Err(Reply::error("rest_missing_callback_param", "Missing parameter(s): note", 400));
    };
    let to_customer = call.body.get("customer_note").and_then(boolean).unwrap_or(false);
    // Comments are stored as WordPress stores them: without backslashes.
    let text = text.replace('\\', "");
    let note = lock(&call.inner.notes).add(order, text, to_customer, call.inner.now());
    Ok(Reply::created(body(call, order, &note)))
}

fn body(call: &Call, order: OrderId, note: &Note) -> Json {
    let offset = call.inner.renderer.utc_offset_seconds;
    object! {
        "id": note.id,
        "author": "WooCommerce",
        "date_created": dates::civil(note.written_at, offset),
        "date_created_gmt": dates::civil(note.written_at, 0),
        "note": note.text.as_str(),
        "customer_note": note.to_customer,
        "_links": object! {
            "up": format!("{}/wp-json/wc/v3/orders/{order}", call.inner.renderer.home),
        },
    }
}
