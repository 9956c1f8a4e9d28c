//! tests of onhand.
