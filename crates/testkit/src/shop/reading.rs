//! The lists of a shop, with the filters an integration uses.

use values::{HolderId, OrderId, ProductId, Timestamp};

use super::catalogue::Product;
use super::orders::Order;
use super::{Kind, OrderView, ProductStatus, ProductView, Shop, Status, skus_agree};

/// Which statuses a list of orders has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StatusFilter {
    /// All but trash; drafts of the checkout are among them.
    #[default]
    Any,
    /// These. Trash has to be asked for alone; among others it finds nothing.
    Only(Vec<Status>),
}

impl StatusFilter {
    /// What is in the trash.
    pub fn trash() -> Self {
        Self::Only(vec![Status::Trash])
    }

    fn takes(&self, status: Status) -> bool {
        match self {
            Self::Any => status != Status::Trash,
            Self::Only(statuses) if status == Status::Trash => statuses.as_slice() == [Status::Trash],
            Self::Only(statuses) => statuses.contains(&status),
        }
    }
}

/// By what a list is sorted; the id decides between equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderBy {
    /// When it was made.
    #[default]
    Date,
    /// When it was last written.
    Modified,
    /// Its number.
    Id,
}

/// Which orders, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFilter {
    /// Statuses.
    pub status: StatusFilter,
    /// Only these ids; empty: all.
    pub include: Vec<OrderId>,
    /// Only those modified in a later second than this one's.
    pub modified_after: Option<Timestamp>,
    /// Only those modified in an earlier second than this one's.
    pub modified_before: Option<Timestamp>,
    /// Only those made in a later second than this one's.
    pub created_after: Option<Timestamp>,
    /// Only those made in an earlier second than this one's.
    pub created_before: Option<Timestamp>,
    /// Sorted by.
    pub order_by: OrderBy,
    /// Oldest first.
    pub ascending: bool,
    /// From 1.
    pub page: usize,
    /// 1 to 100.
    pub per_page: usize,
}

impl Default for OrderFilter {
    fn default() -> Self {
        Self {
            status: StatusFilter::Any,
            include: Vec::new(),
            modified_after: None,
            modified_before: None,
            created_after: None,
            created_before: None,
            order_by: OrderBy::Date,
            ascending: false,
            page: 1,
            per_page: 10,
        }
    }
}

impl OrderFilter {
    /// What a poll asks for: any status, modified after, oldest first, 100 a page.
    pub fn poll(modified_after: Timestamp, page: usize) -> Self {
        Self {
            modified_after: Some(modified_after),
            order_by: OrderBy::Modified,
            ascending: true,
            page,
            per_page: 100,
            ..Self::default()
        }
    }
}

/// Which products, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductFilter {
    /// Only these ids; variations among them are dropped.
    pub include: Vec<HolderId>,
    /// Only these SKUs, without regard to case. The one filter that finds variations.
    pub skus: Vec<String>,
    /// Only SKUs that hold this text.
    pub search_sku: Option<String>,
    /// Only this status; `None`: all but trash.
    pub status: Option<ProductStatus>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only those saved in a later second than this one's.
    pub modified_after: Option<Timestamp>,
    /// Sorted by.
    pub order_by: OrderBy,
    /// Oldest first.
    pub ascending: bool,
    /// From 1.
    pub page: usize,
    /// 1 to 100.
    pub per_page: usize,
}

