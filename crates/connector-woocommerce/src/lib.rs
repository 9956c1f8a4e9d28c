//! connector-woocommerce of onhand.
