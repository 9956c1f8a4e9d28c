//! What may be wrong with an entry of a shop's catalogue, and what to do about it, in plain words.

use serde::{Deserialize, Serialize};
use store::{ListingRow, STATUS_TRASH, Stocked};
use utoipa::ToSchema;
use values::{ListingKind, Sku};

/// What is to be told of an entry of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DoctorKind)]
pub(in super::super::super) enum Ailment {
    /// It has no code, and nobody said what it is.
    MissingSku,
    /// Another stock of the shop has the SKU.
    DuplicateSku,
    /// The table of the shop speaks of what is no longer there.
    TargetGone,
    /// The shop keeps no quantity for it.
    Unmanaged,
    /// No stock of its SKU was ever received, counted or opened where the shop sells from.
    UnknownSku,
    /// Its code and a SKU of the ledger differ in case or blanks only.
    SimilarSku,
    /// The shop has given it another code since it was mapped.
    Renamed,
    /// Its code counts for nothing, since it sells from the stock of its product.
    CodeUnused,
    /// Variations sell from the stock of their product.
    SharedStock,
    /// It is the SKU of its name.
    MappedByName,
    /// It is what the table of the shop says.
    MappedByTable,
    /// It is not on sale: a draft, private.
    NotPublished,
    /// It is in the trash.
    Trashed,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DoctorSeverity)]
pub(in super::super::super) enum Severity {
    /// Its stock is not kept in agreement.
    Problem,
    /// It works, but may not be what was meant.
    Warning,
    /// Good to know.
    Note,
}

impl Ailment {
    pub(super) const fn severity(self) -> Severity {
        match self {
            Self::MissingSku | Self::DuplicateSku | Self::TargetGone | Self::Unmanaged => Severity::Problem,
            Self::UnknownSku | Self::SimilarSku | Self::Renamed | Self::CodeUnused => Severity::Warning,
            Self::SharedStock
            | Self::MappedByName
            | Self::MappedByTable
            | Self::NotPublished
            | Self::Trashed => Severity::Note,
        }
    }
}

/// Something to be told of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) kind: Ailment,
    /// What it is.
    pub(super) what: String,
    /// What can be done; empty if nothing needs to be.
    pub(super) todo: String,
    /// onhand can do it.
    pub(super) fix: Option<&'static str>,
}

/// The fix that switches stock management on.
pub(super) const MANAGE_STOCK: &str = "manage-stock";

fn told(kind: Ailment, what: impl Into<String>, todo: impl Into<String>) -> Told {
    Told { kind, what: what.into(), todo: todo.into(), fix: None }
}

/// Everything that is to be told of an entry of the catalogue of this shop.
pub(super) fn examine(row: &ListingRow, shop: &str) -> Vec<Told> {
    let mut all = Vec::new();
    if !row.is_there() {
        all.extend(lost(row, shop));
        return all;
    }
    if row.status != "publish" && row.listing.variation.is_none() {
        all.push(told(
            Ailment::NotPublished,
            format!(
                "it is not on sale (its status is {:?}); its stock is kept in agreement all the same",
                row.status
            ),
            "",
        ));
    }
    match row.holder {
        None => all.extend(unmanaged(row, shop)),
        Some(_) if row.keeps_own() => {
            all.extend(mapping(row, shop));
            all.extend(shared(row));
        }
        Some(_) => all.extend(shares(row)),
    }
    all
}

fn lost(row: &ListingRow, shop: &str) -> Option<Told> {
    let is_trash = row.status == STATUS_TRASH;
    let place = if is_trash { "in the trash" } else { "deleted" };
    if let Some(mapped) = &row.mapped {
        let what = format!("the table says that it is {mapped}, and it is {place}");
        let todo = format!("take it out of the table: `onhand shop mapping clear {shop} {}`", row.listing);
        return Some(told(Ailment::TargetGone, what, todo));
    }
    is_trash.then(|| told(Ailment::Trashed, "it is in the trash: nothing is told to it", ""))
}

/// The shop keeps no quantity for it.
fn unmanaged(row: &ListingRow, shop: &str) -> Vec<Told> {
    let kind = row.kind.unwrap_or(if row.is_parent { ListingKind::Parent } else { ListingKind::Simple });
    // What is sold by its variations, as a group or elsewhere needs none.
    if matches!(kind, ListingKind::Parent | ListingKind::Other) {
        return Vec::new();
    }
    let mut all = Vec::new();
    let what = "the shop keeps no quantity for it (`Manage stock?` is off), so it sells without end";
    all.push(match row.counts_as() {
        Some(sku) if row.can_be_managed() => Told {
            fix: Some(MANAGE_STOCK),
            ..told(
                Ailment::Unmanaged,
                what,
                format!("switch it on in the shop, or have it done: `onhand doctor {shop} --fix {MANAGE_STOCK}` ({sku} has stock)"),
            )
        },
        Some(sku) if row.owner.is_some() => told(
            Ailment::Unmanaged,
            what,
            format!("another stock of the shop is {sku}; give one of them another SKU first"),
        ),
        Some(sku) => told(
            Ailment::Unmanaged,
            what,
            format!("switch it on in the shop if it is to follow stock; no warehouse that it sells from has had any of {sku}"),
        ),
        None => told(Ailment::Unmanaged, what, "give it a SKU, and switch it on in the shop"),
    });
    if let Some(mapped) = &row.mapped {
        all.push(told(Ailment::MappedByTable, format!("the table says that it is {mapped}"), ""));
    }
    all
}

