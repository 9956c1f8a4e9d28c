//! Files of any make: what is taken, what is refused, once and whole.

use std::sync::Mutex;

use reqwest::Method;
use serde_json::{Value, json};
use store::Scope;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::server::{Answer, Api};
use crate::world::{units, until};

async fn import(api: &Api, query: &str, key: Option<&str>, file: impl Into<Vec<u8>>) -> Answer {
    let mut request = api.request(Method::POST, &format!("/imports?{query}"));
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    api.send(request.header("Content-Type", "text/csv").body(file.into())).await
}

async fn count(api: &Api, file: impl Into<Vec<u8>>) -> Answer {
    import(api, "mode=count&warehouse=main", None, file).await
}

#[tokio::test]
async fn files_of_every_make() {
    let api = Api::new().await;
    api.post("/warehouses", &json!({ "name": "east" })).await.good(201);
    for (index, (file, expected)) in [
        ("sku;quantity\nTEE;1\n", units(1)),
        ("\u{feff}SKU;Quantity\r\nTEE;2\r\n", units(2)),
        ("sku,name,qty\nTEE,\"red, large\",3", units(3)),
        ("Article Number\tMenge\n TEE \t 4 \n\n\t\n", units(4)),
        ("sku;warehouse;on_hand;reserved\nTEE;;5;9\n", units(5)),
        ("sku;quantity\n\"TEE\";\"6,00\"\n", units(6)),
        ("sku,quantity\nTEE,\"7.000\"\n", units(7)),
        ("sku;location;stock\nTEE;main;8\nTEE;east;1,5\n", units(8)),
        ("Артикул;Количество\nTEE;9\n", units(9)),
    ]
    .into_iter()
    .enumerate()
    {
        let report = count(&api, file).await.good(200);
        assert_eq!(*report.get("refused").unwrap(), 0, "{index} {report}");
        assert_eq!(api.world.balance("TEE").await.on_hand, expected, "{index} {file:?}");
    }
    let ignored = count(&api, "sku;Colour;quantity\nTEE;red;1\n").await.good(200);
    assert_eq!(*ignored.get("ignored_columns").unwrap(), json!(["colour"]));
    api.end().await;
}

#[tokio::test]
async fn a_file_with_a_wrong_line_changes_nothing() {
    let api = Api::new().await;
    api.post("/warehouses", &json!({ "name": "erp", "kind": "mirrored" })).await.good(201);
    let mut file = "sku;warehouse;quantity\nTEE;main;1\n;main;1\nTEE;mian;1\nTEE;erp;1\nMUG;main;abc\nMUG;main;-1\nMUG;main;1,000\nMUG\nTEE;main;2\n"
        .as_bytes()
        .to_vec();
    file.extend_from_slice(b"\xff;main;1\nA;main;\n");
    let refused = import(&api, "mode=count", None, file.clone()).await.problem(422, "invalid");
    let rows: Vec<(i64, &str)> = refused
        .get("rows")
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row.get("row").unwrap().as_i64().unwrap(), row.get("problem").unwrap().as_str().unwrap()))
        .collect();
    let expected = [
        (3, "a SKU may not be empty"),
        (4, "there is no warehouse \"mian\""),
        (5, "warehouse \"erp\" follows an ERP; change its stock there"),
        (6, "\"abc\" is not a quantity: digits with at most one decimal point are wanted"),
        (7, "what was counted cannot be negative"),
        (8, "\"1,000\" could be thousands or thousandths; write it without the comma, or with a point"),
        (9, "it has only 1 columns; the first line names more"),
        (10, "TEE is counted in line 2 too, in the same warehouse"),
        (11, "it is not UTF-8"),
        (12, "there is no quantity"),
    ];
    assert_eq!(rows, expected);
    let detail = refused.get("detail").unwrap().as_str().unwrap();
    assert!(
        detail.starts_with("nothing was imported; line 3: ") && detail.ends_with("; and 7 more"),
        "{detail}"
    );
    let report = import(&api, "mode=count&dry_run=true", None, file).await.good(200);
    assert_eq!((report.get("lines").unwrap(), report.get("refused").unwrap()), (&json!(11), &json!(10)));
    assert_eq!(report.pointer("/problems/0").unwrap(), &json!({ "line": 3, "problem": expected[0].1 }));
    assert_eq!(*api.get("/stock").await.good(200).get("items").unwrap(), json!([]));
    api.end().await;
}

