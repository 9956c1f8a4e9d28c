//! That servers are shared, that databases are copies, and that a killed server comes back with what was committed.

use super::*;

async fn template(server: Postgres) -> Database {
    server
        .database("CREATE TABLE things (name TEXT)", |url| async move {
            let name = url.rsplit('/').next().unwrap().to_owned();
            Postgres::shared()
                .run(&name, "CREATE TABLE things (name TEXT); INSERT INTO things VALUES ('one')");
        })
        .await
}

#[tokio::test]
async fn each_database_is_a_copy_of_its_own() {
    let (first, second) = (Postgres::shared(), Postgres::shared());
    assert_eq!(first.port(), second.port());
    let (one, other) = (template(first).await, template(second).await);
    assert_ne!(one.url(), other.url());
    one.run("INSERT INTO things VALUES ('two')");
    assert_eq!(one.run("SELECT name FROM things ORDER BY name"), ["one", "two"]);
    assert_eq!(other.run("SELECT name FROM things"), ["one"]);
    assert!(other.try_run("SELECT nothing").unwrap_err().to_string().contains("42703"));
    let name = one.name.clone();
    drop(one);
    let known = format!("SELECT 1 FROM pg_database WHERE datname = '{name}'");
    assert!(other.server().run("postgres", &known).is_empty());
}

#[test]
fn an_own_server_comes_back_with_what_was_committed() {
    let server = Postgres::own();
    server.run("postgres", "CREATE TABLE things (name TEXT); INSERT INTO things VALUES ('kept')");
    for how in [None, Some(Shutdown::Fast), Some(Shutdown::Immediate)] {
        match how {
            None => server.kept().signal(Signal::Kill),
            Some(how) => server.shut_down(how),
        }
        assert!(!answers(server.kept()), "{how:?}");
        server.kept().start_again();
        assert_eq!(server.run("postgres", "SELECT name FROM things"), ["kept"], "{how:?}");
    }
}
