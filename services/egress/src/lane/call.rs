//! The calls a lane makes, and what comes back.

use std::time::Instant;

use connector::{
    CallError, ChangeStocks, Changed, NotSentCause, ReadStocks, Reply, StockBatch, StockRef, StocksRead,
    TellOrders,
};
use connector_woocommerce::Client;
use futures_util::future::BoxFuture;
use store::SeenPush;
use tracing::{Instrument as _, Span};
use values::{OrderId, Quantity, StockId, Timestamp};

use super::reporting::{Report, Reported};

use crate::trace;

/// A call under way.
pub(super) type Running = BoxFuture<'static, Done>;

/// A push that was journaled.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) id: StockId,
    /// As in its intent.
    pub(super) started_at: Timestamp,
    /// How many traces it belongs to.
    pub(super) causes: usize,
    /// Ends when the answer is stored.
    pub(super) span: Span,
    /// As it was journaled, if that is known: nobody else changes it as a rule until the answer is there.
    pub(super) seen: Option<SeenPush>,
}

/// A stock that is to be read back.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) stock: StockRef,
    /// What it should show.
    pub(super) expected: Option<Quantity>,
    /// The doubt that is to end, by the time until which the push may take effect.
    pub(super) doubtful_until: Option<Timestamp>,
    /// Ends when the answer is stored.
    pub(super) span: Span,
}

/// A call that may be made.
#[derive(Debug)]
pub(super) enum Call {
    /// Changes stocks; `begun` in the order of the batch.
    Push {
        batch: StockBatch,
        begun: Vec<Begun>,
        /// When journaling began.
        at: Instant,
    },
    /// Reads stocks, each with what it should show.
    ReadBack { asked: Vec<Asked> },
    /// Reads a stock to see whether the shop is back.
    Probe { stock: StockRef },
    /// The same with an order.
    ProbeOrder { order: OrderId },
    /// Tells of a shipment.
    Report(Box<Report>),
}

/// A call that ended.
#[derive(Debug)]
pub(super) enum Done {
    Push {
        begun: Vec<Begun>,
        variations: bool,
        /// When journaling began.
        at: Instant,
        /// When the call began.
        sent: Instant,
        result: Result<Changed, CallError>,
    },
    ReadBack {
        asked: Vec<Asked>,
        sent: Instant,
        result: Result<Reply<StocksRead>, CallError>,
    },
    Probe {
        sent: Instant,
        result: Result<(), CallError>,
    },
    ProbeOrder {
        order: OrderId,
        sent: Instant,
        result: Result<(), CallError>,
    },
    Report(Box<Reported>),
}

impl Call {
    /// Makes the call, once.
    pub(super) fn make(self, client: Client) -> Running {
        Box::pin(async move {
            let sent = Instant::now();
            match self {
                Self::Push { batch, begun, at } => {
                    let span = trace::calling("push", begun.iter().map(|begun| &begun.span));
                    let result = client.change_stocks(&batch).instrument(span.clone()).await;
                    trace::answered(&span, &result);
                    Done::Push { begun, variations: batch.parent.is_some(), at, sent, result }
                }
                Self::ReadBack { asked } => {
                    let stocks: Vec<StockRef> = asked.iter().map(|asked| asked.stock).collect();
                    let span = trace::calling("read_back", asked.iter().map(|asked| &asked.span));
                    let result = client.stocks(&stocks).instrument(span.clone()).await;
                    trace::answered(&span, &result);
                    Done::ReadBack { asked, sent, result }
                }
                Self::Probe { stock } => {
                    let result = client.stocks(&[stock]).await.map(|_| ());
                    Done::Probe { sent, result }
                }
                Self::ProbeOrder { order } => {
                    let result = client.order_status(order).await.map(|_| ());
                    Done::ProbeOrder { order, sent, result }
                }
                Self::Report(report) => Done::Report(Box::new(report.make(&client).await)),
            }
        })
    }
}

impl Done {
    /// A call that was not made after all.
    pub(super) fn unmade(call: Call) -> Self {
        let not_sent = || CallError::NotSent { cause: NotSentCause::ConnectTimeout, source: None };
        let sent = Instant::now();
        match call {
            Call::Push { batch, begun, at } => {
                Self::Push { begun, variations: batch.parent.is_some(), at, sent, result: Err(not_sent()) }
            }
            Call::ReadBack { asked } => Self::ReadBack { asked, sent, result: Err(not_sent()) },
            Call::Probe { .. } => Self::Probe { sent, result: Err(not_sent()) },
            Call::ProbeOrder { order } => Self::ProbeOrder { order, sent, result: Err(not_sent()) },
            Call::Report(report) => Self::Report(Box::new(report.unmade(not_sent()))),
        }
    }
}
