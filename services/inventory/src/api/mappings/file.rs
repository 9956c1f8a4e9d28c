//! A table of a shop as a file: all lines are checked before the first is applied, and applied together.

use std::collections::HashMap;

use axum::body::{Body, to_bytes};
use serde::Serialize;
use store::{TableEntry, TableOutcome};
use utoipa::ToSchema;
use values::{ListingId, ProductId, ShopId, Sku, VariationId};

use super::super::Served;
use super::super::auth::Caller;
use super::super::imports::{LineProblem, inert, refusal as refused_file};
use super::super::problem::{Kind, Problem, REASONS_MAX, Reason};
use super::refusal;
use crate::MAPPINGS_MAX;

/// Largest file, in bytes: the longest lines of as many as may be.
const FILE_BYTES_MAX: usize = 4 << 20;
/// Most SKUs named that the ledger has never heard of.
const NEW_SKUS_MAX: usize = 100;

const PRODUCT: [&str; 2] = ["product", "product_id"];
const VARIATION: [&str; 2] = ["variation", "variation_id"];
const SKU: [&str; 1] = ["sku"];
const DELIMITERS: [u8; 3] = *b";,\t";

/// What an import of a table came to.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct MappingReport {
    /// Nothing was done.
    dry_run: bool,
    /// Lines with a product.
    #[schema(example = 120)]
    lines: u64,
    /// Lines that changed something, or would.
    #[schema(example = 3)]
    changed: u64,
    /// Lines that cannot be imported; only of a dry run.
    #[schema(example = 0)]
    refused: u64,
    /// What is wrong with them, the first thousand.
    problems: Vec<LineProblem>,
    /// SKUs that the ledger had never heard of, the first hundred: they have no stock yet.
    new_skus: Vec<String>,
    /// Columns that were not looked at.
    ignored_columns: Vec<String>,
}

/// A line that is right in itself.
struct Line {
    number: u64,
    entry: TableEntry,
}

/// A file that was read.
#[derive(Default)]
struct Table {
    lines: Vec<Line>,
    problems: Vec<LineProblem>,
    ignored: Vec<String>,
}

/// Where what is.
struct Columns {
    product: usize,
    variation: Option<usize>,
    sku: usize,
}

pub(super) async fn import(
    parts: &Served,
    caller: &Caller,
    shop: ShopId,
    dry_run: bool,
    body: Body,
) -> Result<MappingReport, Problem> {
    let bytes = to_bytes(body, FILE_BYTES_MAX).await.map_err(|_| {
        Problem::new(
            Kind::TooLarge,
            format!(
                "nothing was imported: the file did not come in whole, or has more than {} MiB",
                FILE_BYTES_MAX >> 20
            ),
        )
    })?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Problem::invalid("the file is not UTF-8; save it as CSV in UTF-8"))?;
    let mut table = read(text.trim_start_matches('\u{feff}'))?;
    let entries: Vec<TableEntry> = table.lines.iter().map(|line| line.entry.clone()).collect();
    // A file that is wrong in itself is only looked at, to tell of all that is wrong at once.
    let only_looks = dry_run || !table.problems.is_empty();
    let new_skus = new_skus(parts, &entries).await?;
    let outcomes = parts.inventory.map_table(shop, &entries, only_looks, &caller.requester()).await?;
    for (line, outcome) in table.lines.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_refused()) {
        let problem = refusal(outcome, line.entry.listing, line.entry.sku.as_ref());
        table.problems.push(LineProblem { line: line.number, problem });
    }
    table.problems.sort_by_key(|wrong| wrong.line);
    let count = table.problems.len();
    if count > 0 && !dry_run {
        let reasons =
            table.problems.into_iter().map(|wrong| Reason { row: wrong.line, problem: wrong.problem });
        return Err(refused_file(Kind::Invalid, reasons.collect(), count));
    }
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let changed = outcomes.iter().filter(|outcome| matches!(outcome, TableOutcome::Changed { .. })).count();
    table.problems.truncate(REASONS_MAX);
    Ok(MappingReport {
        dry_run,
        lines: number(entries.len()),
        changed: number(changed),
        refused: number(count),
        problems: table.problems,
        new_skus,
        ignored_columns: table.ignored,
    })
}

/// Those of the SKUs that the ledger has never heard of.
async fn new_skus(parts: &Served, entries: &[TableEntry]) -> Result<Vec<String>, Problem> {
    let mut skus: Vec<Sku> = entries.iter().filter_map(|entry| entry.sku.clone()).collect();
    skus.sort_unstable();
    skus.dedup();
    let mut new = Vec::new();
    for some in skus.chunks(usize::try_from(store::PAGE_ROWS_MAX).unwrap_or(usize::MAX)) {
        let known = parts.store.stock_of(some).await?;
        let is_new = |sku: &&Sku| !known.iter().any(|row| row.sku == **sku);
        new.extend(some.iter().filter(is_new).map(ToString::to_string));
        if new.len() >= NEW_SKUS_MAX {
            new.truncate(NEW_SKUS_MAX);
            break;
        }
    }
    Ok(new)
}

