//! `onhand shop set`: changes what is set of a shop, and leaves the rest as it is.

use clap::Args;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use values::Quantity;

use super::access::{DriftPolicy, Orphaned, Secrets, SignIn};
use crate::api::Api;
use crate::failure::Failure;
use crate::quantity;
use crate::screen::{Screen, text};

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Its name.
    name: String,
    /// Its address, as in `https://shop.example`.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    secrets: Secrets,
    /// Warehouses it sells from, best first.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    warehouses: Option<Vec<String>>,
    /// Units of every SKU kept back from it.
    #[arg(long, value_name = "QUANTITY", value_parser = quantity::parse, allow_negative_numbers = true)]
    buffer: Option<Quantity>,
    /// Whether it may be on a private network.
    #[arg(long, value_name = "YES|NO", value_parser = clap::builder::BoolishValueParser::new())]
    private_addresses: Option<bool>,
    /// How its host lets the key through; on plain http requests are signed, whatever this says.
    #[arg(long, value_enum)]
    sign_in: Option<SignIn>,
    /// Whether products without a SKU are the SKU of their name, where there is but one of each.
    #[arg(long, value_name = "YES|NO", value_parser = clap::builder::BoolishValueParser::new())]
    match_names: Option<bool>,
    /// When it is compared with the ledger as a whole by itself: `daily@03:00` (UTC), `every 6h` or `off`.
    #[arg(long, value_name = "WHEN")]
    reconcile: Option<String>,
    /// What becomes of what its orders hold once they were deleted there for good.
    #[arg(long, value_enum)]
    orphaned: Option<Orphaned>,
    /// What is done when it shows something else than it should, from the next comparison on.
    #[arg(long, value_enum)]
    drift: Option<DriftPolicy>,
    /// The status its orders get once all of them is shipped; `none` leaves it alone.
    #[arg(long, value_name = "STATUS|none")]
    shipped_status: Option<String>,
    /// The status its orders get once a part of them is shipped; `none` leaves it alone.
    #[arg(long, value_name = "STATUS|none")]
    partly_shipped_status: Option<String>,
    /// Whether its customers get a note with carrier and tracking number.
    #[arg(long, value_name = "YES|NO", value_parser = clap::builder::BoolishValueParser::new())]
    shipment_note: Option<bool>,
    /// Tags it, as in `cost-centre=4711`; movements carry the tags of their time. Again for each tag.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_tag)]
    tag: Vec<(String, String)>,
    /// Takes a tag away; again for each.
    #[arg(long, value_name = "KEY")]
    untag: Vec<String>,
}

impl Set {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let change = self.change()?;
        if change.is_empty() {
            return Err(Failure::NothingToSet { name: self.name });
        }
        let shop = api.patch(&["shops", &self.name], &change.into()).await?;
        screen.show(&shop, |screen| {
            super::show(screen, &shop)?;
            screen.line(format!("shop {} changed", self.name))?;
            if text(&shop, "state") == "connecting" {
                screen.line(format!("connect it with `onhand shop sync {}`", self.name))?;
            }
            Ok(())
        })
    }

    fn change(&self) -> Result<Map<String, Value>, Failure> {
        let mut change = Map::new();
        let plain = [
            ("url", self.url.clone().map(Value::from)),
            ("warehouses", self.warehouses.clone().map(Value::from)),
            ("buffer", self.buffer.map(|buffer| buffer.to_string().into())),
            ("private_addresses", self.private_addresses.map(Value::from)),
            ("sign_in", self.sign_in.map(|sign_in| sign_in.word().into())),
            ("match_names", self.match_names.map(Value::from)),
            ("reconcile", self.reconcile.clone().map(Value::from)),
            ("orphaned", self.orphaned.map(|orphaned| orphaned.word().into())),
            ("drift", self.drift.map(|drift| drift.word().into())),
            ("shipped_status", self.shipped_status.as_deref().map(status_or_none)),
            ("partly_shipped_status", self.partly_shipped_status.as_deref().map(status_or_none)),
            ("shipment_note", self.shipment_note.map(Value::from)),
            ("tags", self.tags()),
        ];
        for (field, value) in plain {
            if let Some(value) = value {
                change.insert(field.to_owned(), value);
            }
        }
        for (field, secret) in self.secrets.given()? {
            change.insert(field.to_owned(), secret.expose_secret().into());
        }
        Ok(change)
    }

    /// Those to set, and `null` for those to take away.
    fn tags(&self) -> Option<Value> {
        let gone = self.untag.iter().map(|key| (key.clone(), Value::Null));
        let set = self.tag.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
        let tags: Map<String, Value> = gone.chain(set).collect();
        (!tags.is_empty()).then(|| tags.into())
    }
}

/// The API takes an empty word for no status.
fn status_or_none(given: &str) -> Value {
    if given == "none" { "".into() } else { given.into() }
}

fn parse_tag(given: &str) -> Result<(String, String), String> {
    let wrong = || format!("{given} is not KEY=VALUE; it looks like cost-centre=4711");
    let (key, value) = given.split_once('=').ok_or_else(wrong)?;
    if key.is_empty() || value.is_empty() {
        return Err(wrong());
    }
    Ok((key.to_owned(), value.to_owned()))
}
