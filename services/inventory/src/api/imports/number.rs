//! Quantities as spreadsheets write them.

use values::Quantity;

/// A quantity with a decimal point or comma. What could be a thousand as well as one is refused.
pub(super) fn quantity(text: &str) -> Result<Quantity, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("there is no quantity".to_owned());
    }
    let Some((whole, fraction)) = text.split_once(',') else {
        return text.parse().map_err(|error| format!("{error}"));
    };
    if text.contains('.') || fraction.contains(',') {
        return Err(format!("{text:?} has separators of thousands; write it without"));
    }
    if fraction.len() == 3 && !matches!(whole, "0" | "-0") {
        return Err(format!(
            "{text:?} could be thousands or thousandths; write it without the comma, or with a point"
        ));
    }
    format!("{whole}.{fraction}").parse().map_err(|_| format!("{text:?} is not a quantity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spreadsheets_write() {
        for (text, thousandths) in [
            ("12", 12_000),
            (" 12 ", 12_000),
            ("1.5", 1_500),
            ("1,5", 1_500),
            ("-2,25", -2_250),
            ("0,125", 125),
            ("12.000", 12_000),
        ] {
            assert_eq!(quantity(text).map(Quantity::thousandths), Ok(thousandths), "{text}");
        }
        for text in ["", "abc", "1,000", "1.000,5", "1,000,000", "1 000", "1,", ",5", "1e3", "12 pcs"] {
            assert!(quantity(text).is_err(), "{text}");
        }
    }
}
