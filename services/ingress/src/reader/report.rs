//! What a task reports: what was read, and what of the catalogue cannot be mapped.

use std::collections::BTreeMap;

use connector::{Diagnosis, ListingFact, ListingKind, Severity};
use serde::Serialize;
use store::{ListingRow, StockSum};
use values::{HolderId, Quantity, Sku};

use super::guard::Looked;

/// Most problems named; the others are only counted. Each takes less than 400 bytes, so a report stays within its bound.
const PROBLEMS_MAX: usize = 100;
/// Longest name of a listing in a report, in characters.
const NAME_CHARS_MAX: usize = 50;
/// Longest reason why an entry was not changed, in characters.
const WHY_CHARS_MAX: usize = 120;
/// Longest text of a finding, in characters.
const FINDING_CHARS_MAX: usize = 400;
/// Most findings of a connection test.
const FINDINGS_MAX: usize = 20;

/// Why an entry of the catalogue cannot be mapped, or why somebody should look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProblemKind {
    /// A stock without a code.
    MissingSku,
    /// Another stock of the shop has the code already.
    DuplicateSku,
    /// The shop keeps no quantity for it.
    Unmanaged,
    /// A variation with a code of its own sells from its parent's stock, which has another code or none.
    StockAtParent,
    /// Not on sale: a draft, private, in the trash.
    NotPublished,
    /// What the shop told makes no sense.
    Unusable,
}

#[derive(Debug, Clone, Serialize)]
struct Problem {
    kind: ProblemKind,
    product: i64,
    variation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    name: String,
    /// The stock that has the code already.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_by: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
struct FindingText {
    severity: &'static str,
    code: &'static str,
    what: String,
    todo: String,
}

/// An entry of the catalogue that was to be changed in the shop and was not.
#[derive(Debug, Clone, Serialize)]
struct NotFixed {
    product: i64,
    variation: Option<i64>,
    name: String,
    why: String,
}

/// The report of one task. Written as JSON into the task's row.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    listings: u64,
    stocks: u64,
    /// Stocks that are found by their code.
    mapped: u64,
    orders: u64,
    unusable_orders: u64,
    /// Webhooks of ours in the shop; nothing if they are made by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhooks: Option<usize>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    problem_counts: BTreeMap<ProblemKind, u64>,
    problems: Vec<Problem>,
    findings: Vec<FindingText>,
    /// Entries that keep a quantity from now on; nothing if none was to.
    #[serde(skip_serializing_if = "Option::is_none")]
    fixed: Option<u64>,
    /// Entries that were to, and do not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_fixed: Vec<NotFixed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_fixed_count: Option<u64>,
    /// Webhooks of ours that were deleted because the shop goes; nothing if that was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    unhooked: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// What all stocks show together.
    #[serde(skip)]
    sum: Quantity,
    /// Codes by stock; as many as the shop has stocks.
    #[serde(skip)]
    skus: BTreeMap<Sku, HolderId>,
    #[serde(skip)]
    holders: BTreeMap<HolderId, Option<Sku>>,
}

impl Report {
    /// Takes an entry of the catalogue into account.
    pub(super) fn note_listing(&mut self, fact: &ListingFact) {
        self.listings += 1;
        let own = fact.listing.variation.map_or(fact.listing.product.into(), HolderId::from);
        if fact.status != "publish" && fact.kind != ListingKind::Variation {
            self.problem(ProblemKind::NotPublished, fact, None);
        }
        match fact.holder {
            // A product that is sold by its variations need not keep a quantity itself.
            None if fact.kind == ListingKind::Parent => {}
            None => self.problem(ProblemKind::Unmanaged, fact, None),
            Some(holder) if holder == own => self.note_stock(holder, fact),
            Some(holder) => {
                let parents = self.holders.get(&holder).cloned().flatten();
                if fact.sku.is_some() && fact.sku != parents {
                    self.problem(ProblemKind::StockAtParent, fact, None);
                }
            }
        }
    }

    fn note_stock(&mut self, holder: HolderId, fact: &ListingFact) {
        if self.holders.insert(holder, fact.sku.clone()).is_some() {
            return;
        }
        self.stocks += 1;
        self.sum += fact.shown.unwrap_or_default();
        let Some(sku) = &fact.sku else {
            self.problem(ProblemKind::MissingSku, fact, None);
            return;
        };
        if let Some(other) = self.skus.get(sku).copied() {
            self.problem(ProblemKind::DuplicateSku, fact, Some(other));
        } else {
            self.mapped += 1;
            self.skus.insert(sku.clone(), holder);
        }
    }

    /// How many stocks there are, and what they show together.
    pub(super) fn stock_sum(&self) -> StockSum {
        StockSum { stocks: self.stocks, sum: self.sum }
    }

    /// An entry that makes no sense.
    pub(super) fn note_unusable_listing(&mut self) {
        *self.problem_counts.entry(ProblemKind::Unusable).or_default() += 1;
    }

    pub(super) fn note_fixed(&mut self) {
        *self.fixed.get_or_insert_default() += 1;
    }

