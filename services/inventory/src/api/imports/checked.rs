//! A file read to its end before anything is done with it.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::super::problem::{Kind, Problem, REASONS_MAX, Reason};
use super::lines::{Line, Lines, Terms};
use super::{ImportQuery, ImportReport, LineProblem, Mode};
use crate::OPERATIONS_MAX;

/// Most lines of a file.
const LINES_MAX: u64 = 250_000;

/// A file that was read once.
pub(super) struct Checked {
    /// To be read again from the start.
    pub(super) lines: Lines,
    line_count: u64,
    problems: Vec<LineProblem>,
    pub(super) problem_count: u64,
}

impl Checked {
    pub(super) fn read(file: File, terms: Arc<Terms>) -> Result<Self, Problem> {
        let adjusts = terms.mode == Mode::Adjust;
        let mut lines = Lines::open(file, terms)?;
        let (mut line_count, mut problems, mut problem_count) = (0, Vec::new(), 0);
        let mut said = Said::default();
        while let Some(line) = lines.next()? {
            line_count += 1;
            if line_count > LINES_MAX {
                return Err(Problem::new(
                    Kind::TooLarge,
                    format!("nothing was imported: a file has at most {LINES_MAX} lines; split it"),
                ));
            }
            let problem = match line {
                Ok(line) => said.before(&line, lines.mode()),
                Err(problem) => Some(problem),
            };
            if let Some(problem) = problem {
                problem_count += 1;
                if problems.len() < REASONS_MAX {
                    problems.push(problem);
                }
            }
        }
        if adjusts && line_count > u64::try_from(OPERATIONS_MAX).unwrap_or(u64::MAX) {
            return Err(Problem::new(
                Kind::TooLarge,
                format!(
                    "nothing was imported: a file of adjustments has at most {OPERATIONS_MAX} lines; split it"
                ),
            ));
        }
        lines.rewind()?;
        Ok(Self { lines, line_count, problems, problem_count })
    }

    pub(super) fn report(&self, query: &ImportQuery) -> ImportReport {
        ImportReport {
            mode: query.mode,
            dry_run: query.dry_run,
            lines: self.line_count,
            changed: 0,
            refused: self.problem_count,
            problems: self.problems.clone(),
            ignored_columns: self.lines.ignored().to_vec(),
        }
    }

    pub(super) fn refusal(self) -> Problem {
        let count = usize::try_from(self.problem_count).unwrap_or(usize::MAX);
        let reasons = self.problems.into_iter();
        let reasons: Vec<Reason> =
            reasons.map(|wrong| Reason { row: wrong.line, problem: wrong.problem }).collect();
        refusal(Kind::Invalid, reasons, count)
    }
}

pub(in super::super) fn refusal(kind: Kind, reasons: Vec<Reason>, count: usize) -> Problem {
    let told: Vec<String> =
        reasons.iter().take(3).map(|wrong| format!("line {}: {}", wrong.row, wrong.problem)).collect();
    let more = if count > told.len() { format!("; and {} more", count - told.len()) } else { String::new() };
    Problem::rows(kind, format!("nothing was imported; {}{more}", told.join("; ")), reasons, count)
}

/// What was counted in lines before, by fingerprint, so that it takes the same little memory however long the codes are.
#[derive(Default)]
struct Said {
    hashers: (RandomState, RandomState),
    lines: HashMap<(u64, u64), u64>,
}

impl Said {
    /// Two counts of the same cannot both be right.
    fn before(&mut self, line: &Line, mode: Mode) -> Option<LineProblem> {
        if mode != Mode::Count {
            return None;
        }
        let what = (&line.sku, line.warehouse);
        let print = (self.hashers.0.hash_one(what), self.hashers.1.hash_one(what));
        let earlier = self.lines.insert(print, line.number)?;
        let problem = format!("{} is counted in line {earlier} too, in the same warehouse", line.sku);
        Some(LineProblem { line: line.number, problem })
    }
}
