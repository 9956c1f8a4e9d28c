//! testkit of onhand.
