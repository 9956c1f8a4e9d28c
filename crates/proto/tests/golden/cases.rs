//! One or more of each message, with every kind of field present and absent.

use onhand_proto::{
    Adoption, Envelope, ErpRow, ErpStockObserved, LevelChanged, LevelsChanged, ListingObserved, Message,
    NameText, NoteText, OrderLine, OrderObserved, OrderState, OrderUnreadable, ReadWanted, Settled,
    ShipmentMade, ShopConnected, Source, StatusText, StockEdited, StockShown, TracedLevel, Wanted, Word,
};
use uuid::Uuid;
use values::{
    Epoch, HolderId, LineFault, LineId, ListingId, ListingKind, Moment, OrderId, ProductId, Quantity,
    ReadNumber, Revision, ShopId, Sku, Step, StockId, Timestamp, VariationId, WarehouseId,
};

fn shop() -> ShopId {
    ShopId::new(3).unwrap()
}

fn order() -> OrderId {
    OrderId::new(4_711).unwrap()
}

fn holder(raw: i64) -> HolderId {
    HolderId::new(raw).unwrap()
}

fn sku(text: &str) -> Sku {
    text.parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000 + seconds)
}

fn observed(at: Option<i64>, kind: Option<ListingKind>) -> ListingObserved {
    ListingObserved {
        shop: shop(),
        listing: listing(20, Some(21)),
        holder: at.map(holder),
        sku: Some(sku("TEE-RED-M")),
        name: NameText::clipped("Tee, red – M"),
        status: StatusText::clipped("publish"),
        kind,
        number: ReadNumber::new(5),
    }
}

fn listing(product: i64, variation: Option<i64>) -> ListingId {
    ListingId {
        product: ProductId::new(product).unwrap(),
        variation: variation.map(|raw| VariationId::new(raw).unwrap()),
    }
}

fn orders() -> Vec<(&'static str, Message)> {
    let read = Source::Read { number: ReadNumber::new(88), read_at: at(31), baseline: true };
    let lines = vec![
        OrderLine {
            line: LineId::new(1).unwrap(),
            listing: Some(listing(20, Some(21))),
            sku: Some(sku("TEE-RED-M")),
            quantity: Quantity::from_units(2),
            taken: Some(Quantity::from_units(2)),
            restocked: Quantity::ZERO,
            fault: None,
        },
        OrderLine {
            line: LineId::new(2).unwrap(),
            listing: None,
            sku: None,
            quantity: Quantity::from_thousandths(1_500),
            taken: None,
            restocked: Quantity::from_thousandths(500),
            fault: None,
        },
    ];
    let faulty = vec![OrderLine {
        line: LineId::new(3).unwrap(),
        listing: Some(listing(20, None)),
        sku: None,
        quantity: Quantity::ZERO,
        taken: Some(Quantity::from_units(-1)),
        restocked: Quantity::ZERO,
        fault: Some(LineFault::Negative),
    }];
    let present = |status: &str, lines| OrderState::Present { status: StatusText::clipped(status), lines };
    let observed = |source, modified_at, state| {
        OrderObserved { shop: shop(), order: order(), source, modified_at, state }.into()
    };
    vec![
        (
            "order.observed.v1.webhook",
            observed(Source::Webhook, Some(at(0)), present("processing", lines.clone())),
        ),
        ("order.observed.v1.read", observed(read, Some(at(0)), present("wc-custom", lines))),
        ("order.observed.v1.empty", observed(Source::Webhook, Some(at(1)), present("cancelled", Vec::new()))),
        ("order.observed.v1.faulty", observed(Source::Webhook, Some(at(1)), present("completed", faulty))),
        ("order.observed.v1.gone", observed(read, None, OrderState::Gone)),
        (
            "order.unreadable.v1.known",
            OrderUnreadable { shop: shop(), order: Some(order()), reason: Word::clipped("only-id") }.into(),
        ),
        (
            "order.unreadable.v1.unknown",
            OrderUnreadable { shop: shop(), order: None, reason: Word::clipped("error-body") }.into(),
        ),
    ]
}

fn moment(seconds: i64) -> Moment {
    Moment { shop: at(seconds), hub: at(seconds + 2) }
}

