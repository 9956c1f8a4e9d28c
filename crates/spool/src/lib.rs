//! spool of onhand.
