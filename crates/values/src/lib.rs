//! The words every part of onhand speaks: parsed, opaque values that cannot hold nonsense.
//!
//! A value is made by parsing or by a checked constructor, and prints as people write it. Nothing here does I/O,
//! knows a wire format or reads a clock.

mod ids;
mod line_fault;
mod listing_kind;
mod quantity;
mod sku;
mod timestamp;

pub use ids::{
    Epoch, HolderId, LineId, ListingId, OrderId, ParseIdError, ProductId, ReadNumber, Revision, ShopId,
    StockId, VariationId, WarehouseId,
};
pub use line_fault::LineFault;
pub use listing_kind::ListingKind;
pub use quantity::{ParseQuantityError, Quantity, Step};
pub use sku::{ParseSkuError, SKU_CHARS_MAX, Sku};
pub use timestamp::{MICROS_PER_SECOND, Moment, Timestamp};
