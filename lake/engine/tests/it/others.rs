//! The files as others read them: pyarrow and DuckDB, where a Python has them (`NOROSHI_TEST_PYARROW` names it).

use std::process::Command;

use super::*;

const PYARROW: &str = "
import sys, ipaddress, pyarrow.dataset as ds, pyarrow.compute as pc
table = ds.dataset(sys.argv[1], format='parquet', partitioning='hive').to_table()
rows = sorted(table.to_pylist(), key=lambda row: row['packets'])
for row in rows:
    print(row['minute'].isoformat(), ipaddress.ip_address(row['source']), row['destination_port'], row['class'],
          row['tool'], row['packets'], row['day'], row['sensor'])
";
const DUCKDB: &str = "
import sys, duckdb
files = sys.argv[1] + '/*/*/*.parquet'
for row in duckdb.sql(f\"select epoch_ms(minute), hex(source), destination_port, class, tool, packets, day, sensor \"
                      f\"from read_parquet('{files}', hive_partitioning=true) order by packets\").fetchall():
    print(*row)
";

#[test]
fn pyarrow_and_duckdb_read_the_files() {
    let Ok(python) = std::env::var("NOROSHI_TEST_PYARROW") else {
        println!("SKIPPED: NOROSHI_TEST_PYARROW names no Python with pyarrow");
        return;
    };
    let pond = pond();
    for (number, source) in ["192.0.2.1", "2001:db8::1"].into_iter().enumerate() {
        let number = number as u64;
        fill(&pond.lake, "osaka-1", number, [minute(number as i64, source, 23, number as u32 + 1)]);
    }
    let read = |script: &str| {
        let output =
            Command::new(&python).args(["-c", script]).arg(pond.lake.folder().join("minutes")).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let expected = "2026-11-26T00:00:00+00:00 192.0.2.1 23 scanner zmap 1 2026-11-26 osaka-1\n\
                    2026-11-26T00:01:00+00:00 2001:db8::1 23 scanner zmap 2 2026-11-26 osaka-1\n";
    assert_eq!(read(PYARROW), expected);
    pond.lake.writer().unwrap().compact(DAY.parse().unwrap()).unwrap();
    assert_eq!(read(PYARROW), expected, "joined");

    if !Command::new(&python).args(["-c", "import duckdb"]).output().unwrap().status.success() {
        println!("SKIPPED: this Python has no duckdb");
        return;
    }
    let duck = read(DUCKDB);
    assert_eq!(duck.lines().count(), 2, "{duck}");
    assert!(duck.contains("C0000201 23 scanner zmap 1 2026-11-26 osaka-1"), "{duck}");
}
