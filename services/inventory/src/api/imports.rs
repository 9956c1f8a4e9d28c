//! Stock from CSV files.
