//! Finds out why a shop cannot be connected, and says so in words its owner can act on. It changes nothing: the one
//! write it makes is an empty batch.

use std::time::Duration;

use connector::{AuthProblem, CallError, Diagnosis, Finding, NotSentCause, Severity, TestConnection};
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use values::Timestamp;

use crate::client::{API, Client, NOT_A_LIST, items};
use crate::json;
use crate::reply::{Answer, Purpose};
use crate::transport::{Request, SignIn, Transport, now};

/// The shop takes signed requests whose time is at most this far from its own.
const SKEW_MAX: Duration = Duration::from_mins(15);
/// A clock this far off is worth a word: half of what the order of events may bear.
const SKEW_NOTED: Duration = Duration::from_secs(15);

/// The shop takes credentials in the query but not in the header: connect with [`SignIn::Query`].
pub const AUTHORIZATION_STRIPPED: &str = "authorization_stripped";

/// What WordPress says of itself to everybody.
#[derive(Deserialize)]
struct Index<'a> {
    #[serde(borrow)]
    home: Option<&'a RawValue>,
    namespaces: Option<Vec<String>>,
}

impl TestConnection for Client {
    async fn test(&self) -> Diagnosis {
        let mut found = Findings::default();
        if self.find_shop(&mut found).await && self.find_access(&mut found).await {
            self.find_rights(&mut found).await;
        }
        if self.transport.sign_in() == SignIn::Signature {
            found.note(
                "plain_http",
                "The shop is called without encryption: requests are signed (OAuth 1.0a) and the key's secret is never sent, but \
                 others on the way can read orders.",
                "If the shop has a certificate, use its address with https.",
            );
        }
        found.0
    }
}

