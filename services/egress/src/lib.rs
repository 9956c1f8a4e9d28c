//! egress of onhand.