/// Whether and how its stock was found.
fn mapping(row: &ListingRow, shop: &str) -> Vec<Told> {
    let listing = row.listing;
    let Some(sku) = &row.sku else {
        return vec![unmapped(row, shop)];
    };
    let mut all = Vec::new();
    match (&row.mapped, &row.code) {
        (Some(mapped), _) if mapped == sku => {
            all.push(told(Ailment::MappedByTable, format!("the table says that it is {sku}"), ""));
        }
        (_, Some(code)) if code == sku => {}
        (_, Some(code)) if is_like(code, sku) => all.push(told(
            Ailment::SimilarSku,
            format!("the shop writes {code:?}; it is taken for {sku}, which differs in case or blanks only"),
            format!(
                "write it the same in the shop, or say so: `onhand shop mapping set {shop} {listing} {sku:?}`",
                sku = sku.as_str()
            ),
        )),
        (_, Some(code)) => all.push(told(
            Ailment::Renamed,
            format!("the shop calls it {code:?} now; it stays {sku}, as it was before"),
            format!(
                "if it is something else now, say so: `onhand shop mapping set {shop} {listing} {code:?}`",
                code = code.as_str()
            ),
        )),
        (_, None) if row.named_alike => all.push(told(
            Ailment::MappedByName,
            format!("it has no SKU in the shop; it is taken for {sku}, which has its name"),
            "",
        )),
        (_, None) => {}
    }
    if let Some(like) = &row.like
        && !all.iter().any(|told| told.kind == Ailment::SimilarSku)
    {
        all.push(told(
            Ailment::SimilarSku,
            format!(
                "it is {sku}; the ledger has {like:?} too, which differs in case or blanks only",
                like = like.as_str()
            ),
            format!(
                "if they are the same goods, say so: `onhand shop mapping set {shop} {listing} {like:?}`",
                like = like.as_str()
            ),
        ));
    }
    all.extend(unknown(row, sku, shop));
    all
}

/// There is nothing that could be told to it.
fn unknown(row: &ListingRow, sku: &Sku, shop: &str) -> Option<Told> {
    let (what, todo) = match row.stocked {
        Stocked::Here => return None,
        Stocked::Elsewhere => (
            format!("{sku} is only in warehouses that the shop does not sell from"),
            format!(
                "let it sell from there (`onhand shop set {shop} --warehouses …`), or receive {sku} where it sells from"
            ),
        ),
        Stocked::Nowhere => (
            format!("no stock of {sku} was ever received, counted or opened"),
            format!(
                "receive or count {sku}; if it goes by another SKU, say so: `onhand shop mapping set {shop} {listing} SKU`",
                listing = row.listing
            ),
        ),
    };
    Some(told(Ailment::UnknownSku, what, todo))
}

fn unmapped(row: &ListingRow, shop: &str) -> Told {
    let listing = row.listing;
    match (row.mapped.as_ref().or(row.code.as_ref()), row.owner) {
        (Some(sku), Some(by)) => told(
            Ailment::DuplicateSku,
            format!(
                "product or variation {by} of the shop is {sku} already; what this one sells counts, its stock is not told"
            ),
            format!(
                "give one of them another SKU in the shop, or say what this one is: `onhand shop mapping set {shop} {listing} SKU`"
            ),
        ),
        _ => told(
            Ailment::MissingSku,
            "it has no SKU, or one that cannot be used; its orders wait",
            format!(
                "give it one in the shop, or say what it is: `onhand shop mapping set {shop} {listing} SKU`"
            ),
        ),
    }
}

fn shared(row: &ListingRow) -> Option<Told> {
    (row.shared_by > 0).then(|| {
        let what = format!("{} of its variations sell from its stock, as one listing", row.shared_by);
        told(Ailment::SharedStock, what, "")
    })
}

/// A variation that sells from the stock of its product.
fn shares(row: &ListingRow) -> Option<Told> {
    let code = row.code.as_ref()?;
    (row.sku.as_ref() != Some(code)).then(|| {
        told(
            Ailment::CodeUnused,
            format!(
                "its SKU {code} counts for nothing: it sells from the stock of product {}",
                row.listing.product
            ),
            "if it is goods of its own, switch on `Manage stock?` for the variation in the shop",
        )
    })
}

fn is_like(one: &Sku, other: &Sku) -> bool {
    let folded = |sku: &Sku| sku.as_str().replace(' ', "").to_ascii_lowercase();
    folded(one) == folded(other)
}

