//! `onhand doctor`: what of a shop's catalogue is not kept in agreement, and the fixes that onhand can make.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::api::{Api, PAGE_ROWS};
use crate::cells;
use crate::commands::shop::task;
use crate::failure::Failure;
use crate::screen::{Screen, Table, rows, text};

/// Findings of a kind that are shown to people if nobody asks for all of them.
const SHOWN_MAX: usize = 20;

const COLUMNS: [&str; 10] =
    ["kind", "severity", "product", "variation", "name", "sku", "mapped_to", "what", "todo", "fix"];

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Doctor {
    /// The shop's name.
    shop: String,
    /// Print the findings as CSV.
    #[arg(long, conflicts_with = "fix")]
    csv: bool,
    /// Only this kind of finding, as `missing_sku`.
    #[arg(long, value_name = "KIND", conflicts_with = "fix")]
    kind: Option<String>,
    /// Show every finding, not only the first of each kind.
    #[arg(long)]
    all: bool,
    /// What to put right. Without --yes this only lists what would be done.
    #[arg(long, value_enum)]
    fix: Option<Fix>,
    /// Only list what the fix would do; so it is anyway without --yes.
    #[arg(long, requires = "fix", conflicts_with = "yes")]
    dry_run: bool,
    /// Do it.
    #[arg(long, requires = "fix")]
    yes: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Fix {
    /// Switches `Manage stock?` on in the shop for what keeps no quantity and has stock in the ledger. It starts with nothing,
    /// so it cannot be bought until onhand has told the shop what there is, which takes a minute or two.
    ManageStock,
}

impl Fix {
    const fn word(self) -> &'static str {
        match self {
            Self::ManageStock => "manage-stock",
        }
    }
}

