//! What can be wrong with settings, said so that the reader can put it right.

use std::fmt;
use std::process::ExitCode;

/// The exit code of a process whose settings cannot be used (`EX_USAGE` of sysexits).
pub const EXIT_CODE_CONFIG: u8 = 64;

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("{name} is not set; it wants {wants}")]
    Missing { name: &'static str, wants: String },
    #[error("{name}={value} cannot be used; it wants {wants}{default}")]
    Unusable { name: &'static str, value: String, wants: String, default: String },
    #[error("{name} is not valid UTF-8")]
    NotText { name: String },
    #[error("{name} and {name}_FILE are both set; remove one")]
    SetTwice { name: &'static str },
    #[error("{name}_FILE={path} cannot be read: {source}")]
    File { name: &'static str, path: String, source: std::io::Error },
    #[error("{name}_FILE={path} is empty or larger than {bytes_max} bytes; it wants the bare secret")]
    FileSize { name: &'static str, path: String, bytes_max: u64 },
    #[error("{name} {reason}")]
    Rejected { name: &'static str, reason: String },
    #[error("{name} is not a setting of this program{}", nearest.map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
    Unknown { name: String, nearest: Option<&'static str> },
}

/// Everything that is wrong, in the order the settings are declared.
#[derive(Debug)]
pub struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// 64, whatever is wrong.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(EXIT_CODE_CONFIG)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used:")?;
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
