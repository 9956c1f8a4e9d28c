//! All stock as CSV, written while it is read: a page of SKUs at a time.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use store::{SkuStock, Store};
use values::Sku;

use super::names::Warehouses;
use super::problem::Problem;
use super::{Shared, wire};

/// SKUs read at a time.
const PAGE_SKUS: u32 = 1_000;

const COLUMNS: [&str; 6] = ["sku", "warehouse", "on_hand", "reserved", "available", "counted_at"];

/// Export all stock
///
/// CSV in UTF-8, a line for each SKU and warehouse. Each page of SKUs is consistent in itself; stock that moves meanwhile
/// may move between pages. Texts that a spreadsheet would take for formulas have a `'` before them, which an import takes
/// away again; so the file can be edited and imported as a count.
#[utoipa::path(get, path = "/stock/export", tag = "stock", operation_id = "export_stock",
    responses((status = 200, body = String, content_type = "text/csv")))]
pub(super) async fn export(State(parts): State<Shared>) -> Result<Response, Problem> {
    let warehouses = Arc::new(Warehouses::load(&parts.store).await?);
    let store = Arc::clone(&parts.store);
    let pages = stream::try_unfold(Next::Head, move |next| {
        let (store, warehouses) = (Arc::clone(&store), Arc::clone(&warehouses));
        async move { page(&store, &warehouses, next).await }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"stock.csv\""),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// What to write next.
enum Next {
    Head,
    After(Option<Sku>),
    End,
}

/// An export that cannot go on; the connection is cut, so that nobody takes half of it for all.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error("the export could not be read")]
    Store(#[source] store::Error),
    #[error("the export could not be written as CSV")]
    Csv(#[source] csv::Error),
}

async fn page(
    store: &Store,
    warehouses: &Warehouses,
    next: Next,
) -> Result<Option<(Bytes, Next)>, ExportError> {
    let after = match next {
        Next::End => return Ok(None),
        Next::Head => {
            let text = lines(|writer| writer.write_record(COLUMNS)).map_err(ExportError::Csv)?;
            return Ok(Some((text, Next::After(None))));
        }
        Next::After(after) => after,
    };
    let rows = store.stock_page(after.as_ref(), PAGE_SKUS).await.map_err(cut_off)?;
    let full = u32::try_from(rows.len()).unwrap_or(u32::MAX) >= PAGE_SKUS;
    let next = rows.last().filter(|_| full).map_or(Next::End, |row| Next::After(Some(row.sku.clone())));
    let text = lines(|writer| rows.iter().try_for_each(|row| write(writer, row, warehouses)));
    Ok(Some((text.map_err(ExportError::Csv)?, next)))
}

pub(super) fn cut_off(error: store::Error) -> ExportError {
    tracing::error!(error = %process::error_chain(&error), "an export was cut off");
    ExportError::Store(error)
}

pub(super) type Writer = csv::Writer<Vec<u8>>;

pub(super) fn lines(write: impl FnOnce(&mut Writer) -> csv::Result<()>) -> csv::Result<Bytes> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    write(&mut writer)?;
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(bytes.into())
}

fn write(writer: &mut Writer, row: &SkuStock, warehouses: &Warehouses) -> csv::Result<()> {
    let counted_at = row.book.counted_at.map_or_else(String::new, |at| wire::text_of(at).to_string());
    for (warehouse, balance) in &row.book.balances {
        writer.write_record([
            inert(row.sku.as_str()),
            inert(&warehouses.name(*warehouse)),
            balance.on_hand.to_string(),
            balance.reserved.to_string(),
            balance.available().to_string(),
            counted_at.clone(),
        ])?;
    }
    Ok(())
}

/// Text as a spreadsheet shows it, instead of calculating it.
pub(super) fn inert(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\'']) { format!("'{text}") } else { text.to_owned() }
}
