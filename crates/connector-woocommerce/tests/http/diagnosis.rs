//! What is said of each way in which a shop may not be connected.

use connector::{Diagnosis, Severity, TestConnection};
use onhand_connector_woocommerce::{AUTHORIZATION_STRIPPED, Access, Client, SignIn};

use crate::shop::{Answer, SHORT, Seen, Shop, access, client, error, html, json, no_route, with};

/// The code found, and the answer that leads to it.
type Case = (&'static str, fn() -> Answer);

fn index(home: &str, namespaces: &str) -> Answer {
    json(200, format!(r#"{{"name":"Shop","home":"{home}","namespaces":[{namespaces}]}}"#))
}

/// A shop that works, except for what `fault` answers.
async fn shop_with(fault: impl Fn(&Seen) -> Option<Answer> + Send + Sync + 'static) -> Diagnosis {
    let shop = Shop::start(move |request| {
        fault(request).unwrap_or_else(|| match request.path.as_str() {
            "/wp-json/" => index("", r#""wp/v2","wc/v3""#),
            _ => json(200, "[]"),
        })
    })
    .await;
    shop.client().test().await
}

fn fatal(diagnosis: &Diagnosis) -> Vec<&'static str> {
    let fatal = |finding: &&connector::Finding| finding.severity == Severity::Fatal;
    diagnosis.findings.iter().filter(fatal).map(|finding| finding.code).collect()
}

fn auth_error(message: &str) -> Answer {
    json(401, format!(r#"{{"code":"woocommerce_rest_authentication_error","message":"{message}"}}"#))
}

#[tokio::test]
async fn a_shop_that_works() {
    let diagnosis = shop_with(|_| None).await;
    assert!(diagnosis.works(), "{diagnosis:?}");
    let codes: Vec<_> = diagnosis.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["plain_http"], "that it is not encrypted is said");
}

#[tokio::test]
async fn what_is_there_is_not_a_shop() {
    let cases: [Case; 8] = [
        ("not_wordpress", || html(404)),
        ("not_wordpress", || json(200, "[]")),
        ("web_page", || html(200)),
        ("maintenance", || html(503)),
        ("unavailable", || html(500)),
        ("blocked", || html(403)),
        ("not_woocommerce", || index("", r#""wp/v2""#)),
        ("redirected", || with(html(301), "location", "https://www.shop.example/wp-json/")),
    ];
    for (code, answer) in cases {
        let diagnosis = shop_with(move |_| Some(answer())).await;
        assert_eq!(fatal(&diagnosis), [code]);
    }
    let diagnosis = shop_with(|request| {
        Some(match (request.path.as_str(), request.query("rest_route")) {
            ("/", "/") => index("", r#""wc/v3""#),
            _ => html(404),
        })
    })
    .await;
    assert_eq!(fatal(&diagnosis), ["permalinks_off"]);
}

#[tokio::test]
async fn every_kind_of_refused_access() {
    let cases: [Case; 13] = [
        ("secret_wrong", || auth_error("Consumer secret is invalid.")),
        ("signature_invalid", || auth_error("Invalid signature - provided signature does not match.")),
        ("clock_skew", || auth_error("Invalid timestamp.")),
        ("key_permission", || auth_error("The API key provided does not have read permissions.")),
        ("key_unknown", || error(401, "woocommerce_rest_cannot_view")),
        ("user_lacks_rights", || error(403, "woocommerce_rest_cannot_view")),
        ("access_refused", || auth_error("Klucz jest zły.")),
        ("blocked", || html(403)),
        ("rate_limited", || html(429)),
        ("bad_reply", no_route),
        ("unavailable", || html(500)),
        ("maintenance", || html(503)),
        ("web_page", || html(200)),
    ];
    for (code, answer) in cases {
        let diagnosis = shop_with(move |request| request.path.contains("/wc/v3/").then(answer)).await;
        assert_eq!(fatal(&diagnosis), [code]);
    }
}

#[tokio::test]
async fn a_key_that_may_only_read_in_any_language() {
    for message in ["The API key provided does not have write permissions.", "Brak uprawnień."] {
        let diagnosis =
            shop_with(move |request| (request.method == "POST").then(|| auth_error(message))).await;
        assert_eq!(fatal(&diagnosis), ["read_only_key"]);
    }
    let diagnosis = shop_with(|request| {
        request.path.ends_with("/webhooks").then(|| error(403, "woocommerce_rest_cannot_view"))
    })
    .await;
    assert_eq!(fatal(&diagnosis), ["user_lacks_rights"]);
}

#[tokio::test]
async fn a_server_that_drops_the_authorization_header() {
    let script = |request: &Seen| {
        let known = request.query("consumer_key") == "ck_1111";
        match request.path.as_str() {
            "/wp-json/" => index("", r#""wc/v3""#),
            _ if known => json(200, "[]"),
            _ => error(401, "woocommerce_rest_cannot_view"),
        }
    };
    let shop = Shop::start_tls(script).await;
    let diagnosis = shop.client().test().await;
    assert_eq!(fatal(&diagnosis), [AUTHORIZATION_STRIPPED]);
    let by_query = Client::new(Access { sign_in: SignIn::Query, ..shop.access() }).unwrap();
    let diagnosis = by_query.test().await;
    assert!(diagnosis.works(), "{diagnosis:?}");
}

#[tokio::test]
async fn pages_where_the_api_should_be() {
    let login = || with(html(302), "location", "https://shop.example/wp-login.php?redirect_to=%2Fwp-json%2F");
    let closed = shop_with(move |request| (request.path == "/wp-json/").then(login)).await;
    assert_eq!(fatal(&closed), ["login_wanted"]);
    // Each call alone: a firewall may mind only one of them.
    for path in ["/products", "/orders", "/webhooks", "/products/batch"] {
        let page = shop_with(move |request| request.path.ends_with(path).then(|| html(200))).await;
        assert_eq!(fatal(&page), ["web_page"], "{path}");
    }
}

#[tokio::test]
async fn clocks_apart_and_other_addresses() {
    let late = shop_with(|request| {
        (request.path == "/wp-json/")
            .then(|| with(index("", r#""wc/v3""#), "date", "Sun, 22 Nov 2020 04:04:32 GMT"))
    })
    .await;
    assert_eq!(fatal(&late), ["clock_skew"], "a signed request needs the time");
    let elsewhere = shop_with(|request| {
        (request.path == "/wp-json/").then(|| index("http://www.shop.example", r#""wc/v3""#))
    })
    .await;
    assert_eq!(fatal(&elsewhere), ["other_home"], "a signature needs the address");
}

#[tokio::test]
async fn nobody_there() {
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = client(&format!("http://{unused}")).unwrap().test().await;
    assert_eq!(fatal(&refused), ["connection_refused"]);
    let unknown = client("https://shop.invalid").unwrap().test().await;
    assert_eq!(fatal(&unknown), ["dns"]);
    let guarded =
        Access { private_addresses_allowed: false, ..access(&format!("http://localhost:{}", unused.port())) };
    let private = Client::with_timeouts(guarded, SHORT).unwrap().test().await;
    assert_eq!(fatal(&private), ["address_refused"]);
    let shop = Shop::start_tls(|_| html(200)).await;
    let untrusted = client(&format!("https://localhost:{}", shop.address.port())).unwrap().test().await;
    assert_eq!(fatal(&untrusted), ["tls"]);
    assert!(untrusted.findings.iter().all(|finding| !finding.todo.is_empty()));
}
