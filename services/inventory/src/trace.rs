//! The trace a change belongs to: the id alone is kept with movements, the whole context goes on to egress.

use std::sync::Arc;

/// A W3C trace context, as it came with a message or a request.
pub(crate) type Context = Option<Arc<str>>;

/// The trace id within a context; `None` if it is none.
pub(crate) fn trace_id(context: &str) -> Option<[u8; 16]> {
    let text = context.split('-').nth(1).filter(|text| text.len() == 32 && text.is_ascii())?;
    let mut id = [0; 16];
    for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_id_is_taken() {
        let id = trace_id("00-0102030405060708090a0b0c0d0e0f10-00f067aa0ba902b7-01");
        assert_eq!(id, Some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]));
        for strange in
            ["", "00", "00-xyz-1-1", "00-0102-00f067aa0ba902b7-01", "00-zz02030405060708090a0b0c0d0e0f10-1-1"]
        {
            assert_eq!(trace_id(strange), None, "{strange}");
        }
    }
}
