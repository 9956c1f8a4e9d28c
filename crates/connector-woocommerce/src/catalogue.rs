//! Reads the whole catalogue: products page by page, then the variations, which the list of products leaves out.

use connector::{CallError, CataloguePage, ListingFact, ListingKind, ReadCatalogue, Reply, Unusable};
use values::ProductId;

use crate::client::{API, Client, ITEMS_MAX, Stopwatch, is_no_route, items, per_page};
use crate::product::{LISTING_FIELDS, listing};
use crate::reply::Answer;
use crate::transport::bad_reply;

/// Most pages of one list: ten million listings.
const PAGES_MAX: u32 = 100_000;

/// Where a read of the catalogue goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueCursor {
    stretch: Stretch,
    /// Counts from 1.
    page: u32,
    /// Products sold through variations, seen so far; at most as many as the shop has products.
    parents: Vec<ProductId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stretch {
    Products,
    /// All variations of the shop in one list.
    Variations,
    /// The variations of this one of the parents, for shops without that list.
    VariationsOf(usize),
}

impl Default for CatalogueCursor {
    fn default() -> Self {
        Self { stretch: Stretch::Products, page: 1, parents: Vec::new() }
    }
}

impl ReadCatalogue for Client {
    type Cursor = CatalogueCursor;

    async fn catalogue(
        &self,
        mut cursor: CatalogueCursor,
    ) -> Result<Reply<CataloguePage<CatalogueCursor>>, CallError> {
        let mut watch = Stopwatch::start();
        let mut asked = self.listings(&cursor).await;
        if cursor.stretch == Stretch::Variations && asked.as_ref().is_err_and(is_no_route) {
            watch.note_failure();
            cursor.stretch = Stretch::VariationsOf(0);
            asked = self.listings(&cursor).await;
        }
        let answer = match asked {
            // A parent deleted since it was seen has no variations.
            Err(CallError::Refused { status: 404, code })
                if matches!(cursor.stretch, Stretch::VariationsOf(_)) && code.ends_with("_invalid_id") =>
            {
                watch.note_failure();
                None
            }
            asked => Some(asked?),
        };
        let (mut listings, mut unusable) = (Vec::new(), Vec::new());
        let (mut total, mut more) = (None, false);
        if let Some(answer) = answer {
            watch.note(&answer)?;
            let read = read_page(&answer, cursor.parent())?;
            more =
                read.items >= ITEMS_MAX || answer.pages.is_some_and(|pages| pages > u64::from(cursor.page));
            more &= read.items > 0;
            (listings, unusable, total) = (read.listings, read.unusable, answer.total);
        } else {
            // The reply still needs the shop's time.
            let query = vec![("per_page", "1".to_owned()), ("_fields", "id".to_owned())];
            watch.note(&self.get(&format!("{API}/products"), query).await?)?;
        }
        if cursor.stretch == Stretch::Products {
            let parents = listings.iter().filter(|listing| listing.kind == ListingKind::Parent);
            cursor.parents.extend(parents.map(|listing| listing.listing.product));
        }
        let next = cursor.next(more)?;
        watch.reply(CataloguePage { listings, unusable, total, next })
    }
}

impl Client {
    async fn listings(&self, cursor: &CatalogueCursor) -> Result<Answer, CallError> {
        let path = match (&cursor.stretch, cursor.parent()) {
            (Stretch::VariationsOf(_), Some(parent)) => format!("{API}/products/{parent}/variations"),
            (Stretch::Products, _) => format!("{API}/products"),
            _ => format!("{API}/variations"),
        };
        let query = vec![
            ("orderby", "id".to_owned()),
            ("order", "asc".to_owned()),
            per_page(),
            ("page", cursor.page.to_string()),
            ("_fields", LISTING_FIELDS.to_owned()),
        ];
        self.get(&path, query).await
    }
}

impl CatalogueCursor {
    /// The parent whose variations are read, if it is one parent's.
    fn parent(&self) -> Option<ProductId> {
        match self.stretch {
            Stretch::VariationsOf(index) => self.parents.get(index).copied(),
            _ => None,
        }
    }

    fn next(mut self, more: bool) -> Result<Option<Self>, CallError> {
        if more {
            if self.page >= PAGES_MAX {
                return Err(bad_reply("the catalogue does not end"));
            }
            self.page += 1;
            return Ok(Some(self));
        }
        self.page = 1;
        self.stretch = match self.stretch {
            Stretch::Products if !self.parents.is_empty() => Stretch::Variations,
            Stretch::VariationsOf(index) if index + 1 < self.parents.len() => {
                Stretch::VariationsOf(index + 1)
            }
            _ => return Ok(None),
        };
        Ok(Some(self))
    }
}

struct ReadPage {
    items: usize,
    listings: Vec<ListingFact>,
    unusable: Vec<Unusable>,
}

fn read_page(answer: &Answer, parent: Option<ProductId>) -> Result<ReadPage, CallError> {
    let items = items(answer)?;
    let mut page = ReadPage { items: items.len(), listings: Vec::new(), unusable: Vec::new() };
    for item in items {
        match listing(item.get(), parent) {
            Ok(listing) => page.listings.push(listing),
            Err(unusable) => page.unusable.push(unusable),
        }
    }
    Ok(page)
}
