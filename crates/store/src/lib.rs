//! store of onhand.