fn facts() -> Vec<(&'static str, Message)> {
    let connected = |baseline_last| ShopConnected { shop: shop(), baseline_last, number: ReadNumber::new(1) };
    let shown = |shown| StockShown {
        shop: shop(),
        holder: holder(21),
        shown,
        number: ReadNumber::new(90),
        asked: moment(39),
        answered: moment(40),
        orders_read_to: at(70),
        modified_at: None,
        dry_run: false,
    };
    let dated = StockShown { modified_at: Some(at(10)), ..shown(Some(Quantity::from_units(5))) };
    let edited = StockEdited {
        stock: StockId { shop: shop(), holder: holder(21) },
        epoch: Epoch::new(1),
        number: ReadNumber::new(90),
        difference: Quantity::from_units(-4),
    };
    let row = |code, quantity, reserve| ErpRow {
        sku: sku(code),
        quantity: Quantity::from_units(quantity),
        reserve: Quantity::from_units(reserve),
    };
    vec![
        ("shop.connected.v1.orders", connected(Some(order())).into()),
        ("shop.connected.v1.none", connected(None).into()),
        ("stock.shown.v1.managed", shown(Some(Quantity::from_units(-3))).into()),
        ("stock.shown.v1.unmanaged", shown(None).into()),
        ("stock.shown.v1.dated", dated.into()),
        ("stock.edited.v1.lowered", edited.into()),
        ("stock.shown.v1.compared", StockShown { dry_run: true, ..shown(Some(Quantity::ZERO)) }.into()),
        ("listing.observed.v1.managed", observed(Some(20), None).into()),
        ("listing.observed.v1.kind", observed(None, Some(ListingKind::Variation)).into()),
        (
            "erp-stock.observed.v1.rows",
            ErpStockObserved {
                warehouse: WarehouseId::new(2).unwrap(),
                read: ReadNumber::new(7),
                complete: true,
                rows: vec![row("TEE-RED-M", 12, 3), row("MUG", 0, 0)],
            }
            .into(),
        ),
    ]
}

fn requests() -> Vec<(&'static str, Message)> {
    let level = |settle, order_dates, removed| LevelChanged {
        stock: StockId { shop: shop(), holder: holder(21) },
        epoch: Epoch::new(1),
        revision: Revision::new(42),
        sku: sku("TEE-RED-M"),
        level: Quantity::from_units(-1),
        untaken: Quantity::from_units(2),
        taken_total: Quantity::from_units(120),
        step: Step::ONE,
        order_dates,
        settle,
        removed,
        parent: ProductId::new(20),
        adoption: None,
        released: Quantity::ZERO,
    };
    let settled = Settled {
        number: ReadNumber::new(90),
        shown: Some(Quantity::from_units(7)),
        asked: moment(39),
        answered: moment(40),
        taken_total: Quantity::from_units(118),
        quiet: true,
        modified_at: None,
    };
    let adoption = |refused| Some(Adoption { number: ReadNumber::new(90), refused });
    let dated = Settled { modified_at: Some(at(10)), ..settled.clone() };
    let adopted = LevelChanged { adoption: adoption(None), ..level(Some(dated), None, false) };
    let refused =
        LevelChanged { adoption: adoption(Some(Word::clipped("buffer"))), ..level(None, None, false) };
    let released = LevelChanged { released: Quantity::from_units(-4), ..level(None, None, false) };
    let traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let together = vec![
        TracedLevel { level: level(None, Some((at(-5), at(0))), false), traceparent },
        TracedLevel { level: adopted.clone(), traceparent: None },
    ];
    let shipment = |status: Option<&str>, note: Option<&str>| {
        let (status, note) = (status.map(StatusText::clipped), note.map(NoteText::clipped));
        ShipmentMade { shop: shop(), order: order(), number: 2, revision: Revision::new(1), status, note }
            .into()
    };
    let wanted = |what| ReadWanted { shop: shop(), what }.into();
    vec![
        ("level.changed.v1.settled", level(Some(settled), Some((at(-5), at(0))), false).into()),
        ("level.changed.v1.removed", level(None, None, true).into()),
        ("level.changed.v1.adopted", adopted.into()),
        ("level.changed.v1.released", released.into()),
        ("level.changed.v1.refused", refused.into()),
        ("levels.changed.v1.two", LevelsChanged { shop: shop(), levels: together }.into()),
        ("read.wanted.v1.orders", wanted(Wanted::Orders(vec![order(), OrderId::new(i64::MAX).unwrap()]))),
        ("read.wanted.v1.stocks", wanted(Wanted::Stocks(vec![holder(20), holder(21)]))),
        ("read.wanted.v1.audit", wanted(Wanted::OrderAudit)),
        ("read.wanted.v1.catalogue", wanted(Wanted::Catalogue)),
        ("shipment.made.v1.whole", shipment(Some("completed"), Some("Sent with DHL, tracking number 00340"))),
        ("shipment.made.v1.part", shipment(None, None)),
        ("read.wanted.v1.listings", wanted(Wanted::Listings(vec![holder(20), holder(21)]))),
    ]
}

/// Every golden message by the name of its fixture.
pub(crate) fn messages() -> Vec<(&'static str, Message)> {
    [orders(), facts(), requests()].concat()
}

/// The golden envelope.
pub(crate) fn envelope() -> Envelope {
    let (_, message) = orders().swap_remove(0);
    let id = Uuid::from_u128(0x0199_7a3e_0000_7000_8000_0000_0000_0001);
    let mut envelope = Envelope::seal(&message, id, at(2), "ingress").unwrap();
    envelope.properties.traceparent =
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    envelope
}

/// A fixture's text: bytes as hexadecimal, then what they mean.
pub(crate) fn fixture(bytes: &[u8], meaning: &impl std::fmt::Debug) -> String {
    let hex = |row: &[u8]| row.iter().copied().map(hex_pair).collect::<String>();
    let rows: Vec<String> = bytes.chunks(32).map(hex).collect();
    format!("{}\n\n{meaning:#?}\n", rows.join("\n"))
}

fn hex_pair(byte: u8) -> String {
    format!("{byte:02x}")
}
