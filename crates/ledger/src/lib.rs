//! ledger of onhand.
