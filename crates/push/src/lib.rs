//! push of onhand.