impl Doctor {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        match self.fix {
            Some(fix) => self.fix(api, screen, fix).await,
            None => self.examine(api, screen).await,
        }
    }

    async fn examine(&self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let query: Vec<_> = self.kind.iter().map(|kind| ("kind", kind.clone())).collect();
        let mut found = Found::new(self.kept_max(screen));
        if self.csv {
            csv_head()?;
        }
        let (mut totals, mut after) = (Value::Null, None);
        loop {
            let (items, next, page) =
                api.page(&["shops", &self.shop, "doctor"], &query, after, PAGE_ROWS).await?;
            // The first page counts all of them.
            if let Some(counted) = page.get("totals").filter(|totals| !totals.is_null()) {
                totals = counted.clone();
            }
            if self.csv {
                csv(&items)?;
            } else {
                for item in items {
                    found.add(item);
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        if self.csv {
            return Ok(());
        }
        if screen.json {
            return screen.value(&json!({ "totals": totals, "items": found.kept }));
        }
        in_numbers(screen, &totals)?;
        let mut kinds: Vec<&String> = found.counts.keys().collect();
        kinds.sort_by_key(|kind| place(&totals, kind));
        for kind in kinds {
            screen.line("")?;
            let items: Vec<&Value> = found.kept.iter().filter(|item| text(item, "kind") == *kind).collect();
            show_kind(screen, kind, found.counts.get(kind).copied().unwrap_or_default(), &items)?;
        }
        if found.counts.is_empty() {
            return screen.line("nothing is to be told of its products");
        }
        Ok(())
    }

    /// How many findings of a kind are kept: a large catalogue has more than anybody reads.
    fn kept_max(&self, screen: Screen) -> usize {
        if screen.json || self.all || self.kind.is_some() { usize::MAX } else { SHOWN_MAX }
    }

    async fn fix(&self, api: &Api, screen: Screen, fix: Fix) -> Result<(), Failure> {
        if !self.yes {
            let query = [("kind", "unmanaged".to_owned())];
            let items = api.list(&["shops", &self.shop, "doctor"], &query, None).await?;
            let items: Vec<Value> =
                items.into_iter().filter(|item| text(item, "fix") == fix.word()).collect();
            return screen.show(&json!({ "dry_run": true, "items": items }), |screen| {
                let mut table = Table::new(&["PRODUCT", "SKU", "NAME"]);
                for item in &items {
                    table.row([listing(item), sku_of(item), text(item, "name")]);
                }
                screen.table(&table, "nothing can be fixed: every product that has stock keeps a quantity")?;
                if items.is_empty() {
                    return Ok(());
                }
                screen.line(format!(
                    "`Manage stock?` would be switched on for {}, starting with nothing until onhand has told the shop what \
                     there is; do it with `onhand doctor {} --fix {} --yes`",
                    counted(items.len(), "product"),
                    self.shop,
                    fix.word()
                ))
            });
        }
        let started = api.post(&["shops", &self.shop, "manage_stock"], &json!({})).await?;
        let done = task::wait(api, &started, &self.shop).await?;
        let report = done.get("report").unwrap_or(&Value::Null);
        let number = |name| report.get(name).and_then(Value::as_u64).unwrap_or(0);
        screen.show(&done, |screen| {
            screen.line(format!("`Manage stock?` is on now for {} products", number("fixed")))?;
            for item in rows(report, "not_fixed") {
                screen.line(format!(
                    "  not for {}, {}: {}",
                    listing(item),
                    text(item, "name"),
                    text(item, "why")
                ))?;
            }
            Ok(())
        })?;
        match number("not_fixed_count") {
            0 => Ok(()),
            count => Err(Failure::NotFixed { count }),
        }
    }
}

/// What `onhand shop add` says of a catalogue that was just read.
pub(crate) async fn short_form(api: &Api, screen: Screen, shop: &str) -> Result<(), Failure> {
    let totals = totals(api, shop).await?;
    in_numbers(screen, &totals)?;
    for total in rows(&totals, "findings") {
        let (kind, count) = (text(total, "kind"), text(total, "count"));
        screen.line(format!("  {count} {}", headline(&kind)))?;
    }
    if rows(&totals, "findings").is_empty() {
        return screen.line("nothing is to be told of its products");
    }
    screen.line(format!("`onhand doctor {shop}` names them, and says what to do"))
}

/// A catalogue in numbers.
pub(crate) async fn totals(api: &Api, shop: &str) -> Result<Value, Failure> {
    let query = [("limit", "1".to_owned())];
    let page = api.get(&["shops", shop, "doctor"], &query).await?;
    Ok(page.get("totals").cloned().unwrap_or(Value::Null))
}

fn in_numbers(screen: Screen, totals: &Value) -> Result<(), Failure> {
    let number = |name| text(totals, name);
    screen.line(format!(
        "{} products and variations, {} stocks, {} of them mapped",
        number("listings"),
        number("stocks"),
        number("mapped")
    ))
}

/// The worst kinds come first, as the totals have them.
fn place(totals: &Value, kind: &str) -> usize {
    let found = rows(totals, "findings").iter().position(|total| text(total, "kind") == kind);
    found.unwrap_or(usize::MAX)
}

fn show_kind(screen: Screen, kind: &str, count: usize, shown: &[&Value]) -> Result<(), Failure> {
    screen.line(format!("{count} {}", headline(kind)))?;
    for item in shown {
        let sku = Some(sku_of(item)).filter(|sku| sku != "-").map(|sku| format!(" ({sku})"));
        screen.line(format!("  {} {}{}", listing(item), text(item, "name"), sku.unwrap_or_default()))?;
        screen.line(format!("      {}", text(item, "what")))?;
        let todo = text(item, "todo");
        if !todo.is_empty() {
            screen.line(format!("      {todo}"))?;
        }
    }
    if count > shown.len() {
        screen.line(format!("  … and {} more; --all or --kind {kind} shows them", count - shown.len()))?;
    }
    Ok(())
}

/// A kind of finding, after "3 ".
fn headline(kind: &str) -> &str {
    match kind {
        "missing_sku" => "without SKU",
        "duplicate_sku" => "with a SKU that another has",
        "target_gone" => "in the table, and no longer in the shop",
        "unmanaged" => "without stock management",
        "unknown_sku" => "with a SKU that never had stock",
        "similar_sku" => "with a SKU that differs from another in case or blanks only",
        "renamed" => "with another SKU in the shop than before",
        "code_unused" => "variations whose SKU counts for nothing",
        "shared_stock" => "whose variations share one stock",
        "mapped_by_name" => "mapped by their name",
        "mapped_by_table" => "mapped by the table",
        "not_published" => "not on sale",
        "trashed" => "in the trash",
        other => other,
    }
}

/// Product and variation, as `onhand shop mapping` takes them.
fn listing(item: &Value) -> String {
    match item.get("variation").filter(|variation| !variation.is_null()) {
        Some(variation) => format!("{}/{variation}", text(item, "product")),
        None => text(item, "product"),
    }
}

fn sku_of(item: &Value) -> String {
    let mapped = text(item, "mapped_to");
    if mapped == "-" { text(item, "sku") } else { mapped }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// What was found, of which only so much is kept as is shown.
struct Found {
    kept_max: usize,
    kept: Vec<Value>,
    /// By kind.
    counts: BTreeMap<String, usize>,
}

impl Found {
    fn new(kept_max: usize) -> Self {
        Self { kept_max, kept: Vec::new(), counts: BTreeMap::new() }
    }

    fn add(&mut self, item: Value) {
        let count = self.counts.entry(text(&item, "kind")).or_default();
        *count += 1;
        if *count <= self.kept_max {
            self.kept.push(item);
        }
    }
}

fn csv_head() -> Result<(), Failure> {
    writeln!(std::io::stdout().lock(), "{}", COLUMNS.join(",")).map_err(|source| Failure::Output { source })
}

/// Names come from shops: what a spreadsheet would take for a formula is made text.
fn csv(items: &[Value]) -> Result<(), Failure> {
    let failed = |source| Failure::Output { source };
    let mut out = std::io::stdout().lock();
    for item in items {
        let cells = COLUMNS.map(|name| match item.get(name) {
            None | Some(Value::Null) => String::new(),
            _ => cells::text(&text(item, name)),
        });
        writeln!(out, "{}", cells.join(",")).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_only_so_many_of_a_kind_kept() {
        let mut found = Found::new(SHOWN_MAX);
        for number in 0..200_000 {
            let kind = if number % 2 == 0 { "unmanaged" } else { "renamed" };
            found.add(json!({ "kind": kind, "product": number }));
        }
        assert_eq!(found.counts.values().copied().collect::<Vec<_>>(), [100_000, 100_000]);
        assert_eq!(found.kept.len(), 2 * SHOWN_MAX);
        assert_eq!(found.kept[0]["product"], 0, "the first of them");
    }
}
