//! The one place where wire types and messages meet.

use std::str::FromStr;

use prost::Message as _;
use values::{
    Epoch, HolderId, LineFault, ListingId, ListingKind, Moment, ParseIdError, Quantity, ReadNumber, Revision,
    Sku, Step, StockId, Timestamp,
};

use crate::envelope::TRACEPARENT_CHARS_MAX;
use crate::error::{At, DecodeError, EncodeError, FieldError, FieldProblem, Malformed};
use crate::kind::Kind;
use crate::messages::{
    Adoption, ERP_ROWS_MAX, ErpRow, ErpStockObserved, LEVELS_MAX, LevelChanged, LevelsChanged,
    ListingObserved, Message, ORDER_LINES_MAX, OrderLine, OrderObserved, OrderState, OrderUnreadable,
    READ_IDS_MAX, ReadWanted, Settled, ShipmentMade, ShopConnected, Source, StockEdited, StockShown,
    TracedLevel, Wanted,
};

mod schema {
    //! Made from `proto/onhand/v1/onhand.proto`.
    #![expect(clippy::pedantic, unreachable_pub, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/onhand.v1.rs"));
}
pub(crate) use schema::Stored;
use schema::{order_observed, read_wanted};

impl Message {
    /// The bytes of the message; refused only when a list is longer than readers accept.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        Ok(match self {
            Self::OrderObserved(message) => message.to_wire()?.encode_to_vec(),
            Self::OrderUnreadable(message) => message.to_wire().encode_to_vec(),
            Self::ShopConnected(message) => message.to_wire().encode_to_vec(),
            Self::StockShown(message) => message.to_wire().encode_to_vec(),
            Self::StockEdited(message) => message.to_wire().encode_to_vec(),
            Self::ListingObserved(message) => message.to_wire().encode_to_vec(),
            Self::ErpStockObserved(message) => message.to_wire()?.encode_to_vec(),
            Self::LevelChanged(message) => message.to_wire().encode_to_vec(),
            Self::LevelsChanged(message) => message.to_wire()?.encode_to_vec(),
            Self::ReadWanted(message) => message.to_wire()?.encode_to_vec(),
            Self::ShipmentMade(message) => message.to_wire().encode_to_vec(),
        })
    }

    /// The message that `type_name` says `bytes` are. Fields this build does not know are ignored.
    pub fn decode(type_name: &str, bytes: &[u8]) -> Result<Self, DecodeError> {
        let kind = Kind::parse(type_name)?;
        let message = kind.type_name();
        let parsed = match kind {
            Kind::OrderObserved => OrderObserved::from_wire(parse(kind, bytes)?).map(Self::from),
            Kind::OrderUnreadable => OrderUnreadable::from_wire(&parse(kind, bytes)?).map(Self::from),
            Kind::ShopConnected => ShopConnected::from_wire(&parse(kind, bytes)?).map(Self::from),
            Kind::StockShown => StockShown::from_wire(&parse(kind, bytes)?).map(Self::from),
            Kind::StockEdited => StockEdited::from_wire(&parse(kind, bytes)?).map(Self::from),
            Kind::ListingObserved => ListingObserved::from_wire(&parse(kind, bytes)?).map(Self::from),
            Kind::ErpStockObserved => ErpStockObserved::from_wire(&parse(kind, bytes)?).map(Self::from),
            Kind::LevelChanged => LevelChanged::from_wire(&parse(kind, bytes)?).map(Self::from),
            Kind::LevelsChanged => LevelsChanged::from_wire(&parse(kind, bytes)?).map(Self::from),
            Kind::ReadWanted => ReadWanted::from_wire(parse(kind, bytes)?).map(Self::from),
            Kind::ShipmentMade => ShipmentMade::from_wire(&parse(kind, bytes)?).map(Self::from),
        };
        parsed.map_err(|error| error.of(message))
    }
}

fn parse<T: prost::Message + Default>(kind: Kind, bytes: &[u8]) -> Result<T, DecodeError> {
    T::decode(bytes)
        .map_err(|error| DecodeError::Malformed { message: kind.type_name(), source: Malformed(error) })
}

