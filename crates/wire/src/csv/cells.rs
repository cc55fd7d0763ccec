//! Where the cells of a record are. Nearly all lines need no unquoting, and their cells are found where they stand ([`plain`]); the others go
//! through a machine that knows quotes, line by line ([`Parser`]).

use csv_core::{ReadRecordResult, ReaderBuilder, Terminator};

use super::COLUMNS_MAX;

/// Where the cells are: in the record as it stood in the file, or, where there is something to unquote, in a text of
/// their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    text: Option<String>,
    spans: Vec<(u32, u32)>,
}

impl Cells {
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    #[inline]
    pub(super) fn at<'a>(&'a self, joined: &'a str, place: usize) -> Option<&'a str> {
        let (start, end) = *self.spans.get(place)?;
        self.text.as_deref().unwrap_or(joined).get(start as usize..end as usize)
    }

    pub(super) fn iter<'a>(&'a self, joined: &'a str) -> impl Iterator<Item = &'a str> {
        (0..self.spans.len()).map(move |place| self.at(joined, place).unwrap_or_default())
    }
}

/// The cells of a line where none needs unquoting, as nearly all are: each bare, or in quotes with no quote inside.
/// `None` leaves the line to the machine.
pub(super) fn plain(line: &[u8], delimiter: char, expected: usize) -> Option<Cells> {
    // The machine would take a byte order mark off; lines of four gigabytes there are none.
    if line.first() == Some(&0xef) || u32::try_from(line.len()).is_err() {
        return None;
    }
    let delimiter = u8::try_from(delimiter).ok()?;
    let mut spans = Vec::with_capacity(expected);
    let mut at = 0;
    loop {
        let rest = line.get(at..)?;
        let (start, end, next) = if rest.first() == Some(&b'"') {
            let end = at + 1 + memchr::memchr(b'"', &rest[1..])?;
            (at + 1, end, end + 1)
        } else {
            let end = at + rest.iter().position(|b| *b == delimiter).unwrap_or(rest.len());
            (at, end, end)
        };
        // Both fit: the line does.
        spans.push((start as u32, end as u32));
        match line.get(next) {
            None => return Some(Cells { text: None, spans }),
            Some(byte) if *byte == delimiter && spans.len() < COLUMNS_MAX => at = next + 1,
            Some(_) => return None,
        }
    }
}

/// The machine that knows quotes; fed line by line.
#[derive(Debug)]
pub(super) struct Parser {
    machine: csv_core::Reader,
    out: Vec<u8>,
    out_used: usize,
    ends: Vec<usize>,
    ends_used: usize,
}

/// Where the machine stands after a line.
pub(super) enum Fed {
    Whole,
    Open,
    TooManyColumns,
}

impl Parser {
    pub(super) fn new(delimiter: char) -> Self {
        let machine = ReaderBuilder::new()
            .delimiter(u8::try_from(delimiter).unwrap_or(b','))
            .terminator(Terminator::Any(b'\n'))
            .build();
        Self { machine, out: Vec::new(), out_used: 0, ends: vec![0; COLUMNS_MAX + 1], ends_used: 0 }
    }

    pub(super) fn begin(&mut self) {
        self.machine.reset();
        self.out.clear();
        self.out_used = 0;
        self.ends_used = 0;
    }

    pub(super) fn feed(&mut self, line: &str) -> Fed {
        // Unquoting never makes a text longer.
        self.out.resize(self.out_used + line.len() + 1, 0);
        for piece in [line.as_bytes(), b"\n"] {
            let mut left = piece;
            while !left.is_empty() {
                let (out, ends) = (&mut self.out[self.out_used..], &mut self.ends[self.ends_used..]);
                let (result, read, written, ended) = self.machine.read_record(left, out, ends);
                left = &left[read..];
                self.out_used += written;
                self.ends_used += ended;
                match result {
                    ReadRecordResult::InputEmpty => {}
                    ReadRecordResult::OutputFull => self.out.resize(self.out.len() + line.len() + 64, 0),
                    ReadRecordResult::OutputEndsFull => return Fed::TooManyColumns,
                    ReadRecordResult::Record if self.ends_used > COLUMNS_MAX => return Fed::TooManyColumns,
                    ReadRecordResult::Record | ReadRecordResult::End => return Fed::Whole,
                }
            }
        }
        Fed::Open
    }

    pub(super) fn cells(&mut self) -> Cells {
        let out = self.out[..self.out_used].to_vec();
        let ends = &self.ends[..self.ends_used];
        let starts = std::iter::once(0).chain(ends.iter().copied());
        // A record is far from four gigabytes long.
        let spans = starts.zip(ends).map(|(start, end)| (start as u32, *end as u32)).collect();
        // Delimiter and quote are ASCII, so cells of valid text are valid text.
        Cells { text: Some(String::from_utf8(out).unwrap_or_default()), spans }
    }
}
