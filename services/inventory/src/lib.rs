//! inventory of onhand.
