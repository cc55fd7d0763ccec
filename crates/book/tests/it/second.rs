//! A second path to the same answers: the raw records in a table, and a query that knows nothing of the book. Between two
//! records of one line that follow each other, the line held the address, unless the first is its end or the second a new
//! beginning. Whom the book names must be the only one of whom the query says so.
//!
//! The query has no rule for what is in doubt, so it says more than the book; what the book refuses is counted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use noroshi_book::synth::Dice;
use noroshi_book::{Answer, Rules};
use noroshi_wire::{Change, Whom};
use rusqlite::{Connection, Statement, params};

use super::hostile::{from_env, open, port, rules};
use super::network::Network;

/// One look-up in so many is asked of both.
const SAMPLE_ONE_IN: u64 = 100;

/// A Stop told again a few seconds later, when the line is back already. Not of leases: their file tells nothing twice so.
const FORGET_COPIES: &str = "
    DELETE FROM raw WHERE kind = 'stop' AND EXISTS (SELECT 1 FROM raw r WHERE r.ip = raw.ip AND r.whom = raw.whom
        AND r.first IS raw.first AND r.last IS raw.last AND r.kind = 'stop' AND r.at BETWEEN raw.at - 4 AND raw.at - 1)
    AND NOT EXISTS (SELECT 1 FROM raw r WHERE r.ip = raw.ip AND r.until IS NOT NULL)";

const HOLDERS: &str = "
    WITH held AS (
        SELECT DISTINCT whom, first, last FROM raw
        WHERE ip = ?1 AND (first IS NULL OR ?2 IS NULL OR ?2 BETWEEN first AND last)
    ), sides AS (
        SELECT whom, first,
            (SELECT rowid FROM raw r WHERE r.ip = ?1 AND r.whom = held.whom AND r.first IS held.first
                AND r.last IS held.last AND r.at <= ?3 ORDER BY r.at DESC, r.kind = 'stop' LIMIT 1) AS prior,
            (SELECT rowid FROM raw r WHERE r.ip = ?1 AND r.whom = held.whom AND r.first IS held.first
                AND r.last IS held.last AND r.at > ?3 ORDER BY r.at, r.kind <> 'stop' LIMIT 1) AS later
        FROM held
    )
    SELECT DISTINCT sides.whom FROM sides
    JOIN raw b ON b.rowid = sides.prior LEFT JOIN raw a ON a.rowid = sides.later
    WHERE b.kind <> 'stop' AND (b.at = ?3 OR a.kind <> 'start' OR b.until >= ?3)";

fn raw(network: &Network) -> Connection {
    let table = Connection::open_in_memory().unwrap();
    table.execute_batch("CREATE TABLE raw (ip, first, last, whom, kind, at, until); BEGIN").unwrap();
    let mut insert = table.prepare("INSERT INTO raw VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)").unwrap();
    for (_, record) in &network.delivered {
        let given = record.given.unwrap();
        let kind = match record.change {
            Change::Start => "start",
            Change::Interim => "interim",
            Change::Stop => "stop",
            Change::Reset => continue,
        };
        let whom = match record.whom.as_ref().unwrap() {
            Whom::Line(line) => line.clone(),
            Whom::Inside(ip) => ip.to_string(),
        };
        let (first, last) = (given.ports.map(|ports| ports.0), given.ports.map(|ports| ports.1));
        let until = record.until.map(|until| until.as_second());
        let ip = given.net.addr().to_string();
        insert.execute(params![ip, first, last, whom, kind, record.at.as_second(), until]).unwrap();
    }
    drop(insert);
    table.execute_batch("COMMIT; CREATE INDEX by_ip ON raw (ip, whom, first, last, at)").unwrap();
    table.execute(FORGET_COPIES, []).unwrap();
    table
}

/// Everybody who held it by the query; through the translator, where that is an address.
fn holders(query: &mut Statement<'_>, ip: IpAddr, port: Option<u16>, at_s: i64) -> Vec<String> {
    let whom = query.query_map(params![ip.to_string(), port, at_s], |row| row.get::<_, String>(0));
    let whom: Vec<String> = whom.unwrap().map(Result::unwrap).collect();
    let inside = |whom: String| match whom.parse::<IpAddr>() {
        Ok(inside) => holders(query, inside, None, at_s),
        Err(_) => vec![whom],
    };
    whom.into_iter().flat_map(inside).collect()
}

/// Asks both, and tells how often they agree, by what the book said.
fn compare(seed: u64, clean: bool, lookups: u64) -> BTreeMap<&'static str, u64> {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::new(seed, 5_000, clean);
    let mut dice = Dice::new(seed, 13);
    let book = network.feed(folder.path(), &mut dice);
    let table = raw(&network);
    let mut query = table.prepare(HOLDERS).unwrap();
    let mut said = BTreeMap::new();
    for n in 0..lookups {
        let at_s = network.world.moment(&mut dice);
        let (ip, port) = if dice.below(2) == 0 {
            (network.world.address(dice.below(network.world.addresses())), None)
        } else {
            (network.outside[dice.below(network.outside.len() as u64) as usize], port(&mut dice))
        };
        if n % SAMPLE_ONE_IN > 0 {
            continue;
        }
        let look = open(&book, ip);
        let answer = look.read().who(port, Timestamp::from_second(at_s).unwrap(), 0, &rules(false));
        let second = holders(&mut query, ip, port, at_s);
        let told = || format!("seed {seed}: {ip} {port:?} at {at_s}: {second:?}");
        let kind = match answer {
            Answer::One(held) => {
                assert_eq!(second, [held.line.as_str()], "{}", told());
                assert!(held.margin_s > Rules::BORDER_S);
                "one"
            }
            Answer::None => {
                assert!(second.is_empty(), "{}", told());
                "none"
            }
            Answer::Ambiguous(_)
                if second.len() == 1 && (ip.to_string().starts_with("10.") || port.is_some()) =>
            {
                "refused where the query names one"
            }
            Answer::Ambiguous(_) => "refused",
        };
        *said.entry(kind).or_default() += 1;
    }
    println!("seed {seed}, clean {clean}: {said:?}");
    said
}

#[test]
fn a_query_over_the_raw_records_agrees() {
    let seed = from_env("NOROSHI_TEST_SEED", 1);
    let lookups = from_env("NOROSHI_TEST_BOOK_LOOKUPS", 1_000_000);
    for (clean, refused_most) in [(true, 0.005), (false, 0.02)] {
        let said = compare(seed, clean, lookups);
        let all: u64 = said.values().sum();
        let of = |kind| said.get(kind).copied().unwrap_or(0) as f64 / all as f64;
        assert!(of("one") > 0.6 && of("none") > 0.03, "{said:?}");
        assert!(of("refused where the query names one") <= refused_most, "{said:?}");
    }
}
