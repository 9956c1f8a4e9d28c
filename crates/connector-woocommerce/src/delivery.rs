//! Whether what a shop delivers can arrive. WordPress refuses some addresses without a word, and takes a redirect for
//! success though it never follows one, so both have to be found out from here.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use connector::{Finding, Severity, Tried, may_call};
use reqwest::{Url, header, redirect};

use crate::address::ShopUrl;
use crate::transport::{install_provider, origin};

/// The ports WordPress delivers to, besides the one the shop itself is at.
const PORTS: [u16; 3] = [80, 443, 8080];
/// How long the address may take to answer, as when WooCommerce tries it.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
/// WooCommerce says that nobody listens unless the answer to a ping is exactly this.
const WANTED_STATUS: u16 = 200;
/// A ping as WooCommerce sends it; its webhooks are numbered from 1.
const PING: &str = "webhook_id=0";

/// Why WordPress would refuse to deliver to the address (`wp_http_validate_url`), in plain words.
pub(crate) fn obstacles(delivery_url: &str, shop: &ShopUrl) -> Vec<Finding> {
    let Ok(url) = Url::parse(delivery_url) else { return Vec::new() };
    let same_host = url.host_str().map(str::to_ascii_lowercase) == shop.host().map(str::to_ascii_lowercase);
    let mut found = Vec::new();
    let mut warn = |code, what: String, todo: &str| {
        let todo = todo.to_owned();
        found.push(Finding { severity: Severity::Warning, code, what, todo });
    };
    if let Some(port) = url.port()
        && !PORTS.contains(&port)
        && !(same_host && shop.port() == Some(port))
    {
        warn(
            "webhook_port",
            format!("WordPress never calls port {port}, and does not say so: no webhook would arrive."),
            "Have onhand reached at port 443 (or 80 or 8080), as behind a reverse proxy, and set ONHAND_PUBLIC_URL to that \
             address.",
        );
    }
    if !same_host && is_private(&url) {
        warn(
            "webhook_private_address",
            "WordPress never calls an address in a private network, and does not say so: no webhook would arrive.".to_owned(),
            "Set ONHAND_PUBLIC_URL to an address of onhand that the shop can reach from where it is.",
        );
    }
    found
}

/// Names are not resolved: what they are here they need not be for the shop.
fn is_private(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => !may_call(address, false),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

/// Pings the address. Whoever set it is one of us, so it may be anywhere.
pub(crate) async fn attempt(delivery_url: &str) -> Tried {
    static HTTP: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let Some(http) = HTTP.get_or_init(client) else { return Tried::NoAnswer };
    let request =
        http.post(delivery_url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(PING);
    let Ok(answer) = request.send().await else { return Tried::NoAnswer };
    let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).and_then(origin);
    match answer.status().as_u16() {
        WANTED_STATUS => Tried::Taken,
        status @ 300..=399 => Tried::Redirected { status, to },
        status => Tried::Refused { status },
    }
}

fn client() -> Option<reqwest::Client> {
    install_provider();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("onhand/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .connect_timeout(ANSWER_WAIT_MAX / 2)
        .timeout(ANSWER_WAIT_MAX);
    builder.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wordpress_would_never_call() {
        let cases: [(&str, &str, &[&str]); 12] = [
            ("https://hub.example/webhooks/t", "https://shop.example", &[]),
            ("http://hub.example:8080/webhooks/t", "https://shop.example", &[]),
            ("https://hub.example:8443/webhooks/t", "https://shop.example", &["webhook_port"]),
            ("http://10.0.0.5/webhooks/t", "https://shop.example", &["webhook_private_address"]),
            ("http://192.168.1.2:443/t", "https://shop.example", &["webhook_private_address"]),
            ("http://localhost:8017/t", "https://shop.example", &["webhook_port", "webhook_private_address"]),
            ("http://[::1]/t", "https://shop.example", &["webhook_private_address"]),
            ("http://127.0.0.1:8017/t", "http://127.0.0.1:8088", &["webhook_port"]),
            ("http://127.0.0.1:8088/t", "http://127.0.0.1:8088", &[]),
            ("https://shop.example:8443/t", "https://SHOP.example:8443", &[]),
            ("https://shop.example:8443/t", "https://shop.example", &["webhook_port"]),
            ("https://8.8.8.8/t", "https://shop.example", &[]),
        ];
        for (delivery_url, shop, codes) in cases {
            let found = obstacles(delivery_url, &shop.parse().unwrap());
            let found: Vec<_> = found.iter().map(|finding| finding.code).collect();
            assert_eq!(found, codes, "{delivery_url} from {shop}");
        }
    }
}
