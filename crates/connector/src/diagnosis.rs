//! What a connection test found, in plain words: the cause and what to do about it.

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// It works, but not everything or not well.
    Warning,
    /// It does not work.
    Fatal,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for programs.
    pub code: &'static str,
    /// What is the case, for people.
    pub what: String,
    /// What to do about it.
    pub todo: String,
}

/// Codes that say that the system answers and does not let us in: only a person can change that.
const REFUSALS: &[&str] = &[
    "access_refused",
    "blocked",
    "clock_skew",
    "key_permission",
    "key_unknown",
    "login_wanted",
    "read_only_key",
    "redirected",
    "secret_wrong",
    "signature_invalid",
    "user_lacks_rights",
];

impl Finding {
    /// The system answers and does not let us in.
    pub fn is_refusal(&self) -> bool {
        REFUSALS.contains(&self.code)
    }
}

/// The outcome of a connection test.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnosis {
    /// In the order they were found.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Nothing found stands in the way.
    pub fn works(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Fatal)
    }

    /// Whether this was found.
    pub fn has(&self, code: &str) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }
}
