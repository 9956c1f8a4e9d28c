//! The goods that the recorded requests are about, made in a shop for the time of a replay; everything that was made is taken
//! away again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use values::{ProductId, Timestamp};

use super::caller::{Answer, Caller, ReplayError, Target};
use super::ids::{Ids, Numbering};
use super::recorded::recorded_shop;
use crate::shop::{Kind, Manage, ProductFilter, ProductView, Shop};

/// Most items of a list.
const PAGE_MAX: usize = 100;

/// What is in a shop that is not of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Orders, those in the trash left out.
    pub order_count: u64,
    /// Products that are not the recorded ones.
    pub other_product_count: u64,
}

/// Looks what a shop holds, and changes nothing.
pub async fn census(target: &Target) -> Result<Census, ReplayError> {
    let caller = Caller::new(target)?;
    let total = |answer: &Answer| -> u64 {
        let header = answer.headers.get("x-wp-total").and_then(|value| value.to_str().ok());
        header.and_then(|total| total.parse().ok()).unwrap_or_default()
    };
    let orders = caller.call("the list of orders", "GET", "orders?per_page=1&_fields=id", None).await?;
    let products = caller.call("the list of products", "GET", "products?per_page=1&_fields=id", None).await?;
    let model = recorded_shop(Timestamp::default());
    let goods = goods_of(&model);
    let there = found(&caller, &goods).await?;
    let own = goods.iter().filter(|view| view.parent.is_none() && find(&there, view).is_some()).count();
    let own = u64::try_from(own).unwrap_or(u64::MAX);
    Ok(Census { order_count: total(&orders), other_product_count: total(&products).saturating_sub(own) })
}

/// What was made in a shop, as paths below the API's, in the order in which it was made.
#[derive(Debug, Default)]
pub(super) struct Made {
    things: Vec<String>,
    doubtful: Vec<String>,
}

/// What is not certain to be gone from a shop.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// What could not be deleted.
    pub(super) things: Vec<String>,
    /// Lists in which something may have been made, since a call got no answer.
    pub(super) doubtful: Vec<String>,
}

/// The list that a path adds to, if what is in it can be deleted by itself. What belongs to something else goes with that.
fn list_of(path: &str) -> Option<&str> {
    let path = path.split('?').next().unwrap_or(path);
    path.rsplit('/').next().filter(|list| matches!(*list, "orders" | "products" | "webhooks"))
}

impl Made {
    /// Remembers what an answer says was made.
    pub(super) fn note(&mut self, path: &str, answer: &Answer) {
        if let Some((list, id)) = list_of(path).zip(answer.json()["id"].as_i64()) {
            self.things.push(format!("{list}/{id}"));
        }
    }

    /// Remembers that nobody knows whether something was made.
    pub(super) fn doubt(&mut self, path: &str) {
        if let Some(list) = list_of(path) {
            self.doubtful.push(list.to_owned());
        }
    }

    /// Deletes all of it, the newest first, until `within` is over or it is given up; what is left then.
    pub(super) async fn take_away(
        mut self,
        caller: &Caller<'_>,
        within: Duration,
        given_up: impl Future<Output = ()>,
    ) -> Left {
        let mut left = Vec::new();
        // What is being deleted when it ends is not known to be gone.
        let deleting = async {
            while let Some(path) = self.things.last() {
                let deleted = caller.call(path, "DELETE", &format!("{path}?force=true"), None).await;
                let path = self.things.pop().expect("it was the last");
                match deleted {
                    // The replay itself has deleted it.
                    Ok(_) | Err(ReplayError::Refused { status: 404, .. }) => {}
                    Err(_) => left.push(path),
                }
            }
        };
        tokio::select! {
            () = deleting => {}
            () = tokio::time::sleep(within) => {}
            () = given_up => {}
        }
        left.extend(self.things.into_iter().rev());
        Left { things: left, doubtful: self.doubtful }
    }
}

/// Makes the recorded goods as far as a shop has not got them, and learns their numbers; as many of them as are made before
/// it is to stop.
pub(super) async fn set_up(
    caller: &Caller<'_>,
    ids: &mut Ids,
    made: &mut Made,
    stopped: &AtomicBool,
) -> Result<(), ReplayError> {
    let model = recorded_shop(Timestamp::default());
    let goods = goods_of(&model);
    let there = found(caller, &goods).await?;
    for view in &goods {
        if let Some(other) = holder_of_sku(&there, view).filter(|_| find(&there, view).is_none()) {
            let sku = view.sku.as_ref().map(ToString::to_string).unwrap_or_default();
            let name = other["name"].as_str().unwrap_or_default().to_owned();
            return Err(ReplayError::Taken { sku, name });
        }
    }
    for view in goods.iter().take_while(|_| !stopped.load(Ordering::Relaxed)) {
        let actual = match find(&there, view) {
            Some(id) => id,
            None => make(caller, view, &model, ids, made).await?,
        };
        ids.learn(Numbering::Thing, view.id.get(), actual);
    }
    Ok(())
}

/// Products, each followed by its variations, in the order of their numbers.
fn goods_of(model: &Shop) -> Vec<ProductView> {
    let filter = ProductFilter { ascending: true, per_page: PAGE_MAX, ..ProductFilter::default() };
    let mut goods = Vec::new();
    for product in model.list_products(&filter).items {
        let variations = ProductId::new(product.id.get()).map(|id| model.variations(id)).unwrap_or_default();
        goods.push(product);
        goods.extend(variations.into_iter().rev());
    }
    goods
}

