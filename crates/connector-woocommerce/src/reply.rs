//! What a shop's answer means before its content is looked at: which refusals there are, and how long to stay away.

use std::time::Duration;

use connector::{AuthProblem, CallError, UncertainCause};
use serde::Deserialize;
use serde_json::value::RawValue;
use values::Timestamp;

use crate::json;

/// Longest wait believed, whatever a shop says.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// Longest error word kept, in bytes.
const CODE_BYTES_MAX: usize = 80;

/// Whether a call only asks, or may change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Read,
    Write,
}

/// An answer, whole, with the headers that matter.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// The shop's clock.
    pub(crate) date: Option<Timestamp>,
    /// How many items a list has in all, if it says so.
    pub(crate) total: Option<u64>,
    /// How many pages that makes.
    pub(crate) pages: Option<u64>,
    /// Where it sends us, without what may repeat credentials.
    pub(crate) redirect_to: Option<String>,
    /// That is where people log in.
    pub(crate) is_to_login: bool,
    pub(crate) retry_after: Option<Duration>,
    /// It was stored by something between us and the shop this many seconds ago.
    pub(crate) age: Option<u64>,
    pub(crate) took: Duration,
}

/// WordPress's form of an error.
#[derive(Deserialize)]
struct WireError<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

impl Answer {
    /// The shop's error word, if the body is an error in WordPress's form.
    pub(crate) fn code(&self) -> Option<String> {
        let error: WireError<'_> = serde_json::from_str(&self.body).ok()?;
        let code = json::words(error.code);
        let plain = |character: &char| character.is_ascii_alphanumeric() || "_-.".contains(*character);
        let code: String = code.chars().filter(plain).take(CODE_BYTES_MAX).collect();
        (!code.is_empty()).then_some(code)
    }

    /// An answer that can go on to be read: anything but success becomes an error.
    pub(crate) fn accepted(self, purpose: Purpose) -> Result<Self, CallError> {
        match self.status {
            200..=299 => Ok(self),
            300..=399 => Err(CallError::Redirected {
                status: self.status,
                to: self.redirect_to.unwrap_or_else(|| "another address".to_owned()),
            }),
            401 | 403 => Err(CallError::Auth(self.auth_problem())),
            429 => Err(CallError::RateLimited { retry_after: self.retry_after }),
            status @ (408 | 425) => Err(CallError::Unavailable { status, retry_after: self.retry_after }),
            status @ 400..=499 => {
                Err(CallError::Refused { status, code: self.code().unwrap_or_else(|| "-".to_owned()) })
            }
            status => Err(match purpose {
                Purpose::Read => CallError::Unavailable { status, retry_after: self.retry_after },
                // A server that failed, or something between that gave up waiting, may have let the shop do it.
                Purpose::Write => CallError::Uncertain {
                    cause: UncertainCause::ServerError(status),
                    retry_after: self.retry_after,
                    source: None,
                },
            }),
        }
    }

    /// The messages are in the shop's language, so where they are not English the word alone has to do.
    fn auth_problem(&self) -> AuthProblem {
        let Some(code) = self.code() else { return AuthProblem::Blocked(self.status) };
        let error: Option<WireError<'_>> = serde_json::from_str(&self.body).ok();
        let message = json::words(error.and_then(|error| error.message));
        if code == "woocommerce_rest_authentication_error" {
            let known = [
                ("Consumer secret is invalid", AuthProblem::SecretWrong),
                ("Consumer key is invalid", AuthProblem::KeyUnknown),
                ("not have write permissions", AuthProblem::NoWritePermission),
                ("not have read permissions", AuthProblem::NoReadPermission),
                ("Invalid signature", AuthProblem::SignatureInvalid),
                ("Invalid timestamp", AuthProblem::ClockSkew),
            ];
            let found = known.into_iter().find(|(words, _)| message.contains(words));
            return found.map_or(AuthProblem::Other(code), |(_, problem)| problem);
        }
        let about_rights = code.starts_with("woocommerce_rest_cannot_")
            || code.starts_with("rest_cannot_")
            || code == "rest_forbidden";
        match (self.status, about_rights) {
            // 401 is for nobody, 403 for somebody without the right.
            (401, true) => AuthProblem::KeyUnknown,
            (403, true) => AuthProblem::UserLacksRights,
            _ => AuthProblem::Other(code),
        }
    }
}

/// The `Retry-After` header: seconds, with or without a fraction, or a date by the shop's clock. Of anything else nothing
/// is believed; who has to stay away all the same knows for how long.
pub(crate) fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    let wait = match seconds(header) {
        Some(wait) => wait,
        None => http_date(header)?.since(now),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// A number of seconds; what begun seconds remain counts as whole ones.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let begun = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    // One that is too large for a number is too long to be believed anyway.
    Some(
        whole
            .parse::<u64>()
            .map_or(RETRY_AFTER_MAX, |whole| Duration::from_secs(whole.saturating_add(begun))),
    )
}

