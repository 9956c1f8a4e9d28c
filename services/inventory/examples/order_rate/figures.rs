//! What was measured in rounds, as text for people and as the line of JSON that `cargo xtask bench` reads.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use serde_json::{Value, json};

/// One thing, measured once a round.
#[derive(Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Round by round, so that a slow moment of the machine counts for both.
    pub(crate) fn ratio(&self, of: &Self) -> Self {
        Self(self.0.iter().zip(&of.0).map(|(value, of)| value / of).collect())
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    fn spread(&self) -> (f64, f64) {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        (least, self.0.iter().copied().fold(0.0, f64::max))
    }
}

/// What a ratio has to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    Least(f64),
    Most(f64),
}

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Value>);

impl Figures {
    pub(crate) fn alone(&mut self, name: &str, unit: &str, series: &Series) {
        let (low, high) = series.spread();
        println!("{name:<60} {:>10.1} {unit:<9} ({low:.1} to {high:.1})", series.median());
        self.0.push(json!({ "name": name, "value": series.median(), "unit": unit }));
    }

    pub(crate) fn beside(&mut self, name: &str, unit: &str, series: &Series, of: &Series, goal: Goal) {
        let ratio = series.ratio(of);
        let (low, high) = ratio.spread();
        println!(
            "{name:<60} {:>10.1} {unit:<9} of {:>10.1} = {:.2} ({low:.2} to {high:.2})",
            series.median(),
            of.median(),
            ratio.median()
        );
        let mut figure = json!({
            "name": name, "value": series.median(), "unit": unit, "limit": of.median(), "ratio": ratio.median(),
        });
        match goal {
            Goal::Least(least) => figure["least"] = least.into(),
            Goal::Most(most) => figure["most"] = most.into(),
        }
        self.0.push(figure);
    }

    pub(crate) fn end(self) {
        println!("{}", json!({ "figures": self.0 }));
    }
}