/// What the shop has under the SKUs of the goods, and under the names of those without one.
async fn found(caller: &Caller<'_>, goods: &[ProductView]) -> Result<Vec<Value>, ReplayError> {
    let skus: Vec<&str> =
        goods.iter().filter_map(|view| view.sku.as_ref()).map(values::Sku::as_str).collect();
    let mut all = Vec::new();
    for some in skus.chunks(PAGE_MAX) {
        let path = format!("products?sku={}&per_page={PAGE_MAX}", some.join(","));
        all.extend(list(caller, &path).await?);
    }
    for view in goods.iter().filter(|view| view.sku.is_none()) {
        let name = view.name.replace(' ', "+");
        let named = list(caller, &format!("products?search={name}&per_page={PAGE_MAX}")).await?;
        all.extend(named.into_iter().filter(|item| item["sku"] == ""));
    }
    Ok(all)
}

async fn list(caller: &Caller<'_>, path: &str) -> Result<Vec<Value>, ReplayError> {
    let answer = caller.call("the recorded goods", "GET", path, None).await?;
    Ok(answer.json().as_array().cloned().unwrap_or_default())
}

fn holder_of_sku<'a>(there: &'a [Value], view: &ProductView) -> Option<&'a Value> {
    let sku = view.sku.as_ref()?.as_str();
    there.iter().find(|item| item["sku"] == sku)
}

/// The same thing in the shop: its SKU, and its name as far as it has one of its own.
fn find(there: &[Value], view: &ProductView) -> Option<i64> {
    let named = |item: &&Value| view.parent.is_some() || item["name"] == *view.name;
    let found = match view.sku {
        Some(_) => holder_of_sku(there, view).filter(named),
        None => there.iter().find(|item| item["sku"] == "" && item["name"] == *view.name),
    };
    found.and_then(|item| item["id"].as_i64())
}

async fn make(
    caller: &Caller<'_>,
    view: &ProductView,
    model: &Shop,
    ids: &Ids,
    made: &mut Made,
) -> Result<i64, ReplayError> {
    let price = format!("{}.{:02}", view.price_cents / 100, view.price_cents % 100);
    let mut body = json!({ "regular_price": price, "manage_stock": view.manage == Manage::Yes });
    if let Some(sku) = &view.sku {
        body["sku"] = sku.as_str().into();
    }
    if let Some(stock) = view.stock.filter(|_| view.manage == Manage::Yes) {
        body["stock_quantity"] = stock.into();
    }
    let path = if let Some(parent) = view.parent {
        body["attributes"] = json!([{ "name": attribute(parent), "option": view.option.as_deref() }]);
        format!("products/{}/variations", ids.map(Numbering::Thing, parent.get()))
    } else {
        body["name"] = (&*view.name).into();
        if let Some(id) = ProductId::new(view.id.get()).filter(|_| view.kind == Kind::Variable) {
            let options: Vec<_> =
                model.variations(id).into_iter().rev().filter_map(|one| one.option).collect();
            let options: Vec<&str> = options.iter().map(|option| &**option).collect();
            let of = json!({ "name": attribute(id), "visible": true, "variation": true, "options": options });
            body["type"] = "variable".into();
            body["attributes"] = json!([of]);
        }
        "products".to_owned()
    };
    let answer = caller.call("making the recorded goods", "POST", &path, Some(&body)).await;
    if matches!(answer, Err(ReplayError::Call { .. } | ReplayError::Refused { status: 500.., .. })) {
        made.doubt(&path);
    }
    let answer = answer?;
    made.note(&path, &answer);
    let strange = || ReplayError::Refused { what: path.clone(), status: answer.status, code: String::new() };
    answer.json()["id"].as_i64().ok_or_else(strange)
}

/// By what a product's variations differ.
fn attribute(parent: ProductId) -> &'static str {
    if parent.get() == PARENT_WITH_STOCK { "Kolor" } else { "Rozmiar" }
}

/// The recorded product whose variations share its stock.
const PARENT_WITH_STOCK: i64 = 56;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Credentials;
    use crate::fake_shop::{FakeShop, FakeShopOptions, Fault, FaultKind};
    use crate::shop::NewProduct;

    #[tokio::test]
    async fn a_shop_that_does_not_answer_is_left_after_a_while_and_what_is_left_is_known() {
        let shop =
            FakeShop::start(FakeShopOptions { https: true, ..FakeShopOptions::default() }).await.unwrap();
        let ids = shop
            .with_model(|model, now| [(); 3].map(|()| model.add_product(NewProduct::simple(None, 1), now)));
        let target = Target {
            base_url: shop.url(),
            plain_url: None,
            oauth: false,
            full: Credentials {
                key: FakeShopOptions::KEY.to_owned(),
                secret: FakeShopOptions::SECRET.to_owned(),
            },
            read_only: None,
            write_only: None,
            same_history: false,
        };
        let caller = Caller::new(&target).unwrap();
        let things = ids.iter().map(|id| format!("products/{id}")).collect();
        let made = Made { things, doubtful: vec!["orders".to_owned()] };
        // The newest goes, the next never ends, so that the oldest has no turn.
        shop.fault(Fault { after: 1, ..Fault::next("DELETE products", FaultKind::HangBefore) });
        let left = made.take_away(&caller, Duration::from_millis(500), std::future::pending()).await;
        let things = vec![format!("products/{}", ids[1]), format!("products/{}", ids[0])];
        assert_eq!(left, Left { things, doubtful: vec!["orders".to_owned()] });
    }
}
