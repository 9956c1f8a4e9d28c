//! Locks that more than one part takes, in the order that all keep to: the mapping of shops, then SKUs.

use super::WriteTx;
use super::parameters::{all, run, with};
use crate::error::Error;

/// A shop, and the version of its mapping.
pub(super) type Version = (i64, i64);

/// The same, and the shop's state.
pub(super) type Kept = (i64, i64, String);

/// Against a catalogue of the same shop, and against who resolves its listings or applies its orders.
const CHANGE_MAPPING: &str = "SELECT id FROM inventory.shops WHERE id = ANY ($1) ORDER BY id FOR UPDATE";

const KEEP_MAPPING: &str =
    "SELECT id, mapping, state FROM inventory.shops WHERE id = ANY ($1) ORDER BY id FOR KEY SHARE";

const SHOPS: &str =
    "SELECT id, mapping FROM inventory.shops WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE";

const SKUS: &str = "SELECT id FROM inventory.skus WHERE sku = ANY ($1) ORDER BY id FOR NO KEY UPDATE";

/// Until the end of the transaction nobody else changes which stocks of these shops have which SKU.
pub(super) async fn change_mapping(tx: &mut WriteTx, shops: Vec<i64>) -> Result<(), Error> {
    run(&mut **tx, "lock the mapping of shops", CHANGE_MAPPING, with(shops)).await?;
    Ok(())
}

/// Until the end of the transaction nobody changes it: a listing that was not mapped is not mapped while its line is being
/// saved, so that whoever maps it finds the line. Before any SKU is locked. The versions of the mapping, and the states.
pub(super) async fn keep_mapping(tx: &mut WriteTx, shops: Vec<i64>) -> Result<Vec<Kept>, Error> {
    all(&mut **tx, "keep the mapping of shops", KEEP_MAPPING, with(shops)).await
}

/// Until the end of the transaction nobody else changes these shops or their mapping. The versions of the mapping.
pub(super) async fn shops(tx: &mut WriteTx, shops: Vec<i64>) -> Result<Vec<Version>, Error> {
    all(&mut **tx, "lock shops", SHOPS, with(shops)).await
}

/// The SKUs that are there, in the order of their ids.
pub(super) async fn skus(tx: &mut WriteTx, codes: &[&str]) -> Result<(), Error> {
    run(&mut **tx, "lock SKUs", SKUS, with(codes)).await?;
    Ok(())
}
