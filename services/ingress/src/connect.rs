//! How a shop of the registry becomes a connection that can be read.

use connector::error::BoxError;
use connector::{ReadCatalogue, ReadOrders, ReadStocks, TestConnection};
use connector_woocommerce::{Access, Client, ShopUrl, SignIn, Timeouts};
use store::{Shop, ShopSecrets};

/// The settings of a shop do not make a connection.
#[derive(Debug, thiserror::Error)]
#[error("the shop's settings do not make a connection; correct its address or its key")]
pub struct ConnectError(#[source] pub BoxError);

/// Makes connections to shops. It does not call them yet.
pub trait Connect: Send + Sync + 'static {
    /// A connection.
    type Connection: ReadOrders + ReadStocks + ReadCatalogue + TestConnection + Send + Sync + 'static;

    /// A connection to `shop`.
    fn connect(&self, shop: &Shop, secrets: &ShopSecrets) -> Result<Self::Connection, ConnectError>;
}

/// Connections to WooCommerce shops.
#[derive(Debug, Clone, Copy, Default)]
pub struct WooCommerce {
    /// How long calls may take.
    pub timeouts: Timeouts,
}

impl Connect for WooCommerce {
    type Connection = Client;

    fn connect(&self, shop: &Shop, secrets: &ShopSecrets) -> Result<Client, ConnectError> {
        let url: ShopUrl = shop.settings.url.parse().map_err(|error| ConnectError(Box::new(error)))?;
        let access = Access {
            url,
            consumer_key: secrets.consumer_key.clone(),
            consumer_secret: secrets.consumer_secret.clone(),
            sign_in: SignIn::Header,
            private_addresses_allowed: shop.settings.private_allowed,
            root_certificate: None,
        };
        Client::with_timeouts(access, self.timeouts).map_err(|error| ConnectError(Box::new(error)))
    }
}