fn read(text: &str) -> Result<Table, Problem> {
    let first = text.lines().next().unwrap_or_default();
    let delimiter = DELIMITERS.into_iter().find(|byte| first.as_bytes().contains(byte)).unwrap_or(b';');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let names = reader.headers().map_err(|_| Problem::invalid("the first line is not CSV"))?.clone();
    let mut table = Table::default();
    let columns = Columns::find(&names, &mut table.ignored)?;
    let mut said: HashMap<ListingId, u64> = HashMap::new();
    let mut place = Place { text, byte: 0, line: 1 };
    for record in reader.records() {
        let record = record.map_err(|error| Problem::invalid(format!("the file is not CSV: {error}")))?;
        if record.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        let number = place.line_of(&record);
        if table.lines.len() + table.problems.len() >= MAPPINGS_MAX {
            let what = format!("nothing was imported: a file has at most {MAPPINGS_MAX} lines; split it");
            return Err(Problem::new(Kind::TooLarge, what));
        }
        match columns.entry(&record) {
            Err(problem) => table.problems.push(LineProblem { line: number, problem }),
            Ok(entry) => match said.insert(entry.listing, number) {
                None => table.lines.push(Line { number, entry }),
                Some(earlier) => {
                    let problem = format!("{} is in line {earlier} too", entry.listing);
                    table.problems.push(LineProblem { line: number, problem });
                }
            },
        }
    }
    Ok(table)
}

/// Where in the file lines begin.
struct Place<'a> {
    text: &'a str,
    byte: usize,
    line: u64,
}

impl Place<'_> {
    /// The line of a record, as an editor counts: the position that comes with it is that of the empty lines before it.
    fn line_of(&mut self, record: &csv::StringRecord) -> u64 {
        let from =
            record.position().and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(self.byte);
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let before = self.text.get(self.byte..from + blank).unwrap_or_default();
        self.line += u64::try_from(before.matches('\n').count()).unwrap_or(u64::MAX);
        self.byte = from + blank;
        self.line
    }
}

impl Columns {
    fn find(names: &csv::StringRecord, ignored: &mut Vec<String>) -> Result<Self, Problem> {
        let (mut product, mut variation, mut sku) = (None, None, None);
        for (index, name) in names.iter().enumerate() {
            let name = name.trim().to_lowercase().replace([' ', '-'], "_");
            let place = if PRODUCT.contains(&name.as_str()) {
                &mut product
            } else if VARIATION.contains(&name.as_str()) {
                &mut variation
            } else if SKU.contains(&name.as_str()) {
                &mut sku
            } else {
                ignored.push(name);
                continue;
            };
            if place.replace(index).is_some() {
                return Err(Problem::invalid(format!("two columns are called {name:?}")));
            }
        }
        let (Some(product), Some(sku)) = (product, sku) else {
            return Err(Problem::invalid(
                "the first line must name the columns `product` and `sku`, and `variation` where there are any, separated \
                 by `;`, `,` or tab",
            ));
        };
        Ok(Self { product, variation, sku })
    }

    fn entry(&self, record: &csv::StringRecord) -> Result<TableEntry, String> {
        let field = |index: usize| record.get(index).map_or("", str::trim);
        let id = |text: &str, what: &str| {
            let wrong = || format!("{text:?} is not the number of a {what}");
            text.parse::<i64>()
                .map_err(|_| wrong())
                .and_then(|raw| if raw > 0 { Ok(raw) } else { Err(wrong()) })
        };
        let product = id(field(self.product), "product")?;
        let product = ProductId::new(product).ok_or("the product has no number")?;
        let variation = self.variation.map(field).filter(|text| !text.is_empty() && *text != "0");
        let variation = variation.map(|text| id(text, "variation")).transpose()?.and_then(VariationId::new);
        let text = inert(field(self.sku));
        let sku = (!text.is_empty()).then(|| text.parse::<Sku>()).transpose();
        let sku = sku.map_err(|error| error.to_string())?;
        Ok(TableEntry { listing: ListingId { product, variation }, sku, is_kept: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number, listing, SKU.
    type Right = (u64, String, Option<String>);

    /// The lines that are right, and the numbers of those that are not.
    fn lines(text: &str) -> (Vec<Right>, Vec<u64>) {
        let table = read(text).unwrap();
        let line = |line: Line| {
            let sku = line.entry.sku.map(|sku| sku.to_string());
            (line.number, line.entry.listing.to_string(), sku)
        };
        let wrong = table.problems.iter().map(|wrong| wrong.line).collect();
        (table.lines.into_iter().map(line).collect(), wrong)
    }

    #[test]
    fn lines_of_a_table() {
        let text = "Product,SKU,Variation,name\n17,TEE,,Tee\n\n20,,21,Mug\n20,'=A1,0,\n20,X,21,twice\nx,Y,,\n-1,Y,,\n5,\"a\tb\",,\n";
        let some = |text: &str| Some(text.to_owned());
        let right = [(2, "17", some("TEE")), (4, "20/21", None), (5, "20", some("=A1"))];
        let right: Vec<_> = right.into_iter().map(|(line, what, sku)| (line, what.to_owned(), sku)).collect();
        assert_eq!(lines(text), (right, vec![6, 7, 8, 9]));
        let (semicolons, wrong) = lines("product_id;sku\r\n3;A,B\r\n");
        assert_eq!((semicolons, wrong), (vec![(2, "3".to_owned(), some("A,B"))], vec![]));
    }

    #[test]
    fn columns_that_are_missing_or_doubled() {
        for text in ["", "sku", "product", "product;sku;sku", "product;product_id;sku"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
