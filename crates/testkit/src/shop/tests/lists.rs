//! Lists of orders and products, products that come and go, and what there is not.

use super::*;

#[test]
fn lists_of_orders() {
    let mut bench = bench();
    let first = bench.create(Status::Processing, 1);
    let second = bench.create(Status::Pending, 1);
    let date = bench.shop.order(first).unwrap().date_modified;
    let ids = |bench: &Bench, filter: &OrderFilter| {
        let page = bench.shop.list_orders(filter);
        (page.items.iter().map(|order| order.id).collect::<Vec<_>>(), page.total)
    };
    assert_eq!(ids(&bench, &OrderFilter::poll(date, 1)), (vec![second], 1), "after is exclusive");
    assert_eq!(ids(&bench, &OrderFilter::default()), (vec![second, first], 2));
    bench.status(first, Status::Completed);
    assert_eq!(ids(&bench, &OrderFilter::poll(Timestamp::default(), 1)), (vec![second, first], 2));
    assert_eq!(ids(&bench, &OrderFilter::poll(Timestamp::default(), 2)), (vec![], 0));
    let one = OrderFilter { include: vec![first], ..OrderFilter::default() };
    assert_eq!(ids(&bench, &one), (vec![first], 1));
}

#[test]
fn lists_of_products() {
    let mut bench = bench();
    let now = bench.now;
    let own = bench.shop.add_product(NewProduct::variable(sku("VAR-A"), None), now);
    let small = bench.shop.add_variation(own, NewVariation::with_stock(sku("VAR-A-S"), 10), now);
    let ids = |filter: &ProductFilter| {
        bench.shop.list_products(filter).items.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let holder = bench.product.into();
    assert_eq!(ids(&ProductFilter::default()), [own.into(), holder]);
    let include = ProductFilter { include: vec![small.into(), holder], ..ProductFilter::default() };
    assert_eq!(ids(&include), [holder]);
    let skus = vec!["var-a-s".to_owned(), "SIM-001".to_owned(), "NOPE".to_owned()];
    assert_eq!(ids(&ProductFilter { skus, ..ProductFilter::default() }), [small.into(), holder]);
    let part = ProductFilter { search_sku: Some("SIM-".to_owned()), ..ProductFilter::default() };
    assert_eq!(ids(&part), [holder]);
    assert_eq!(bench.shop.list_variations(&ProductFilter::default()).total, 1);
}

#[test]
fn products_come_and_go() {
    let mut bench = bench();
    let new = NewProduct::simple(sku("TMP-1"), 3);
    let holder = bench.run(Change::CreateProduct(new.clone())).product.unwrap();
    assert_eq!(bench.due(), ["product.created 3"]);
    let refused = bench.shop.run(Change::CreateProduct(new), bench.now).unwrap_err();
    assert!(matches!(refused, Refusal::DuplicateSku { owner, trashed: false, .. } if owner == holder));
    bench.run(Change::TrashProduct(holder));
    assert_eq!(bench.due(), ["product.deleted"]);
    bench.run(Change::UntrashProduct(holder));
    assert_eq!(bench.due(), ["pu 3", "product.restored 3"]);
    bench.run(Change::SetManageStock { holder, manage: false });
    bench.run(Change::SetManageStock { holder, manage: true });
    assert_eq!(bench.due(), ["pu -"]);
    bench.run(Change::DeleteProduct(holder));
    assert_eq!(bench.due(), Vec::<String>::new());
    bench.run(Change::TrashPage);
    assert_eq!(bench.due(), ["product.deleted"]);
}

#[test]
fn unknown_things_are_refused() {
    let mut bench = bench();
    let order = OrderId::new(999).unwrap();
    let line = LineId::new(1).unwrap();
    let now = bench.now;
    for change in [
        Change::SetStatus { order, status: Status::Completed },
        Change::EditLine { order, line, quantity: 1 },
        Change::Trash(order),
        Change::RefundAmount { order, amount: None },
    ] {
        assert_eq!(bench.shop.run(change, now), Err(Refusal::UnknownOrder(order)));
    }
    let known = bench.create(Status::Processing, 1);
    let too_much = Change::RefundAmount { order: known, amount: Some(1_001) };
    assert_eq!(bench.shop.run(too_much, now), Err(Refusal::InvalidRefundAmount(known, 1_000)));
}
