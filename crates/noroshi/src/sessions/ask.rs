//! Who held an address, asked by a person: under a measure, through the gate, with an evidence entry for every address that
//! is looked at. A measure that may not identify refuses every question, and says by which rule.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use noroshi_book::Answer;
use noroshi_decide::{ask_infection, ask_reflector, ask_takedown};
use noroshi_law::{Ask, InfectionNotice, NoticePurpose, Purpose as _, ReflectorNotice, TakedownNotice, Use};
use noroshi_wire::csv::{CsvFormat, Records};
use noroshi_wire::lines::{Encoding, Lines};
use serde::Serialize;

use super::Who;
use crate::house::House;
use crate::report::{self, say};

/// Questions that are answered together; questions about one address among them are one look.
const BATCH: usize = 1000;

#[derive(Clone, Copy, Debug)]
struct Question {
    ip: IpAddr,
    at: Timestamp,
    port: Option<u16>,
    off_s: u32,
}

/// What is said to a question.
#[derive(Clone, Debug, Serialize)]
struct Said {
    answer: &'static str,
    subscriber: Option<String>,
    margin_s: Option<i64>,
    reason: Option<String>,
    /// The rows of the book that say so.
    rows: Vec<noroshi_book::look::Source>,
}

impl Said {
    fn not(answer: &'static str, reason: impl Into<String>) -> Self {
        Self { answer, subscriber: None, margin_s: None, reason: Some(reason.into()), rows: Vec::new() }
    }

    fn of(answer: Answer) -> Self {
        match answer {
            Answer::One(held) => Self {
                answer: "one",
                subscriber: Some(held.line),
                margin_s: Some(held.margin_s),
                reason: None,
                rows: held.rows,
            },
            Answer::None => Self::not("none", "no session on the address then"),
            Answer::Ambiguous(doubt) => Self::not("ambiguous", doubt.reason()),
        }
    }
}

/// Answers one question, or a file of them.
pub fn who(house: &House, wish: &Who) -> anyhow::Result<ExitCode> {
    match wish.measure.as_str() {
        TakedownNotice::MEASURE => under::<TakedownNotice>(house, wish, ask_takedown),
        InfectionNotice::MEASURE => under::<InfectionNotice>(house, wish, ask_infection),
        ReflectorNotice::MEASURE => under::<ReflectorNotice>(house, wish, ask_reflector),
        other if house.register.measure(other).is_some() => {
            bail!("measure '{other}' is not one under which the holder of an address may be asked for")
        }
        other => bail!("there is no measure '{other}'; `noroshi law measures` lists them"),
    }
}

fn under<P: NoticePurpose>(house: &House, wish: &Who, ask: fn(Use) -> Ask) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let mut answer = |questions: &[Result<Question, String>]| -> anyhow::Result<()> {
        for said in answers::<P>(house, questions, &wish.case, ask(Use::Identify))? {
            if said.answer == "refused" {
                code = ExitCode::from(4);
            }
            tell(&said, wish.json || wish.batch.is_some())?;
        }
        Ok(())
    };
    match (&wish.batch, wish.ip, wish.at) {
        (Some(path), ..) => {
            let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
            let mut questions = Vec::new();
            for record in Records::new(
                Lines::new(BufReader::new(file), Encoding::default()),
                CsvFormat::default(),
                &["ip", "time", "port"],
            ) {
                questions.push(match record.context("the questions cannot be read")? {
                    Ok(record) => {
                        question(|column| record.cell(column).unwrap_or_default().trim().to_owned())
                    }
                    Err(bad) => Err(format!("line {}: {}", bad.line, bad.reason)),
                });
                if questions.len() >= BATCH {
                    answer(&std::mem::take(&mut questions))?;
                }
            }
            answer(&questions)?;
        }
        (None, Some(ip), Some(at)) => {
            answer(&[Ok(Question { ip, at, port: wish.port, off_s: wish.clock_error_s })])?;
        }
        _ => bail!("--ip and --at, or --batch"),
    }
    Ok(code)
}

/// A question out of a row. A time without a zone, or with a twelve-hour clock, is refused and not guessed at.
fn question(cell: impl Fn(&str) -> String) -> Result<Question, String> {
    let (port, off_s) = (cell("port"), cell("clock-error-s"));
    Ok(Question {
        ip: cell("ip").parse().map_err(|_| "ip is no address")?,
        at: cell("time").parse().map_err(|_| "time is no RFC 3339 time with a zone")?,
        port: if port.is_empty() { None } else { Some(port.parse().map_err(|_| "port is no port")?) },
        off_s: match off_s.as_str() {
            "" => 0,
            seconds => seconds.parse().map_err(|_| "clock-error-s is no number of seconds")?,
        },
    })
}

fn answers<P: NoticePurpose>(
    house: &House,
    questions: &[Result<Question, String>],
    case: &str,
    ask: Ask,
) -> anyhow::Result<Vec<Said>> {
    let permit = match house.permit::<P>(house.stated(ask), "")? {
        Ok(permit) => permit,
        Err(refusal) => return Ok(vec![Said::not("refused", refusal.to_string()); questions.len()]),
    };
    let with_port = permit.allows("source.port");
    let book = house.book()?;
    let mut said: Vec<Said> = questions
        .iter()
        .map(|q| Said::not("refused", q.as_ref().err().cloned().unwrap_or_default()))
        .collect();
    let mut by_address: BTreeMap<IpAddr, Vec<(usize, Question)>> = BTreeMap::new();
    for (n, question) in questions.iter().enumerate() {
        if let Ok(question) = question {
            by_address.entry(question.ip).or_default().push((n, *question));
        }
    }
    let sealed = by_address
        .iter()
        .map(|(ip, asked)| (book.look(*ip), format!("address {ip}, {} questions, case {case}", asked.len())));
    let (sealed, now) = (sealed.collect(), house.clock.now());
    let looks = house.vault.open_all(sealed, &permit, now, &mut house.evidence())?;
    for (look, asked) in looks.iter().zip(by_address.into_values()) {
        for (n, question) in asked {
            let port = question.port.filter(|_| with_port);
            said[n] = Said::of(look.read().who(port, question.at, question.off_s, &house.config.rules));
        }
    }
    Ok(said)
}

fn tell(said: &Said, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return report::json(said);
    }
    match (&said.subscriber, said.margin_s) {
        (Some(subscriber), Some(margin_s)) => {
            say!("one: {subscriber}, {margin_s} s from the nearest border");
            for row in &said.rows {
                let until = if row.stopped { "stopped" } else { "last heard of" };
                say!("  {} from {}, {until} {}", row.server, row.start, row.end);
            }
        }
        _ => say!("{}: {}", said.answer, said.reason.as_deref().unwrap_or_default()),
    }
    Ok(())
}
