//! Tells a shop what became of its orders: their status, and notes to the customer.
//!
//! A status may be set twice without harm; a note is written anew each time, so that whoever is not sure reads them first.

use connector::{CallError, OrderNote, TellOrders};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use values::OrderId;

use crate::client::{API, Client, items};
use crate::json;
use crate::reply::Purpose;
use crate::transport::{Request, unreadable};

/// What is said of an answer that should be an order.
const NOT_AN_ORDER: &str = "it is not the order asked for";
const NOT_A_NOTE: &str = "it is not the note that was written";

#[derive(Deserialize)]
struct WireStatus<'a> {
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireNote<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    note: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct NewStatus<'a> {
    status: &'a str,
}

#[derive(Serialize)]
struct NewNote<'a> {
    note: &'a str,
    customer_note: bool,
}

impl TellOrders for Client {
    async fn order_status(&self, order: OrderId) -> Result<Option<String>, CallError> {
        let query = vec![("_fields", "id,status".to_owned())];
        match self.get(&format!("{API}/orders/{order}"), query).await {
            Ok(answer) => {
                let status = status_of(&answer.body);
                status.map(Some).ok_or_else(|| unreadable(NOT_AN_ORDER, Purpose::Read))
            }
            Err(CallError::Refused { status: 404, code }) if code.ends_with("_invalid_id") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn set_order_status(&self, order: OrderId, status: &str) -> Result<String, CallError> {
        let not_an_order = || unreadable(NOT_AN_ORDER, Purpose::Write);
        let body = serde_json::to_string(&NewStatus { status }).map_err(|_| not_an_order())?;
        let path = format!("{API}/orders/{order}");
        let answer = self.transport.call(Request::write(Method::PUT, &path, Some(body))).await?;
        status_of(&answer.body).ok_or_else(not_an_order)
    }

    async fn customer_notes(&self, order: OrderId) -> Result<Vec<OrderNote>, CallError> {
        let query = vec![("type", "customer".to_owned())];
        let answer = self.get(&format!("{API}/orders/{order}/notes"), query).await?;
        Ok(items(&answer)?.iter().filter_map(|item| note(item.get())).collect())
    }

    async fn add_customer_note(&self, order: OrderId, text: &str) -> Result<i64, CallError> {
        let not_a_note = || unreadable(NOT_A_NOTE, Purpose::Write);
        let new = NewNote { note: text, customer_note: true };
        let body = serde_json::to_string(&new).map_err(|_| not_a_note())?;
        let path = format!("{API}/orders/{order}/notes");
        let answer = self.transport.call(Request::write(Method::POST, &path, Some(body))).await?;
        Ok(note(&answer.body).ok_or_else(not_a_note)?.id)
    }
}

fn status_of(body: &str) -> Option<String> {
    let wire: WireStatus<'_> = serde_json::from_str(body).ok()?;
    let status = json::words(wire.status);
    let status = status.strip_prefix("wc-").unwrap_or(&status);
    (!status.is_empty()).then(|| status.to_owned())
}

fn note(body: &str) -> Option<OrderNote> {
    let wire: WireNote<'_> = serde_json::from_str(body).ok()?;
    Some(OrderNote { id: json::id::<i64>(wire.id, "id").ok().flatten()?, text: json::words(wire.note) })
}
