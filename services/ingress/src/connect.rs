//! How a shop of the registry becomes a connection that can be read.

use connector::error::BoxError;
use connector::{
    KeepWebhooks, ManageStock, ReadCatalogue, ReadListings, ReadOrders, ReadStocks, TestConnection,
};
use connector_woocommerce::{Access, Client, ShopUrl, SignIn, Timeouts};
use store::{Shop, ShopSecrets};

/// The settings of a shop do not make a connection.
#[derive(Debug, thiserror::Error)]
#[error("the shop's settings do not make a connection; correct its address or its key")]
pub struct ConnectError(#[source] pub BoxError);

/// Makes connections to shops. It does not call them yet.
pub trait Connect: Send + Sync + 'static {
    /// A connection.
    type Connection: ReadOrders
        + ReadStocks
        + ReadCatalogue
        + ReadListings
        + ManageStock
        + TestConnection
        + KeepWebhooks
        + Send
        + Sync
        + 'static;

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
            sign_in: match shop.settings.sign_in {
                store::SignIn::Header => SignIn::Header,
                store::SignIn::Query => SignIn::Query,
            },
            private_addresses_allowed: shop.settings.private_allowed,
            root_certificate: None,
        };
        Client::with_timeouts(access, self.timeouts).map_err(|error| ConnectError(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ledger::{Routing, StatusMap};
    use store::{Connector, Opening, PollSettings, ShopSettings, ShopState};
    use values::{Quantity, ShopId, Timestamp, WarehouseId};

    use super::*;

    fn shop(sign_in: store::SignIn) -> Shop {
        Shop {
            id: ShopId::new(1).unwrap(),
            name: "shop".to_owned(),
            connector: Connector::Woocommerce,
            settings: ShopSettings {
                url: "https://shop.example".to_owned(),
                routing: Routing::new([WarehouseId::new(1).unwrap()]).unwrap(),
                buffer: Quantity::ZERO,
                statuses: StatusMap::default(),
                pending_hold: Duration::from_hours(1),
                poll: PollSettings::default(),
                private_allowed: false,
                sign_in,
                orphaned: store::Orphaned::Keep,
                shipping: store::Shipping::default(),
                tags: store::Tags::default(),
                drift: store::DriftPolicy::Correct,
            },
            tag_set: None,
            opening: Opening::None,
            baseline_last: None,
            state: ShopState::Active,
            created_at: Timestamp::from_seconds(0),
        }
    }

    #[test]
    fn a_shop_is_told_who_calls_it_as_the_registry_says() {
        let secrets = ShopSecrets {
            consumer_key: "ck_1".into(),
            consumer_secret: "cs_1".into(),
            webhook_secret: "ws_1".into(),
            webhook_secret_previous: None,
        };
        for (sign_in, expected) in [(store::SignIn::Header, "Header"), (store::SignIn::Query, "Query")] {
            let client = WooCommerce::default().connect(&shop(sign_in), &secrets).unwrap();
            assert!(format!("{client:?}").contains(&format!("sign_in: {expected}")), "{client:?}");
        }
    }
}
