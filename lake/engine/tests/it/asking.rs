//! What may be asked, what it may cost, and how the answer looks.

use std::time::Duration;

use noroshi_lake::{Format, LakeError};

use super::*;

fn refused(lake: &Lake, sql: &str) -> LakeError {
    match lake.query(sql, &Limits::default()) {
        Err(error) => error,
        Ok(answer) => answer.filter_map(Result::err).next().unwrap_or_else(|| panic!("answered: {sql}")),
    }
}

#[test]
fn hostile_statements_are_refused() {
    let pond = pond();
    fill(&pond.lake, "a", 1, [minute(0, "192.0.2.1", 23, 1)]);
    let outside = pond.folder.path().join("stolen.csv");
    let path = outside.display();
    for sql in [
        format!("COPY minutes TO '{path}'").as_str(),
        format!("COPY (SELECT * FROM minutes) TO '{path}' STORED AS CSV").as_str(),
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM read_parquet('/tmp/x.parquet')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
        "SELECT * INTO t FROM minutes",
        "WITH x AS (SELECT 1) INSERT INTO minutes SELECT * FROM x",
        "INSERT INTO minutes SELECT * FROM minutes",
        "DROP TABLE minutes",
        "SET datafusion.catalog.location = '/'",
        "SELECT 1; DROP TABLE minutes",
        "EXPLAIN ANALYZE INSERT INTO minutes SELECT * FROM minutes",
        "DELETE FROM minutes",
    ] {
        let refused = refused(&pond.lake, sql);
        let is_theirs = matches!(refused, LakeError::NotAQuestion(_) | LakeError::Sql { .. });
        assert!(is_theirs, "{sql}: {refused:?}");
    }
    assert!(!outside.exists());
    assert_eq!(count(&pond.lake), "1,1");
}

#[test]
fn a_fault_says_what_and_where() {
    let pond = pond();
    for (sql, begins, holds) in [
        ("SELECT *\nFROM minutes\nWHERE sorce = 1", "line 3, column 7: ", "sorce"),
        ("SELECT *\nFROM minuts", "", "minuts"),
        ("SELECT *\nFROM minutes\nWHERE )", "line 3, column 7: ", ")"),
        ("SELECT ip('192.0.2')", "", "'192.0.2' is no address"),
        ("SELECT * FROM minutes WHERE in_network(source, '192.0.2.0/40')", "", "is no network"),
    ] {
        let said = refused(&pond.lake, sql).to_string();
        assert!(said.starts_with(begins) && said.contains(holds), "{sql}: {said}");
    }
}

#[test]
fn only_files_of_the_days_and_sensors_that_are_named_are_read() {
    let pond = pond();
    for name in ["a", "b"] {
        fill(&pond.lake, name, 1, (0..4).map(|day| minute(day * 1440, "192.0.2.1", 23, 1)));
    }
    let files = |condition: &str| {
        let plan =
            lines(&pond.lake, &format!("EXPLAIN SELECT sum(packets) FROM minutes {condition}")).join("\n");
        plan.matches(".parquet").count()
    };
    assert_eq!(files(""), 8);
    assert_eq!(files("WHERE day = '2026-11-27'"), 2);
    assert_eq!(files("WHERE day >= '2026-11-27' AND day < '2026-11-29'"), 4);
    assert_eq!(files("WHERE sensor = 'b'"), 4);
    assert_eq!(files("WHERE day = DATE '2026-11-27' AND sensor IN ('a', 'c') AND destination_port = 23"), 1);
    assert_eq!(files("WHERE day = '2027-01-01'"), 0);
    assert_eq!(
        lines(&pond.lake, "SELECT count(*) FROM minutes WHERE day = (SELECT max(day) FROM minutes)"),
        ["2"]
    );
    assert_eq!(
        lines(&pond.lake, "SELECT count(*) FROM minutes WHERE sensor LIKE 'a%' OR packets > 1"),
        ["4"]
    );
}

#[test]
fn counts_per_port_and_day_are_a_table_too() {
    let pond = pond();
    fill(
        &pond.lake,
        "a",
        1,
        [
            minute(0, "192.0.2.1", 23, 1),
            minute(1, "192.0.2.1", 23, 2),
            minute(2, "192.0.2.2", 23, 3),
            minute(2, "192.0.2.2", 80, 5),
            minute(1440, "192.0.2.2", 80, 9),
        ],
    );
    let found = lines(
        &pond.lake,
        "SELECT day, destination_port, hosts, packets FROM ports ORDER BY day, packets DESC",
    );
    assert_eq!(found, ["2026-11-26,23,2,6", "2026-11-26,80,1,5", "2026-11-27,80,1,9"]);
    let tables = lines(&pond.lake, "SHOW TABLES").join("\n");
    assert!(
        ["packets", "minutes", "counts", "ports", "asked"].iter().all(|table| tables.contains(table)),
        "{tables}"
    );
    assert!(!tables.contains("counted"), "{tables}");
}