impl Default for ProductFilter {
    fn default() -> Self {
        Self {
            include: Vec::new(),
            skus: Vec::new(),
            search_sku: None,
            status: None,
            kind: None,
            modified_after: None,
            order_by: OrderBy::Date,
            ascending: false,
            page: 1,
            per_page: 10,
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// How many there are in all (`X-WP-Total`); of orders 0 on a page beyond the last.
    pub total: usize,
    /// How many pages (`X-WP-TotalPages`).
    pub pages: usize,
}

impl Shop {
    /// GET /orders.
    pub fn list_orders(&self, filter: &OrderFilter) -> Page<OrderView> {
        let mut found = self.matching_orders(filter);
        match filter.order_by {
            OrderBy::Date => found.sort_by_key(|order| (order.created, order.id)),
            OrderBy::Modified => found.sort_by_key(|order| (order.modified, order.id)),
            OrderBy::Id => found.sort_by_key(|order| order.id),
        }
        if !filter.ascending {
            found.reverse();
        }
        let mut page = page_of(&found, filter.page, filter.per_page, |order| self.view_order(order));
        if page.items.is_empty() {
            (page.total, page.pages) = (0, 0);
        }
        page
    }

    fn matching_orders(&self, filter: &OrderFilter) -> Vec<&Order> {
        let takes = |order: &&Order| {
            filter.status.takes(order.status)
                && filter.modified_after.is_none_or(|after| order.modified.seconds() > after.seconds())
                && filter.modified_before.is_none_or(|before| order.modified.seconds() < before.seconds())
        };
        if !filter.include.is_empty() {
            let mut ids = filter.include.clone();
            ids.sort_unstable();
            ids.dedup();
            return ids.iter().filter_map(|id| self.orders.get(id)).filter(takes).collect();
        }
        match filter.modified_after {
            Some(after) => {
                let from =
                    (Timestamp::from_seconds(after.seconds() + 1), OrderId::new(1).expect("1 is an id"));
                let ids = self.orders_by_date.range(from..).map(|(_, id)| id);
                ids.filter_map(|id| self.orders.get(id)).filter(takes).collect()
            }
            None => self.orders.values().filter(takes).collect(),
        }
    }

    /// GET /products: no variations, unless found by SKU.
    pub fn list_products(&self, filter: &ProductFilter) -> Page<ProductView> {
        let by_sku = !filter.skus.is_empty();
        self.list_rows(filter, |row| {
            let sku = row.sku.as_ref().map_or("", |sku| sku.as_str());
            (by_sku || row.kind != Kind::Variation)
                && (!by_sku || filter.skus.iter().any(|wanted| !sku.is_empty() && skus_agree(wanted, sku)))
                && filter
                    .search_sku
                    .as_ref()
                    .is_none_or(|part| sku.to_lowercase().contains(&part.to_lowercase()))
        })
    }

    /// GET /variations: all variations of the shop.
    pub fn list_variations(&self, filter: &ProductFilter) -> Page<ProductView> {
        self.list_rows(filter, |row| row.kind == Kind::Variation)
    }

    /// GET /products/{parent}/variations.
    pub fn list_variations_of(&self, parent: ProductId, filter: &ProductFilter) -> Page<ProductView> {
        self.list_rows(filter, |row| row.parent == Some(parent))
    }

    fn list_rows(&self, filter: &ProductFilter, takes: impl Fn(&Product) -> bool) -> Page<ProductView> {
        // Asked for by number: a shop of a hundred thousand products is read so, a hundred in a call.
        let mut wanted = filter.include.clone();
        wanted.sort_unstable();
        wanted.dedup();
        let every = wanted.is_empty().then(|| self.products.values()).into_iter().flatten();
        let mut found: Vec<&Product> = every
            .chain(wanted.iter().filter_map(|id| self.products.get(id)))
            .filter(|row| takes(row))
            .filter(|row| match filter.status {
                Some(status) => row.status == status,
                None => row.status != ProductStatus::Trash,
            })
            .filter(|row| filter.kind.is_none_or(|kind| row.kind == kind))
            .filter(|row| filter.modified_after.is_none_or(|after| row.modified.seconds() > after.seconds()))
            .collect();
        match filter.order_by {
            OrderBy::Date => found.sort_by_key(|row| (row.created, row.id)),
            OrderBy::Modified => found.sort_by_key(|row| (row.modified, row.id)),
            OrderBy::Id => found.sort_by_key(|row| row.id),
        }
        if !filter.ascending {
            found.reverse();
        }
        page_of(&found, filter.page, filter.per_page, |row| self.view_product(row))
    }
}

fn page_of<R, T>(found: &[&R], page: usize, per_page: usize, view: impl Fn(&R) -> T) -> Page<T> {
    let per_page = per_page.max(1);
    let skipped = page.max(1).saturating_sub(1).saturating_mul(per_page);
    let items = found.iter().skip(skipped).take(per_page).map(|row| view(row)).collect();
    Page { items, total: found.len(), pages: found.len().div_ceil(per_page) }
}
