//! Writes the OpenAPI document to standard output, to be published as `openapi.json`.

extern crate onhand_inventory as inventory;

use std::io::Write;

fn main() -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{}", inventory::api::openapi())
}
