//! The doctor: what of a shop's catalogue is not kept in agreement, why, and what to do.

#![expect(unused_qualifications, reason = "what `utoipa::path` makes of the query names it in full")]

mod ailment;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::{ListingRow, PAGE_ROWS_MAX, STATUS_GONE, Store};
use utoipa::{IntoParams, ToSchema};
use values::{HolderId, ListingId, ShopId, VariationId};

use super::super::extract::{Path, Query};
use super::super::page::PageQuery;
use super::super::problem::Problem;
use super::super::{Shared, names};
pub(in super::super) use ailment::{Ailment, Severity};
use ailment::{Told, examine as examined};

/// What to tell of.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct DoctorQuery {
    /// Most findings to answer with, from 1 to 1000; 100 if left out.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
    /// The `next` of the page before; the first page if left out.
    after: Option<String>,
    /// Only this kind.
    #[param(inline)]
    kind: Option<Ailment>,
}

/// Something that is to be told of an entry of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct DoctorFinding {
    /// What it is.
    kind: Ailment,
    /// How bad it is.
    severity: Severity,
    /// The product.
    #[schema(example = 17)]
    product: i64,
    /// The variation, if it is one.
    variation: Option<i64>,
    /// Its name in the shop.
    name: String,
    /// Its code in the shop.
    #[schema(example = "tee-red-m")]
    sku: Option<String>,
    /// The SKU it counts as; `null` if nobody knows.
    #[schema(example = "TEE-RED-M")]
    mapped_to: Option<String>,
    /// What is so, in plain words.
    what: String,
    /// What can be done; empty if nothing needs to be.
    todo: String,
    /// The fix that onhand can make: `manage-stock`.
    fix: Option<&'static str>,
}

/// How many there are of a kind.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct DoctorTotal {
    /// The kind.
    kind: Ailment,
    /// How bad it is.
    severity: Severity,
    /// How many entries.
    #[schema(example = 3)]
    count: u64,
}

/// A catalogue in numbers.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in super::super) struct DoctorTotals {
    /// Products and variations, without those that are gone.
    #[schema(example = 120)]
    listings: u64,
    /// Those that keep a quantity of their own.
    #[schema(example = 118)]
    stocks: u64,
    /// Of these, those whose SKU is known.
    #[schema(example = 115)]
    mapped: u64,
    /// What is to be told, by kind, the worst first.
    findings: Vec<DoctorTotal>,
}

/// A page of what is to be told of a shop's catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct DoctorReport {
    /// The catalogue in numbers; on the first page only.
    totals: Option<DoctorTotals>,
    /// The findings, by product and variation.
    items: Vec<DoctorFinding>,
    /// What to ask for as `after` to get the page that follows; `null` at the end.
    next: Option<String>,
}

/// Examine a shop's catalogue
///
/// Which products and variations have no SKU, the same as others, or one that differs from a known one in case and blanks only;
/// which keep no quantity, share that of their product, or are unknown to the ledger; which are drafts or in the trash; which
/// are mapped by the table or by name, and which entries of the table lead nowhere. It tells of the catalogue as it was read
/// last; nothing is called.
#[utoipa::path(get, path = "/shops/{name}/doctor", tag = "registry", operation_id = "examine_shop",
    params(("name" = String, Path, description = "Name of the shop"), DoctorQuery),
    responses((status = 200, body = DoctorReport)))]
pub(in super::super) async fn examine(
    State(parts): State<Shared>,
    Path(name): Path<String>,
    Query(query): Query<DoctorQuery>,
) -> Result<Json<DoctorReport>, Problem> {
    let DoctorQuery { limit, after, kind } = query;
    let asked = PageQuery { limit, after }.of("doctor")?;
    let shop = names::shop(&parts.store, &name).await?;
    let after = asked.after(listing_of)?;
    let mut report = DoctorReport { totals: None, items: Vec::new(), next: None };
    let mut counted = Counted::default();
    let mut rows = Rows { store: &parts.store, shop: shop.id, after };
    let mut last = None;
    'pages: while let Some(page) = rows.next().await? {
        for row in page {
            let told = examined(&row, &name);
            if after.is_none() {
                counted.add(&row, &told);
            }
            let wanted = told.into_iter().filter(|told| kind.is_none_or(|kind| told.kind == kind));
            let mut wanted = wanted.peekable();
            if wanted.peek().is_none() {
                continue;
            }
            if report.items.len() >= asked.rows() {
                report.next = report.next.or_else(|| last.map(|last| asked.cursor(&key_of(last))));
                // The first page counts what follows.
                if after.is_none() {
                    continue;
                }
                break 'pages;
            }
            last = Some(row.listing);
            report.items.extend(wanted.map(|told| finding(&row, told)));
        }
    }
    report.totals = after.is_none().then(|| counted.totals());
    Ok(Json(report))
}

/// The catalogue, page by page.
struct Rows<'a> {
    store: &'a Store,
    shop: ShopId,
    after: Option<ListingId>,
}

impl Rows<'_> {
    async fn next(&mut self) -> Result<Option<Vec<ListingRow>>, Problem> {
        let rows = self.store.listings_of_shop(self.shop, self.after, PAGE_ROWS_MAX).await?;
        self.after = rows.last().map(|row| row.listing).or(self.after);
        Ok(Some(rows).filter(|rows| !rows.is_empty()))
    }
}

#[derive(Default)]
struct Counted {
    totals: DoctorTotals,
    kinds: BTreeMap<(Severity, Ailment), u64>,
}

impl Counted {
    fn add(&mut self, row: &ListingRow, told: &[Told]) {
        if row.status != STATUS_GONE {
            self.totals.listings += 1;
        }
        if row.keeps_own() {
            self.totals.stocks += 1;
            self.totals.mapped += u64::from(row.sku.is_some());
        }
        for told in told {
            *self.kinds.entry((told.kind.severity(), told.kind)).or_default() += 1;
        }
    }

    fn totals(self) -> DoctorTotals {
        let total = |((severity, kind), count)| DoctorTotal { kind, severity, count };
        DoctorTotals { findings: self.kinds.into_iter().map(total).collect(), ..self.totals }
    }
}

fn finding(row: &ListingRow, told: Told) -> DoctorFinding {
    DoctorFinding {
        kind: told.kind,
        severity: told.kind.severity(),
        product: row.listing.product.get(),
        variation: row.listing.variation.map(VariationId::get),
        name: row.name.clone(),
        sku: row.code.as_ref().map(ToString::to_string),
        mapped_to: row.sku.as_ref().or(row.mapped.as_ref()).map(ToString::to_string),
        what: told.what,
        todo: told.todo,
        fix: told.fix,
    }
}

/// A listing as a cursor names it.
pub(in super::super) fn key_of(listing: ListingId) -> String {
    format!("{}/{}", listing.product, listing.variation.map_or(0, VariationId::get))
}

/// The listing that a cursor names.
pub(in super::super) fn listing_of(key: &str) -> Option<ListingId> {
    let (product, variation) = key.split_once('/')?;
    let variation: i64 = variation.parse().ok()?;
    let product: HolderId = product.parse().ok()?;
    Some(ListingId {
        product: values::ProductId::new(product.get())?,
        variation: VariationId::new(variation),
    })
}
