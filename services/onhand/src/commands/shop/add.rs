//! `onhand shop add`: from an address and two keys to a shop in service.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use values::Quantity;

use super::task;
use crate::api::Api;
use crate::failure::Failure;
use crate::quantity;
use crate::screen::{Screen, text};
use crate::secret_input::SecretInput;

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// A name for it.
    name: String,
    /// Its address, as in `https://shop.example`.
    #[arg(long, value_name = "URL")]
    url: String,
    /// Consumer key of its REST API. Seen by everybody on this machine: rather give the file.
    #[arg(long, value_name = "KEY", value_parser = secret)]
    consumer_key: Option<SecretString>,
    /// File with the consumer key; `-` takes a line of standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "consumer_key")]
    consumer_key_file: Option<PathBuf>,
    /// Consumer secret of its REST API. Seen by everybody on this machine: rather give the file.
    #[arg(long, value_name = "SECRET", value_parser = secret)]
    consumer_secret: Option<SecretString>,
    /// File with the consumer secret; `-` takes a line of standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "consumer_secret")]
    consumer_secret_file: Option<PathBuf>,
    /// What its webhooks are signed with; made up if it is not given.
    #[arg(long, value_name = "SECRET", value_parser = secret)]
    webhook_secret: Option<SecretString>,
    /// File with the webhook secret; `-` takes a line of standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "webhook_secret")]
    webhook_secret_file: Option<PathBuf>,
    /// Warehouses it sells from, best first.
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    warehouses: Vec<String>,
    /// Units of every SKU kept back from it.
    #[arg(long, value_name = "QUANTITY", default_value = "0", value_parser = quantity::parse)]
    buffer: Quantity,
    /// Whether SKUs that were never received, counted or opened start with what the shop has.
    #[arg(long, value_enum, default_value_t = Opening::Take)]
    opening: Opening,
    /// It is on a private network.
    #[arg(long)]
    private_addresses: bool,
    /// Do not wait until its catalogue and orders are read.
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Opening {
    /// They do.
    Take,
    /// They start with nothing.
    None,
}

/// Clap would show the text of a wrong value; every text is a right one.
#[expect(clippy::unnecessary_wraps, reason = "the shape clap wants")]
fn secret(text: &str) -> Result<SecretString, String> {
    Ok(SecretString::from(text))
}

impl Add {
    pub(crate) async fn run(self, api: &Api, screen: Screen) -> Result<(), Failure> {
        let mut shop = api.post(&["shops"], &self.body()?).await?;
        let url = api.webhook_address(&text(&shop, "webhook_url"));
        if let Some(fields) = shop.as_object_mut() {
            fields.insert("webhook_url".to_owned(), url.clone().into());
        }
        // Before the wait: should that end early, the secret must not be lost, it is shown only once.
        screen.say(format!(
            "shop {} added; in WooCommerce, Settings > Advanced > Webhooks, add these:",
            self.name
        ))?;
        for topic in ["Order created", "Order updated", "Order deleted", "Order restored", "Product updated"]
        {
            screen.say(format!("  {topic}"))?;
        }
        screen.say(format!("  Delivery URL  {url}"))?;
        screen.say(format!("  Secret        {}", text(&shop, "webhook_secret")))?;
        if self.no_wait {
            return screen.show(&shop, |screen| {
                screen.line(format!(
                    "it is being read; `onhand shop show {}` tells when it is in service",
                    self.name
                ))
            });
        }
        let done = task::wait(api, &shop, &self.name).await?;
        let now = api.get(&["shops", &self.name], &[]).await?;
        if let Some(fields) = shop.as_object_mut() {
            for (name, from) in [("report", &done), ("state", &now)] {
                fields.insert(name.to_owned(), from.get(name).cloned().unwrap_or(Value::Null));
            }
        }
        screen.show(&shop, |screen| {
            task::report(screen, &done)?;
            screen.line(format!("shop {} is in service", self.name))?;
            match self.opening {
                Opening::None => Ok(()),
                Opening::Take => screen.line(format!(
                    "SKUs that have no stock yet start with what it shows, once that is proven; the others keep theirs: \
                     `onhand shop show {}` counts them",
                    self.name
                )),
            }
        })
    }

    fn body(&self) -> Result<Value, Failure> {
        let input = |what, flag, text, file| SecretInput { what, flag, text, file };
        let key = input(
            "consumer key",
            "consumer-key",
            self.consumer_key.as_ref(),
            self.consumer_key_file.as_deref(),
        );
        let secret = input(
            "consumer secret",
            "consumer-secret",
            self.consumer_secret.as_ref(),
            self.consumer_secret_file.as_deref(),
        );
        let webhook = input(
            "webhook secret",
            "webhook-secret",
            self.webhook_secret.as_ref(),
            self.webhook_secret_file.as_deref(),
        );
        let (key, secret, webhook) = (key.required()?, secret.required()?, webhook.optional()?);
        let opening = match self.opening {
            Opening::Take => "take",
            Opening::None => "none",
        };
        let mut body = json!({
            "name": self.name,
            "url": self.url,
            "consumer_key": key.expose_secret(),
            "consumer_secret": secret.expose_secret(),
            "warehouses": self.warehouses,
            "buffer": self.buffer.to_string(),
            "opening": opening,
            "private_addresses": self.private_addresses,
        });
        if let (Some(webhook), Some(fields)) = (webhook, body.as_object_mut()) {
            fields.insert("webhook_secret".to_owned(), webhook.expose_secret().into());
        }
        Ok(body)
    }
}
