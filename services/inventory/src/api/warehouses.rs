//! Warehouses: where stock physically is.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use store::{Warehouse, WarehouseAdded, WarehouseKind};
use utoipa::ToSchema;

use super::extract::{Body, Query};
use super::page::{Page, PageQuery};
use super::problem::{Kind, Problem};
use super::wire::Time;
use super::{Shared, created, names};

/// Who is right about what a warehouse has.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WarehouseKind)]
enum KindWord {
    /// The hub's own ledger.
    #[default]
    HubOwned,
    /// An ERP; operations are refused, the ledger follows what it reads there.
    Mirrored,
}

/// A warehouse.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Warehouse)]
pub(super) struct WarehouseBody {
    /// Its name, unique.
    #[schema(example = "main")]
    name: String,
    /// Who is right about what it has.
    kind: KindWord,
    /// When it was added.
    created_at: Time,
}

/// A warehouse to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWarehouse {
    /// Its name: 1 to 63 characters.
    #[schema(example = "main")]
    name: String,
    /// Who is right about what it has.
    #[serde(default)]
    kind: KindWord,
}

impl From<Warehouse> for WarehouseBody {
    fn from(warehouse: Warehouse) -> Self {
        let kind = match warehouse.kind {
            WarehouseKind::HubOwned => KindWord::HubOwned,
            WarehouseKind::Mirrored => KindWord::Mirrored,
        };
        Self { name: warehouse.name, kind, created_at: warehouse.created_at.into() }
    }
}

/// List warehouses
#[utoipa::path(get, path = "/warehouses", tag = "registry", operation_id = "list_warehouses", params(PageQuery),
    responses((status = 200, body = Page<WarehouseBody>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<WarehouseBody>>, Problem> {
    let asked = query.of("warehouses")?;
    let after: Option<i64> = asked.after(|key| key.parse().ok())?;
    let mut warehouses = parts.store.warehouses().await?;
    warehouses.sort_unstable_by_key(|warehouse| warehouse.id);
    warehouses.retain(|warehouse| after.is_none_or(|after| warehouse.id.get() > after));
    warehouses.truncate(asked.rows());
    Ok(Json(asked.page(warehouses, |row| row.id.to_string(), WarehouseBody::from)))
}

/// Add a warehouse
#[utoipa::path(post, path = "/warehouses", tag = "registry", operation_id = "add_warehouse", request_body = NewWarehouse,
    responses((status = 201, body = WarehouseBody)))]
pub(super) async fn add(
    State(parts): State<Shared>,
    Body(new): Body<NewWarehouse>,
) -> Result<Response, Problem> {
    names::check_name("warehouse", &new.name)?;
    let kind = match new.kind {
        KindWord::HubOwned => WarehouseKind::HubOwned,
        KindWord::Mirrored => WarehouseKind::Mirrored,
    };
    match parts.inventory.add_warehouse(&new.name, kind).await? {
        WarehouseAdded::Added(warehouse) => Ok(created(WarehouseBody::from(warehouse))),
        WarehouseAdded::NameTaken => {
            Err(Problem::new(Kind::NameTaken, format!("there already is a warehouse {:?}", new.name)))
        }
    }
}