    /// An entry that the shop did not change, and its word for why.
    pub(super) fn note_not_fixed(&mut self, row: Option<&ListingRow>, id: HolderId, why: &str) {
        *self.not_fixed_count.get_or_insert_default() += 1;
        if self.not_fixed.len() < PROBLEMS_MAX {
            let clipped =
                |text: &str, chars_max| text.chars().filter(|c| !c.is_control()).take(chars_max).collect();
            self.not_fixed.push(NotFixed {
                product: row.map_or(id.get(), |row| row.listing.product.get()),
                variation: row.and_then(|row| row.listing.variation).map(values::VariationId::get),
                name: row.map_or_else(String::new, |row| clipped(&row.name, NAME_CHARS_MAX)),
                why: clipped(why, WHY_CHARS_MAX),
            });
        }
    }

    pub(super) fn note_orders(&mut self, orders: usize, unusable: usize) {
        self.orders = self.orders.saturating_add(u64::try_from(orders).unwrap_or(u64::MAX));
        self.unusable_orders =
            self.unusable_orders.saturating_add(u64::try_from(unusable).unwrap_or(u64::MAX));
    }

    pub(super) fn note_webhooks(&mut self, looked: &Looked) {
        let count = looked.good + looked.made;
        self.webhooks = (count > 0).then_some(count);
    }

    pub(super) fn note_unhooked(&mut self) {
        *self.unhooked.get_or_insert_default() += 1;
    }

    pub(super) fn note_none_left(&mut self) {
        self.unhooked.get_or_insert_default();
    }

    pub(super) fn note_findings(&mut self, diagnosis: &Diagnosis) {
        let text = |text: &str| text.chars().take(FINDING_CHARS_MAX).collect();
        let findings = diagnosis.findings.iter().take(FINDINGS_MAX).map(|finding| FindingText {
            severity: match finding.severity {
                Severity::Note => "note",
                Severity::Warning => "warning",
                Severity::Fatal => "fatal",
            },
            code: finding.code,
            what: text(&finding.what),
            todo: text(&finding.todo),
        });
        self.findings = findings.collect();
    }

    pub(super) fn fail(&mut self, why: &str) {
        self.failure = Some(why.chars().take(FINDING_CHARS_MAX).collect());
    }

    fn problem(&mut self, kind: ProblemKind, fact: &ListingFact, taken_by: Option<HolderId>) {
        *self.problem_counts.entry(kind).or_default() += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem {
                kind,
                product: fact.listing.product.get(),
                variation: fact.listing.variation.map(values::VariationId::get),
                sku: fact.sku.as_ref().map(ToString::to_string),
                name: fact.name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect(),
                taken_by: taken_by.map(HolderId::get),
            });
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text and numbers always serialise")
    }
}

#[cfg(test)]
mod tests {
    use values::{ListingId, ProductId, VariationId};

    use super::*;

    fn fact(product: i64, variation: Option<i64>, holder: Option<i64>, sku: Option<&str>) -> ListingFact {
        ListingFact {
            listing: ListingId {
                product: ProductId::new(product).unwrap(),
                variation: variation.and_then(VariationId::new),
            },
            kind: if variation.is_some() { ListingKind::Variation } else { ListingKind::Simple },
            holder: holder.and_then(HolderId::new),
            sku: sku.map(|sku| sku.parse().unwrap()),
            name: "Näme\u{7}".repeat(100),
            status: "publish".to_owned(),
            shown: None,
        }
    }

    #[test]
    fn each_entry_that_cannot_be_mapped_is_named_with_its_cause() {
        let mut report = Report::default();
        let parent = ListingFact { kind: ListingKind::Parent, ..fact(4, None, Some(4), Some("P")) };
        let facts = [
            fact(1, None, Some(1), Some("A")),
            fact(2, None, Some(2), None),
            fact(3, None, Some(3), Some("A")),
            parent,
            fact(4, Some(5), Some(4), Some("P-red")),
            fact(4, Some(6), Some(6), Some("P-blue")),
            fact(7, None, None, Some("B")),
            ListingFact { status: "draft".to_owned(), ..fact(8, None, Some(8), Some("C")) },
            ListingFact { kind: ListingKind::Parent, ..fact(9, None, None, None) },
        ];
        for fact in &facts {
            report.note_listing(fact);
        }
        let counts: Vec<_> = report.problem_counts.iter().map(|(kind, count)| (*kind, *count)).collect();
        assert_eq!(
            counts,
            [
                (ProblemKind::MissingSku, 1),
                (ProblemKind::DuplicateSku, 1),
                (ProblemKind::Unmanaged, 1),
                (ProblemKind::StockAtParent, 1),
                (ProblemKind::NotPublished, 1),
            ]
        );
        assert_eq!((report.listings, report.stocks, report.mapped), (9, 6, 4));
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["problem_counts"]["duplicate_sku"], 1);
        assert_eq!(json["problems"][1]["taken_by"], 1);
    }

    #[test]
    fn a_report_has_a_bound() {
        let mut report = Report::default();
        let sku = "ż".repeat(100);
        for product in 1..5_000 {
            report.note_listing(&fact(product, None, Some(product), Some(&sku)));
        }
        assert_eq!(report.problem_counts[&ProblemKind::DuplicateSku], 4_998);
        let bytes = report.to_json().len();
        assert!(bytes < store::TASK_REPORT_BYTES_MAX, "{bytes}");
    }
}
