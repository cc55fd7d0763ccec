//! Records as files have them, and as somebody may have made them.

use proptest::prelude::*;

use super::*;
use crate::lines::Encoding;

fn records(text: &[u8], format: CsvFormat, required: &[&str]) -> Records<std::io::Cursor<Vec<u8>>> {
    let reader = std::io::Cursor::new(text.to_vec());
    Records::new(Lines::new(reader, Encoding::default()), format, required)
}

fn rows(text: &str) -> Vec<Result<Vec<String>, String>> {
    records(text.as_bytes(), CsvFormat::default(), &[])
        .map(|row| match row.unwrap() {
            Ok(record) => Ok(record.cells().map(|(_, cell)| cell.to_owned()).collect()),
            Err(bad) => Err(bad.to_string()),
        })
        .collect()
}

fn error(text: &str, required: &[&str]) -> String {
    records(text.as_bytes(), CsvFormat::default(), required).next().unwrap().unwrap_err().to_string()
}

#[test]
fn quotes_commas_and_line_breaks_in_cells_are_read() {
    let text = "a,b\r\n\"x, \"\"y\"\"\",\"two\r\nlines\"\r\n1,\n";
    assert_eq!(
        rows(text),
        [Ok(vec!["x, \"y\"".into(), "two\nlines".into()]), Ok(vec!["1".into(), String::new()])]
    );
}

#[test]
fn cells_are_found_by_column_name() {
    let row = records(b"b,a,\n1,2,3\n", CsvFormat::default(), &["a"]).next().unwrap().unwrap().unwrap();
    assert_eq!((row.line, row.lines), (2, 1));
    assert_eq!(
        (row.cell("a"), row.cell("b"), row.cell("column-3"), row.cell("c")),
        (Some("2"), Some("1"), Some("3"), None)
    );
}

#[test]
fn a_record_of_another_width_is_bad_and_names_both_counts() {
    assert_eq!(
        rows("a,b\n1\n1,2,3\n1,2\n"),
        [
            Err("line 2: 1 columns where there should be 2 (1 bytes)".into()),
            Err("line 3: 3 columns where there should be 2 (5 bytes)".into()),
            Ok(vec!["1".into(), "2".into()]),
        ]
    );
}

#[test]
fn a_quote_that_never_closes_costs_one_line() {
    let text = format!("a,b\n1,\"open\n{}", "3,4\n".repeat(100));
    let rows = rows(&text);
    assert_eq!(rows.len(), 101);
    assert_eq!(rows[0], Err("line 2: a quote opens and does not close within 64 lines (7 bytes)".into()));
    assert!(rows[1..].iter().all(Result::is_ok));
}

#[test]
fn a_quote_open_at_the_end_of_the_file_costs_one_line() {
    assert_eq!(rows("a,b\n\"x,1\n3,4\n").iter().filter(|row| row.is_ok()).count(), 1);
}

#[test]
fn a_record_joins_64_lines_and_no_more() {
    let joined = |breaks: usize| format!("a\n\"{}\"\n", "x\n".repeat(breaks));
    assert!(rows(&joined(63))[0].is_ok());
    assert!(rows(&joined(64))[0].is_err());
}

#[test]
fn files_without_a_usable_header_are_refused() {
    assert_eq!(error("", &[]), "no header: the file has no line");
    assert_eq!(error("a,b,a\n", &[]), "column 'a' is there twice");
    assert_eq!(error("time,addr\n", &["ip"]), "column 'ip' is missing; there are: time, addr");
    assert!(error(&"x,".repeat(600), &[]).contains("more than 512 columns"));
    let format = CsvFormat { delimiter: '、', ..CsvFormat::default() };
    assert!(records(b"a\n", format, &[]).next().unwrap().is_err());
}

#[test]
fn a_quote_that_should_not_be_there_costs_its_own_line() {
    let text = "a,b\n1,\"2\n\"3\",\"4\"\n7,8\n";
    assert_eq!(
        rows(text),
        [
            Err("line 2: 3 columns where there should be 2, read over 2 lines (4 bytes)".into()),
            Ok(vec!["3".to_owned(), "4".into()]),
            Ok(vec!["7".into(), "8".into()]),
        ]
    );
}