#[test]
fn rows_time_and_memory_are_bounded() {
    let pond = pond();
    fill(
        &pond.lake,
        "a",
        1,
        (0..200_000).map(|n| minute(n % 60, "192.0.2.1", (n % 60_000) as u16, n as u32)),
    );
    let limits = |rows, seconds: f64, memory_bytes, spill_bytes| Limits {
        rows,
        time: Duration::from_secs_f64(seconds),
        memory_bytes,
        spill_bytes,
        threads: 2,
    };
    let mut answer = pond.lake.query("SELECT * FROM minutes", &limits(Some(10), 60.0, 1 << 30, 0)).unwrap();
    assert_eq!(
        (answer.by_ref().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), answer.is_cut()),
        (10, true)
    );
    let mut answer = pond.lake.query("SELECT 1", &limits(Some(1), 60.0, 1 << 30, 0)).unwrap();
    assert_eq!((answer.by_ref().count(), answer.is_cut()), (1, false));

    let endless = "SELECT count(*) FROM generate_series(1, 100000000000) a";
    let long = "SELECT count(*) FROM minutes a JOIN minutes b ON a.packets <> b.packets";
    for sql in [endless, long] {
        match pond.lake.query(sql, &limits(None, 0.5, 1 << 30, 0)) {
            Err(LakeError::TimedOut(_)) => {}
            Err(LakeError::Sql { .. }) => assert_eq!(sql, endless, "table functions need not be there"),
            Err(other) => panic!("{sql}: {other}"),
            Ok(mut answer) => assert!(matches!(answer.next(), Some(Err(LakeError::TimedOut(_)))), "{sql}"),
        }
    }

    let sort = "SELECT packets, source, minute FROM minutes ORDER BY packets DESC, minute, destination_port";
    let outcome = |spill_bytes| {
        let answer = pond.lake.query(sort, &limits(None, 60.0, 8 << 20, spill_bytes))?;
        answer.map(|batch| batch.map(|batch| batch.num_rows())).sum::<Result<usize, LakeError>>()
    };
    assert!(matches!(outcome(0), Err(LakeError::Memory(_))), "{:?}", outcome(0));
    assert_eq!(outcome(1 << 30).unwrap(), 200_000);
}

#[test]
fn an_answer_is_a_table_csv_json_or_parquet() {
    let pond = pond();
    fill(
        &pond.lake,
        "a",
        1,
        [
            minute(0, "192.0.2.1", 23, 100),
            MinuteRow {
                tool: None,
                country: None,
                class: "\u{1b}[31m,\"x\"",
                ..minute(1, "2001:db8::1", 8080, 7)
            },
        ],
    );
    let sql =
        "SELECT minute, source, destination_port AS port, class, tool, packets FROM minutes ORDER BY minute";
    let written = |format| {
        let mut bytes = Vec::new();
        assert_eq!(ask(&pond.lake, sql).write(format, &mut bytes).unwrap(), 2);
        bytes
    };
    let text = |format| String::from_utf8(written(format)).unwrap();
    assert_eq!(
        text(Format::Table).lines().collect::<Vec<_>>(),
        [
            "minute                source       port  class           tool  packets",
            "────────────────────  ───────────  ────  ──────────────  ────  ───────",
            "2026-11-26T00:00:00Z  192.0.2.1      23  scanner         zmap      100",
            "2026-11-26T00:01:00Z  2001:db8::1  8080  \\u{1b}[31m,\"x\"              7",
        ]
    );
    assert_eq!(
        text(Format::Csv),
        "minute,source,port,class,tool,packets\n\
         2026-11-26T00:00:00Z,192.0.2.1,23,scanner,zmap,100\n\
         2026-11-26T00:01:00Z,2001:db8::1,8080,\"\u{1b}[31m,\"\"x\"\"\",,7\n"
    );
    assert_eq!(
        text(Format::Json).lines().next().unwrap(),
        "{\"minute\":\"2026-11-26T00:00:00Z\",\"source\":\"192.0.2.1\",\"port\":23,\"class\":\"scanner\",\"tool\":\"zmap\",\"packets\":100}"
    );
    let parquet = written(Format::Parquet);
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    assert_eq!(batches(&pond.lake, sql).iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    // An empty answer has its columns still.
    let mut bytes = Vec::new();
    let none = ask(&pond.lake, "SELECT source FROM minutes WHERE packets > 1000")
        .write(Format::Csv, &mut bytes)
        .unwrap();
    assert_eq!((none, bytes.as_slice()), (0, b"source\n".as_slice()));
}

#[test]
fn a_new_lake_answers() {
    let pond = pond();
    assert_eq!(count(&pond.lake), "0,0");
    assert!(pond.lake.partitions().unwrap().is_empty());
}