impl Client {
    /// Is there a host, WordPress on it, and WooCommerce in it? `false` if it makes no sense to go on.
    async fn find_shop(&self, found: &mut Findings) -> bool {
        let index = Request::read("/wp-json/", Vec::new());
        let answer = match self.transport.send(index, false).await {
            Ok(answer) => answer,
            Err(error) => {
                found.failure(&error);
                return false;
            }
        };
        if (300..=399).contains(&answer.status) {
            if answer.is_to_login {
                found.login_wanted();
                return false;
            }
            found.redirected(answer.redirect_to.as_deref());
            return false;
        }
        self.find_clock(&answer, found);
        if matches!(answer.status, 401 | 403) && answer.code().is_some() {
            // Closed to strangers; the key may still open it.
            found.note(
                "index_closed",
                "WordPress does not describe itself to strangers.",
                "Nothing, if the rest works.",
            );
            return true;
        }
        let Ok(index) = serde_json::from_str::<Index<'_>>(&answer.body) else {
            self.find_wordpress(&answer, found).await;
            return false;
        };
        let home = json::words(index.home);
        let same = home.trim_end_matches('/') == self.transport.access().url.as_str();
        if !home.is_empty() && !same {
            let signed = self.transport.sign_in() == SignIn::Signature;
            let severity = if signed { Severity::Fatal } else { Severity::Warning };
            found.add(
                severity,
                "other_home",
                format!("The shop knows itself by another address: {}.", plain(&home)),
                "Use exactly that address (WordPress: Settings, General, Site Address).".to_owned(),
            );
        }
        let namespaces = index.namespaces.unwrap_or_default();
        if !namespaces.iter().any(|namespace| namespace == "wc/v3") {
            found.fatal(
                "not_woocommerce",
                "This is WordPress, but WooCommerce's REST API (wc/v3) is not there.",
                "Install and activate WooCommerce 5.8 or newer, or check that this is the shop's address.",
            );
            return false;
        }
        true
    }

    /// Whether a list can be read. Caches, login walls and firewalls answer with a page, and with success.
    async fn list(&self, path: &str, query: Vec<(&'static str, String)>) -> Result<(), CallError> {
        let answer = self.get(path, query).await?;
        items(&answer).map(drop)
    }

    /// There is no JSON where it should be: is WordPress there at all?
    async fn find_wordpress(&self, answer: &Answer, found: &mut Findings) {
        if answer.status >= 500 {
            found.failure(&CallError::Unavailable { status: answer.status, retry_after: None });
            return;
        }
        if matches!(answer.status, 401 | 403 | 429) {
            found.failure(&CallError::Auth(AuthProblem::Blocked(answer.status)));
            return;
        }
        let query = vec![("rest_route", "/".to_owned())];
        let plain = self.transport.send(Request::read("/", query), false).await;
        let is_page = (200..=299).contains(&answer.status) && is_web_page(&answer.body);
        if plain.is_ok_and(|plain| {
            serde_json::from_str::<Index<'_>>(&plain.body).is_ok_and(|index| index.namespaces.is_some())
        }) {
            found.fatal(
                "permalinks_off",
                "WordPress is there, but its permalinks are set to \"Plain\", and so the REST API has no address.",
                "WordPress: Settings, Permalinks: choose anything but \"Plain\" and save.",
            );
        } else if is_page {
            found.web_page();
        } else {
            found.fatal(
                "not_wordpress",
                "There is a web server, but no WordPress REST API at this address.",
                "Check the address; if the shop is in a folder, add it (https://shop.example/folder). \
                 If it is right, see whether a security plugin switches the REST API off.",
            );
        }
    }

    fn find_clock(&self, answer: &Answer, found: &mut Findings) {
        let Some(shop) = answer.date else {
            found.fatal(
                "no_date",
                "The shop's answers do not say what time it is there (no Date header).",
                "Have the web server or the proxy before it send the Date header.",
            );
            return;
        };
        let here = now();
        let apart = apart(shop, here);
        if apart <= SKEW_NOTED + answer.took {
            return;
        }
        let ahead = if shop > here { "ahead of" } else { "behind" };
        let what = format!("The shop's clock is {} s {ahead} the clock here.", apart.as_secs());
        let todo = "Switch on time synchronisation (NTP) on whichever machine is wrong.".to_owned();
        let signed = self.transport.sign_in() == SignIn::Signature;
        let severity = if signed && apart >= SKEW_MAX { Severity::Fatal } else { Severity::Warning };
        found.add(severity, "clock_skew", what, todo);
    }

    /// Does the shop let us in to read? `false` if not.
    async fn find_access(&self, found: &mut Findings) -> bool {
        let Err(error) = self.list(&format!("{API}/products"), one()).await else { return true };
        let not_known = matches!(error, CallError::Auth(AuthProblem::KeyUnknown));
        if not_known && self.transport.sign_in() == SignIn::Header {
            let by_query = self.transport.signing_in_by(SignIn::Query);
            if read_one(&by_query).await.is_ok() {
                found.fatal(
                    AUTHORIZATION_STRIPPED,
                    "The key is good, but the shop's web server drops the Authorization header.",
                    "Have the key sent in the query instead: --sign-in query with `onhand shop add` or `onhand shop \
                     set`, \"sign_in\": \"query\" in the API. Or have the server pass the header on (Apache with \
                     PHP-FPM: CGIPassAuth On).",
                );
                return false;
            }
        }
        found.failure(&error);
        false
    }

    /// May we do everything that is needed?
    async fn find_rights(&self, found: &mut Findings) {
        for (path, what) in [("orders", "orders"), ("webhooks", "webhooks")] {
            let query = vec![("per_page", "1".to_owned())];
            if let Err(error) = self.list(&format!("{API}/{path}"), query).await {
                if matches!(error, CallError::Auth(AuthProblem::UserLacksRights | AuthProblem::KeyUnknown)) {
                    found.add(
                        Severity::Fatal,
                        "user_lacks_rights",
                        format!("The user the key belongs to may not read {what}."),
                        "Make a key for a user with the role Shop manager or Administrator.".to_owned(),
                    );
                } else {
                    found.failure(&error);
                }
                return;
            }
        }
        let path = format!("{API}/products/batch");
        let body = Some(r#"{"update":[]}"#.to_owned());
        match self.transport.call(Request::write(Method::POST, &path, body)).await {
            Ok(answer) if is_web_page(&answer.body) => found.web_page(),
            Ok(_) => {}
            // Reading went well with the same key, so whatever the shop's language says, it is about writing.
            Err(CallError::Auth(AuthProblem::NoWritePermission | AuthProblem::Other(_))) => found.fatal(
                "read_only_key",
                "The key may read but not write.",
                "WooCommerce: Settings, Advanced, REST API: give the key Read/Write permission.",
            ),
            Err(error) => found.failure(&error),
        }
    }
}

/// Not JSON, but something for a browser.
fn is_web_page(body: &str) -> bool {
    body.starts_with('<')
}

async fn read_one(transport: &Transport) -> Result<(), CallError> {
    let path = format!("{API}/products");
    transport.send(Request::read(&path, one()), true).await?.accepted(Purpose::Read).map(drop)
}

fn one() -> Vec<(&'static str, String)> {
    vec![("per_page", "1".to_owned()), ("_fields", "id".to_owned())]
}

fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

/// An address from outside, fit for a terminal.
fn plain(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    text.chars().filter(|character| !character.is_control()).take(CHARS_MAX).collect()
}

#[derive(Default)]
struct Findings(Diagnosis);

impl Findings {
    fn add(&mut self, severity: Severity, code: &'static str, what: String, todo: String) {
        self.0.findings.push(Finding { severity, code, what, todo });
    }

    fn note(&mut self, code: &'static str, what: &str, todo: &str) {
        self.add(Severity::Note, code, what.to_owned(), todo.to_owned());
    }

    fn fatal(&mut self, code: &'static str, what: &str, todo: &str) {
        self.add(Severity::Fatal, code, what.to_owned(), todo.to_owned());
    }

    fn login_wanted(&mut self) {
        self.fatal(
            "login_wanted",
            "The shop sends whoever is not logged in to a login page, programs too.",
            "Have the plugin that closes the shop (members only, private site) let /wp-json/ through: the key is checked there.",
        );
    }

    fn web_page(&mut self) {
        self.fatal(
            "web_page",
            "The shop answers with a web page where its REST API should be: a maintenance or \"coming soon\" page, a login page, \
             a cache, or a firewall that wants to see a browser.",
            "Open the shop's address followed by /wp-json/ in a private window: whatever shows a page there has to let \
             /wp-json/ through.",
        );
    }

    fn redirected(&mut self, to: Option<&str>) {
        let to = to.unwrap_or("another address");
        self.add(
            Severity::Fatal,
            "redirected",
            format!("The shop sends visitors on to {}.", plain(to)),
            "Use that address (with www or without, https rather than http): redirects are not followed."
                .to_owned(),
        );
    }

    fn failure(&mut self, error: &CallError) {
        match error {
            CallError::NotSent { cause, .. } => self.not_sent(*cause),
            CallError::Auth(problem) => self.auth(problem),
            CallError::Redirected { to, .. } => self.redirected(Some(to)),
            CallError::RateLimited { .. } => self.fatal(
                "rate_limited",
                "The shop's host allows no more calls for now.",
                "Wait and try again; ask the host to raise the limit for the REST API.",
            ),
            CallError::Unavailable { status: 503, .. } => self.fatal(
                "maintenance",
                "The shop is in maintenance or overloaded: it answers with status 503.",
                "Wait until it is open again, or have the maintenance plugin let /wp-json/ through; then test again.",
            ),
            CallError::Unavailable { .. } | CallError::Uncertain { .. } => self.add(
                Severity::Fatal,
                "unavailable",
                format!("The shop does not answer as it should: {error}."),
                "Look at the shop in a browser, then at its error log (WooCommerce: Status, Logs)."
                    .to_owned(),
            ),
            CallError::BadReply { reason, .. } if *reason == NOT_A_LIST => self.web_page(),
            CallError::Refused { .. } | CallError::BadReply { .. } => self.add(
                Severity::Fatal,
                "bad_reply",
                format!("The shop's answer is not what it should be: {error}."),
                "See whether a plugin, a cache or a firewall changes the REST API's answers.".to_owned(),
            ),
        }
    }

    fn not_sent(&mut self, cause: NotSentCause) {
        match cause {
            NotSentCause::Dns => self.fatal(
                "dns",
                "The shop's host name is not known.",
                "Check the address for a typing error, and the name servers of this machine.",
            ),
            NotSentCause::AddressRefused => self.fatal(
                "address_refused",
                "The shop's address leads into a private or reserved network.",
                "If the shop is really there, allow private addresses for it.",
            ),
            NotSentCause::Connect => self.fatal(
                "connection_refused",
                "Nothing answers at the shop's address: the connection is refused or there is no way to it.",
                "Check address and port, and whether a firewall lets this machine through.",
            ),
            NotSentCause::ConnectTimeout => self.fatal(
                "connection_timeout",
                "The shop's address does not answer in time.",
                "Check address and port, and whether a firewall drops what this machine sends.",
            ),
            NotSentCause::Tls => self.fatal(
                "tls",
                "The encrypted connection fails: the certificate is not valid for this address, or it is not https.",
                "Open the address in a browser and look at the certificate; renew it, or correct the address.",
            ),
            NotSentCause::Malformed | NotSentCause::TooMany => self.fatal(
                "defect",
                "The request could not be put together.",
                "Please report this as a defect of onhand.",
            ),
        }
    }

    fn auth(&mut self, problem: &AuthProblem) {
        let make_new =
            "Copy key and secret again, or make a new key (WooCommerce: Settings, Advanced, REST API).";
        match problem {
            AuthProblem::KeyUnknown => self.add(
                Severity::Fatal,
                "key_unknown",
                "The shop does not know the consumer key, or does not see that the connection is encrypted."
                    .to_owned(),
                format!(
                    "{make_new} If the key is right and a proxy does the encryption, have it send \
                     X-Forwarded-Proto and WordPress heed it."
                ),
            ),
            AuthProblem::SecretWrong => {
                self.fatal("secret_wrong", "The consumer key is right, the consumer secret is not.", make_new);
            }
            AuthProblem::NoReadPermission | AuthProblem::NoWritePermission => self.fatal(
                "key_permission",
                "The key may not both read and write.",
                "WooCommerce: Settings, Advanced, REST API: give the key Read/Write permission.",
            ),
            AuthProblem::SignatureInvalid => self.fatal(
                "signature_invalid",
                "The shop does not accept the signature: the secret is wrong, or the shop knows itself by another address.",
                "Use exactly the shop's Site Address (WordPress: Settings, General), port included; then check the secret.",
            ),
            AuthProblem::ClockSkew => self.fatal(
                "clock_skew",
                "The shop's clock and the clock here are more than 15 minutes apart.",
                "Switch on time synchronisation (NTP) on whichever machine is wrong.",
            ),
            AuthProblem::UserLacksRights => self.fatal(
                "user_lacks_rights",
                "The user the key belongs to may not do this.",
                "Make a key for a user with the role Shop manager or Administrator.",
            ),
            AuthProblem::Blocked(status) => self.add(
                Severity::Fatal,
                "blocked",
                format!("Something before the shop refused the request (status {status})."),
                "Have the firewall, security plugin or password protection let /wp-json/wc/ through.".to_owned(),
            ),
            AuthProblem::Other(code) => self.add(
                Severity::Fatal,
                "access_refused",
                format!("The shop refuses access ({code}): most often the secret is wrong or the key may not read."),
                make_new.to_owned(),
            ),
        }
    }
}