#[cfg(test)]
mod tests {
    use values::{HolderId, ListingId, ProductId, VariationId};

    use super::*;

    fn row(variation: Option<i64>) -> ListingRow {
        let product = ProductId::new(5).unwrap();
        ListingRow {
            listing: ListingId { product, variation: variation.and_then(VariationId::new) },
            holder: HolderId::new(variation.unwrap_or(5)),
            code: Some(sku("A")),
            name: "Tee".to_owned(),
            status: "publish".to_owned(),
            kind: Some(ListingKind::Simple),
            mapped: None,
            sku: Some(sku("A")),
            owner: HolderId::new(variation.unwrap_or(5)),
            stocked: Stocked::Here,
            like: None,
            named_alike: false,
            is_parent: false,
            shared_by: 0,
        }
    }

    fn sku(text: &str) -> Sku {
        text.parse().unwrap()
    }

    fn kinds(row: &ListingRow) -> Vec<Ailment> {
        examine(row, "north").into_iter().map(|told| told.kind).collect()
    }

    #[test]
    fn what_is_told_of_an_entry() {
        use Ailment as A;
        let good = row(None);
        let parent = ListingRow { kind: Some(ListingKind::Parent), holder: None, sku: None, ..row(None) };
        let at_parent = ListingRow { holder: HolderId::new(5), ..row(Some(7)) };
        let gone = ListingRow { status: "gone".to_owned(), holder: None, ..row(None) };
        let trash = ListingRow { status: "trash".to_owned(), ..row(None) };
        let unmanaged = ListingRow { holder: None, sku: None, owner: None, ..row(None) };
        let none = ListingRow { code: None, sku: None, owner: None, ..row(None) };
        let cases = [
            (good.clone(), vec![]),
            (none.clone(), vec![A::MissingSku]),
            (ListingRow { sku: None, owner: HolderId::new(9), ..good.clone() }, vec![A::DuplicateSku]),
            (ListingRow { code: Some(sku("a")), ..good.clone() }, vec![A::SimilarSku]),
            (ListingRow { like: Some(sku("a")), ..good.clone() }, vec![A::SimilarSku]),
            (ListingRow { code: Some(sku("B")), ..good.clone() }, vec![A::Renamed]),
            (ListingRow { stocked: Stocked::Nowhere, ..good.clone() }, vec![A::UnknownSku]),
            (ListingRow { stocked: Stocked::Elsewhere, ..good.clone() }, vec![A::UnknownSku]),
            (
                ListingRow { code: Some(sku("B")), mapped: Some(sku("A")), ..good.clone() },
                vec![A::MappedByTable],
            ),
            (ListingRow { code: None, named_alike: true, ..good.clone() }, vec![A::MappedByName]),
            (ListingRow { code: None, ..good.clone() }, vec![]),
            (ListingRow { status: "draft".to_owned(), ..good.clone() }, vec![A::NotPublished]),
            (ListingRow { shared_by: 3, ..good }, vec![A::SharedStock]),
            (unmanaged.clone(), vec![A::Unmanaged]),
            (
                ListingRow { mapped: Some(sku("A")), ..unmanaged.clone() },
                vec![A::Unmanaged, A::MappedByTable],
            ),
            (ListingRow { kind: None, is_parent: true, ..unmanaged }, vec![]),
            (parent, vec![]),
            (at_parent.clone(), vec![]),
            (ListingRow { code: Some(sku("V")), ..at_parent.clone() }, vec![A::CodeUnused]),
            (ListingRow { code: None, ..at_parent }, vec![]),
            (gone.clone(), vec![]),
            (ListingRow { mapped: Some(sku("A")), ..gone }, vec![A::TargetGone]),
            (trash.clone(), vec![A::Trashed]),
            (ListingRow { mapped: Some(sku("A")), ..trash }, vec![A::TargetGone]),
        ];
        for (row, expected) in cases {
            assert_eq!(kinds(&row), expected, "{row:?}");
        }
    }

    #[test]
    fn only_what_has_stock_is_offered_to_be_managed() {
        let unmanaged = ListingRow { holder: None, sku: None, owner: None, ..row(None) };
        assert_eq!(examine(&unmanaged, "north")[0].fix, Some(MANAGE_STOCK));
        let taken = ListingRow { owner: HolderId::new(9), ..unmanaged.clone() };
        assert_eq!(examine(&taken, "north")[0].fix, None, "it would sell nothing and never be told");
        for stocked in [Stocked::Nowhere, Stocked::Elsewhere] {
            let unknown = ListingRow { stocked, ..unmanaged.clone() };
            assert_eq!(examine(&unknown, "north")[0].fix, None);
        }
        let unknown = ListingRow { stocked: Stocked::Nowhere, ..unmanaged };
        assert_eq!(examine(&ListingRow { code: None, ..unknown }, "north")[0].fix, None);
    }
}
