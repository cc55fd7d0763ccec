//! The watch: works every source when it is due, in the background of `noroshi run`. A source that is slow or silent
//! keeps no other one waiting, and of each source only one run is under way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Origin, Source, Why, Works, held, push};
use crate::house::House;

/// How often the schedules are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Runs at a time.
const RUNS_AT_ONCE: usize = 16;
/// Pause where another program works on a source, or one failed before it could be written down.
const LATER: SignedDuration = SignedDuration::from_secs(10);

/// Works the sources until the program ends, takes what is sent to us, and keeps the tables new.
pub fn start(house: &Arc<House>) -> anyhow::Result<()> {
    let config = &house.config;
    if config.sources.is_empty() {
        return Ok(());
    }
    let works = Arc::new(Works::new(Arc::clone(house))?);
    if let Some(listen) = config.push.listen {
        let at = push::serve(Arc::clone(&works), listen)?;
        eprintln!("push     http://{at}/feeds/NAME");
    }
    if works.enrichment.has_files() {
        let works = Arc::clone(&works);
        std::thread::Builder::new().name("tables".into()).spawn(move || {
            loop {
                std::thread::sleep(works.enrichment.look());
                works.enrichment.renew();
            }
        })?;
    }
    std::thread::Builder::new().name("sources".into()).spawn(move || watch(&works))?;
    Ok(())
}

/// What the watch knows: when each source is to be looked at next, and which ones are under way.
#[derive(Default)]
struct Board {
    next: BTreeMap<String, Timestamp>,
    running: BTreeSet<String>,
}

fn watch(works: &Arc<Works>) {
    let board = Arc::new(std::sync::Mutex::new(Board::default()));
    loop {
        let kicked = {
            let (kicked, told) = &works.kicked;
            let kicked = held(kicked);
            let kicked = if kicked.is_empty() {
                told.wait_timeout(kicked, LOOK).unwrap_or_else(PoisonError::into_inner).0
            } else {
                kicked
            };
            kicked.clone()
        };
        let now = works.house.clock.now();
        let mut begun = 0;
        for (name, (_, source)) in &works.house.config.sources {
            let mut on = held(&board);
            let due = kicked.contains(name) || on.next.get(name).is_none_or(|next| *next <= now);
            if !due || on.running.len() >= RUNS_AT_ONCE || !on.running.insert(name.clone()) {
                continue;
            }
            drop(on);
            held(&works.kicked.0).remove(name);
            begun += 1;
            let (of, works, on) = (name.clone(), Arc::clone(works), Arc::clone(&board));
            let work = move || {
                let next = works.source(&of).map_or(Timestamp::MAX, |source| turn(&works, source));
                let mut on = held(&on);
                on.next.insert(of.clone(), next);
                on.running.remove(&of);
            };
            if let Err(e) = std::thread::Builder::new().name(source.name.clone()).spawn(work) {
                tracing::error!(source = name, "no thread for it: {e}");
                held(&board).running.remove(name);
            }
        }
        // What was kicked while it was under way is looked at again, but not at once.
        if begun == 0 && !kicked.is_empty() {
            std::thread::sleep(LOOK / 5);
        }
    }
}

/// One source's turn, if it is due; when it is to be looked at next.
fn turn(works: &Works, source: &Source) -> Timestamp {
    let now = works.house.clock.now();
    let later = now.checked_add(LATER).unwrap_or(Timestamp::MAX);
    let sent_to_us = matches!(source.origin, Origin::Push);
    let ran = works
        .claim(source, now, sent_to_us)
        .map_err(anyhow::Error::from)
        .and_then(|due| due.map_or_else(|| works.run(source, Why::Due).map(Ok), |due| Ok(Err(due))));
    match ran {
        Ok(Err(due)) => return due,
        Ok(Ok(None)) => return later,
        Err(e) => {
            tracing::error!(source = source.name, "{e:#}");
            return later;
        }
        Ok(Ok(Some((_, Some(trouble))))) => tracing::error!(source = source.name, "{:#}", trouble.why),
        Ok(Ok(Some((came, None)))) => {
            if came.items > 0 {
                tracing::info!(source = source.name, "{}", came.counts);
            }
            if sent_to_us {
                return Timestamp::MAX;
            }
        }
    }
    works.state(&source.name).map_or(later, |state| source.schedule.due(&state))
}
