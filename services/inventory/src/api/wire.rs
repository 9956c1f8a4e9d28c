//! How values look in JSON: quantities as decimal text, times as RFC 3339.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;
use values::{Quantity, Timestamp};

use super::problem::Problem;

/// A quantity as decimal text, to a thousandth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, example = "12", pattern = r"^-?[0-9]{1,10}(\.[0-9]{1,3})?$")]
pub(super) struct Amount(pub(super) Quantity);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

impl From<Quantity> for Amount {
    fn from(quantity: Quantity) -> Self {
        Self(quantity)
    }
}

/// A moment, RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-05-01T12:00:00Z")]
pub(super) struct Time(pub(super) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&text_of(self.0))
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// The moment in RFC 3339. What no calendar holds, which only a damaged row could say, is the nearest that one does.
pub(super) fn text_of(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.micros()).unwrap_or(if at.micros() < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}

/// A moment that a query names.
pub(super) fn moment(name: &str, text: &str) -> Result<Timestamp, Problem> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed.map(|at| Timestamp::from_micros(at.as_microsecond())).map_err(|_| {
        Problem::bad_request(format!("`{name}` is {text:?}; a time like 2026-05-01T12:00:00Z is wanted"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_json() {
        let json = |value: &dyn erased::Json| value.json();
        assert_eq!(json(&Amount("-0.50".parse().unwrap())), r#""-0.5""#);
        assert_eq!(json(&Time(Timestamp::from_seconds(0))), r#""1970-01-01T00:00:00Z""#);
        assert_eq!(json(&Time(Timestamp::from_micros(1_500_000))), r#""1970-01-01T00:00:01.5Z""#);
        assert_eq!(serde_json::from_str::<Amount>(r#""12""#).unwrap(), Amount(Quantity::from_units(12)));
        for wrong in ["12", "1.5", r#""1e3""#, "null"] {
            assert!(serde_json::from_str::<Amount>(wrong).is_err(), "{wrong}");
        }
    }

    mod erased {
        pub(super) trait Json {
            fn json(&self) -> String;
        }

        impl<T: serde::Serialize> Json for T {
            fn json(&self) -> String {
                serde_json::to_string(self).unwrap()
            }
        }
    }
}
