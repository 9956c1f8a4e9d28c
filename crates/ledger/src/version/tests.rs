//! Tests of version.
