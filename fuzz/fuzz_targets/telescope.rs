//! Any packets at any times: what became of them adds up, whatever they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_observe::telescope::{Counts, Glance, Telescope, Tool};
use noroshi_wire::capture::{Frame, Frames, LinkType};

fuzz_target!(|bytes: &[u8]| {
    let networks = [Vec::new(), vec!["0.0.0.0/1".parse().expect("a prefix"), "2000::/3".parse().expect("a prefix")]];
    for networks in networks {
        let telescope = Telescope::with_room_for(networks, 64);
        let (mut glance, mut counts, mut frames) = (Glance::default(), Counts::default(), Frames::default());
        let (mut rest, mut turn) = (bytes, 0);
        while let [link, time, length, next @ ..] = rest {
            let (frame, next) = next.split_at(next.len().min(usize::from(*length)));
            rest = next;
            let link = [LinkType::ETHERNET, LinkType::RAW, LinkType::PPP][usize::from(*link) % 3];
            let at_ns = (*time > 0).then(|| 1u64 << (time % 64));
            frames.push(&Frame { at_ns, link, length: frame.len() as u32, bytes: frame });
            if frames.len() == 7 || rest.is_empty() {
                telescope.look(&frames, &mut glance);
                telescope.take(turn, &mut glance);
                counts.add(&glance.counts);
                frames.clear();
                turn += 1;
            }
        }
        assert!(counts.adds_up());
        let mut packets = counts.beyond;
        telescope.each_source(|ip, source| {
            packets += u64::from(source.packets);
            let _judged = (telescope.class_of(ip, source), Tool::of(source), source.rate());
        });
        assert_eq!(packets, counts.packets);
    }
});
