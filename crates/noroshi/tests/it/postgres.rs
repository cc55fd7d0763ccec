//! The same loop with PostgreSQL as the database.

use crate::mail::over_postfix;
use crate::world::server;

#[test]
fn each_subscriber_gets_one_mail_with_postgresql_as_the_database() {
    let Some(url) = server("NOROSHI_TEST_POSTGRES") else { return };
    let name = format!("loop_{}", std::process::id());
    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    over_postfix(Some(&format!("{server}/{name}")), &format!("pg{}", std::process::id()));
    client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
}
