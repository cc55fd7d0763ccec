//! Which words a case is told in: chance's, written down, and kept.

use super::*;

/// The subjects of all mails that came, in order.
fn subjects(world: &World) -> Vec<String> {
    let mut files: Vec<_> =
        std::fs::read_dir(world.path("mailbox")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_by_key(|file| file.metadata().unwrap().modified().unwrap());
    let subject = |file: &std::path::PathBuf| {
        let mail = std::fs::read(file).unwrap();
        let mail = mail_parser::MessageParser::default().parse(&mail).unwrap();
        mail.subject().unwrap().to_owned()
    };
    files.iter().map(subject).collect()
}

#[test]
fn a_case_is_told_in_the_wording_that_chance_gave_it_and_what_was_said_is_written_down() {
    let forms = tempfile::tempdir().unwrap();
    let say = |subject: &str| std::fs::write(forms.path().join("subject.txt"), subject).unwrap();
    say("Short words\n");
    let notice = format!(
        "[outcome]\nhold-out-percent = 0\n[[notice.wording]]\nid = \"short\"\ntemplates = {:?}\nshare = 100\n",
        forms.path()
    );
    let mut world = World::new(&notice);
    // A case that was told before the trial stays out of it.
    let tried = std::mem::take(&mut world.config.wordings);
    world.open();
    world.find("C-1", None);
    world.work();
    world.config.wordings = tried;
    world.open();
    world.find("C-2", None);
    let of = |world: &World, contract: &str| {
        world.tx(|tx| Ok((tx.wording_of(&world.cases[contract])?, tx.words_of(&world.cases[contract])?)))
    };
    world.work();
    // The standard wording has no share left, so the draw is no draw. The address of the second is none: its mail fails, and
    // it is in the trial all the same.
    assert_eq!(of(&world, "C-1"), (None, BTreeMap::new()));
    let (allotted, words) = of(&world, "C-2");
    assert_eq!(allotted.as_deref(), Some("short"));
    assert!(words[&1].starts_with("short@"), "{words:?}");
    let story = world.tx(|tx| crate::cases::case_story(tx, &world.cases["C-2"])).unwrap();
    assert!(story.story.iter().any(|line| line.text.contains("(in the words short@")), "{story:?}");

    // The one whose mail arrives: its first and second mail, with a restart between them.
    let first = world.cases["C-1"].clone();
    world.tx(|tx| {
        let case = tx.case(&first)?.unwrap();
        tx.put_case(&Case { state: CaseState::Clean, closed: Some(world.clock.now()), next: None, ..case })
    });
    world.clock.step(SignedDuration::from_hours(30 * 24));
    world.find("C-1", None);
    world.work();
    assert_eq!(subjects(&world).last().map(String::as_str), Some("Short words"));
    world.clock.step(SignedDuration::from_hours(7 * 24 + 1));
    world.seen_again();
    world.open();
    world.work();
    let (_, words) = of(&world, "C-1");
    assert_eq!((words.len(), words[&1] == words[&2]), (2, true), "{words:?}");

    // Another text under the same name is another round for whoever comes after; the letter of this case says what there is now.
    let rounds = |world: &World| crate::report::wordings(world.house()).unwrap();
    assert_eq!(rounds(&world).len(), 1);
    world.config.wordings.clear();
    world.config.reach.ladder.rungs.truncate(1);
    world.config.reach.ladder.rungs[0].times = 3;
    world.clock.step(SignedDuration::from_hours(7 * 24 + 1));
    world.seen_again();
    world.open();
    world.work();
    let (allotted, words) = of(&world, "C-1");
    assert_eq!(allotted.as_deref(), Some("short"), "what was drawn stays");
    assert!(words[&3].starts_with("standard@"), "what is no longer there is not said: {words:?}");
    let short = &rounds(&world)[0].arms[1];
    assert_eq!((short.cases, short.notified, short.otherwise), (2, 2, 1), "{short:?}");
    assert_ne!(subjects(&world).last().map(String::as_str), Some("Short words"));
}

#[test]
fn who_gets_which_wording_follows_from_the_subscriber_and_the_round_and_not_from_being_held_out() {
    let forms = tempfile::tempdir().unwrap();
    std::fs::write(forms.path().join("subject.txt"), "Short words").unwrap();
    let notice = format!("[[notice.wording]]\nid = \"short\"\ntemplates = {:?}\nshare = 30\n", forms.path());
    let world = World::new(&notice);
    let house = world.house();
    let mut case = Case {
        id: Id::random().unwrap(),
        party: String::new(),
        family: "mirai".into(),
        campaign: "sinkhole".into(),
        measure: InfectionNotice::MEASURE.into(),
        state: CaseState::Open,
        opened: world.clock.now(),
        first_seen: world.clock.now(),
        last_seen: world.clock.now(),
        steps: 0,
        last_step: None,
        next: None,
        held_out_until: None,
        closed: None,
        reinfected: false,
        held_by: None,
        merged_into: None,
        forgotten: None,
    };
    let mut short = [0_u32; 2];
    let mut of = [0_u32; 2];
    for n in 0..4000 {
        let party = format!("party-{n}");
        let held_out = crate::stages::act::hold_out::<InfectionNotice>(house, &party, "mirai").is_some();
        case.party = party;
        let place = crate::wording::drawn(house, &case);
        case.family = "other".into();
        assert_eq!(
            place,
            crate::wording::drawn(house, &case),
            "all matters of one subscriber in the same words"
        );
        of[usize::from(held_out)] += 1;
        short[usize::from(held_out)] += u32::from(place == 1);
    }
    // 30 % of each, within five standard errors.
    for (short, of) in short.into_iter().zip(of) {
        let (share, of) = (f64::from(short) / f64::from(of), f64::from(of));
        assert!(of > 300.0 && (share - 0.3).abs() < 5.0 * (0.21 / of).sqrt(), "{short} of {of}");
    }
}
