//! Single entries of the catalogue: read by themselves, and made to keep a quantity.

use values::{HolderId, ListingId, ProductId};

use crate::capability::Reply;
use crate::error::CallError;
use crate::facts::ListingFact;

/// What a shop shows of a listing that it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingShown {
    /// It is there, perhaps in the trash: its status says so.
    There(ListingFact),
    /// The shop knows no such thing any more.
    Gone,
    /// What the shop shows makes no sense; in words.
    Unusable(String),
}

/// Reads single entries of the catalogue.
pub trait ReadListings {
    /// Most listings that [`ReadListings::listings`] takes at once.
    const LISTINGS_MAX: usize;

    /// What each of these listings is, in their order.
    fn listings(
        &self,
        wanted: &[ListingId],
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
    /// [`ReadListings::LISTINGS_MAX`], in their order. Only for what was just seen to keep none: a quantity that is kept is
    /// lost.
    fn manage_stock(
        &self,
        parent: Option<ProductId>,
        listings: &[HolderId],
    ) -> impl Future<Output = Result<Reply<Vec<Managed>>, CallError>> + Send;
}
