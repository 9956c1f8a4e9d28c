//! Cells of a CSV that is printed.

/// Text of somebody else: what a spreadsheet would take for a formula is made text.
pub(crate) fn text(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\'']) { quoted(&format!("'{text}")) } else { quoted(text) }
}

/// As RFC 4180 has it.
pub(crate) fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_text() {
        for (given, shown) in
            [("tee", "tee"), ("=1+1", "'=1+1"), ("a,b", "\"a,b\""), ("7\" disc", "\"7\"\" disc\"")]
        {
            assert_eq!(text(given), shown);
        }
        assert_eq!(quoted("-3"), "-3", "a number");
        assert_eq!(quoted("TEE-M"), "TEE-M");
        assert_eq!(quoted("a \"b\", c"), "\"a \"\"b\"\", c\"");
    }
}