#[test]
fn configured_columns_and_comments_are_honoured() {
    let format = CsvFormat {
        ragged: false,
        delimiter: ';',
        header: Header::Named(vec!["ip".into(), "t".into()]),
        comment: Some('#'),
    };
    let mut rows = records(b"# seized\n1;2\n\n\"#\";3\n", format, &["ip"]);
    let cells: Vec<_> =
        rows.by_ref().map(|row| row.unwrap().unwrap().cell("ip").unwrap().to_owned()).collect();
    assert_eq!(cells, ["1", "#"]);
    assert_eq!((rows.skipped(), rows.offset()), (2, 20));
}

#[test]
fn a_record_of_512_columns_is_read() {
    let names: Vec<String> = (0..COLUMNS_MAX).map(|n| format!("c{n}")).collect();
    let text = format!("{}\n{}\n", names.join(","), vec!["1"; COLUMNS_MAX].join(","));
    assert_eq!(rows(&text)[0].as_ref().unwrap().len(), COLUMNS_MAX);
}

const PIECES: [&str; 9] = ["\"", ",", "\n", "a", "\r\n", "#", "\0", "あ", "\u{feff}"];

proptest! {
    /// The quick way and the machine agree wherever the quick way has an opinion.
    #[test]
    fn plain_lines_are_read_as_the_machine_reads_them(line in "[ab\",;\r é\u{feff}]{0,12}", semicolon: bool) {
        let delimiter = if semicolon { ';' } else { ',' };
        if let Some(cells) = plain(line.as_bytes(), delimiter, 0).filter(|_| !line.is_empty()) {
            let quick: Vec<_> = cells.iter(&line).map(str::to_owned).collect();
            let mut parser = Parser::new(delimiter);
            parser.begin();
            prop_assert!(matches!(parser.feed(&line), Fed::Whole));
            let slow: Vec<_> = parser.cells().iter("").map(str::to_owned).collect();
            prop_assert_eq!(quick, slow);
        }
    }

    #[test]
    fn every_physical_line_is_a_record_or_bad_or_passed_over(
        text in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..200),
    ) {
        let text = text.concat();
        let header = Header::Named(vec!["a".into(), "b".into()]);
        let format = CsvFormat { comment: Some('#'), header, ..CsvFormat::default() };
        let physical = Lines::new(text.as_bytes(), Encoding::default()).count() as u64;
        let mut rows = records(text.as_bytes(), format, &[]);
        let mut accounted = 0;
        // A record of the wrong width may span lines; count those by the position it leaves behind.
        let mut before = 0;
        while let Some(row) = rows.next() {
            let skipped = rows.skipped();
            let spanned = &text.as_bytes()[before..rows.offset() as usize];
            let breaks = spanned.iter().filter(|byte| **byte == b'\n').count() as u64;
            let lines = breaks + u64::from(!spanned.ends_with(b"\n"));
            if let Ok(Ok(record)) = row {
                prop_assert!(record.lines <= lines);
            }
            accounted += lines;
            before = rows.offset() as usize;
            prop_assert!(skipped <= accounted);
        }
        let rest = &text.as_bytes()[before..];
        accounted += rest.iter().filter(|byte| **byte == b'\n').count() as u64;
        accounted += u64::from(!rest.is_empty() && !rest.ends_with(b"\n"));
        prop_assert_eq!(rows.offset(), text.len() as u64);
        prop_assert!(accounted == physical || text == "\u{feff}", "{} of {}", accounted, physical);
    }

    #[test]
    fn what_was_quoted_is_read_back(
        cells in prop::collection::vec(prop::collection::vec("[a\",\n é]{0,8}", 3), 1..8),
    ) {
        let quote = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
        let line = |row: &Vec<String>| row.iter().map(quote).collect::<Vec<_>>().join(",");
        let text = format!("x,y,z\n{}\n", cells.iter().map(line).collect::<Vec<_>>().join("\n"));
        let read: Vec<_> = rows(&text).into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(read, cells);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        records(&bytes, CsvFormat::default(), &[]).for_each(drop);
    }
}
