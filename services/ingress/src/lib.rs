//! ingress of onhand.