#[tokio::test]
async fn files_that_are_none() {
    let api = Api::new().await;
    for file in [
        b"".as_slice(),
        b"\n",
        b"sku\nTEE\n",
        b"name;quantity\nTEE;1\n",
        b"sku;qty;quantity\nTEE;1;2\n",
        b"\xff\xfes\0k\0u\0",
        b"PK\x03\x04\0\0",
        b"sk\xffu;quantity\nTEE;1\n",
    ] {
        count(&api, file).await.problem(422, "invalid");
    }
    import(&api, "mode=count", None, "sku;quantity\nTEE;1\n").await.problem(422, "invalid");
    import(&api, "mode=count&warehouse=mian", None, "sku;quantity\n").await.problem(422, "invalid");
    import(&api, "mode=fly&warehouse=main", None, "sku;quantity\n").await.problem(400, "bad-request");
    import(&api, "warehouse=main", None, "sku;quantity\n").await.problem(400, "bad-request");
    let long = format!("sku;quantity{}", "x".repeat(20 << 10));
    count(&api, long).await.problem(422, "invalid");
    count(&api, vec![b'x'; (16 << 20) + 1]).await.problem(413, "too-large");
    let open = format!("sku;quantity\n\"{}", "x;1\n".repeat(10_000));
    count(&api, open).await.problem(422, "invalid");
    assert_eq!(count(&api, "sku;quantity\n").await.good(200).get("lines").unwrap(), 0);
    assert_eq!(*api.get("/stock").await.good(200).get("items").unwrap(), json!([]));
    api.end().await;
}

#[tokio::test]
async fn receipts_and_adjustments_are_done_once() {
    let api = Api::new().await;
    let file = "sku;quantity\nTEE;2\nTEE;3\nMUG;1\n";
    let receive = "mode=receive&warehouse=main";
    let keyless = import(&api, receive, None, file).await;
    assert!(keyless.detail(400, "bad-request").contains("Idempotency-Key"));
    let first = import(&api, receive, Some("delivery-1"), file).await;
    let again = import(&api, receive, Some("delivery-1"), file).await;
    assert_eq!(first.good(200), again.good(200));
    assert_eq!(again.headers.get("idempotency-replayed").unwrap(), "true");
    assert_eq!(api.world.balance("TEE").await.on_hand, units(5));
    import(&api, receive, Some("delivery-1"), "sku;quantity\nTEE;1\n").await.problem(409, "key-reused");
    import(&api, "mode=adjust&warehouse=main", Some("delivery-1"), file).await.problem(409, "key-reused");
    import(&api, receive, Some("delivery-2"), "sku;quantity\nTEE;0\n").await.problem(422, "invalid");

    let adjust = "mode=adjust&warehouse=main&reason=found";
    let short = "sku;quantity\nMUG;4\nTEE;-6\n";
    let refused = import(&api, adjust, Some("fix-1"), short).await.problem(409, "insufficient-available");
    assert_eq!(
        refused.pointer("/rows/0").unwrap(),
        &json!({ "row": 3, "problem": "TEE: only 5 is available" })
    );
    let dry = import(&api, &format!("{adjust}&dry_run=true"), None, short).await.good(200);
    assert_eq!(dry.pointer("/problems/0/line").unwrap(), 3);
    assert_eq!(api.world.balance("MUG").await.on_hand, units(1));
    api.receive("TEE", "1").await;
    import(&api, adjust, Some("fix-1"), short).await.good(200);
    assert_eq!(api.world.balance("MUG").await.on_hand, units(5));
    let movements = api.get("/movements?sku=MUG").await.good(200);
    assert_eq!(movements.pointer("/items/1/reason").unwrap(), "found");
    let many = format!("sku;quantity\n{}", "TEE;1\n".repeat(1_001));
    import(&api, adjust, Some("fix-2"), many).await.problem(413, "too-large");
    api.end().await;
}

