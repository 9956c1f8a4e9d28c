//! proto of onhand.
