//! The connection to one shop: what all its reads and writes share.

use std::time::Instant;

use connector::{CallError, NotSentCause, Reply};
use serde_json::value::RawValue;
use values::Timestamp;

use crate::reply::{Answer, Purpose};
use crate::transport::{Access, ClientError, Request, Timeouts, Transport, bad_reply, unreadable};

/// Most items that WooCommerce lists on a page, takes in a batch, or is asked for by number.
pub const ITEMS_MAX: usize = 100;

/// What is said of an answer that should be a list.
pub(crate) const NOT_A_LIST: &str = "it is not the list asked for";

/// Where WooCommerce's REST API is, from the shop's address on.
pub(crate) const API: &str = "/wp-json/wc/v3";

/// One shop's REST API. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) transport: Transport,
}

impl Client {
    /// Opens no connection yet.
    pub fn new(access: Access) -> Result<Self, ClientError> {
        Self::with_timeouts(access, Timeouts::default())
    }

    /// The same with other times.
    pub fn with_timeouts(access: Access, timeouts: Timeouts) -> Result<Self, ClientError> {
        Ok(Self { transport: Transport::new(access, timeouts)? })
    }

    pub(crate) async fn get(
        &self,
        path: &str,
        query: Vec<(&'static str, String)>,
    ) -> Result<Answer, CallError> {
        self.transport.call(Request::read(path, query)).await
    }
}

/// Adds up what a reply of one or more calls says about time.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    started: Instant,
    first_date: Option<Timestamp>,
    calls: u32,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), first_date: None, calls: 0 }
    }

    /// A read without the shop's time cannot be placed among others.
    pub(crate) fn note(&mut self, answer: &Answer) -> Result<(), CallError> {
        self.calls += 1;
        let date = answer.date.ok_or_else(|| bad_reply("it does not say what time it is at the shop"))?;
        self.first_date.get_or_insert(date);
        Ok(())
    }

    /// A call that failed in an expected way also counts.
    pub(crate) fn note_failure(&mut self) {
        self.calls += 1;
    }

    pub(crate) fn reply<T>(self, value: T) -> Result<Reply<T>, CallError> {
        let shop_time = self.first_date.ok_or_else(|| bad_reply("nothing was asked"))?;
        Ok(Reply { value, shop_time, took: self.started.elapsed(), calls: self.calls })
    }
}

/// The items of a list, each still as JSON, so that one that cannot be read does not spoil the others.
pub(crate) fn items(answer: &Answer) -> Result<Vec<&RawValue>, CallError> {
    serde_json::from_str(&answer.body).map_err(|_| unreadable(NOT_A_LIST, Purpose::Read))
}

/// Numbers, as a query takes them.
pub(crate) fn joined(ids: impl Iterator<Item = i64>) -> String {
    ids.map(|id| id.to_string()).collect::<Vec<_>>().join(",")
}

pub(crate) fn per_page() -> (&'static str, String) {
    ("per_page", ITEMS_MAX.to_string())
}

/// Refuses more items than a call may hold.
pub(crate) fn at_most(items: usize) -> Result<(), CallError> {
    if items > ITEMS_MAX {
        return Err(CallError::NotSent { cause: NotSentCause::TooMany, source: None });
    }
    Ok(())
}

/// WordPress has no such path: the shop is older, or a module is off.
pub(crate) fn is_no_route(error: &CallError) -> bool {
    matches!(error, CallError::Refused { status: 404, code } if code == "rest_no_route")
}
