//! `onhand shop add`: from an address, and two keys or the shop's own grant of them, to a shop in service.

use std::time::Duration;

use clap::{Args, ValueEnum};
use connector_woocommerce::{Access, Client, ShopUrl};
use process::error_chain;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::Instant;
use values::Quantity;

use super::access::{Secrets, SignIn};
use super::preview::{self, Direction, Planned};
use super::task;
use crate::api::Api;
use crate::commands::doctor;
use crate::failure::Failure;
use crate::quantity;
use crate::screen::{Screen, text};

/// What was read is taken in by another part of onhand: so long that is waited for.
const TAKEN_IN_MAX: Duration = Duration::from_secs(15);
const TAKEN_IN_PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Add {
    /// A name for it.
    name: String,
    /// Its address, as in `https://shop.example`.
    #[arg(long, value_name = "URL")]
    url: String,
    #[command(flatten)]
    secrets: Secrets,
    /// Warehouses it sells from, best first.
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    warehouses: Vec<String>,
    /// Units of every SKU kept back from it.
    #[arg(long, value_name = "QUANTITY", default_value = "0", value_parser = quantity::parse, allow_negative_numbers = true)]
    buffer: Quantity,
    /// Whether SKUs that were never received, counted or opened start with what the shop has; `take` unless told.
    #[arg(long, value_enum)]
    opening: Option<Opening>,
    /// The same as `--opening take`: what the shop shows becomes the opening stock of SKUs that have none.
    #[arg(long, conflicts_with_all = ["opening", "give_to_shop"])]
    take_from_shop: bool,
    /// The same as `--opening none`: the shop is told what the ledger has, and nothing is taken from it.
    #[arg(long, conflicts_with = "opening")]
    give_to_shop: bool,
    /// Only lists what would become of each SKU. Reads the shop's catalogue from here, and changes nothing anywhere.
    #[arg(long)]
    dry_run: bool,
    /// It is on a private network.
    #[arg(long)]
    private_addresses: bool,
    /// How its host lets the key through; on plain http requests are signed, whatever this says.
    #[arg(long, value_enum, default_value_t = SignIn::Header)]
    sign_in: SignIn,
    /// Do not wait until its catalogue and orders are read.
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Opening {
    /// They do.
    Take,
    /// They start with nothing.
    None,
}

impl Add {
    const fn opening(&self) -> Opening {
        match self.opening {
            Some(opening) => opening,
            None if self.give_to_shop => Opening::None,
            None => Opening::Take,
        }
    }

    /// Nothing is registered: the shop is read with the keys from here.
    async fn preview(&self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let not_read = |error: &dyn std::error::Error| Failure::ShopNotRead { cause: error_chain(error) };
        let access = Access {
            url: self.url.parse::<ShopUrl>().map_err(|error| not_read(&error))?,
            consumer_key: self.secrets.consumer_key().required()?,
            consumer_secret: self.secrets.consumer_secret().required()?,
            sign_in: match self.sign_in {
                SignIn::Header => connector_woocommerce::SignIn::Header,
                SignIn::Query => connector_woocommerce::SignIn::Query,
            },
            private_addresses_allowed: self.private_addresses,
            root_certificate: None,
        };
        let client = Client::new(access).map_err(|error| not_read(&error))?;
        let direction = match self.opening() {
            Opening::Take => Direction::FromShop,
            Opening::None => Direction::ToShop,
        };
        let planned = Planned { direction, warehouses: &self.warehouses, buffer: self.buffer };
        preview::run(api, screen, &client, &planned).await
    }

    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        if self.dry_run {
            return self.preview(api, screen).await;
        }
        let answer = api.post(&["shops"], &self.body()?).await?;
        let mut shop = if answer.get("authorize_url").is_some() {
            match self.granted(api, screen, &answer).await? {
                Some(shop) => shop,
                None => return Ok(()),
            }
        } else {
            answer
        };
        let url = api.webhook_address(&text(&shop, "webhook_url"));
        if let Some(fields) = shop.as_object_mut() {
            fields.insert("webhook_url".to_owned(), url.clone().into());
        }
        self.tell_of_webhooks(screen, &shop, &url)?;
        if self.no_wait {
            return screen.show(&shop, |screen| {
                screen.line(format!(
                    "it is being read; `onhand shop show {}` tells when it is in service",
                    self.name
                ))
            });
        }
        let done = match task::wait(api, &shop, &self.name).await {
            Ok(done) => done,
            Err(failure) => {
                // Programs have not seen the secret yet.
                if screen.json {
                    screen.value(&shop)?;
                }
                return Err(failure);
            }
        };
        let now = api.get(&["shops", &self.name], &[]).await?;
        if let Some(fields) = shop.as_object_mut() {
            for (name, from) in [("report", &done), ("state", &now)] {
                fields.insert(name.to_owned(), from.get(name).cloned().unwrap_or(Value::Null));
            }
        }
        screen.show(&shop, |screen| {
            if shop.get("returned") == Some(&Value::Bool(true)) {
                screen.line("it was connected before: its orders go on where they were")?;
            }
            task::read(screen, &done)?;
            screen.line(format!("shop {} is in service", self.name))?;
            match self.opening() {
                Opening::None => Ok(()),
                Opening::Take => screen.line(format!(
                    "SKUs that have no stock yet start with what it shows, once that is proven; the others keep theirs: \
                     `onhand shop show {}` counts them",
                    self.name
                )),
            }
        })?;
        if screen.json { Ok(()) } else { self.examined(api, screen, &done).await }
    }

    /// The doctor's word on a catalogue that was just read, once all of it was taken in.
    async fn examined(&self, api: &Api, screen: Screen, done: &Value) -> Result<(), Failure> {
        let read = done.pointer("/report/listings").and_then(Value::as_u64).unwrap_or(0);
        let deadline = Instant::now() + TAKEN_IN_MAX;
        while Instant::now() < deadline {
            let totals = doctor::totals(api, &self.name).await?;
            if totals.get("listings").and_then(Value::as_u64).unwrap_or(0) >= read {
                break;
            }
            tokio::time::sleep(TAKEN_IN_PAUSE).await;
        }
        screen.line("")?;
        doctor::short_form(api, screen, &self.name).await
    }

    /// Without keys the shop is asked to grant them: its owner has to agree on a page of it. The shop, once it has; `None` if
    /// nobody is to wait for that.
    async fn granted(&self, api: &Api, screen: Screen, asked: &Value) -> Result<Option<Value>, Failure> {
        screen.say("Open this page as an administrator or shop manager of the shop, and agree:")?;
        screen.say(format!("  {}", text(asked, "authorize_url")))?;
        screen.say(format!("It can be used once, until {}.", text(asked, "expires_at")))?;
        if self.no_wait {
            return screen.show(asked, |_| Ok(())).map(|()| None);
        }
        let grant = task::granted(api, &text(asked, "grant"), &self.name).await?;
        let mut shop = api.get(&["shops", &self.name], &[]).await?;
        if let Some(fields) = shop.as_object_mut() {
            for (name, from) in [("task", &grant), ("webhook_secret", asked), ("webhooks", asked)] {
                fields.insert(name.to_owned(), from.get(name).cloned().unwrap_or(Value::Null));
            }
        }
        Ok(Some(shop))
    }

    /// Before the wait: should that end early, the secret must not be lost, it is shown only once.
    fn tell_of_webhooks(&self, screen: Screen, shop: &Value, url: &str) -> Result<(), Failure> {
        if text(shop, "webhooks") == "made" {
            return screen.say(format!(
                "shop {} added; its webhooks are made by onhand, nothing is to be entered there",
                self.name
            ));
        }
        screen.say(format!(
            "shop {} added; in WooCommerce, Settings > Advanced > Webhooks, add one for each of:",
            self.name
        ))?;
        for of in ["Order", "Product"] {
            screen.say(format!("  {of} created, {of} updated, {of} deleted, {of} restored"))?;
        }
        screen.say(format!("  Delivery URL  {url}"))?;
        screen.say(format!("  Secret        {}", text(shop, "webhook_secret")))?;
        screen.say("(where ONHAND_PUBLIC_URL says how shops reach onhand, it makes them itself)")
    }

    fn body(&self) -> Result<Value, Failure> {
        let key = self.secrets.consumer_key().optional()?;
        let secret = self.secrets.consumer_secret().optional()?;
        // One without the other is forgotten, both are to be granted by the shop.
        let (key, secret) = match (key, secret) {
            (Some(key), None) => (Some(key), Some(self.secrets.consumer_secret().required()?)),
            (None, Some(secret)) => (Some(self.secrets.consumer_key().required()?), Some(secret)),
            both => both,
        };
        let webhook = self.secrets.webhook_secret().optional()?;
        let opening = match self.opening() {
            Opening::Take => "take",
            Opening::None => "none",
        };
        let mut body = json!({
            "name": self.name,
            "url": self.url,
            "warehouses": self.warehouses,
            "buffer": self.buffer.to_string(),
            "opening": opening,
            "private_addresses": self.private_addresses,
            "sign_in": self.sign_in.word(),
        });
        let secrets = [("consumer_key", key), ("consumer_secret", secret), ("webhook_secret", webhook)];
        if let Some(fields) = body.as_object_mut() {
            for (field, secret) in secrets {
                if let Some(secret) = secret {
                    fields.insert(field.to_owned(), secret.expose_secret().into());
                }
            }
        }
        Ok(body)
    }
}
