//! bus of onhand.