fn sendable(kind: Kind, field: &'static str, count: usize, max: usize) -> Result<(), EncodeError> {
    if count > max {
        return Err(EncodeError::TooMany { message: kind.type_name(), field, count, max });
    }
    Ok(())
}

/// Proto 3 cannot tell an absent number from 0, and 0 is no id.
fn id<T: TryFrom<i64, Error = ParseIdError>>(raw: i64) -> Result<T, FieldProblem> {
    if raw == 0 {
        return Err(FieldProblem::Missing);
    }
    Ok(T::try_from(raw)?)
}

fn sku(text: &str) -> Result<Sku, FieldProblem> {
    Ok(text.parse::<Sku>()?)
}

fn text<T: FromStr>(text: &str) -> Result<T, FieldProblem>
where
    FieldProblem: From<T::Err>,
{
    Ok(text.parse()?)
}

fn acceptable(count: usize, max: usize) -> Result<(), FieldProblem> {
    if count > max { Err(FieldProblem::TooMany { count, max }) } else { Ok(()) }
}

fn each<W, T>(
    field: &str,
    max: usize,
    wires: &[W],
    one: impl Fn(&W) -> Result<T, FieldError>,
) -> Result<Vec<T>, FieldError> {
    acceptable(wires.len(), max).at(field)?;
    let parsed = wires.iter().enumerate();
    parsed
        .map(|(index, wire)| one(wire).map_err(|error| error.within(format_args!("{field}[{index}]"))))
        .collect()
}

impl OrderObserved {
    fn to_wire(&self) -> Result<schema::OrderObserved, EncodeError> {
        let source = match self.source {
            Source::Webhook => order_observed::Source::Webhook(order_observed::Webhook {}),
            Source::Read { number, read_at, baseline } => {
                order_observed::Source::Read(order_observed::Read {
                    number: number.get(),
                    read_at_micros: read_at.micros(),
                    baseline,
                })
            }
        };
        let state = match &self.state {
            OrderState::Present { status, lines } => {
                sendable(Kind::OrderObserved, "lines", lines.len(), ORDER_LINES_MAX)?;
                order_observed::State::Present(order_observed::Present {
                    status: status.as_str().to_owned(),
                    lines: lines.iter().map(OrderLine::to_wire).collect(),
                })
            }
            OrderState::Gone => order_observed::State::Gone(order_observed::Gone {}),
        };
        Ok(schema::OrderObserved {
            shop: self.shop.get(),
            order: self.order.get(),
            source: Some(source),
            modified_at_micros: self.modified_at.map(Timestamp::micros),
            state: Some(state),
        })
    }

    fn from_wire(wire: schema::OrderObserved) -> Result<Self, FieldError> {
        let source = match wire.source.at("source")? {
            order_observed::Source::Webhook(_) => Source::Webhook,
            order_observed::Source::Read(read) => Source::Read {
                number: ReadNumber::new(read.number),
                read_at: Timestamp::from_micros(read.read_at_micros),
                baseline: read.baseline,
            },
        };
        let state = match wire.state.at("state")? {
            order_observed::State::Present(present) => OrderState::Present {
                status: text(&present.status).at("present.status")?,
                lines: each("present.lines", ORDER_LINES_MAX, &present.lines, OrderLine::from_wire)?,
            },
            order_observed::State::Gone(_) => OrderState::Gone,
        };
        Ok(Self {
            shop: id(wire.shop).at("shop")?,
            order: id(wire.order).at("order")?,
            source,
            modified_at: wire.modified_at_micros.map(Timestamp::from_micros),
            state,
        })
    }
}

impl OrderLine {
    fn to_wire(&self) -> schema::OrderLine {
        schema::OrderLine {
            line: self.line.get(),
            listing: self.listing.map(listing_to_wire),
            sku: self.sku.as_ref().map(Sku::to_string),
            quantity_thousandths: self.quantity.thousandths(),
            taken_thousandths: self.taken.map(Quantity::thousandths),
            restocked_thousandths: self.restocked.thousandths(),
            fault: self.fault.map(|fault| fault.as_str().to_owned()),
        }
    }

