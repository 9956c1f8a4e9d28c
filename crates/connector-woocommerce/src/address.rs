//! Where a shop is, and which addresses may be called at all. A shop's address is typed by a person, so it must not
//! lead into our own network: every address is checked after its name is resolved, and the connection is made to the
//! very addresses that were checked, so a name that changes its mind gains nothing.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use connector::may_call;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The text is no address of a shop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShopUrlError {
    /// Not an address at all.
    #[error("this is not a web address: it should look like https://shop.example")]
    NotAnAddress,
    /// Another scheme.
    #[error("a shop's address starts with https:// (or http://)")]
    Scheme,
    /// Credentials in it.
    #[error("leave name and password out of the address: the consumer key and secret are given separately")]
    Credentials,
    /// A question mark or a hash in it.
    #[error("leave everything after ? or # out of the address")]
    QueryOrFragment,
}

/// The address of a shop as its owner writes it: scheme, host, perhaps a port and a folder.
#[derive(Clone, PartialEq, Eq)]
pub struct ShopUrl {
    /// Without a trailing slash.
    home: String,
    url: Url,
}

impl ShopUrl {
    /// The address without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.home
    }

    /// Reached without encryption: credentials are never sent, requests are signed instead.
    pub fn is_plain_http(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// The name or address of the machine.
    pub(crate) fn host(&self) -> Option<&str> {
        self.url.host_str()
    }

    /// The port, if it is not the usual one.
    pub(crate) fn port(&self) -> Option<u16> {
        self.url.port()
    }

    /// The address itself, if the host is written as one. Such a host is never resolved.
    fn literal(&self) -> Option<IpAddr> {
        let host = self.url.host_str()?;
        host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Refuses a host written as an address that may not be called. Names are checked when they are resolved.
    pub(crate) fn check(&self, private_allowed: bool) -> Result<(), AddressRefused> {
        match self.literal() {
            Some(address) if !may_call(address, private_allowed) => Err(AddressRefused),
            _ => Ok(()),
        }
    }
}

impl FromStr for ShopUrl {
    type Err = ShopUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text.trim()).map_err(|_| ShopUrlError::NotAnAddress)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(ShopUrlError::Scheme);
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(ShopUrlError::NotAnAddress);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ShopUrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(ShopUrlError::QueryOrFragment);
        }
        // People copy the address of the API or of the administration as well.
        let whole = url.as_str();
        let cut = |text: &str, folder: &str| text.split_once(folder).map(|(before, _)| before.to_owned());
        let home =
            cut(whole, "/wp-json").or_else(|| cut(whole, "/wp-admin")).unwrap_or_else(|| whole.to_owned());
        let home = home.trim_end_matches('/').to_owned();
        let url = Url::parse(&home).map_err(|_| ShopUrlError::NotAnAddress)?;
        Ok(Self { home, url })
    }
}

impl fmt::Display for ShopUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.home.fmt(f)
    }
}

impl fmt::Debug for ShopUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.home.fmt(f)
    }
}

/// The host is in a network that may not be called for this shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host is in a private or reserved network")]
pub(crate) struct AddressRefused;

/// Resolves names and leaves out what may not be called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuardedResolver {
    pub(crate) private_allowed: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private_allowed = self.private_allowed;
        Box::pin(async move {
            // Port 0 is replaced by the one of the address that was asked for.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed = callable(found, private_allowed)?;
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

fn callable(found: Vec<SocketAddr>, private_allowed: bool) -> Result<Vec<SocketAddr>, AddressRefused> {
    let any = !found.is_empty();
    let allowed: Vec<_> =
        found.into_iter().filter(|address| may_call(address.ip(), private_allowed)).collect();
    if any && allowed.is_empty() { Err(AddressRefused) } else { Ok(allowed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_shops() {
        for (text, home) in [
            ("https://shop.example", "https://shop.example"),
            (" https://Shop.Example/ ", "https://shop.example"),
            ("https://shop.example:8443/pl/", "https://shop.example:8443/pl"),
            ("https://shop.example/pl/wp-json/wc/v3", "https://shop.example/pl"),
            ("https://shop.example/wp-admin/", "https://shop.example"),
            ("http://127.0.0.1:8088", "http://127.0.0.1:8088"),
        ] {
            assert_eq!(text.parse::<ShopUrl>().unwrap().as_str(), home);
        }
        for (text, error) in [
            ("shop.example", ShopUrlError::NotAnAddress),
            ("ftp://shop.example", ShopUrlError::Scheme),
            ("file:///etc/passwd", ShopUrlError::Scheme),
            ("https://ck:cs@shop.example", ShopUrlError::Credentials),
            ("https://shop.example/?consumer_key=ck", ShopUrlError::QueryOrFragment),
            ("https://", ShopUrlError::NotAnAddress),
        ] {
            assert_eq!(text.parse::<ShopUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_host_written_as_a_number_is_still_that_host() {
        for text in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://[::1]:8080/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
        ] {
            let url: ShopUrl = text.parse().unwrap();
            assert_eq!(url.check(false), Err(AddressRefused), "{text}");
            assert_eq!(url.check(true), Ok(()), "{text}");
        }
        assert_eq!("http://169.254.169.254/".parse::<ShopUrl>().unwrap().check(true), Err(AddressRefused));
        assert_eq!("http://shop.example/".parse::<ShopUrl>().unwrap().check(false), Ok(()));
    }

    #[test]
    fn a_name_with_both_kinds_of_addresses_is_called_at_the_public_one() {
        let both: Vec<SocketAddr> = vec!["10.0.0.1:0".parse().unwrap(), "8.8.8.8:0".parse().unwrap()];
        assert_eq!(callable(both.clone(), false).unwrap(), &both[1..]);
        assert_eq!(callable(both[..1].to_vec(), false), Err(AddressRefused));
    }
}
