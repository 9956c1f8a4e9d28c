//! process of onhand.
