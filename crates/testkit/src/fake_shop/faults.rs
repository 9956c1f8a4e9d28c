//! What goes wrong on purpose.

use std::collections::VecDeque;
use std::time::Duration;

/// Most faults that wait at one shop; a script is short.
const FAULTS_MAX: usize = 10_000;

/// When a call says to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// It does not say.
    Unsaid,
    /// `Retry-After: 7`
    Seconds(u64),
    /// `Retry-After:` a date this far ahead by the shop's clock.
    Date(Duration),
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// 429, nothing done.
    TooMany(RetryAfter),
    /// 503 as a plugin or proxy in maintenance answers, nothing done.
    Unavailable(RetryAfter),
    /// Another status with an error body, nothing done.
    Status(u16),
    /// 500 although everything was done.
    ErrorAfter,
    /// The connection is closed without an answer, nothing done.
    CutBefore,
    /// The connection is closed without an answer although everything was done.
    CutAfter,
    /// No answer until the client goes or the shop stops, nothing done.
    HangBefore,
    /// No answer until the client goes or the shop stops although everything was done.
    HangAfter,
    /// The same as without a fault, this much later.
    Slow(Duration),
    /// Done, but only after this long, whether the client still waits or not.
    LateEffect(Duration),
    /// 200 with an HTML page (a cache, a login wall), nothing done.
    Html,
    /// Done, but the JSON is cut in the middle.
    TruncatedJson,
    /// A pause between all steps of the write, for others to look into.
    PauseBetweenSteps(Duration),
    /// 301 to this address, nothing done.
    Redirect(String),
}

/// Which calls, how many of them, and what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Start of method and route as in [`super::Counts::calls`]; empty: any call.
    pub route: String,
    /// Passes this many matching calls first.
    pub after: u64,
    /// Then happens this often.
    pub times: u64,
    /// What happens.
    pub kind: FaultKind,
}

impl Fault {
    /// The next call of a route.
    pub fn next(route: &str, kind: FaultKind) -> Self {
        Self { route: route.to_owned(), after: 0, times: 1, kind }
    }

    /// The next `times` calls of a route.
    pub fn many(route: &str, times: u64, kind: FaultKind) -> Self {
        Self { times, ..Self::next(route, kind) }
    }
}

#[derive(Debug, Default)]
pub(super) struct Script {
    faults: VecDeque<Fault>,
}

impl Script {
    pub(super) fn push(&mut self, fault: Fault) {
        assert!(self.faults.len() < FAULTS_MAX, "a script of at most {FAULTS_MAX} faults");
        self.faults.push_back(fault);
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    /// The first fault that touches this call.
    pub(super) fn take(&mut self, route: &str) -> Option<FaultKind> {
        let index = self.faults.iter_mut().position(|fault| {
            if !route.starts_with(&fault.route) {
                return false;
            }
            let passes = fault.after > 0;
            fault.after = fault.after.saturating_sub(1);
            !passes
        })?;
        let fault = self.faults.get_mut(index)?;
        fault.times = fault.times.saturating_sub(1);
        let kind = fault.kind.clone();
        if fault.times == 0 {
            self.faults.remove(index);
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_by_route() {
        let mut script = Script::default();
        script.push(Fault { after: 1, ..Fault::next("PUT", FaultKind::CutBefore) });
        script.push(Fault::many("", 2, FaultKind::Html));
        assert_eq!(script.take("PUT products/{id}"), Some(FaultKind::Html));
        assert_eq!(script.take("GET orders"), Some(FaultKind::Html));
        assert_eq!(script.take("GET orders"), None);
        assert_eq!(script.take("PUT products/{id}"), Some(FaultKind::CutBefore));
        assert_eq!(script.take("PUT products/{id}"), None);
    }
}
