//! Single entries of the catalogue: read by themselves, and made to keep a quantity.

use values::{HolderId, ProductId};

use crate::capability::Reply;
use crate::error::CallError;
use crate::facts::ListingFact;

/// Which listings are asked for: shops leave the trash out of everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListingSet {
    /// All but the trash.
    Live,
    /// The trash.
    Trash,
}

/// What a shop shows of a listing that it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingShown {
    /// It is there; whether it can be bought its status says.
    There(ListingFact),
    /// It is not in the set that was asked for.
    Missing,
    /// It is in no set: the shop does not know its parent any more.
    Gone,
    /// What the shop shows makes no sense; in words.
    Unusable(String),
}

/// Reads single entries of the catalogue.
pub trait ReadListings {
    /// Most listings that [`ReadListings::listings`] takes at once.
    const LISTINGS_MAX: usize;

    /// What each of these is, in their order: products, or variations of one parent. Makes one call.
    fn listings(
        &self,
        parent: Option<ProductId>,
        ids: &[HolderId],
        set: ListingSet,
    ) -> impl Future<Output = Result<Reply<Vec<ListingShown>>, CallError>> + Send;
}

/// What became of a listing that was to keep a quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Managed {
    /// It does; as it is now.
    Done(ListingFact),
    /// The shop refused; its word for why.
    Refused(String),
    /// Nobody knows: its answer makes no sense.
    Unclear,
}

/// Makes listings keep a quantity. They start with nothing: no unit is sold before it is known to be there.
pub trait ManageStock {
    /// Switches stock management on for products, or for variations of one parent; at most
    /// [`ReadListings::LISTINGS_MAX`], in their order. What keeps a quantity by the time the shop does it keeps that, so that
    /// no unit sold meanwhile is put back. Makes one call.
    fn manage_stock(
        &self,
        parent: Option<ProductId>,
        listings: &[HolderId],
    ) -> impl Future<Output = Result<Reply<Vec<Managed>>, CallError>> + Send;
}