/// A date as HTTP writes it.
pub(crate) fn http_date(header: &str) -> Option<Timestamp> {
    let date = jiff::fmt::rfc2822::parse(header.trim()).ok()?;
    Some(Timestamp::from_seconds(date.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use connector::Effect;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            body: body.to_owned(),
            date: None,
            total: None,
            pages: None,
            redirect_to: None,
            is_to_login: false,
            retry_after: Some(Duration::from_secs(7)),
            age: None,
            took: Duration::ZERO,
        }
    }

    fn auth(status: u16, code: &str, message: &str) -> AuthProblem {
        let body = format!(r#"{{"code":"{code}","message":"{message}","data":{{"status":{status}}}}}"#);
        match answer(status, &body).accepted(Purpose::Read) {
            Err(CallError::Auth(problem)) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_kind_of_401() {
        let error = "woocommerce_rest_authentication_error";
        for (status, code, message, problem) in [
            (401, error, "Consumer secret is invalid.", AuthProblem::SecretWrong),
            (401, error, "Consumer key is invalid.", AuthProblem::KeyUnknown),
            (
                401,
                error,
                "The API key provided does not have write permissions.",
                AuthProblem::NoWritePermission,
            ),
            (
                401,
                error,
                "The API key provided does not have read permissions.",
                AuthProblem::NoReadPermission,
            ),
            (
                401,
                error,
                "Invalid signature - provided signature does not match.",
                AuthProblem::SignatureInvalid,
            ),
            (401, error, "Invalid timestamp.", AuthProblem::ClockSkew),
            (401, error, "Klucz jest nieprawidłowy.", AuthProblem::Other(error.to_owned())),
            (
                401,
                "woocommerce_rest_cannot_view",
                "Sorry, you cannot list resources.",
                AuthProblem::KeyUnknown,
            ),
            (403, "woocommerce_rest_cannot_view", "Sorry.", AuthProblem::UserLacksRights),
            (401, "rest_login_required", "x", AuthProblem::Other("rest_login_required".to_owned())),
        ] {
            assert_eq!(auth(status, code, message), problem, "{code}: {message}");
        }
        for status in [401, 403] {
            let blocked = answer(status, "<html>Request blocked</html>").accepted(Purpose::Write);
            assert!(matches!(blocked, Err(CallError::Auth(AuthProblem::Blocked(found))) if found == status));
        }
    }

    #[test]
    fn a_5xx_hides_what_became_of_a_write_and_a_4xx_does_not() {
        for status in [500, 502, 503, 504, 520] {
            let error = answer(status, "").accepted(Purpose::Write).unwrap_err();
            assert_eq!(error.effect(), Effect::Unknown, "{status}");
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
            let error = answer(status, "").accepted(Purpose::Read).unwrap_err();
            assert!(matches!(error, CallError::Unavailable { .. }), "{status}");
        }
        for status in [301, 308, 400, 401, 403, 404, 408, 413, 429] {
            let error = answer(status, "{}").accepted(Purpose::Write).unwrap_err();
            assert_eq!(error.effect(), Effect::None, "{status}");
        }
        let late = answer(408, "").accepted(Purpose::Write);
        assert!(matches!(late, Err(CallError::Unavailable { .. })), "it may be tried again");
        let too_many = r#"{"code":"woocommerce_rest_request_entity_too_large","message":"x"}"#;
        let error = answer(413, too_many).accepted(Purpose::Write).unwrap_err();
        assert!(matches!(error, CallError::Refused { status: 413, code } if code.ends_with("too_large")));
    }

    #[test]
    fn retry_after_in_all_forms() {
        let now = http_date("Sun, 22 Nov 2026 04:04:32 GMT").unwrap();
        assert_eq!(now, Timestamp::from_seconds(1_795_320_272));
        let wait = |header: &str| retry_after(header, now);
        assert_eq!(wait("120"), Some(Duration::from_mins(2)));
        assert_eq!(wait("Sun, 22 Nov 2026 04:04:42 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(wait("Sun, 22 Nov 2026 04:00:00 GMT"), Some(Duration::ZERO), "already over");
        assert_eq!(wait("99999999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("99999999999999999999999"), Some(RETRY_AFTER_MAX));
        for (header, whole) in [(" 2 ", 2), ("1.5", 2), ("0.2", 1), ("3.0", 3), ("0", 0), ("4.", 4)] {
            assert_eq!(wait(header), Some(Duration::from_secs(whole)), "{header}");
        }
        for header in ["", "soon", "-5", ".", ".5", "1.5.2", "1e3", "+4", "5 s", "Sun, 99 Nov 2026"] {
            assert_eq!(wait(header), None, "{header}");
        }
    }

    #[test]
    fn an_error_word_is_only_a_word() {
        let code =
            answer(400, r#"{"code":"a <b> ck_123\n?consumer_secret=cs_1","message":"m"}"#).code().unwrap();
        assert_eq!(code, "abck_123consumer_secretcs_1");
        assert_eq!(answer(400, "[]").code(), None);
    }
}
