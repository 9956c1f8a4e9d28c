//! connector of onhand.