    fn from_wire(wire: &schema::OrderLine) -> Result<Self, FieldError> {
        Ok(Self {
            line: id(wire.line).at("line")?,
            listing: wire.listing.as_ref().map(listing_from_wire).transpose()?,
            sku: wire.sku.as_deref().map(sku).transpose().at("sku")?,
            quantity: Quantity::from_thousandths(wire.quantity_thousandths),
            taken: wire.taken_thousandths.map(Quantity::from_thousandths),
            restocked: Quantity::from_thousandths(wire.restocked_thousandths),
            fault: wire.fault.as_deref().map(LineFault::of_word),
        })
    }
}

fn listing_to_wire(listing: ListingId) -> schema::Listing {
    schema::Listing {
        product: listing.product.get(),
        variation: listing.variation.map(values::VariationId::get),
    }
}

fn listing_from_wire(wire: &schema::Listing) -> Result<ListingId, FieldError> {
    Ok(ListingId {
        product: id(wire.product).at("listing.product")?,
        variation: wire.variation.map(id).transpose().at("listing.variation")?,
    })
}

impl OrderUnreadable {
    fn to_wire(&self) -> schema::OrderUnreadable {
        schema::OrderUnreadable {
            shop: self.shop.get(),
            order: self.order.map(values::OrderId::get),
            reason: self.reason.as_str().to_owned(),
        }
    }

    fn from_wire(wire: &schema::OrderUnreadable) -> Result<Self, FieldError> {
        Ok(Self {
            shop: id(wire.shop).at("shop")?,
            order: wire.order.map(id).transpose().at("order")?,
            reason: text(&wire.reason).at("reason")?,
        })
    }
}

fn moment_to_wire(moment: Moment) -> schema::Moment {
    schema::Moment { shop_micros: moment.shop.micros(), hub_micros: moment.hub.micros() }
}

fn moment_from_wire(wire: Option<&schema::Moment>, field: &str) -> Result<Moment, FieldError> {
    let wire = wire.at(field)?;
    Ok(Moment {
        shop: Timestamp::from_micros(wire.shop_micros),
        hub: Timestamp::from_micros(wire.hub_micros),
    })
}

impl ShopConnected {
    fn to_wire(&self) -> schema::ShopConnected {
        schema::ShopConnected {
            shop: self.shop.get(),
            baseline_last: self.baseline_last.map(values::OrderId::get),
            number: self.number.get(),
        }
    }

    fn from_wire(wire: &schema::ShopConnected) -> Result<Self, FieldError> {
        Ok(Self {
            shop: id(wire.shop).at("shop")?,
            baseline_last: wire.baseline_last.map(id).transpose().at("baseline_last")?,
            number: ReadNumber::new(wire.number),
        })
    }
}

impl StockShown {
    fn to_wire(&self) -> schema::StockShown {
        schema::StockShown {
            shop: self.shop.get(),
            holder: self.holder.get(),
            shown_thousandths: self.shown.map(Quantity::thousandths),
            number: self.number.get(),
            asked: Some(moment_to_wire(self.asked)),
            answered: Some(moment_to_wire(self.answered)),
            orders_read_to_micros: self.orders_read_to.micros(),
            modified_at_micros: self.modified_at.map(Timestamp::micros),
            dry_run: self.dry_run,
        }
    }

    fn from_wire(wire: &schema::StockShown) -> Result<Self, FieldError> {
        Ok(Self {
            shop: id(wire.shop).at("shop")?,
            holder: id(wire.holder).at("holder")?,
            shown: wire.shown_thousandths.map(Quantity::from_thousandths),
            number: ReadNumber::new(wire.number),
            asked: moment_from_wire(wire.asked.as_ref(), "asked")?,
            answered: moment_from_wire(wire.answered.as_ref(), "answered")?,
            orders_read_to: Timestamp::from_micros(wire.orders_read_to_micros),
            modified_at: wire.modified_at_micros.map(Timestamp::from_micros),
            dry_run: wire.dry_run,
        })
    }
}

