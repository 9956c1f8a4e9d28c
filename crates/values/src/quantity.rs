//! Quantities: whole thousandths of a unit, never a float.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

const THOUSANDTHS_PER_UNIT: i64 = 1_000;

/// Largest magnitude accepted from outside, in thousandths: a billion units. Sums of many such quantities stay far
/// from the limits of 64 bits.
const PARSED_MAX: i64 = 1_000_000_000 * THOUSANDTHS_PER_UNIT;

/// The text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseQuantityError {
    /// Not a plain decimal number.
    #[error("{0:?} is not a quantity: digits with at most one decimal point are wanted")]
    NotDecimal(String),
    /// Finer than a thousandth.
    #[error("{0:?} is finer than a thousandth of a unit")]
    TooFine(String),
    /// More than a billion units either way.
    #[error("{0:?} is more than a billion units")]
    TooLarge(String),
}

/// An amount of stock in thousandths of a unit; may be negative. Arithmetic saturates at the limits of 64 bits,
/// which no parsed quantities can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(i64);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Whole units.
    pub const fn from_units(units: i64) -> Self {
        Self(units.saturating_mul(THOUSANDTHS_PER_UNIT))
    }

    /// From storage or wire.
    pub const fn from_thousandths(thousandths: i64) -> Self {
        Self(thousandths)
    }

    /// For storage and wire.
    pub const fn thousandths(self) -> i64 {
        self.0
    }

    /// Whole units, if it is whole.
    pub const fn whole_units(self) -> Option<i64> {
        if self.0 % THOUSANDTHS_PER_UNIT == 0 { Some(self.0 / THOUSANDTHS_PER_UNIT) } else { None }
    }

    /// Nothing, exactly.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// More than nothing.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Less than nothing.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Itself, or nothing if it is negative.
    #[must_use]
    pub const fn or_zero(self) -> Self {
        if self.0 < 0 { Self::ZERO } else { self }
    }

    /// Its magnitude.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// The largest multiple of `step` that is not more than it (towards minus infinity).
    #[must_use]
    pub const fn floor_to(self, step: Step) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(step.0)))
    }
}

impl std::ops::Add for Quantity {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Quantity {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::ops::Neg for Quantity {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl std::ops::AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::ops::SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(quantities: I) -> Self {
        quantities.fold(Self::ZERO, |sum, quantity| sum + quantity)
    }
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    /// Parses `-?digits[.digits]`. Trailing zeros after the point are accepted, exponents and blanks are not.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_decimal = || ParseQuantityError::NotDecimal(text.to_owned());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(not_decimal());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 3 {
            return Err(ParseQuantityError::TooFine(text.to_owned()));
        }
        let too_large = || ParseQuantityError::TooLarge(text.to_owned());
        let units: i64 = whole.parse().map_err(|_| too_large())?;
        let digit = |position| fraction.as_bytes().get(position).map_or(0, |digit| i64::from(digit - b'0'));
        let thousandths = digit(0) * 100 + digit(1) * 10 + digit(2);
        let magnitude = units
            .checked_mul(THOUSANDTHS_PER_UNIT)
            .and_then(|whole| whole.checked_add(thousandths))
            .filter(|magnitude| *magnitude <= PARSED_MAX)
            .ok_or_else(too_large)?;
        Ok(Self(if negative { -magnitude } else { magnitude }))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let (whole, fraction) = (magnitude / 1_000, magnitude % 1_000);
        if fraction == 0 {
            f.pad(&format!("{sign}{whole}"))
        } else {
            f.pad(format!("{sign}{whole}.{fraction:03}").trim_end_matches('0'))
        }
    }
}

/// The smallest amount a shop's stock can show: one unit for WooCommerce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step(i64);

impl Step {
    /// Whole units.
    pub const ONE: Self = Self(THOUSANDTHS_PER_UNIT);

    /// `None` unless it is more than nothing.
    pub const fn new(quantity: Quantity) -> Option<Self> {
        if quantity.0 > 0 { Some(Self(quantity.0)) } else { None }
    }

    /// The step as a quantity.
    pub const fn quantity(self) -> Quantity {
        Quantity(self.0)
    }
}

impl Default for Step {
    fn default() -> Self {
        Self::ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_to_thousandths_and_back() {
        for (text, thousandths, printed) in [
            ("0", 0, "0"),
            ("12", 12_000, "12"),
            ("-5", -5_000, "-5"),
            ("3.7", 3_700, "3.7"),
            ("0.001", 1, "0.001"),
            ("-0.25", -250, "-0.25"),
            ("4.0000", 4_000, "4"),
            ("1000000000", PARSED_MAX, "1000000000"),
        ] {
            let quantity: Quantity = text.parse().unwrap();
            assert_eq!(quantity.thousandths(), thousandths, "{text}");
            assert_eq!(quantity.to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_quantity() {
        for text in ["", "-", ".", "1.", ".5", "1e3", "abc", " 1", "+1", "1,5", "NaN", "٣"] {
            assert_eq!(
                text.parse::<Quantity>(),
                Err(ParseQuantityError::NotDecimal(text.to_owned())),
                "{text}"
            );
        }
        assert!(matches!("1.0001".parse::<Quantity>(), Err(ParseQuantityError::TooFine(_))));
        for text in ["1000000000.001", "9999999999999999999999"] {
            assert!(matches!(text.parse::<Quantity>(), Err(ParseQuantityError::TooLarge(_))), "{text}");
        }
    }

    #[test]
    fn floors_towards_minus_infinity() {
        let floor = |thousandths| Quantity::from_thousandths(thousandths).floor_to(Step::ONE).thousandths();
        assert_eq!(floor(1_999), 1_000);
        assert_eq!(floor(-1), -1_000);
        assert_eq!(floor(-2_000), -2_000);
    }
}
