//! What telescopes counted and saw: added up over them, read on from a place, forgotten in its time.

use jiff::Timestamp;
use noroshi_model::Mark;
use noroshi_model::telescope::{Campaign, Counted, HourCount, MinuteCount, Sighting, SpanCount};
use noroshi_store::StoreError;

use crate::{at, on_both};

const HOUR_S: i64 = 3600;

fn hour(number: i64, by: Counted, name: &str, hosts: u64, packets: u64) -> HourCount {
    HourCount { hour: at(number * HOUR_S), by, name: name.into(), hosts, packets }
}

fn sighting(n: u8, seen: Timestamp) -> Sighting {
    let (ip, port) = ([203, 0, 113, n].into(), (n > 1).then_some(u16::MAX - u16::from(n)));
    Sighting {
        id: Sighting::id("north", ip, u64::from(n), port),
        telescope: "north".into(),
        at: seen,
        ip,
        country: "JP".into(),
        class: "scanner".into(),
        tool: String::new(),
        protocol: "tcp".into(),
        port,
        sampled: 7,
    }
}

#[test]
fn hours_are_replaced_minutes_added_to_and_telescopes_added_up() {
    on_both(|store| {
        store
            .tx("t", |tx| {
                let minute = |packets| MinuteCount { minute: at(60), packets, arrivals: 1 };
                for (telescope, packets) in [("north", 5), ("north", 6), ("south", u64::MAX >> 2)] {
                    tx.add_telescope_minute(telescope, &minute(packets))?;
                }
                let sum = MinuteCount { minute: at(60), packets: (u64::MAX >> 2) + 11, arrivals: 3 };
                assert_eq!(tx.telescope_minutes(at(60), at(61))?, [sum]);
                assert!(tx.telescope_minutes(at(61), at(99))?.is_empty());

                tx.put_telescope_hour("north", &[hour(1, Counted::Tcp, "23", 4, 10)])?;
                let north = [hour(1, Counted::Tcp, "23", 5, 20), hour(1, Counted::Country, "JP", 3, 0)];
                tx.put_telescope_hour("north", &north)?;
                tx.put_telescope_hour("south", &[hour(1, Counted::Tcp, "23", 7, 100)])?;
                tx.put_telescope_hour("south", &[hour(2, Counted::Tcp, "23", 9, 1000)])?;
                tx.put_telescope_hour("south", &[hour(3, Counted::Tcp, "23", 99, 1)])?;
                let mut read = tx.telescope_hour("north", at(HOUR_S))?;
                read.sort_by_key(|count| count.hosts);
                assert_eq!(read, [north[1].clone(), north[0].clone()]);
                let span =
                    |by, name: &str, hosts, packets| SpanCount { by, name: name.into(), hosts, packets };
                assert_eq!(
                    tx.telescope_span(at(HOUR_S), at(3 * HOUR_S))?,
                    [span(Counted::Tcp, "23", 12, 1120), span(Counted::Country, "JP", 3, 0)],
                    "the busiest hour's senders, all hours' packets"
                );
                for (telescope, hosts) in [("north", 1), ("south", 2)] {
                    tx.put_telescope_hour(telescope, &[hour(5, Counted::All, "", hosts, 10 * hosts)])?;
                }
                assert_eq!(
                    tx.telescope_hours(at(5 * HOUR_S), at(6 * HOUR_S))?,
                    [hour(5, Counted::All, "", 3, 30)]
                );
                assert!(tx.telescope_hours(at(0), at(5 * HOUR_S))?.is_empty(), "ports are not all");
                Ok::<_, StoreError>(())
            })
            .unwrap();
    });
}

#[test]
fn sightings_and_campaigns_are_read_on_from_a_place_and_forgotten() {
    on_both(|store| {
        let campaign = |n: u16| Campaign {
            id: Campaign::id("north", "tcp", n, "mirai", 5),
            telescope: "north".into(),
            protocol: "tcp".into(),
            port: n,
            tool: "mirai".into(),
            onset: at(4),
            known: at(5),
            sources_known: 9,
            sources: 9,
            last: at(6),
        };
        store
            .tx("t", |tx| {
                for n in 1..=5u8 {
                    let one = sighting(n, at(i64::from(n) / 2));
                    tx.put_telescope_sighting(&one)?;
                    tx.put_telescope_sighting(&Sighting { class: "spoofed".into(), ..one.clone() })?;
                    assert_eq!(tx.telescope_sighting(&one.id)?, Some(one));
                }
                let (mut seen, mut behind) = (Vec::new(), None);
                loop {
                    let page = tx.telescope_sightings(behind.as_ref(), 2)?;
                    let Some(last) = page.last() else { break };
                    behind = Some(Mark { at: last.at, id: last.id.clone() });
                    seen.extend(page.into_iter().map(|one| one.ip));
                }
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen.len(), 5);
                assert_eq!(tx.telescope_sightings_between(at(1), at(2), 9)?.len(), 2);

                for port in [1, u16::MAX] {
                    tx.put_telescope_campaign(&campaign(port))?;
                }
                let grown = Campaign { sources: 700, last: at(99), ..campaign(u16::MAX) };
                tx.put_telescope_campaign(&grown)?;
                assert_eq!(tx.telescope_campaign(&grown.id)?, Some(grown.clone()));
                let first = tx.telescope_campaigns(None, 1)?.remove(0);
                let mark = Mark { at: first.known, id: first.id.clone() };
                let second = tx.telescope_campaigns(Some(&mark), 9)?;
                assert!(second.len() == 1 && second[0].id != first.id);

                tx.add_telescope_minute("north", &MinuteCount { minute: at(60), packets: 1, arrivals: 1 })?;
                tx.put_telescope_hour("north", &[hour(0, Counted::All, "", 1, 1)])?;
                assert_eq!(tx.forget_telescope(at(2), at(60))?, 3);
                assert_eq!(tx.telescope_campaigns(None, 9)?, [grown], "it went on");
                assert_eq!(tx.telescope_minutes(at(0), at(61))?.len(), 1);
                assert!(tx.telescope_hour("north", at(0))?.is_empty());
                Ok::<_, StoreError>(())
            })
            .unwrap();
    });
}