impl StockEdited {
    fn to_wire(&self) -> schema::StockEdited {
        schema::StockEdited {
            shop: self.stock.shop.get(),
            holder: self.stock.holder.get(),
            epoch: self.epoch.get(),
            number: self.number.get(),
            difference_thousandths: self.difference.thousandths(),
        }
    }

    fn from_wire(wire: &schema::StockEdited) -> Result<Self, FieldError> {
        Ok(Self {
            stock: StockId { shop: id(wire.shop).at("shop")?, holder: id(wire.holder).at("holder")? },
            epoch: Epoch::new(wire.epoch),
            number: ReadNumber::new(wire.number),
            difference: Quantity::from_thousandths(wire.difference_thousandths),
        })
    }
}

impl ListingObserved {
    fn to_wire(&self) -> schema::ListingObserved {
        schema::ListingObserved {
            shop: self.shop.get(),
            listing: Some(listing_to_wire(self.listing)),
            holder: self.holder.map(HolderId::get),
            sku: self.sku.as_ref().map(Sku::to_string),
            name: self.name.as_str().to_owned(),
            status: self.status.as_str().to_owned(),
            number: self.number.get(),
            kind: self.kind.map(|kind| kind.as_str().to_owned()),
        }
    }

    fn from_wire(wire: &schema::ListingObserved) -> Result<Self, FieldError> {
        Ok(Self {
            shop: id(wire.shop).at("shop")?,
            listing: listing_from_wire(wire.listing.as_ref().at("listing")?)?,
            holder: wire.holder.map(id).transpose().at("holder")?,
            sku: wire.sku.as_deref().map(sku).transpose().at("sku")?,
            name: text(&wire.name).at("name")?,
            status: text(&wire.status).at("status")?,
            kind: wire.kind.as_deref().map(ListingKind::of_word),
            number: ReadNumber::new(wire.number),
        })
    }
}

impl ErpStockObserved {
    fn to_wire(&self) -> Result<schema::ErpStockObserved, EncodeError> {
        sendable(Kind::ErpStockObserved, "rows", self.rows.len(), ERP_ROWS_MAX)?;
        let row = |row: &ErpRow| schema::erp_stock_observed::Row {
            sku: row.sku.to_string(),
            quantity_thousandths: row.quantity.thousandths(),
            reserve_thousandths: row.reserve.thousandths(),
        };
        Ok(schema::ErpStockObserved {
            warehouse: self.warehouse.get(),
            read: self.read.get(),
            complete: self.complete,
            rows: self.rows.iter().map(row).collect(),
        })
    }

    fn from_wire(wire: &schema::ErpStockObserved) -> Result<Self, FieldError> {
        let row = |row: &schema::erp_stock_observed::Row| {
            Ok(ErpRow {
                sku: sku(&row.sku).at("sku")?,
                quantity: Quantity::from_thousandths(row.quantity_thousandths),
                reserve: Quantity::from_thousandths(row.reserve_thousandths),
            })
        };
        Ok(Self {
            warehouse: id(wire.warehouse).at("warehouse")?,
            read: ReadNumber::new(wire.read),
            complete: wire.complete,
            rows: each("rows", ERP_ROWS_MAX, &wire.rows, row)?,
        })
    }
}