#[tokio::test]
async fn an_import_that_was_cut_off_goes_on() {
    let api = Api::new().await;
    let lines: Vec<String> = (1..=2_500).map(|line| format!("SKU-{line};1\n")).collect();
    let file = format!("sku;quantity\n{}", lines.concat());
    let receive = "mode=receive&warehouse=main";
    // Its second chunk was done before, as by a process that ended there.
    let second: Vec<Value> = (1_001..=2_000)
        .map(|line| json!({ "kind": "receive", "sku": format!("SKU-{line}"), "warehouse": "main", "quantity": "1" }))
        .collect();
    api.operate("import:big:2", Value::Array(second)).await.good(200);
    let report = import(&api, receive, Some("big"), file.clone()).await.good(200);
    assert_eq!(
        (report.get("lines").unwrap(), report.get("changed").unwrap()),
        (&json!(2_500), &json!(1_500))
    );
    import(&api, receive, Some("big"), file).await.good(200);
    for sku in ["SKU-1", "SKU-1000", "SKU-1001", "SKU-2000", "SKU-2500"] {
        assert_eq!(api.world.balance(sku).await.on_hand, units(1), "{sku}");
    }
    api.end().await;
}

#[tokio::test]
async fn an_export_can_be_counted_in_again() {
    let api = Api::new().await;
    for sku in ["=1+1", "-dash", "'quoted", "plain \"x\", y", "@at"] {
        api.receive(sku, "1.5").await;
    }
    let exported = api.get("/stock/export").await;
    assert_eq!(exported.status, 200);
    assert!(exported.headers.get("content-type").unwrap().to_str().unwrap().starts_with("text/csv"));
    let mut lines: Vec<&str> = exported.text.lines().collect();
    assert_eq!(lines.remove(0), "sku,warehouse,on_hand,reserved,available,counted_at");
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| !line.starts_with(['=', '+', '-', '@'])), "{lines:?}");
    let report = import(&api, "mode=count", None, exported.text).await.good(200);
    assert_eq!((report.get("lines").unwrap(), report.get("changed").unwrap()), (&json!(5), &json!(0)));
    assert_eq!(api.get("/stock").await.good(200).get("items").unwrap().as_array().unwrap().len(), 5);
    api.end().await;
}

#[tokio::test]
async fn imports_at_a_time_are_bounded() {
    let api = Api::new().await;
    let file = "sku;quantity\nTEE;1\n";
    // Two that never end: the file is announced, and does not come.
    let head = format!(
        "POST /api/v1/imports?mode=count&warehouse=main HTTP/1.1\r\nHost: onhand\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 100\r\n\r\nsku;",
        api.token(Scope::Operate)
    );
    let open = Mutex::new(Vec::new());
    until("there is no room for another", async || {
        // The one that looks takes a place too, so one of those before may have been refused.
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        open.lock().unwrap().push(stream);
        (count(&api, file).await.status == 503).then_some(())
    })
    .await;
    count(&api, file).await.problem(503, "unavailable");
    drop(open);
    until("there is room again", async || (count(&api, file).await.status == 200).then_some(())).await;
    api.end().await;
}

#[tokio::test]
async fn a_count_says_what_it_changes() {
    let api = Api::new().await;
    api.receive("TEE", "2").await;
    let file = "sku;quantity\nTEE;2\nMUG;1\n";
    let dry = import(&api, "mode=count&warehouse=main&dry_run=true", None, file).await.good(200);
    assert_eq!(*dry.get("changed").unwrap(), 1);
    assert!(api.world.store.stock_of(&["MUG".parse().unwrap()]).await.unwrap().is_empty());
    assert_eq!(*count(&api, file).await.good(200).get("changed").unwrap(), 1);
    assert_eq!(*count(&api, file).await.good(200).get("changed").unwrap(), 0);
    api.end().await;
}
