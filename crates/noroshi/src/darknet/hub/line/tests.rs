//! Batches in whatever order: each once, gaps told, memory bounded.

use super::*;

fn head(run: u8, number: u64) -> Head {
    let (sensor, run) = ("north".parse().unwrap(), Run([run; 16]));
    Head { sensor, run, number, before: number.saturating_mul(10), made_ns: 0, lost: 0, left_out: 0 }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn numbers(line: &mut Line<u64>) -> Vec<u64> {
    line.ready().into_iter().map(|(_, number)| number).collect()
}

fn states(line: &mut Line<u64>) -> Vec<(u64, u64, u64, State)> {
    line.news().into_iter().map(|news| (news.gap.from, news.gap.to, news.gap.packets, news.state)).collect()
}

const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

#[test]
fn a_gap_is_told_at_once_and_filled_in_order() {
    let mut line = Line::new(Ledger::default());
    for number in [0, 1, 4, 6] {
        line.offer(head(1, number), 10, number, at(number as i64));
    }
    assert_eq!((numbers(&mut line), states(&mut line)), (vec![0, 1], vec![(2, 3, 20, State::Open)]));
    assert_eq!(line.offer(head(1, 1), 10, 1, at(7)), Offered::Repeat(1));
    assert_eq!(line.offer(head(1, 4), 10, 4, at(7)), Offered::Known);
    line.offer(head(1, 3), 10, 3, at(8));
    assert_eq!((numbers(&mut line), states(&mut line)), (vec![], vec![]));
    line.offer(head(1, 2), 10, 2, at(9));
    assert_eq!(numbers(&mut line), [2, 3, 4]);
    assert_eq!(states(&mut line), [(2, 2, 10, State::Filled), (5, 5, 10, State::Open)]);
    line.offer(head(1, 5), 10, 5, at(9));
    assert_eq!((numbers(&mut line), states(&mut line)), (vec![5, 6], vec![(5, 5, 10, State::Filled)]));
    assert_eq!(line.ledger.taken.repeats, 1);
}

#[test]
fn what_is_not_waited_for_any_more_is_taken_late_and_once() {
    let mut line = Line::new(Ledger::default());
    line.offer(head(1, 3), 10, 3, at(0));
    line.pass(at(59), PATIENCE);
    assert_eq!((numbers(&mut line), states(&mut line)), (vec![], vec![(0, 2, 30, State::Open)]));
    line.pass(at(60), PATIENCE);
    assert_eq!((numbers(&mut line), states(&mut line)), (vec![3], vec![(0, 2, 30, State::Missing)]));
    // Known over a restart.
    let text = serde_json::to_string(&line.ledger).unwrap();
    let mut line = Line::new(serde_json::from_str(&text).unwrap());
    for number in [1, 1, 0, 4] {
        line.offer(head(1, number), 10, number, at(70));
    }
    assert_eq!((numbers(&mut line), line.ledger.taken.repeats), (vec![1, 0, 4], 1));
    line.offer(head(1, 2), 10, 2, at(70));
    assert_eq!((numbers(&mut line), states(&mut line)), (vec![2], vec![(0, 2, 0, State::Filled)]));
    assert!(line.ledger.runs.values().all(|run| run.gaps.is_empty() && run.next == 5));
}

#[test]
fn what_waited_when_the_hub_ended_comes_again() {
    let mut line = Line::new(Ledger::default());
    line.offer(head(1, 2), 10, 2, at(0));
    let mut line = Line::new(line.ledger);
    assert!(line.ledger.runs.values().all(|run| run.gaps.is_empty()));
    line.offer(head(1, 2), 10, 2, at(1));
    assert_eq!(states(&mut line), [(0, 1, 20, State::Open)]);
}

#[test]
fn memory_is_bounded_whatever_a_sensor_sends() {
    let mut line = Line::new(Ledger::default());
    for number in 0..2000 {
        line.offer(head(1, 2 * number + 1), 10, number, at(0));
        line.pass(at(0), PATIENCE);
    }
    for number in (0..4000).step_by(2) {
        line.offer(head(2, number), 10, number, at(number as i64 * 100));
        line.pass(at(number as i64 * 100), PATIENCE);
    }
    for run in 0..255 {
        line.offer(head(run, 0), 10, 0, at(0));
        line.offer(head(run, 1 << 62), 10, 0, at(0));
    }
    line.pass(at(1_000_000), PATIENCE);
    assert!(line.held.len() <= 2 * HELD_MAX + 2 && line.ledger.runs.len() <= RUNS_MAX);
    assert!(line.ledger.runs.values().all(|run| run.gaps.len() <= GAPS_MAX));
    assert!(line.ledger.taken.forgotten > 0);
}

/// Whatever order they come in, with repeats, a crash and an impatient hub: each is taken once.
#[test]
fn each_is_taken_once_in_whatever_order_they_come() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..200 {
        let count = random.u64(1..60);
        let mut coming: Vec<u64> = (0..count).chain((0..count).filter(|n| n % 3 == round % 3)).collect();
        random.shuffle(&mut coming);
        let (mut line, mut taken, mut now) = (Line::new(Ledger::default()), Vec::new(), 0);
        let mut unacknowledged: Vec<u64> = Vec::new();
        while let Some(number) = coming.pop() {
            now += random.i64(0..30);
            line.offer(head(1, number), 10, number, at(now));
            unacknowledged.push(number);
            line.pass(at(now), PATIENCE);
            let ready = numbers(&mut line);
            unacknowledged.retain(|number| !ready.contains(number));
            taken.extend(ready);
            if random.u8(0..20) == 0 {
                // Killed: what was not acknowledged comes again, in any order.
                line = Line::new(line.ledger);
                coming.append(&mut unacknowledged);
                random.shuffle(&mut coming);
            }
        }
        line.pass(at(now + 61), PATIENCE);
        taken.extend(numbers(&mut line));
        taken.sort_unstable();
        assert_eq!(taken, (0..count).collect::<Vec<_>>());
        assert!(line.ledger.runs.values().all(|run| run.gaps.is_empty() && run.next == count));
    }
}
