//! What people are told at once, as programs and as people read it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Most alerts that one digest tells of; how many are left out is said.
pub const TOLD_MAX: usize = 50;

/// One alert, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its number, by which it can be acknowledged.
    pub id: i64,
    /// What kind, as a stable word.
    pub kind: String,
    /// How much it matters: `info`, `warning` or `critical`.
    pub severity: String,
    /// The shop it is about, if it is about one.
    pub shop: Option<String>,
    /// What of the shop, or of all.
    pub subject: Option<String>,
    /// The SKU it is about, if there is one.
    pub sku: Option<String>,
    /// What is the case and what to do, in plain words.
    pub what: String,
    /// When it began, in RFC 3339.
    pub first_seen: String,
    /// When it ended; nothing while it is so.
    pub resolved_at: Option<String>,
    /// How often it began.
    pub count: u32,
}

/// What people are told at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// By which a receiver knows one that comes twice.
    pub id: String,
    /// When it was made, in RFC 3339.
    pub made_at: String,
    /// Somebody tries whether it arrives; it tells of nothing.
    pub test: bool,
    /// What is so.
    pub raised: Vec<Told>,
    /// What they were told of and is so still: there is much more of it, or it is long ago.
    #[serde(default)]
    pub still: Vec<Told>,
    /// What is not so any more.
    pub resolved: Vec<Told>,
    /// How many more there would have been to tell of.
    pub left_out: usize,
    /// How many alerts are open in all.
    pub open: usize,
}

impl Digest {
    /// One by which somebody tries whether it arrives.
    pub fn test(id: String, made_at: String) -> Self {
        Self {
            id,
            made_at,
            test: true,
            raised: Vec::new(),
            still: Vec::new(),
            resolved: Vec::new(),
            left_out: 0,
            open: 0,
        }
    }

    /// As programs read it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and text always serialise")
    }

    /// From what [`Digest::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// In one line.
    pub fn subject(&self) -> String {
        if self.test {
            return "[onhand] a test: alerts arrive".to_owned();
        }
        let (raised, resolved) = (self.raised.as_slice(), self.resolved.as_slice());
        match (raised, self.still.as_slice(), resolved) {
            ([one], [], []) if self.left_out == 0 => format!("[onhand] {}: {}", one.severity, one.title()),
            ([], [one], []) if self.left_out == 0 => format!("[onhand] still open: {}", one.title()),
            ([], [], [one]) if self.left_out == 0 => format!("[onhand] over: {}", one.title()),
            (_, still, _) => {
                let critical = raised.iter().filter(|told| told.severity == "critical").count();
                let worst = if critical > 0 { format!(" ({critical} critical)") } else { String::new() };
                let still = match still.len() {
                    0 => String::new(),
                    count => format!(", {count} still open"),
                };
                let more = if self.left_out > 0 { ", and more" } else { "" };
                format!("[onhand] {} new{worst}{still}, {} over{more}", raised.len(), resolved.len())
            }
        }
    }

    /// As people read it.
    pub fn text(&self) -> String {
        if self.test {
            return "This is a test that somebody asked for with `onhand alerts test`. Alerts arrive here.\n"
                .to_owned();
        }
        let mut text = String::new();
        for told in &self.raised {
            text.push_str(&format_told(told, &told.severity));
        }
        for told in &self.still {
            text.push_str(&format_told(told, "still open"));
        }
        for told in &self.resolved {
            text.push_str(&format_told(told, "over"));
        }
        if self.left_out > 0 {
            write!(text, "{} more are left out here.\n\n", self.left_out)
                .expect("writing to a string cannot fail");
        }
        writeln!(
            text,
            "{} alerts are open now: `onhand alerts` lists them, `onhand alerts ack ID` tells others that you look after one.",
            self.open
        )
        .expect("writing to a string cannot fail");
        text
    }
}

impl Told {
    fn title(&self) -> String {
        let about = self.sku.as_ref().or(self.subject.as_ref());
        let parts = [Some(self.kind.replace('_', " ")), self.shop.clone(), about.cloned()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn format_told(told: &Told, mark: &str) -> String {
    let since = match &told.resolved_at {
        Some(at) => format!("from {} to {at}", told.first_seen),
        None => format!("since {}", told.first_seen),
    };
    format!("{}. {mark}: {} ({since})\n{}\n\n", told.id, told.title(), told.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(id: i64, severity: &str) -> Told {
        Told {
            id,
            kind: "stock_blocked".to_owned(),
            severity: severity.to_owned(),
            shop: Some("berlin".to_owned()),
            subject: Some("17".to_owned()),
            sku: Some("TEE".to_owned()),
            what: "It is blocked. Unblock it.".to_owned(),
            first_seen: "2026-05-01T12:00:00Z".to_owned(),
            resolved_at: None,
            count: 1,
        }
    }

    fn digest(raised: Vec<Told>, resolved: Vec<Told>, left_out: usize) -> Digest {
        Digest { raised, resolved, left_out, open: 3, ..Digest::test("a".to_owned(), "b".to_owned()) }
    }

    fn real(mut digest: Digest) -> Digest {
        digest.test = false;
        digest
    }

    #[test]
    fn a_line_says_what_matters() {
        let one = real(digest(vec![told(1, "critical")], Vec::new(), 0));
        assert_eq!(one.subject(), "[onhand] critical: stock blocked, berlin, TEE");
        let over = Told { resolved_at: Some("2026-05-01T13:00:00Z".to_owned()), ..told(1, "critical") };
        let ended = real(digest(Vec::new(), vec![over.clone()], 0));
        assert_eq!(ended.subject(), "[onhand] over: stock blocked, berlin, TEE");
        let many = real(digest(vec![told(1, "critical"), told(2, "warning")], vec![over], 7));
        assert_eq!(many.subject(), "[onhand] 2 new (1 critical), 1 over, and more");
        let reminded = Digest { still: vec![told(3, "critical")], ..real(digest(Vec::new(), Vec::new(), 0)) };
        assert_eq!(reminded.subject(), "[onhand] still open: stock blocked, berlin, TEE");
        assert!(reminded.text().starts_with("3. still open: stock blocked, berlin, TEE"));
        let both = Digest { still: vec![told(3, "critical")], ..many.clone() };
        assert_eq!(both.subject(), "[onhand] 2 new (1 critical), 1 still open, 1 over, and more");
        let text = many.text();
        assert!(
            text.contains(
                "2. warning: stock blocked, berlin, TEE (since 2026-05-01T12:00:00Z)\nIt is blocked."
            )
        );
        assert!(
            text.contains("1. over: stock blocked, berlin, TEE (from 2026-05-01T12:00:00Z to 2026-05-01T13")
        );
        assert!(text.contains("7 more are left out") && text.contains("3 alerts are open now"), "{text}");
    }

    #[test]
    fn what_is_kept_is_what_is_sent() {
        let many = real(digest(vec![told(1, "info")], Vec::new(), 0));
        assert_eq!(Digest::from_json(&many.to_json()).unwrap(), many);
        assert!(Digest::from_json("{}").is_err());
        // What was kept by a program from before is sent by this one.
        let before = many.to_json().replace(r#""still":[],"#, "");
        assert_eq!(Digest::from_json(&before).unwrap(), many);
        assert!(Digest::test("a".to_owned(), "b".to_owned()).text().contains("test"));
    }
}