impl LevelChanged {
    fn to_wire(&self) -> schema::LevelChanged {
        schema::LevelChanged {
            shop: self.stock.shop.get(),
            holder: self.stock.holder.get(),
            epoch: self.epoch.get(),
            revision: self.revision.get(),
            sku: self.sku.to_string(),
            level_thousandths: self.level.thousandths(),
            untaken_thousandths: self.untaken.thousandths(),
            taken_total_thousandths: self.taken_total.thousandths(),
            step_thousandths: self.step.quantity().thousandths(),
            first_order_at_micros: self.order_dates.map(|(first, _)| first.micros()),
            last_order_at_micros: self.order_dates.map(|(_, last)| last.micros()),
            settle: self.settle.as_ref().map(|settled| schema::level_changed::Settled {
                number: settled.number.get(),
                shown_thousandths: settled.shown.map(Quantity::thousandths),
                asked: Some(moment_to_wire(settled.asked)),
                answered: Some(moment_to_wire(settled.answered)),
                taken_total_thousandths: settled.taken_total.thousandths(),
                quiet: settled.quiet,
                modified_at_micros: settled.modified_at.map(Timestamp::micros),
            }),
            removed: self.removed,
            parent: self.parent.map(values::ProductId::get),
            adoption: self.adoption.as_ref().map(|adoption| schema::level_changed::Adoption {
                number: adoption.number.get(),
                refused: adoption.refused.as_ref().map(|refused| refused.as_str().to_owned()),
            }),
            released_thousandths: self.released.thousandths(),
        }
    }

    fn from_wire(wire: &schema::LevelChanged) -> Result<Self, FieldError> {
        let step = Quantity::from_thousandths(wire.step_thousandths);
        Ok(Self {
            stock: StockId { shop: id(wire.shop).at("shop")?, holder: id(wire.holder).at("holder")? },
            epoch: Epoch::new(wire.epoch),
            revision: Revision::new(wire.revision),
            sku: sku(&wire.sku).at("sku")?,
            level: Quantity::from_thousandths(wire.level_thousandths),
            untaken: Quantity::from_thousandths(wire.untaken_thousandths),
            taken_total: Quantity::from_thousandths(wire.taken_total_thousandths),
            step: Step::new(step)
                .ok_or(FieldProblem::OutOfRange(wire.step_thousandths))
                .at("step_thousandths")?,
            order_dates: wire
                .first_order_at_micros
                .zip(wire.last_order_at_micros)
                .map(|(first, last)| (Timestamp::from_micros(first), Timestamp::from_micros(last))),
            settle: wire.settle.as_ref().map(settled_from_wire).transpose()?,
            parent: wire.parent.map(id).transpose().at("parent")?,
            removed: wire.removed,
            adoption: wire.adoption.as_ref().map(adoption_from_wire).transpose()?,
            released: Quantity::from_thousandths(wire.released_thousandths),
        })
    }
}

impl LevelsChanged {
    fn to_wire(&self) -> Result<schema::LevelsChanged, EncodeError> {
        sendable(Kind::LevelsChanged, "levels", self.levels.len(), LEVELS_MAX)?;
        let level = |traced: &TracedLevel| schema::levels_changed::Level {
            level: Some(traced.level.to_wire()),
            traceparent: traced.traceparent.clone(),
        };
        Ok(schema::LevelsChanged { shop: self.shop.get(), levels: self.levels.iter().map(level).collect() })
    }

    fn from_wire(wire: &schema::LevelsChanged) -> Result<Self, FieldError> {
        let shop = id(wire.shop).at("shop")?;
        if wire.levels.is_empty() {
            return Err(FieldProblem::Missing).at("levels");
        }
        let level = |wire: &schema::levels_changed::Level| {
            let level = wire.level.as_ref().ok_or(FieldProblem::Missing).at("level")?;
            let level = LevelChanged::from_wire(level).map_err(|error| error.within("level"))?;
            if level.stock.shop != shop {
                return Err(FieldProblem::OutOfRange(level.stock.shop.get())).at("level.shop");
            }
            Ok(TracedLevel { level, traceparent: wire.traceparent.clone().filter(|trace| is_short(trace)) })
        };
        Ok(Self { shop, levels: each("levels", LEVELS_MAX, &wire.levels, level)? })
    }
}

/// A longer one is no trace context.
fn is_short(traceparent: &str) -> bool {
    traceparent.chars().nth(TRACEPARENT_CHARS_MAX).is_none()
}

fn settled_from_wire(wire: &schema::level_changed::Settled) -> Result<Settled, FieldError> {
    Ok(Settled {
        number: ReadNumber::new(wire.number),
        shown: wire.shown_thousandths.map(Quantity::from_thousandths),
        asked: moment_from_wire(wire.asked.as_ref(), "settle.asked")?,
        answered: moment_from_wire(wire.answered.as_ref(), "settle.answered")?,
        taken_total: Quantity::from_thousandths(wire.taken_total_thousandths),
        quiet: wire.quiet,
        modified_at: wire.modified_at_micros.map(Timestamp::from_micros),
    })
}

fn adoption_from_wire(wire: &schema::level_changed::Adoption) -> Result<Adoption, FieldError> {
    let refused = wire.refused.as_deref().map(text).transpose().at("adoption.refused")?;
    Ok(Adoption { number: ReadNumber::new(wire.number), refused })
}

impl ReadWanted {
    fn to_wire(&self) -> Result<schema::ReadWanted, EncodeError> {
        let what = match &self.what {
            Wanted::Orders(orders) => {
                sendable(Kind::ReadWanted, "orders", orders.len(), READ_IDS_MAX)?;
                let orders = orders.iter().map(|order| order.get()).collect();
                read_wanted::What::Orders(read_wanted::Orders { orders })
            }
            Wanted::Stocks(holders) => {
                sendable(Kind::ReadWanted, "holders", holders.len(), READ_IDS_MAX)?;
                let holders = holders.iter().map(|holder| holder.get()).collect();
                read_wanted::What::Stocks(read_wanted::Stocks { holders })
            }
            Wanted::OrderAudit => read_wanted::What::OrderAudit(read_wanted::OrderAudit {}),
            Wanted::Catalogue => read_wanted::What::Catalogue(read_wanted::Catalogue {}),
            Wanted::Listings(ids) => {
                sendable(Kind::ReadWanted, "ids", ids.len(), READ_IDS_MAX)?;
                let ids = ids.iter().map(|id| id.get()).collect();
                read_wanted::What::Listings(read_wanted::Listings { ids })
            }
        };
        Ok(schema::ReadWanted { shop: self.shop.get(), what: Some(what) })
    }

    fn from_wire(wire: schema::ReadWanted) -> Result<Self, FieldError> {
        let what = match wire.what.at("what")? {
            read_wanted::What::Orders(wanted) => {
                Wanted::Orders(each("orders", READ_IDS_MAX, &wanted.orders, |raw| id(*raw).at("id"))?)
            }
            read_wanted::What::Stocks(wanted) => {
                Wanted::Stocks(each("holders", READ_IDS_MAX, &wanted.holders, |raw| id(*raw).at("id"))?)
            }
            read_wanted::What::OrderAudit(_) => Wanted::OrderAudit,
            read_wanted::What::Catalogue(_) => Wanted::Catalogue,
            read_wanted::What::Listings(wanted) => {
                Wanted::Listings(each("ids", READ_IDS_MAX, &wanted.ids, |raw| id(*raw).at("id"))?)
            }
        };
        Ok(Self { shop: id(wire.shop).at("shop")?, what })
    }
}

impl ShipmentMade {
    fn to_wire(&self) -> schema::ShipmentMade {
        schema::ShipmentMade {
            shop: self.shop.get(),
            order: self.order.get(),
            number: self.number,
            revision: self.revision.get(),
            status: self.status.as_ref().map(|status| status.as_str().to_owned()),
            note: self.note.as_ref().map(|note| note.as_str().to_owned()),
        }
    }

    fn from_wire(wire: &schema::ShipmentMade) -> Result<Self, FieldError> {
        if wire.number == 0 {
            return Err(FieldProblem::Missing).at("number");
        }
        Ok(Self {
            shop: id(wire.shop).at("shop")?,
            order: id(wire.order).at("order")?,
            number: wire.number,
            revision: Revision::new(wire.revision),
            status: wire.status.as_deref().map(text).transpose().at("status")?,
            note: wire.note.as_deref().map(text).transpose().at("note")?,
        })
    }
}
